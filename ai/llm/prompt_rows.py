"""The knowledge of agents, as text: the second message of a prompt, with a row for each agent.

The words follow from the declaration of the observation: fields stand in their order, each as its `say` puts it. They
are made once for a whole batch, a column at a time; the calls into which the batch is cut share them, and a call reads
as if it had been made for its agents alone.

Words that several rows of one call would repeat are said once in it, above the rows: shared facts, texts that several
have, the meaning of members, the common facts of groups of agents (`by`), entries that several name, and the words that
most agents say of themselves. Lists stay in their rows. So the words of an agent depend on whom it is asked with.
"""

from __future__ import annotations

import json
import re
import string
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

import numpy as np

from ai.llm.encodings.offers import picked
from ai.observation import (
    AGENTS,
    Array,
    Bools,
    Choice,
    Counts,
    Flags,
    Group,
    Leaf,
    Name,
    Number,
    ObservationBatch,
    Rows,
    Saying,
    Shared,
    Text,
    places_held,
)

SHARED_PARTS_MAX: Final = 16
"""Parts of a shared list that one prompt says."""
TEXT_CHARS_MAX: Final = 500
"""Characters of one text that a prompt shows."""

_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029]")

_Get = Callable[[str], Array]


class Seen(NamedTuple):
    """One entry of a list, in words: the words that come first, the rest, and its id for entries that have one."""

    key: int | None
    head: str
    state: str

    @property
    def said(self) -> str:
        """All of it."""
        return f"{self.head} {self.state}" if self.head and self.state else self.head or self.state


@dataclass(frozen=True, slots=True)
class PromptRows:
    """The knowledge of a batch's agents: the beginning of each row, and its other parts a column at a time."""

    texts: tuple[str, ...]
    heads: list[str]
    columns: tuple[_Column, ...]

    @classmethod
    def of(cls, batch: ObservationBatch[Any]) -> Self:
        """Put everything that a batch knows into words."""
        heads = [str(key) for key in batch.keys.tolist()]
        if batch.layout.place is not None:
            places = batch.layout.place.shown(batch.of_leaf(batch.layout.place), batch)
            heads = [f"{key}@{place}" for key, place in zip(heads, places, strict=True)]
        return cls(batch.texts, heads, tuple(c for saying in batch.layout.sayings for c in _columns(saying, batch)))

    def take(self, rows: Rows | slice) -> Self:
        """Return the knowledge of some of the agents; `rows` ascending."""
        return replace(
            self,
            heads=picked(self.heads, rows),
            columns=tuple(replace(column, each=picked(column.each, rows)) for column in self.columns),
        )

    def message(self) -> str:
        """Return the knowledge of all the agents with a row for each of them."""
        message = _Message(self)
        for column in self.columns:
            column.add_to(message)
        return message.text()


class _Message:
    """One message while it is made: the lines above the rows, and the parts of the rows."""

    def __init__(self, of: PromptRows) -> None:
        self.heads = of.heads
        self.parts: list[list[str]] = [[] for _ in of.heads]
        self.standing: list[str] = []
        self.lines: list[str] = []
        self._texts = of.texts
        self._common: list[str] = []
        uses = Counter(place for column in of.columns for place in column.texts_used())
        several = sorted(place for place, count in uses.items() if count > 1)
        self._numbers = {place: number for number, place in enumerate(several, 1)}
        spaces: dict[str, list[list[Seen]]] = {}
        for column in of.columns:
            if isinstance(column, _Entries):
                spaces.setdefault(column.space, []).extend(seen for seen, _ in column.each)
        self.known = {space: _known_to_several(each) for space, each in spaces.items()}

    def text_at(self, place: int) -> str:
        """Return how a row shows a text: by number if it stands above the rows, else in full."""
        number = self._numbers.get(place)
        return self._quoted(place) if number is None else str(number)

    def say(self, texts: Sequence[str]) -> None:
        """Add a column to the rows; a text of most agents is said once, where all of them say something."""
        different = set(texts)
        usual = ""
        if len(different) == 1 < len(texts):
            self._common += filter(None, different)
            return
        if "" not in different and len(different) < len(texts):
            usual = min((-count, text) for text, count in Counter(texts).items())[1]
            self._common.append(usual)
        self.say_in_rows("" if text == usual else text for text in texts)

    def say_in_rows(self, texts: Iterable[str]) -> None:
        """Add a column to the rows as it is."""
        for parts, text in zip(self.parts, texts, strict=True):
            if text:
                parts.append(text)

    def text(self) -> str:
        """Return the whole message; parts that seldom change stand first, as servers cache the beginning of prompts."""
        texts = [f"Text {number}: {self._quoted(place)}" for place, number in self._numbers.items()]
        known = [line for space, each in self.known.items() for line in _told_of(space, list(each.values()))]
        common = [f"Unless a row says otherwise, each agent: {' '.join(self._common)}"] if self._common else []
        rows = [
            " ".join([f"a{n} {head}", *parts])
            for n, (head, parts) in enumerate(zip(self.heads, self.parts, strict=True), 1)
        ]
        return "\n".join([*self.standing, *texts, *self.lines, *known, *common, "Agents:", *rows])

    def _quoted(self, place: int) -> str:
        return _in_quotes(self._texts[place])


