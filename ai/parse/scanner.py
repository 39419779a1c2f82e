"""The streaming scanner: each agent's plan as its object closes, linear in the text and bounded in memory.

A plan may stand under its slot's name (`{"a1":{"steps":[...]}}`, at any depth) or carry the agent's real id
(`{"agent_id":7,"steps":[...]}`, in an array or on lines). The first one that closes wins.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ai.parse.limits import DEPTH_MAX, ELEMENT_CHARS_MAX, REPLY_CHARS_MAX, WAITING_CHARS_MAX, WHITESPACE_RUN_MAX

_KEY_CHARS_MAX: Final = 64
"""Characters of the longest text that is looked at as a key; none that counts is longer."""
_SLOT_LIKE: Final = re.compile(r"a[0-9]{1,6}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_THINK_OPEN: Final = "<think>"
_THINK_CLOSE: Final = "</think>"
_TOO_LONG: Final = f"one plan is longer than {ELEMENT_CHARS_MAX} characters"
_TOO_DEEP: Final = f"more than {DEPTH_MAX} brackets are open at once"
# What the scanner skips at one go. Quantifiers are possessive: no text makes them go back and try again.
_BLANK: Final = re.compile(r"\s*+")
_PROSE: Final = re.compile(r"[^\s{}\[\]]*+")
_PLAIN: Final = re.compile(r"[^\s\"{}\[\]:,]*+")
_STRING_PART: Final = re.compile(r'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
_UNBRACKETED: Final = (
    r'[^\s"{}\[\]]++|"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|\s{1,%d}+(?=\S)' % (WHITESPACE_RUN_MAX - 1)  # noqa: UP031 - braces
)
_PLAN_PART: Final = re.compile(rf"(?:{_UNBRACKETED})*+")
_PLAN_DEPTH: Final = 5
"""Brackets inside each other that the plans of nearly all verbs have at most."""


def _bracketed(depth: int) -> str:
    """Return the pattern of what stands between two brackets of a kind, with so many inside each other at most."""
    inner = f"(?:{_UNBRACKETED}|{_bracketed(depth - 1)})*+" if depth > 1 else f"(?:{_UNBRACKETED})*+"
    return rf"\{{{inner}\}}|\[{inner}\]"


_MEMBER: Final = re.compile(rf'(,\s?)?"(a[0-9]{{1,6}})":\s?((?:{_bracketed(_PLAN_DEPTH)}))')
"""A whole plan under a slot's name, as models write it: with the comma before it, if any."""


