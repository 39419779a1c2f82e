"""The line encoding: `a1: MoveTo 3 4; TakeCover`, one line a slot, under a grammar (GBNF).

Verbs and arguments are parted by spaces, steps by semicolons. `-` stands for an argument that is not given; trailing
ones may be left out. A name that is not one plain word, a list or a record is written as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from ai.actions import (
    TARGET_ROLES,
    ActionStep,
    ArgSpec,
    ListShape,
    PayloadField,
    RecordShape,
    Role,
    Shape,
    TextShape,
    ToolRegistry,
)
from ai.encodings.base import (
    CACHED,
    PLAN_STEPS_MAX,
    Encoding,
    Group,
    Offer,
    Offers,
    cuts,
    groups,
    written,
)
from ai.errors import ParseError
from ai.parse import ELEMENT_CHARS_MAX, ReplyScanner, SlotText, decode_at, raw_steps

_LINE: Final = re.compile(r"[ \t]*a?([0-9]{1,6}):[ \t]*(.*?)[ \t\r]*", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE: Final = re.compile(r"-?[0-9]{1,10}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,10}\.[0-9]{1,9}")
_TOKEN: Final = re.compile(r"[^\s;\"\[{]+")
_SPACES: Final = re.compile(r"[ \t]*")
_JSON_START: Final = re.compile(r"[\"\[{]")


class LineScanner(ReplyScanner):
    """Finds one line for each slot; other lines are passed over."""

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
        """End the scan: the last line counts if the reply is `whole`, else it may lack its end."""
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
    """One line a slot: the shortest, for servers that take a grammar."""

    name = "line"
    plan_tokens = 56
    """Four steps (measured: 19 for three)."""

    def instructions(self) -> str:
        """Return the sentence of the system message that says how to reply."""
        return (
            "Reply with one line for each slot, no other text: the slot, a colon, and the plan; arguments follow their "
            "verb in order, steps are parted by semicolons, - stands for an argument left out."
        )

    def closing(self, count: int) -> str:
        """Return the last line of the user message: which slots to answer."""
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
        rules += [f"x ::= {_whole(0, offers.width - 1)}", f"y ::= {_whole(0, offers.height - 1)}"]
        return "\n".join([f"root ::= {' '.join(lines)}", *rules]) + "\n"

    def scanner(self, slots: Mapping[str, int]) -> LineScanner:
        """Return a scanner for one reply to these slots."""
        return LineScanner(slots)

    def raw_steps(self, text: str) -> list[Any]:
        """Decode one plan's line.

        Raises:
            ParseError: it is no plan.
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

    def write(self, steps: Sequence[ActionStep], registry: ToolRegistry) -> str:
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


def _written(step: ActionStep, registry: ToolRegistry) -> str:
    values = written(step, registry)
    words = 1 + len(registry.spec(step.act).args)
    return " ".join([*map(_token, values[:words]), *map(_as_json, values[words:])])


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _token(value: Any) -> str:
    """Write a value as one word; what is not one plain word becomes JSON."""
    if value is None:
        return "-"
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    return _as_json(value)


def _with_json(text: str) -> list[Any]:
    """Decode a plan in which some argument is written as JSON."""
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
                raise ParseError(f"a character that cannot be read stands at {place}")
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
    """Return the steps that an offer stands for."""
    return " | ".join(_step(group, offer) for group in groups(registry)[offer.roles])