# -- columns -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Column(ABC):
    """One field in words: an item for each agent."""

    each: list[Any]

    @abstractmethod
    def add_to(self, message: _Message) -> None:
        """Say it."""

    def texts_used(self) -> Iterable[int]:
        """Return the places of texts that the rows show, each as often as a row has it."""
        return ()


@dataclass(frozen=True, slots=True)
class _Words(_Column):
    """A text for each agent, empty where nothing is said."""

    def add_to(self, message: _Message) -> None:
        """Say it, once for all where most say the same."""
        message.say(self.each)


@dataclass(frozen=True, slots=True)
class _Meanings(_Column):
    """The members that each agent has, whose meanings stand above the rows."""

    label: str
    meanings: Mapping[str, str]

    def add_to(self, message: _Message) -> None:
        """Explain the members that occur."""
        used = {member for members in self.each for member in members}
        message.standing += [f"{self.label} {m}: {_line(text)}" for m, text in self.meanings.items() if m in used]


@dataclass(frozen=True, slots=True)
class _Texts(_Column):
    """Places of texts, a tuple for each agent; `listed` for lists, which stay in their rows."""

    form: str
    listed: bool

    def texts_used(self) -> Iterable[int]:
        """Return the places of texts that the rows show."""
        return (place for places in self.each for place in places)

    def add_to(self, message: _Message) -> None:
        """Say them by number or in full."""
        texts = [self.form.format(",".join(map(message.text_at, places))) if places else "" for places in self.each]
        if self.listed:
            message.say_in_rows(texts)
        else:
            message.say(texts)


@dataclass(frozen=True, slots=True)
class _ByGroup(_Column):
    """A text for each agent with the group that may have it in common; pairs of group and text."""

    label: str

    def add_to(self, message: _Message) -> None:
        """Say it once for each group of which several say the same."""
        said: dict[str, list[str]] = {}
        for group, text in self.each:
            if group and text:
                said.setdefault(group, []).append(text)
        shared = {group: each[0] for group, each in said.items() if len(each) > 1 and len(set(each)) == 1}
        if shared:
            told = "; ".join(f"{group} {text}" for group, text in sorted(shared.items()))
            message.lines.append(f"By {self.label}: {told}")
        message.say(["" if group in shared else text for group, text in self.each])


@dataclass(frozen=True, slots=True)
class _Entries(_Column):
    """A list for each agent: pairs of its entries and how many more were cut. `none` is the text of an empty one."""

    form: str
    none: str
    space: str

    def add_to(self, message: _Message) -> None:
        """Name entries that are described above by their ids alone."""
        known = message.known[self.space]
        message.say_in_rows(self._row(seen, cut, known) for seen, cut in self.each)

    def _row(self, seen: list[Seen], cut: int, known: Mapping[int, Seen]) -> str:
        if not seen:
            return self.none
        text = ";".join([str(one.key) if one.key in known else one.said for one in seen])
        return self.form.format(f"{text} and {cut} more" if cut else text)


