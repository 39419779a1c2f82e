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
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, NamedTuple, Self, TypeAlias

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
_Said: TypeAlias = "tuple[_Column, list[Any]]"


class Seen(NamedTuple):
    """One entry in words: its id if it has one, the words that come first, the rest, and all of them."""

    key: int | None
    head: str
    state: str
    said: str


@dataclass(frozen=True, slots=True)
class PromptRows:
    """The knowledge of a batch's agents: the beginning of each row, and its other parts a column at a time.

    `items` has a list for each of the columns: an item for each agent.
    """

    texts: tuple[str, ...]
    heads: list[str]
    columns: tuple[_Column, ...]
    items: tuple[list[Any], ...]

    @classmethod
    def of(cls, batch: ObservationBatch[Any]) -> Self:
        """Put everything that a batch knows into words."""
        heads = [str(key) for key in batch.keys.tolist()]
        if batch.layout.place is not None:
            places = batch.layout.place.shown(batch.of_leaf(batch.layout.place), batch)
            heads = [f"{key}@{place}" for key, place in zip(heads, places, strict=True)]
        found = [one for saying in batch.layout.sayings for one in _columns(saying, batch)]
        return cls(batch.texts, heads, tuple(column for column, _ in found), tuple(items for _, items in found))

    def take(self, rows: Rows | slice) -> Self:
        """Return the knowledge of some of the agents; `rows` ascending."""
        items = tuple([picked(each, rows) for each in self.items])
        return replace(self, heads=picked(self.heads, rows), items=items)

    def message(self) -> str:
        """Return the knowledge of all the agents with a row for each of them."""
        message = _Message(self)
        for column, items in zip(self.columns, self.items, strict=True):
            column.add_to(message, items)
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
        uses: Counter[int] = Counter()
        spaces: dict[str, list[list[Seen]]] = {}
        for column, items in zip(of.columns, of.items, strict=True):
            if isinstance(column, _Texts):
                uses.update(chain.from_iterable(items))
            elif isinstance(column, _Entries):
                spaces.setdefault(column.space, []).extend([seen for seen, _ in items])
        several = sorted(place for place, count in uses.items() if count > 1)
        self._numbers = {place: number for number, place in enumerate(several, 1)}
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
        for parts, text in zip(self.parts, texts, strict=True):
            if text and text != usual:
                parts.append(text)

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
class _Column:
    """How one field is said: the class says which items it has, one for each agent."""

    # No abstract class: a message tests the type of every column, and abstract classes make that slow.
    def add_to(self, message: _Message, each: list[Any]) -> None:
        """Say it."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Words(_Column):
    """A text for each agent, empty where nothing is said."""

    def add_to(self, message: _Message, each: list[Any]) -> None:
        """Say it, once for all where most say the same."""
        message.say(each)


@dataclass(frozen=True, slots=True)
class _Meanings(_Column):
    """The members that each agent has, whose meanings stand above the rows."""

    label: str
    meanings: Mapping[str, str]

    def add_to(self, message: _Message, each: list[Any]) -> None:
        """Explain the members that occur."""
        used = {member for members in each for member in members}
        message.standing += [f"{self.label} {m}: {_line(text)}" for m, text in self.meanings.items() if m in used]


@dataclass(frozen=True, slots=True)
class _Texts(_Column):
    """Places of texts, a tuple for each agent; `listed` for lists, which stay in their rows."""

    form: str
    listed: bool

    def add_to(self, message: _Message, each: list[Any]) -> None:
        """Say them by number or in full."""
        texts = [self.form.format(",".join(map(message.text_at, places))) if places else "" for places in each]
        if self.listed:
            message.say_in_rows(texts)
        else:
            message.say(texts)


@dataclass(frozen=True, slots=True)
class _ByGroup(_Column):
    """A text for each agent with the group that may have it in common; pairs of group and text."""

    label: str

    def add_to(self, message: _Message, each: list[Any]) -> None:
        """Say it once for each group of which several say the same."""
        said: dict[str, list[str]] = {}
        for group, text in each:
            if group and text:
                said.setdefault(group, []).append(text)
        shared = {group: own[0] for group, own in said.items() if len(own) > 1 and len(set(own)) == 1}
        if shared:
            told = "; ".join(f"{group} {text}" for group, text in sorted(shared.items()))
            message.lines.append(f"By {self.label}: {told}")
        message.say(["" if group in shared else text for group, text in each])


@dataclass(frozen=True, slots=True)
class _Entries(_Column):
    """A list for each agent: pairs of its entries and how many more were cut. `none` is the text of an empty one."""

    form: str
    none: str
    space: str

    def add_to(self, message: _Message, each: list[Any]) -> None:
        """Name entries that are described above by their ids alone."""
        known = message.known[self.space]
        message.say_in_rows([self._row(seen, cut, known) if seen else self.none for seen, cut in each])

    def _row(self, seen: list[Seen], cut: int, known: Mapping[int, Seen]) -> str:
        text = ";".join([str(one.key) if one.key in known else one.said for one in seen])
        return self.form.format(f"{text} and {cut} more" if cut else text)


@dataclass(frozen=True, slots=True)
class _SharedFact(_Column):
    """The place of each agent's value among `values`, -1 for none."""

    form: str
    values: tuple[Any, ...]

    def add_to(self, message: _Message, each: list[Any]) -> None:
        """Say a value once: above the rows if all have it, else by number; of lists, the common part and the rest."""
        used = sorted({*each} - {-1})
        everybody = -1 not in each
        values = {place: self.values[place] for place in used}
        if used and all(isinstance(value, tuple) for value in values.values()):
            self._add_lists(message, values, each, everybody=everybody)
        elif len(used) == 1 and everybody:
            message.standing.append(_capital(self._said(values[used[0]])))
        elif used:
            number = {place: n for n, place in enumerate(used, 1)}
            label = self.form.format("").strip()
            message.standing += [f"{_capital(label)} {number[place]}: {_line(values[place])}" for place in used]
            message.say([self.form.format(number[place]) if place >= 0 else "" for place in each])

    def _add_lists(
        self, message: _Message, values: Mapping[int, tuple[Any, ...]], each: list[Any], *, everybody: bool
    ) -> None:
        words = {place: sorted(map(_line, value)) for place, value in values.items()}
        common = set.intersection(*map(set, words.values())) if everybody else set()
        if common:
            message.standing.append(_capital(self._said(" ".join(sorted(common)[:SHARED_PARTS_MAX]))))
        rest = {place: [word for word in said if word not in common] for place, said in words.items()}
        own = {place: " ".join(said[:SHARED_PARTS_MAX]) for place, said in rest.items()}
        message.say([self.form.format(own[place]) if place >= 0 and own[place] else "" for place in each])

    def _said(self, value: Any) -> str:
        label, _, rest = self.form.partition("{}")
        return f"{label.strip()}: {_line(value)}{rest}"


