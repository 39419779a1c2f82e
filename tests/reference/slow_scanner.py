"""A slow, obvious scanner of replies that the fast one is held against: every character is looked at, in order."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ai.parse import DEPTH_MAX, ELEMENT_CHARS_MAX, REPLY_CHARS_MAX, WHITESPACE_RUN_MAX, SlotText

_KEY_CHARS_MAX: Final = 64
_SLOT_LIKE: Final = re.compile(r"a[0-9]{1,6}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_THINK_OPEN: Final = "<think>"
_THINK_CLOSE: Final = "</think>"


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


class SlowScanner:
    """Hands out the same plans as `ai.parse.SlotScanner`, one character at a time."""

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
                self._tail = ""
                self._blank += 1
                if self._blank >= WHITESPACE_RUN_MAX:
                    self.cut = f"{WHITESPACE_RUN_MAX} whitespace characters in a row"
            elif self._element is not None and offset - self._element.start >= ELEMENT_CHARS_MAX:
                self._blank = 0
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