@dataclass(frozen=True, slots=True)
class _SharedFact(_Column):
    """The place of each agent's value among `values`, -1 for none."""

    form: str
    values: tuple[Any, ...]

    def add_to(self, message: _Message) -> None:
        """Say a value once: above the rows if all have it, else by number; of lists, the common part and the rest."""
        used = sorted({*self.each} - {-1})
        everybody = -1 not in self.each
        values = {place: self.values[place] for place in used}
        if used and all(isinstance(value, tuple) for value in values.values()):
            self._add_lists(message, values, everybody=everybody)
        elif len(used) == 1 and everybody:
            message.standing.append(_capital(self._said(values[used[0]])))
        elif used:
            number = {place: n for n, place in enumerate(used, 1)}
            label = self.form.format("").strip()
            message.standing += [f"{_capital(label)} {number[place]}: {_line(values[place])}" for place in used]
            message.say([self.form.format(number[place]) if place >= 0 else "" for place in self.each])

    def _add_lists(self, message: _Message, values: Mapping[int, tuple[Any, ...]], *, everybody: bool) -> None:
        words = {place: sorted(map(_line, value)) for place, value in values.items()}
        common = set.intersection(*map(set, words.values())) if everybody else set()
        if common:
            message.standing.append(_capital(self._said(" ".join(sorted(common)[:SHARED_PARTS_MAX]))))
        rest = {place: [word for word in each if word not in common] for place, each in words.items()}
        own = {place: " ".join(each[:SHARED_PARTS_MAX]) for place, each in rest.items()}
        message.say([self.form.format(own[place]) if place >= 0 and own[place] else "" for place in self.each])

    def _said(self, value: Any) -> str:
        label, _, rest = self.form.partition("{}")
        return f"{label.strip()}: {_line(value)}{rest}"


def _columns(saying: Saying, batch: ObservationBatch[Any]) -> list[_Column]:
    """Return one field in words, nothing where nobody has anything to say."""
    if isinstance(saying.of, Group):
        return _entries(saying, saying.of, batch) if saying.of.limit else _one_entry(saying, saying.of, batch)
    leaf = saying.of
    if isinstance(leaf, Shared):
        return [_SharedFact(batch.column(leaf.path).tolist(), _open(saying.form), batch.shared.get(leaf.path, ()))]
    if isinstance(leaf, Text):
        places = batch.column(leaf.path)
        if not (places >= 0).any():
            return []
        return [_Texts([(place,) if place >= 0 else () for place in places.tolist()], _open(saying.form), listed=False)]
    if isinstance(leaf, Counts):
        return _counts(saying, leaf, batch)
    words = _words(saying, leaf, batch, batch.column)
    if words is None:
        return []
    found: list[_Column] = [_by(leaf.fact.by, words, batch)]
    if not isinstance(leaf.fact.meaning, str):
        everybody = np.ones(len(batch), np.bool_)
        members = [tuple(str(shown).split()) for shown in _shown(leaf.path, batch, batch.column, everybody)]
        found.append(_Meanings(members, _capital(leaf.name.replace("_", " ")), leaf.fact.meaning))
    return found


def _by(path: str, words: list[str], batch: ObservationBatch[Any]) -> _Column:
    """Return words for each agent, with its group where a group may have them in common."""
    if not path:
        return _Words(words)
    leaf = batch.layout.leaves[path]
    there = leaf.there(batch.of_leaf(leaf))
    rows = np.ones(len(batch), np.bool_) if there is None else there
    groups = _spread(list(map(str, _shown(path, batch, batch.column, rows))), rows)
    return _ByGroup(list(zip(groups, words, strict=True)), leaf.name.replace("_", " "))


def _counts(saying: Saying, leaf: Counts, batch: ObservationBatch[Any]) -> list[_Column]:
    """Return a column for each name of a table of which somebody has something to say."""
    numbers = batch.column(leaf.path)
    quiet = None if leaf.fact.quiet is None else round(leaf.fact.quiet * leaf.scale(batch))
    found: list[_Column] = []
    for place, name in enumerate(batch.tables.get(leaf.fact.table, ())):
        loud = np.ones(len(batch), np.bool_) if quiet is None else numbers[:, place] != quiet
        if loud.any():
            form = saying.form.replace("{name}", _braced(_line(name)))
            own = leaf.shown([numbers[loud, place]], batch)
            inner = [own if path == leaf.path else _shown(path, batch, batch.column, loud) for path in saying.inner]
            found.append(_Words(_spread(_formatted(form, inner, loud), loud)))
    return found


