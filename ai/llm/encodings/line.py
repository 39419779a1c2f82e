"""The line encoding: `a1: MoveTo 3 4; TakeCover`, one line per slot, under a grammar (GBNF).

Spaces separate verbs and arguments, semicolons separate steps. `-` stands for an argument that is not given; trailing
ones may be left out. A name that is not one plain word, a text, a list or a record is written as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ai.actions import Action, ArgSpec, Kind, ListShape, PayloadField, RecordShape, Shape, TextShape, ToolRegistry
from ai.errors import ParseError
from ai.llm.encodings import gbnf
from ai.llm.encodings.base import PLAN_STEPS_MAX, Encoding, forms, written
from ai.llm.encodings.offers import CACHED, Alike, Offer, Offers, offered
from ai.llm.parse import ELEMENT_CHARS_MAX, ReplyScanner, SlotText, decode_at, raw_steps

_LINE: Final = re.compile(r"[ \t]*a?([0-9]{1,6}):[ \t]*(.*?)[ \t\r]*", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE: Final = re.compile(r"-?[0-9]{1,10}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,10}\.[0-9]{1,9}")
_TOKEN: Final = re.compile(r"[^\s;\"\[{]+")
_SPACES: Final = re.compile(r"[ \t]*")
_JSON_START: Final = re.compile(r"[\"\[{]")


class LineScanner(ReplyScanner):
    """Finds one line for each slot; other lines are ignored."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        super().__init__()
        self._agents = {int(slot.removeprefix("a")): agent for slot, agent in slots.items()}
        self._line = ""

    def feed(self, text: str) -> list[SlotText]:
        """Read the next piece and return the plans whose lines ended in it, in order."""
        if self.cut is not None:
            return []
        piece, reason = self._take(text)
        found: list[SlotText] = []
        *ended, self._line = (self._line + piece).split("\n")
        for line in ended:
            if self._too_long(line):
                return found
            self._end_line(line, found)
        if not self._too_long(self._line):
            self.cut = reason
        return found

    def close(self, *, whole: bool = True) -> list[SlotText]:
        """End the scan: the last line counts only if the reply is `whole`; otherwise its end may be missing."""
        found: list[SlotText] = []
        if self.cut is None and self._line:
            if whole:
                self._end_line(self._line, found)
            elif _LINE.fullmatch(self._line):
                self.cut = "the reply ended inside a plan"
        return found

    def _too_long(self, line: str) -> bool:
        if len(line) > ELEMENT_CHARS_MAX:
            self.cut = f"one line is longer than {ELEMENT_CHARS_MAX} characters"
        return self.cut is not None

    def _end_line(self, line: str, found: list[SlotText]) -> None:
        match = _LINE.fullmatch(line)
        if match is not None:
            self._give(self._agents.get(int(match[1])), match[2], found)


class Line(Encoding):
    """One line per slot: the shortest encoding, for servers that support grammars."""

    name = "line"
    plan_tokens = 56
    """Four steps (measured: 19 for three)."""

    def instructions(self) -> str:
        """Return the sentence of the system message about the form of the reply."""
        return (
            "Reply with one line for each slot, no other text: the slot, a colon, and the plan; arguments follow their "
            "verb in order, steps are parted by semicolons, - stands for an argument left out."
        )

    def closing(self, count: int) -> str:
        """Return the last line of the user message, which names the slots to answer."""
        return "Reply with the line a1." if count == 1 else f"Reply with exactly the {count} lines a1 to a{count}."

    def grammar(self, offers: Offers) -> str:
        """Return the grammar of the reply: every slot exactly once, in order, each with its agent's legal steps."""
        lines: list[str] = []
        rules: list[str] = []
        steps: dict[Offer, str] = {}
        plans: dict[tuple[Offer, ...], str] = {}
        for slot, own in enumerate(offers.each, 1):
            if own not in plans:
                for offer in own:
                    if offer not in steps:
                        steps[offer] = f"s{len(steps) + 1}"
                        rules.append(f"{steps[offer]} ::= {_steps(offers.registry, offer)}")
                name = plans[own] = f"p{len(plans) + 1}"
                one = " | ".join(steps[offer] for offer in own)
                rules.append(f'{name} ::= ({one}) ("; " ({one})){{0,{PLAN_STEPS_MAX - 1}}}')
            lines.append(f'"a{slot}: " {plans[own]} "\\n"')
        sizes = {size for own in plans for offer in own for pair in offer.sizes for size in pair}
        rules += [f"{_coordinate(size)} ::= {gbnf.whole(0, size - 1)}" for size in sorted(sizes)]
        return "\n".join([f"root ::= {' '.join(lines)}", *rules]) + "\n"

    def scanner(self, slots: Mapping[str, int]) -> LineScanner:
        """Return a scanner for one reply to these slots."""
        return LineScanner(slots)

    def raw_steps(self, text: str) -> list[Any]:
        """Decode one plan's line.

        Raises:
            ParseError: the text is not a plan.
        """
        text = text.strip()
        if text[:1] in ("{", "["):
            return raw_steps(text)
        if len(text) > ELEMENT_CHARS_MAX:
            raise ParseError(f"the plan has {len(text)} characters; at most {ELEMENT_CHARS_MAX} are allowed")
        if _JSON_START.search(text):
            return _with_json(text)
        steps: list[Any] = []
        for part in text.split(";"):
            words = part.split()
            if not words:
                raise ParseError(f"step {len(steps) + 1} is empty")
            steps.append([words[0], *map(_value, words[1:])])
        return steps

    def write(self, steps: Sequence[Action], registry: ToolRegistry) -> str:
        """Return the raw text of one plan."""
        return "; ".join(_written(step, registry) for step in steps)

    def frame(self, texts: Mapping[str, str]) -> str:
        """Return a whole reply for raw plan texts by slot."""
        return "".join(f"{slot}: {text}\n" for slot, text in texts.items())


