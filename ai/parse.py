"""Reply text to plans: a streaming scanner, the check of one plan, and the reading of a whole reply.

Pure functions of text, slots and registry; no client is known here. Three rules hold everywhere:

- Only closed objects count. A reply that ends anywhere never gives a plan that it did not finish writing.
- Nothing is repaired. A plan's text is kept exactly as written, so a replay parses the same text again.
- Whatever the text, the answer is plans or `ParseError`; every size has a limit.

A plan may stand under its slot's name (`{"a1":{"steps":[...]}}`, at any depth) or carry the agent's real id
(`{"agent_id":7,"steps":[...]}`, in an array or on lines). The first one that closes wins.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ai.actions import STEPS_MAX, ActionStep, ToolRegistry
from ai.errors import ParseError

ELEMENT_CHARS_MAX: Final = 16_384
"""Characters that one agent's plan may have."""
REPLY_CHARS_MAX: Final = 1_048_576
"""Characters that one reply may have."""
DEPTH_MAX: Final = 32
"""Brackets that may be open at once."""
WHITESPACE_RUN_MAX: Final = 64
"""Whitespace characters in a row, outside strings, at which a reply counts as a loop and is cut."""

_KEY_CHARS_MAX: Final = 64
_SLOT_LIKE: Final = re.compile(r"a[0-9]{1,6}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_STRUCTURE: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_THINK_OPEN: Final = "<think>"
_THINK_CLOSE: Final = "</think>"


@dataclass(frozen=True, slots=True)
class SlotText:
    """One agent's plan as the reply wrote it."""

    agent: int
    text: str


@dataclass(slots=True)
class _Frame:
    """One open bracket: where it stands, and what has been read at its own level."""

    opener: str
    start: int
    slot: str | None = None
    string: str | None = None
    key: str | None = None
    id_start: int = -1
    agent: int | None = None
    is_step: bool = False
    used: bool = False


class SlotScanner:
    """Hands out each agent's plan text as its object closes; linear in the text and bounded in memory.

    `cut` says why the scan stopped before the reply did, or None. `duplicates` counts later plans of an agent that
    already had one, `unknown` counts plans for agents that were not asked. A leading `<think>` part is skipped.
    """

    def __init__(self, slots: Mapping[str, int]) -> None:
        self.cut: str | None = None
        self.duplicates: dict[int, int] = {}
        self.unknown = 0
        self.loose: list[str] = []
        self._slots = dict(slots)
        self._agents = frozenset(slots.values())
        self._given: set[int] = set()
        self._text = io.StringIO()
        self._size = 0
        self._stack: list[_Frame] = []
        self._element: _Frame | None = None
        self._string_start = -1
        self._escaped = False
        self._thinking = False
        self._tail = ""
        self._blank = 0

    @property
    def text(self) -> str:
        """Everything fed so far, up to the place of the cut."""
        return self._text.getvalue()

    def feed(self, text: str) -> list[SlotText]:
        """Read the next piece and return the plans that closed in it, in order."""
        found: list[SlotText] = []
        if self.cut is not None:
            return found
        room = REPLY_CHARS_MAX - self._size
        base = self._size
        self._text.write(text[:room])
        self._size += min(len(text), room)
        for offset, char in enumerate(text[:room], base):
            if self._string_start >= 0:
                self._in_string(offset, char)
            elif self._thinking:
                self._tail = (self._tail + char)[-len(_THINK_CLOSE) :]
                self._thinking = self._tail != _THINK_CLOSE
            elif char.isspace():
                self._blank += 1
                if self._blank >= WHITESPACE_RUN_MAX:
                    self.cut = f"{WHITESPACE_RUN_MAX} whitespace characters in a row"
            else:
                self._blank = 0
                closed = self._structure(offset, char)
                if closed is not None:
                    found.append(closed)
            if self._element is not None and offset - self._element.start >= ELEMENT_CHARS_MAX:
                self.cut = f"one plan is longer than {ELEMENT_CHARS_MAX} characters"
            if self.cut is not None:
                return found
        if len(text) > room:
            self.cut = f"the reply is longer than {REPLY_CHARS_MAX} characters"
        return found

    def close(self) -> list[SlotText]:
        """Say that the reply is over: a plan still open is dropped and counts as cut."""
        if self._element is not None and self.cut is None:
            self.cut = "the reply ended inside a plan"
        return []

    def _in_string(self, offset: int, char: str) -> None:
        if char == "\n":
            # JSON has no raw line ends in strings: the text is broken here, and this is the place to take it up again.
            self._string_start, self._escaped = -1, False
        elif self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            start, self._string_start = self._string_start, -1
            if self._element is None:
                self._stack[-1].string = self._slice(start + 1, offset, _KEY_CHARS_MAX)

    def _structure(self, offset: int, char: str) -> SlotText | None:
        if not self._stack:
            self._tail = (self._tail + char)[-len(_THINK_OPEN) :]
            self._thinking = self._tail == _THINK_OPEN
        if char in "{[":
            self._open(offset, char)
        elif char in "}]":
            return self._close(offset, "{" if char == "}" else "[")
        elif self._stack and char == '"':
            self._string_start = offset
        elif self._stack and self._element is None and self._stack[-1].opener == "{":
            frame = self._stack[-1]
            if char == ":" and frame.key is None:
                frame.key = frame.string or ""
                frame.is_step |= frame.key == "act"
                frame.id_start = offset + 1 if frame.key == "agent_id" else -1
            elif char == ",":
                self._end_value(frame, offset)
        return None

    def _open(self, offset: int, char: str) -> None:
        if len(self._stack) >= DEPTH_MAX:
            self.cut = f"more than {DEPTH_MAX} brackets are open at once"
            return
        frame = _Frame(char, offset)
        if self._element is None and self._stack:
            key = self._stack[-1].key
            if key is not None and (key in self._slots or _SLOT_LIKE.fullmatch(key)):
                frame.slot = key
                self._element = frame
        self._stack.append(frame)
        self._tail = ""

    def _close(self, offset: int, opener: str) -> SlotText | None:
        """Close the nearest bracket of this kind; brackets inside it that were left open are given up."""
        if not any(frame.opener == opener for frame in self._stack):
            return None
        used = False
        while True:
            frame = self._stack.pop()
            used |= frame.used
            if frame.opener == opener:
                break
            if frame is self._element:
                self._element = None
        frame.used = used
        found = None
        if frame is self._element:
            self._element = None
            found = self._give(frame, offset, self._slots.get(frame.slot or ""))
        elif self._element is None:
            self._end_value(frame, offset)
            if frame.agent is not None and not frame.is_step and not frame.used:
                found = self._give(frame, offset, frame.agent if frame.agent in self._agents else None)
            elif not self._stack and not frame.used and len(self.loose) < 2:
                text = self._slice(frame.start, offset + 1, ELEMENT_CHARS_MAX)
                if text is not None and '"act"' in text:
                    self.loose.append(text)
        if self._stack:
            self._stack[-1].used |= frame.used
        return found

    def _give(self, frame: _Frame, offset: int, agent: int | None) -> SlotText | None:
        frame.used = True
        if agent is None:
            self.unknown += 1
            return None
        if agent in self._given:
            self.duplicates[agent] = self.duplicates.get(agent, 0) + 1
            return None
        text = self._slice(frame.start, offset + 1, ELEMENT_CHARS_MAX)
        if text is None:
            self.cut = f"one plan is longer than {ELEMENT_CHARS_MAX} characters"
            return None
        self._given.add(agent)
        return SlotText(agent, text)

    def _end_value(self, frame: _Frame, offset: int) -> None:
        if frame.id_start >= 0:
            value = (self._slice(frame.id_start, offset, _KEY_CHARS_MAX) or "").strip()
            if frame.agent is None and _INTEGER.fullmatch(value):
                frame.agent = int(value)
        frame.id_start, frame.key, frame.string = -1, None, None

    def _slice(self, start: int, end: int, longest: int) -> str | None:
        """Return the text between two offsets, or None when it is longer than allowed."""
        if end - start > longest:
            return None
        self._text.seek(start)
        text = self._text.read(end - start)
        self._text.seek(0, io.SEEK_END)
        return text


@dataclass(slots=True)
class ParsedReply:
    """What a whole reply gave: plans and raw texts by agent, and a reason for each plan that was refused.

    `method` names the stage that read it: `direct`, `code_fence`, `envelope`, `object_extraction` or `tolerant`.
    """

    method: str
    plans: dict[int, tuple[ActionStep, ...]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    duplicates: dict[int, int] = field(default_factory=dict)
    unknown: int = 0


def parse_plan(text: str, registry: ToolRegistry) -> tuple[ActionStep, ...]:
    """Turn one plan's text into steps: an object with `steps`, the same under `plan`, or the list itself.

    Keys of the plan object other than these are ignored; what a step may hold is its kind's business.

    Raises:
        ParseError: not strict JSON, over a limit, no steps, or a step that the registry refuses.
    """
    data = _decode(text, ELEMENT_CHARS_MAX)
    if isinstance(data, dict) and "steps" not in data and isinstance(data.get("plan"), dict | list):
        data = data["plan"]
    steps = data.get("steps") if isinstance(data, dict) else data
    if not isinstance(steps, list):
        raise ParseError('a plan must be an object with a list "steps"')
    if not steps:
        raise ParseError("the plan has no steps")
    if len(steps) > STEPS_MAX:
        raise ParseError(f"the plan has {len(steps)} steps; at most {STEPS_MAX} are allowed")
    return tuple(_step(position, step, registry) for position, step in enumerate(steps, 1))


def parse_reply(text: str, slots: Mapping[str, int], registry: ToolRegistry) -> ParsedReply:
    """Read a whole reply and refuse plans one by one.

    The five stages in order: the text is JSON; JSON in a code fence; JSON inside a server's envelope (`message.content`
    or `response`); objects anywhere in the text; and, when one agent was asked, a single plan without slot or id.

    Raises:
        ParseError: nothing in the text could be read as a reply.
    """
    scanner, found = _scan(text, slots)
    method = _method(text, found) if found or scanner.unknown else ""
    if not method:
        inner = _envelope(text)
        if inner is not None:
            scanner, found = _scan(inner, slots)
            method = "envelope" if found or scanner.unknown else ""
    if not method and len(slots) == 1 and len(scanner.loose) == 1:
        found, method = [SlotText(next(iter(slots.values())), scanner.loose[0])], "tolerant"
    if not method:
        raise ParseError(scanner.cut or "the reply holds no plan under a slot's name or an agent's id")
    reply = ParsedReply(method, duplicates=scanner.duplicates, unknown=scanner.unknown)
    for slot in found:
        reply.texts[slot.agent] = slot.text
        try:
            reply.plans[slot.agent] = parse_plan(slot.text, registry)
        except ParseError as error:
            reply.errors[slot.agent] = str(error)
    return reply


def _scan(text: str, slots: Mapping[str, int]) -> tuple[SlotScanner, list[SlotText]]:
    scanner = SlotScanner(slots)
    found = scanner.feed(text)
    scanner.close()
    return scanner, found


def _method(text: str, found: list[SlotText]) -> str:
    """Name the first of the stages that finds plans under slots or ids in this text."""
    try:
        _decode(text, REPLY_CHARS_MAX)
    except ParseError:
        fence = text.find("```")
        return "code_fence" if found and 0 <= fence < text.find(found[0].text) else "object_extraction"
    return "direct"


def _envelope(text: str) -> str | None:
    """Return the reply inside a server's whole answer, or None when the text is not one."""
    try:
        data = _decode(text, REPLY_CHARS_MAX)
    except ParseError:
        return None
    if not isinstance(data, dict):
        return None
    message = data.get("message")
    inner = message.get("content") if isinstance(message, dict) else data.get("response")
    return inner if isinstance(inner, str) else None


def _step(position: int, data: object, registry: ToolRegistry) -> ActionStep:
    try:
        return registry.parse_step(data)
    except ParseError as error:
        raise ParseError(f"step {position}: {error}") from None


def _decode(text: str, chars_max: int) -> Any:
    """Decode strict JSON: no duplicate keys, no NaN or infinity, limits on size and depth.

    Raises:
        ParseError: anything else; the message says where.
    """
    if len(text) > chars_max:
        raise ParseError(f"the text has {len(text)} characters; at most {chars_max} are allowed")
    depth = 0
    for match in _STRUCTURE.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth > DEPTH_MAX:
            raise ParseError(f"more than {DEPTH_MAX} brackets are open at character {match.start()}")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise ParseError("not JSON that can be held: a number is too long") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise ParseError(f"the key {key[:40]!r} stands twice in one object")
        members[key] = value
    return members


def _constant(name: str) -> float:
    raise ParseError(f"{name} is not a number that a plan may hold")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ParseError(f"{text[:40]} is not a number that a plan may hold")
    return value