def _columns(saying: Saying, batch: ObservationBatch[Any]) -> list[_Said]:
    """Return one field in words, nothing if it has no words for any agent."""
    if isinstance(saying.of, Group):
        return _entries(saying, saying.of, batch) if saying.of.limit else _one_entry(saying, saying.of, batch)
    leaf = saying.of
    if isinstance(leaf, Shared):
        return [(_SharedFact(_open(saying.form), batch.shared.get(leaf.path, ())), batch.column(leaf.path).tolist())]
    if isinstance(leaf, Text):
        places = batch.column(leaf.path)
        if not (places >= 0).any():
            return []
        one = {place: (place,) if place >= 0 else () for place in np.unique(places).tolist()}
        return [(_Texts(_open(saying.form), listed=False), [one[place] for place in places.tolist()])]
    if isinstance(leaf, Counts):
        return [(_Words(), words) for words in _counts(saying, leaf, batch, batch.column)]
    words = _words(saying, leaf, batch, batch.column)
    if words is None:
        return []
    found: list[_Said] = [_by(leaf.fact.by, words, batch)]
    if not isinstance(leaf.fact.meaning, str):
        everybody = np.ones(len(batch), np.bool_)
        members = [tuple(str(shown).split()) for shown in _shown(leaf.path, batch, batch.column, everybody)]
        found.append((_Meanings(_capital(leaf.name.replace("_", " ")), leaf.fact.meaning), members))
    return found


def _by(path: str, words: list[str], batch: ObservationBatch[Any]) -> _Said:
    """Return words for each agent, with its group where a group may have them in common."""
    if not path:
        return _Words(), words
    leaf = batch.layout.leaves[path]
    there = leaf.there(batch.of_leaf(leaf))
    rows = np.ones(len(batch), np.bool_) if there is None else there
    groups = _spread(list(map(str, _shown(path, batch, batch.column, rows))), rows)
    one: dict[tuple[str, str], tuple[str, str]] = {}
    pairs = [one.setdefault(pair, pair) for pair in zip(groups, words, strict=True)]
    return _ByGroup(leaf.name.replace("_", " ")), pairs


def _counts(saying: Saying, leaf: Counts, batch: ObservationBatch[Any], get: _Get) -> list[list[str]]:
    """Return the words of all for each name of a table that has words for some agent."""
    numbers = get(leaf.path)
    quiet = None if leaf.fact.quiet is None else round(leaf.fact.quiet * leaf.scale(batch))
    found: list[list[str]] = []
    for place, name in enumerate(batch.tables.get(leaf.fact.table, ())):
        loud = np.ones(len(numbers), np.bool_) if quiet is None else numbers[:, place] != quiet
        if loud.any():
            form = saying.form.replace("{name}", _braced(_line(name)))
            own = leaf.shown([numbers[loud, place]], batch)
            inner = [own if path == leaf.path else _shown(path, batch, get, loud) for path in saying.inner]
            found.append(_spread(_formatted(form, inner, loud), loud))
    return found