class SlotText(NamedTuple):
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

    Pieces that close no bracket wait, a few at a time, for one that does: nothing can be handed out before. What is
    scanned is read by regular expressions that skip to the next mark that matters where the scan stands.
    """

    def __init__(self, slots: Mapping[str, int]) -> None:
        self.cut: str | None = None
        self.duplicates: dict[int, int] = {}
        self.unknown = 0
        self.loose: list[str] = []
        self._slots = dict(slots)
        self._agents = frozenset(slots.values())
        self._given: set[int] = set()
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._text = io.StringIO()
        self._size = 0
        self._stack: list[_Frame] = []
        self._element: _Frame | None = None
        self._inner: list[str] = []
        self._string_start = -1
        self._escaped = False
        self._thinking = False
        self._tail = ""
        self._blank = 0

    @property
    def text(self) -> str:
        """Everything fed so far, up to the piece of the cut."""
        return self._text.getvalue() + "".join(self._waiting)

    def feed(self, text: str) -> list[SlotText]:
        """Read the next piece and return the plans that closed in it, in order."""
        if self.cut is not None:
            return []
        self._waiting.append(text)
        self._waiting_chars += len(text)
        if self._waiting_chars < WAITING_CHARS_MAX and "}" not in text and "]" not in text:
            return []
        return self._scan_waiting()

    def close(self, *, whole: bool = True) -> list[SlotText]:  # noqa: ARG002 - a bracket closes a plan, not the end
        """Say that the reply is over: a plan still open is dropped and counts as cut."""
        found = self._scan_waiting() if self.cut is None else []
        if self._element is not None and self.cut is None:
            self.cut = "the reply ended inside a plan"
        return found

    def _scan_waiting(self) -> list[SlotText]:
        text = "".join(self._waiting)
        self._waiting.clear()
        self._waiting_chars = 0
        room = REPLY_CHARS_MAX - self._size
        piece = text[:room]
        self._text.write(piece)
        found: list[SlotText] = []
        place = 0
        while place < len(piece) and self.cut is None:
            if self._string_start >= 0:
                place = self._in_string(piece, place)
            elif self._thinking:
                place = self._in_thought(piece, place)
            elif self._blank or piece[place].isspace():
                place = self._in_blank(piece, place)
            elif self._element is not None:
                place = self._in_element(piece, place, found)
            elif self._stack:
                place = self._in_wrapper(piece, place, found)
            else:
                place = self._outside(piece, place)
            if self._element is not None and self._size + place - self._element.start > ELEMENT_CHARS_MAX:
                self.cut = _TOO_LONG
        self._size += len(piece)
        if self.cut is None and len(text) > room:
            self.cut = f"the reply is longer than {REPLY_CHARS_MAX} characters"
        return found

    # Each of these reads on from a place in a piece and returns where it stopped: at what it does not read itself.

    def _in_string(self, piece: str, place: int) -> int:
        if self._escaped:
            self._escaped = False
            if piece[place] != "\n":
                place += 1
        place = _match_end(_STRING_PART, piece, place)
        if place == len(piece):
            return place
        if piece[place] == "\\":
            # The last character of the piece, or one before a raw line end.
            self._escaped = True
            return place + 1
        if piece[place] == '"' and self._element is None:
            self._stack[-1].string = self._slice(self._string_start + 1, self._size + place, _KEY_CHARS_MAX)
        # JSON has no raw line ends in strings: the text is broken there, and that is the place to take it up again.
        self._string_start = -1
        return place + 1

    def _in_thought(self, piece: str, place: int) -> int:
        seen = self._tail + piece[place:]
        end = seen.find(_THINK_CLOSE)
        if end < 0:
            self._tail = seen[1 - len(_THINK_CLOSE) :]
            return len(piece)
        place += end + len(_THINK_CLOSE) - len(self._tail)
        self._thinking, self._tail = False, ""
        return place

    def _in_blank(self, piece: str, place: int) -> int:
        end = _match_end(_BLANK, piece, place)
        if end > place:
            self._tail = ""
        if self._blank + end - place >= WHITESPACE_RUN_MAX:
            self.cut = f"{WHITESPACE_RUN_MAX} whitespace characters in a row"
            return place + WHITESPACE_RUN_MAX - self._blank
        self._blank = 0 if end < len(piece) else self._blank + end - place
        return end

    def _outside(self, piece: str, place: int) -> int:
        """Read text in which no bracket is open."""
        end = _match_end(_PROSE, piece, place)
        word = self._tail + piece[place:end]
        start = word.find(_THINK_OPEN)
        if start >= 0:
            place += start + len(_THINK_OPEN) - len(self._tail)
            self._thinking, self._tail = True, ""
            return place
        if end == len(piece):
            self._tail = word[1 - len(_THINK_OPEN) :]
            return end
        self._tail = ""
        if piece[end] in "{[":
            self._open(self._size + end, piece[end])
        elif piece[end].isspace():
            return end
        return end + 1

    def _in_wrapper(self, piece: str, place: int, found: list[SlotText]) -> int:
        """Read what stands inside a bracket and outside of plans: keys, ids, commas; a whole plan at one go."""
        member = _MEMBER.match(piece, place)
        if member is not None and self._takes_whole(member, found):
            return member.end()
        place = _match_end(_PLAIN, piece, place)
        if place == len(piece) or piece[place].isspace():
            return place
        char, offset, frame = piece[place], self._size + place, self._stack[-1]
        if char == '"':
            self._string_start = offset
        elif char in "{[":
            self._open(offset, char)
        elif char in "}]":
            self._close(offset, "{" if char == "}" else "[", found)
        elif frame.opener == "{" and char == ":" and frame.key is None:
            frame.key = frame.string or ""
            frame.is_step |= frame.key == "act"
            frame.id_start = offset + 1 if frame.key == "agent_id" else -1
        elif frame.opener == "{" and char == ",":
            self._end_value(frame, offset)
        return place + 1

    def _takes_whole(self, member: re.Match[str], found: list[SlotText]) -> bool:
        """Take a plan that is whole, where reading it bracket by bracket comes to the same."""
        frame = self._stack[-1]
        if member[1] is None and (frame.key is not None or frame.string is not None):
            return False
        if frame.opener != "{" or len(self._stack) + _PLAN_DEPTH > DEPTH_MAX or len(member[3]) > ELEMENT_CHARS_MAX:
            return False
        if member[1] is not None:
            self._end_value(frame, self._size + member.start())
        frame.string = frame.key = member[2]
        frame.used = True
        self._give(self._slots.get(member[2]), member[3], found)
        return True

    def _in_element(self, piece: str, place: int, found: list[SlotText]) -> int:
        """Read what stands inside a plan: only brackets count there, and strings that may hold some."""
        element = self._element
        assert element is not None
        inner, size = self._inner, self._size
        while True:
            place = _match_end(_PLAN_PART, piece, place)
            if place == len(piece):
                return place
            char = piece[place]
            if size + place - element.start >= ELEMENT_CHARS_MAX:
                self.cut = _TOO_LONG
                return place
            if char in "{[":
                if len(self._stack) + len(inner) >= DEPTH_MAX:
                    self.cut = _TOO_DEEP
                    return place
                inner.append(char)
            elif char in "}]":
                opener = "{" if char == "}" else "["
                if opener in inner:
                    while inner.pop() != opener:
                        pass
                elif any(frame.opener == opener for frame in self._stack):
                    # It closes the plan, or a bracket around it; what is open inside is given up.
                    inner.clear()
                    self._close(size + place, opener, found)
                    return place + 1
            elif char == '"':
                self._string_start = size + place
                return place + 1
            else:
                return place  # a run of whitespace
            place += 1

    def _open(self, offset: int, char: str) -> None:
        if len(self._stack) >= DEPTH_MAX:
            self.cut = _TOO_DEEP
            return
        frame = _Frame(char, offset)
        if self._stack:
            key = self._stack[-1].key
            if key is not None and (key in self._slots or _SLOT_LIKE.fullmatch(key)):
                frame.slot = key
                self._element = frame
        self._stack.append(frame)

    def _close(self, offset: int, opener: str, found: list[SlotText]) -> None:
        """Close the nearest bracket of this kind; brackets inside it that were left open are given up."""
        if not any(frame.opener == opener for frame in self._stack):
            return
        used = False
        while True:
            frame = self._stack.pop()
            used |= frame.used
            if frame.opener == opener:
                break
            if frame is self._element:
                self._element = None
        frame.used = used
        if frame is self._element:
            self._element = None
            frame.used = True
            self._give(
                self._slots.get(frame.slot or ""), self._slice(frame.start, offset + 1, ELEMENT_CHARS_MAX), found
            )
        else:
            self._end_value(frame, offset)
            if frame.agent is not None and not frame.is_step and not frame.used:
                frame.used = True
                agent = frame.agent if frame.agent in self._agents else None
                self._give(agent, self._slice(frame.start, offset + 1, ELEMENT_CHARS_MAX), found)
            elif not self._stack and not frame.used and len(self.loose) < 2:
                text = self._slice(frame.start, offset + 1, ELEMENT_CHARS_MAX)
                if text is not None and '"act"' in text:
                    self.loose.append(text)
        if self._stack:
            self._stack[-1].used |= frame.used

    def _give(self, agent: int | None, text: str | None, found: list[SlotText]) -> None:
        """Give out a plan, if its agent was asked and has none yet; its text is None where it is too long."""
        if agent is None:
            self.unknown += 1
        elif agent in self._given:
            self.duplicates[agent] = self.duplicates.get(agent, 0) + 1
        elif text is None:
            self.cut = _TOO_LONG
        else:
            self._given.add(agent)
            found.append(SlotText(agent, text))

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


def _match_end(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Return where a pattern that matches anything, even nothing, stops."""
    match = pattern.match(text, place)
    assert match is not None
    return match.end()