def _one_entry(saying: Saying, group: Group, batch: ObservationBatch[Any]) -> list[_Column]:
    """Return an entry that may be there, in words."""
    there = batch.there(group)
    if there is None or not there.any():
        return []
    words = [saying.form.format(seen.said) for seen in _seen(group, batch, there)]
    return [_by(group.fact.by, _spread(words, there), batch)]


def _entries(saying: Saying, group: Group, batch: ObservationBatch[Any]) -> list[_Column]:
    """Return lists in words. One of plain values that is empty says nothing, nor does one whose `quiet` is `()`."""
    there = batch.there(group)
    form = _open(saying.form)
    none = "" if group.plain or group.fact.quiet == () else form.format("none")
    if there is None or not there.any():
        return [_Entries([([], 0)] * len(batch), form, none, group.space)] if none else []
    ends = places_held(there).cumsum().tolist()
    runs = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    if group.plain and isinstance(group.fields[0], Text):
        places = batch.column(group.path)[there].tolist()
        return [_Texts([tuple(places[run]) for run in runs], form, listed=True)]
    seen, cut = _seen(group, batch, there), batch.column(f"{group.path}.more").tolist()
    return [_Entries([(seen[run], more) for run, more in zip(runs, cut, strict=True)], form, none, group.space)]


# -- words -------------------------------------------------------------------------------------------------------------
#
# These work on flat columns: one value an agent, or one an entry of all agents' lists.


def _words(saying: Saying, leaf: Leaf, batch: ObservationBatch[Any], get: _Get) -> list[str] | None:
    """Return the words for each value of a field, None where no value has any."""
    arrays = [get(column.path) for column in leaf.columns]
    loud = _loud(saying, leaf, arrays, batch)
    if not loud.any():
        return None
    if saying.members:
        assert isinstance(leaf, Choice)
        texts = _of_members(saying.members, leaf, arrays[0][loud])
    else:
        texts = _formatted(saying.form, [_shown(path, batch, get, loud) for path in saying.inner], loud)
    return _spread(texts, loud)


def _loud(saying: Saying, leaf: Leaf, arrays: list[Array], batch: ObservationBatch[Any]) -> Bools:
    """Return of which values something is said."""
    there = leaf.there(arrays)
    loud: Bools = np.ones(len(arrays[0]), np.bool_) if there is None else there.copy()
    quiet = leaf.fact.quiet
    if quiet is not None and isinstance(leaf, Number):
        loud &= arrays[0] != round(quiet * leaf.scale(batch))
    elif quiet is not None and isinstance(leaf, Choice) and not isinstance(leaf, Flags):
        loud &= arrays[0] != leaf.place[str(quiet)]
    if saying.members and isinstance(leaf, Flags):
        loud &= (arrays[0] & sum(1 << leaf.place[member] for member in saying.members)) != 0
    elif saying.members and isinstance(leaf, Choice):
        loud &= np.isin(arrays[0], [leaf.place[member] for member in saying.members])
    return loud


def _of_members(said: Mapping[str, str], leaf: Choice, stored: Array) -> list[str]:
    if not isinstance(leaf, Flags):
        return [said[leaf.members[place]] for place in stored.tolist()]
    bits = [(1 << leaf.place[member], said[member]) for member in leaf.members if member in said]
    return [" ".join(text for bit, text in bits if value & bit) for value in stored.tolist()]


def _shown(path: str, batch: ObservationBatch[Any], get: _Get, rows: Bools) -> list[Any]:
    """Return some values of a field as they are shown, `none` for one that is not there."""
    leaf = batch.layout.leaves[path]
    arrays = [get(column.path)[rows] for column in leaf.columns]
    there = leaf.there(arrays)
    shown = leaf.shown(arrays, batch)
    if isinstance(leaf, Name | Text):
        shown = [_line(text) for text in shown]
    return shown if there is None else [one if t else "none" for one, t in zip(shown, there.tolist(), strict=True)]