def _step(group: Group, offer: Offer) -> str:
    """Return the steps of verbs alike; arguments that may be left out are nested in brackets from the right."""
    values = [_argument(arg, offer) for arg in group.spec.args] + [_field(field) for field in group.spec.payload]
    ends = cuts(group.spec)
    text = ""
    for start, end in reversed([(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if a < b]):
        given = " ".join(f'" " {value}' for value in values[start:end])
        inner = " ".join(part for part in (given, text) if part)
        text = f"({inner})?" if start in ends else inner
    verbs = " | ".join(_quoted(name) for name in group.names)
    return f"({verbs}) {text}".rstrip() if len(group.names) > 1 else f"{verbs} {text}".rstrip()


def _argument(arg: ArgSpec, offer: Offer) -> str:
    if arg.choices:
        return f"({' | '.join(_quoted(_token(choice)) for choice in arg.choices)})"
    if arg.role is Role.CELL_X:
        return "x"
    if arg.role is Role.CELL_Y:
        return "y"
    if arg.role in TARGET_ROLES:
        return f"({' | '.join(_quoted(str(key)) for key in offer.targets[arg.role])})"
    return f"({_number(arg.low, arg.high, arg.scale)})"


def _field(field: PayloadField) -> str:
    """Return a list or record as JSON without white space; what may be left out may be null."""
    return _json(field.shape) if field.required else f'({_json(field.shape)} | "null")'


def _json(shape: Shape) -> str:
    match shape:
        case TextShape():
            return f'"\\"" ({_CHARACTER}){{0,{shape.chars_max}}} "\\""'
        case ListShape():
            item = _json(shape.item)
            if not shape.low:
                return f'"[" ({item} ("," {item}){{0,{shape.high - 1}}})? "]"'
            return f'"[" {item} ("," {item}){{{shape.low - 1},{shape.high - 1}}} "]"'
        case RecordShape():
            parts = [f'{_quoted(json.dumps(field.name))} ":" {_field(field)}' for field in shape.fields]
            inner = ' "," '.join(parts)
            return f'"{{" {inner} "}}"'
        case ArgSpec():
            if shape.choices:
                return f"({' | '.join(_quoted(json.dumps(choice)) for choice in shape.choices)})"
            return _argument(shape, Offer((), ()))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_CHARACTER: Final = r'[^"\\\x00-\x1F] | "\\" ["\\bfnrt] | "\\u00" [01] [0-9a-f]'
"""One character of a text, as JSON writes it."""
_DECIMALS_MAX: Final = 6
"""Digits after the point, at most."""


@lru_cache(maxsize=CACHED)
def _number(low: int, high: int, scale: int) -> str:
    """Return the numbers from `low / scale` to `high / scale` as alternatives, with the decimals of the scale."""
    if scale == 1:
        return _whole(low, high)
    if low < 0:
        parts = [f'"-" ({_number(max(-high, 0), -low, scale)})']
        return " | ".join([*parts, _number(0, high, scale)] if high >= 0 else parts)
    decimals = next((d for d in range(1, _DECIMALS_MAX) if 10**d % scale == 0), _DECIMALS_MAX)
    unit = 10**decimals
    low, high = -(-low * unit // scale), high * unit // scale
    (first, above), (last, below) = divmod(low, unit), divmod(high, unit)
    if first == last:
        return _with_decimals(first, above, below, decimals)
    parts = [_with_decimals(first, above, unit - 1, decimals), _with_decimals(last, 0, below, decimals)]
    if first + 1 < last:
        parts.append(f'({_whole(first + 1, last - 1)}) ("." [0-9]{{1,{decimals}}})?')
    return " | ".join(parts)


def _with_decimals(whole: int, low: int, high: int, decimals: int) -> str:
    """Return the numbers that begin with `whole` and whose decimals, taken as a whole number, lie in a range."""
    parts = [] if low else [f'"{whole}"']
    for digits in _same_length(str(low).zfill(decimals), str(high).zfill(decimals)) if high else ():
        first, *rest = digits.split(" ")
        text = ""
        for digit in reversed(rest):
            zeros = (not text or text.endswith("?")) and digit.startswith(('"0', "[0"))  # may be left out at the end
            text = f"{digit} {text}".rstrip()
            text = f"({text})?" if zeros else text
        parts.append(f'"{whole}." {first} {text}'.rstrip())
    return " | ".join(parts)


@lru_cache(maxsize=CACHED)
def _whole(low: int, high: int) -> str:
    """Return the whole numbers from `low` to `high`, without leading zeros, as alternatives."""
    if low < 0:
        negative = f'"-" ({_whole(max(-high, 1), -low)})'
        return f"{negative} | {_whole(0, high)}" if high >= 0 else negative
    parts: list[str] = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (digits - 1) if digits > 1 else 0)
        parts += _same_length(str(first), str(min(high, 10**digits - 1)))
    return " | ".join(parts)


def _same_length(low: str, high: str) -> list[str]:
    """Return the numbers between two of equally many digits."""
    if not low:
        return [""]
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return [" ".join([_digit(first, last), *["[0-9]"] * rest])]
    if first == last:
        return [f"{_digit(first, first)} {tail}" for tail in _same_length(low[1:], high[1:])]
    parts = []
    if low[1:] != "0" * rest:
        parts += [f"{_digit(first, first)} {tail}" for tail in _same_length(low[1:], "9" * rest)]
        first += 1
    ending = []
    if high[1:] != "9" * rest:
        ending = [f"{_digit(last, last)} {tail}" for tail in _same_length("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        parts.append(" ".join([_digit(first, last), *["[0-9]"] * rest]))
    return parts + ending


def _digit(low: int, high: int) -> str:
    return f'"{low}"' if low == high else f"[{low}-{high}]"