def _one_entry(saying: Saying, group: Group, batch: ObservationBatch[Any]) -> list[_Said]:
    """Return an entry that may be there, in words, then its lists and entries."""
    there = batch.there(group)
    if there is None or not there.any():
        return []
    words = [saying.form.format(seen.said) for seen in _seen(group, batch, there)]
    inner = [column for own in group.sayings if isinstance(own.of, Group) for column in _columns(own, batch)]
    return [_by(group.fact.by, _spread(words, there), batch), *inner]


def _entries(saying: Saying, group: Group, batch: ObservationBatch[Any]) -> list[_Said]:
    """Return lists in words. One of plain values that is empty says nothing, nor does one whose `quiet` is `()`."""
    there = batch.there(group)
    form = _open(saying.form)
    none = "" if group.plain or group.fact.quiet == () else form.format("none")
    if there is None or not there.any():
        return [(_Entries(form, none, group.space), [([], 0)] * len(batch))] if none else []
    ends = places_held(there).cumsum().tolist()
    runs = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    if group.plain and isinstance(group.fields[0], Text):
        places = batch.column(group.path)[there].tolist()
        return [(_Texts(form, listed=True), [tuple(places[run]) for run in runs])]
    seen, cut = _seen(group, batch, there), batch.column(f"{group.path}.more").tolist()
    nothing: tuple[list[Seen], int] = ([], 0)
    each = [
        (seen[start:end], more) if start < end or more else nothing
        for start, end, more in zip([0, *ends[:-1]], ends, cut, strict=True)
    ]
    return [(_Entries(form, none, group.space), each)]


# -- words -------------------------------------------------------------------------------------------------------------
#
# These work on flat columns: one value per agent, or one per entry of all agents' lists.


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
    if isinstance(leaf, Name | Text | Shared):
        shown = [_line(text) for text in shown]
    return shown if there is None else [one if t else "none" for one, t in zip(shown, there.tolist(), strict=True)]


def _seen(group: Group, batch: ObservationBatch[Any], there: Bools) -> list[Seen]:
    """Return the entries in use in words, flat. Agents often see the same: entries that are alike are one object."""
    columns = {column.path: batch.column(column.path)[there] for column in group.columns}
    table = np.column_stack(list(columns.values())).astype(np.int64, copy=False)
    values = table.view(f"V{table.itemsize * table.shape[1]}").ravel().tolist()
    one_of = {value: place for place, value in enumerate(values)}
    chosen = np.fromiter(one_of.values(), np.intp, len(one_of))
    columns = {path: column[chosen] for path, column in columns.items()}
    seen = dict(zip(one_of, _worded(group, batch, columns.__getitem__, len(chosen)), strict=True))
    return [seen[value] for value in values]


def _worded(group: Group, batch: ObservationBatch[Any], get: _Get, count: int) -> list[Seen]:
    """Return some entries in words."""
    used = np.ones(count, np.bool_)
    if group.plain:
        return [Seen(None, text, "", text) for text in map(str, _shown(group.path, batch, get, used))]
    keys: list[int | None] = [None] * count if group.key is None else get(group.key.path).tolist()
    head = group.kind.head
    if not head and group.key is not None:
        head = "{id}" if group.place is None else f"{{id}}@{{{group.place.name}}}"
    parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(head)]
    form = "".join(_braced(literal) + ("{}" if name else "") for literal, name in parts)
    inner = [_shown(f"{group.path}.{name}", batch, get, used) for _, name in parts if name]
    heads = _formatted(form, inner, used)
    states = [""] * count
    for saying in group.sayings:
        leaf = saying.of
        if isinstance(leaf, Group):
            continue  # only an entry outside of lists has any; they have columns of their own
        if isinstance(leaf, Counts):
            for words in _counts(saying, leaf, batch, get):
                states = _joined(states, words)
        elif isinstance(leaf, Text):
            states = _joined(states, _quoted(saying, leaf, batch, get))
        else:
            states = _joined(states, _words(saying, leaf, batch, get))
    return list(map(Seen, keys, heads, states, _joined(heads, states)))


def _joined(first: list[str], then: list[str] | None) -> list[str]:
    """Return texts side by side, with a space between two that say something."""
    if then is None:
        return first
    return [f"{a} {b}" if a and b else a or b for a, b in zip(first, then, strict=True)]


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
    if len(inner) == 1:
        alike = {each: form.format(each) for each in set(inner[0])}
        return [alike[each] for each in inner[0]]
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
    for seen in chain.from_iterable(others):
        key = seen.key
        if key is None:
            continue
        first = found.get(key)
        if first is None:
            found[key] = seen
            continue
        several.add(key)
        if first is not seen and first != seen:
            differing.add(key)
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