def _seen(group: Group, batch: ObservationBatch[Any], there: Bools) -> list[Seen]:
    """Return the entries in use in words, flat."""

    def get(path: str) -> Array:
        found: Array = batch.column(path)[there]
        return found

    used = np.ones(int(np.count_nonzero(there)), np.bool_)
    if group.plain:
        return [Seen(None, str(shown), "") for shown in _shown(group.path, batch, get, used)]
    keys: list[int | None] = [None] * len(used) if group.key is None else get(group.key.path).tolist()
    head = group.kind.head
    if not head and group.key is not None:
        head = "{id}" if group.place is None else f"{{id}}@{{{group.place.name}}}"
    parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(head)]
    form = "".join(_braced(literal) + ("{}" if name else "") for literal, name in parts)
    inner = [_shown(f"{group.path}.{name}", batch, get, used) for _, name in parts if name]
    heads = _formatted(form, inner, used)
    states = [""] * len(keys)
    for saying in group.sayings:
        leaf = saying.of
        assert isinstance(leaf, Leaf)
        words = _quoted(saying, leaf, batch, get) if isinstance(leaf, Text) else _words(saying, leaf, batch, get)
        if words is not None:
            states = [f"{a} {b}" if a and b else a or b for a, b in zip(states, words, strict=True)]
    return list(map(Seen, keys, heads, states))


def _quoted(saying: Saying, leaf: Text, batch: ObservationBatch[Any], get: _Get) -> list[str]:
    """Return texts of entries in full."""
    texts = leaf.decode([get(leaf.path)], batch)
    return [saying.form.format(_in_quotes(text)) if text else "" for text in texts]


def _formatted(form: str, inner: Sequence[list[Any]], rows: Bools) -> list[str]:
    """Return the form with the values of some rows; agents are often alike, so each text is made once."""
    if form == "{}":
        return list(map(str, inner[0]))
    if not inner:
        return [form.format()] * int(np.count_nonzero(rows))
    values = list(zip(*inner, strict=True))
    texts = {each: form.format(*each) for each in set(values)}
    return [texts[each] for each in values]


def _spread(texts: list[str], rows: Bools) -> list[str]:
    """Return texts at their rows, and empty ones elsewhere."""
    if len(texts) == len(rows):
        return texts
    found = [""] * len(rows)
    for row, text in zip(rows.nonzero()[0].tolist(), texts, strict=True):
        found[row] = text
    return found


def _open(form: str) -> str:
    """Return a form that has a place for a value."""
    return form if "{}" in form else f"{form} {{}}"


def _braced(text: str) -> str:
    """Return a text for a form; it may come from a file and hold braces."""
    return text.replace("{", "{{").replace("}", "}}")


def _line(value: Any) -> str:
    """Return a value as a text of one line, so that it cannot be taken for a row."""
    return " ".join(str(value).split())[:TEXT_CHARS_MAX]


def _in_quotes(text: str) -> str:
    """Return a text as JSON, with line ends and controls that JSON leaves as they are escaped too."""
    quoted = json.dumps(text[:TEXT_CHARS_MAX], ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda char: f"\\u{ord(char[0]):04x}", quoted)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- entries that several name -----------------------------------------------------------------------------------------


def _known_to_several(others: Iterable[list[Seen]]) -> dict[int, Seen]:
    """Return the entries that several rows name and of which all say the same, by id; they are described once then."""
    found: dict[int, Seen] = {}
    several: set[int] = set()
    differing: set[int] = set()
    for row in others:
        for seen in row:
            if seen.key is None:
                continue
            first = found.setdefault(seen.key, seen)
            if first is not seen:
                several.add(seen.key)
                if first != seen:
                    differing.add(seen.key)
    return {key: found[key] for key in sorted(several - differing)}


def _told_of(space: str, known: Sequence[Seen]) -> list[str]:
    """Return lines that describe entries of one space once for all rows; the most usual state is said once.

    Entries of which nothing is said have a line of their own: they must not be taken to be as most are.
    """
    label = "Known to several" if space in ("", AGENTS) else f"{_capital(space)} known to several"
    lines = []
    silent = [seen.head for seen in known if not seen.state]
    spoken = [seen for seen in known if seen.state]
    if spoken:
        times, usual = min((-count, state) for state, count in Counter(seen.state for seen in spoken).items())
        if times == -1:
            lines.append(f"{label}: {';'.join(seen.said for seen in spoken)}")
        else:
            each = [seen.head if seen.state == usual else seen.said for seen in spoken]
            lines.append(f"{label}, {usual} unless said: {';'.join(each)}")
    if silent:
        lines.append(f"{label}: {';'.join(silent)}")
    return lines