# -- values ------------------------------------------------------------------------------------------------------------


def _value(word: str) -> Any:
    """Return a word's value: a number, None for `-`, or the word itself."""
    if word.isdecimal() and len(word) <= 10 and word.isascii():
        return int(word)
    if word == "-":
        return None
    if _DECIMAL.fullmatch(word):
        return float(word)
    return int(word) if _WHOLE.fullmatch(word) else word


def _written(step: Action, registry: ToolRegistry) -> str:
    values = written(step, registry)
    words = 1 + len(registry.spec(step.act).args)
    return " ".join([*map(_token, values[:words]), *map(_as_json, values[words:])])


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _token(value: Any) -> str:
    """Write a value as one word; a value that is not one plain word becomes JSON."""
    if value is None:
        return "-"
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    return _as_json(value)


def _with_json(text: str) -> list[Any]:
    """Decode a plan with arguments in JSON."""
    steps: list[Any] = [[]]
    place = _end(_SPACES, text, 0)
    while place < len(text):
        if text[place] == ";":
            steps.append([])
            place += 1
        elif text[place] in '"[{':
            value, place = decode_at(text, place)
            steps[-1].append(value)
        else:
            end = _end(_TOKEN, text, place)
            if end == place:
                raise ParseError(f"there is an unreadable character at {place}")
            word = text[place:end]
            steps[-1].append(_value(word) if steps[-1] else word)
            place = end
        place = _end(_SPACES, text, place)
    for number, step in enumerate(steps, 1):
        if not step:
            raise ParseError(f"step {number} is empty")
    return steps


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return place if match is None else match.end()


# -- the grammar -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=CACHED)
def _steps(registry: ToolRegistry, offer: Offer) -> str:
    """Return the steps of an offer."""
    writer = _Rules(registry, offer)
    return " | ".join(writer.steps(alike) for alike in offered(registry, offer))


def _coordinate(size: int) -> str:
    """Return the name of the rule for the coordinates of a space with this size along an axis."""
    return f"c{size}"


@dataclass(frozen=True, slots=True)
class _Rules:
    """Writes the rules for values of one offer."""

    registry: ToolRegistry
    offer: Offer

    def steps(self, alike: Alike) -> str:
        """Return the steps of similar verbs, in every form in which their arguments may be given."""
        values = [self._argument(arg) for arg in alike.spec.args] + [self._field(f) for f in alike.spec.payload]
        names = gbnf.one_of(alike.names) if len(alike.names) > 1 else gbnf.quoted(alike.names[0])
        written = []
        for form in forms(alike.spec, self.offer):
            words = [value if given else '"-"' for value, given in zip(values, form, strict=False)]
            written.append(" ".join(f'" " {word}' for word in words))
        if len(written) == 1:
            return f"{names} {written[0]}".rstrip()
        some = " | ".join(filter(None, written))
        return f"{names} ({some}){'?' if '' in written else ''}"

    def _argument(self, arg: ArgSpec) -> str:
        """Return the values of an argument as one word."""
        return gbnf.one_of(map(_token, arg.choices)) if arg.choices else self._value(arg)

    def _value(self, arg: ArgSpec) -> str:
        match arg.kind:
            case Kind.TARGET:
                return gbnf.one_of(map(str, self.offer.targets[arg.sources]))
            case Kind.CELL_X:
                return _coordinate(self.offer.spaces[arg.sources[0]][0])
            case Kind.CELL_Y:
                return _coordinate(self.offer.spaces[arg.sources[0]][1])
            case Kind.CELL:
                x, y = map(_coordinate, self.offer.spaces[arg.sources[0]])
                return f'"{{\\"x\\":" {x} ",\\"y\\":" {y} "}}"'
        return f"({gbnf.number(arg.low, arg.high, arg.scale)})"

    def _field(self, field: PayloadField) -> str:
        """Return a text, list or record as JSON without white space; optional values may be null."""
        return self._json(field.shape) if field.required else f'({self._json(field.shape)} | "null")'

    def _json(self, shape: Shape) -> str:
        match shape:
            case TextShape():
                return f'"\\"" ({gbnf.CHARACTER}){{{shape.chars_min},{shape.chars_max}}} "\\""'
            case ListShape():
                item = self._json(shape.item)
                if not shape.low:
                    return f'"[" ({item} ("," {item}){{0,{shape.high - 1}}})? "]"'
                return f'"[" {item} ("," {item}){{{shape.low - 1},{shape.high - 1}}} "]"'
            case RecordShape():
                parts = [f'{gbnf.quoted(json.dumps(field.name))} ":" {self._field(field)}' for field in shape.fields]
                inner = ' "," '.join(parts)
                return f'"{{" {inner} "}}"'
            case ArgSpec():
                names = self.registry.tables.get(shape.sources[0], ()) if shape.kind is Kind.NAME else shape.choices
                return gbnf.one_of(map(_as_json, names)) if names else self._value(shape)
