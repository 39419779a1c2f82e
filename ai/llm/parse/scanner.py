"""The scanner of JSON replies: it returns each agent's plan when its brackets close.

A plan is under its slot's name (`{"a1":{"steps":[...]}}`, at any depth) or has its agent's id
(`{"agent_id":7,"steps":[...]}`, in an array or on lines).

Only strings and brackets matter, and one regular expression moves from one to the next. Brackets are matched on a
stack; a closing bracket closes the nearest one of its kind, and brackets inside it that are still open are dropped.

A slot's name in quotes, a colon and an opening bracket form an *anchor*: a plan begins there, regardless of the text
before it. This is safe, because valid JSON cannot contain an anchor inside a string (its quotes would be escaped), and
no argument of a verb may have the name of a slot. Anchors also keep damage local. A plan with a missing brace or quote,
or with a raw line end in a string, affects the text after it only up to the next anchor: the broken plan is dropped
there, and the next one is read normally.

Tokens may be split over pieces, so a scan only goes up to the last bracket that has arrived; every token before a
bracket is complete, except a string that contains the bracket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ai.llm.parse.intake import DEPTH_MAX, ELEMENT_CHARS_MAX, ReplyScanner, SlotText

_WAITING_CHARS_MAX: Final = 1024
"""The most characters that may wait for a closing bracket before a scan, so that limits are noticed in time."""
_LOOSE_MAX: Final = 2
"""The number of plans without slot or id that are kept; only a single one is useful."""
_TOO_LONG: Final = f"one plan is longer than {ELEMENT_CHARS_MAX} characters"

SLOT_NAME: Final = re.compile(r"a[0-9]{1,6}")
"""The names of slots; no argument of a verb may have such a name."""

# Quantifiers are possessive, so no text causes backtracking.
_SLOT: Final = r'"a[0-9]{1,6}"\s*+:\s*+[{\[]'
_CONTENT: Final = rf'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+(?:(?={_SLOT})|"|\\?\n|(?P<open>\\?\Z))'
"""A string after its opening quote: up to its closing one, an anchor, a raw line end, or the end of the text."""
_ANCHOR: Final = r'"(?P<slot>a[0-9]{1,6})"\s*+:\s*+(?P<begin>[{\[])'
_OUTSIDE: Final = re.compile(rf"{_ANCHOR}|(?P<bracket>[{{\[])")
_INSIDE: Final = re.compile(
    rf'{_ANCHOR}|"agent_id"\s*+:\s*+(?P<agent>-?[0-9]{{1,19}})(?![0-9.eE])|(?P<act>"act"\s*+:)'
    rf'|"{_CONTENT}|(?P<bracket>[{{}}\[\]])'
)
_REST: Final = re.compile(_CONTENT)


@dataclass(slots=True)
class _Bracket:
    """One open bracket: its position, the agent whose plan it begins, and the keys at its own level."""

    opener: str
    start: int
    slot: str | None = None
    agent: int | None = None
    is_step: bool = False


class SlotScanner(ReplyScanner):
    """Finds plans by slot or id in JSON, inside any other text.

    Attributes:
        loose: texts that may be a plan but have neither slot nor id, at most two.
    """

    def __init__(self, slots: Mapping[str, int]) -> None:
        super().__init__()
        self.loose: list[str] = []
        self._slots = dict(slots)
        self._agents = frozenset(slots.values())
        self._stack: list[_Bracket] = []
        self._plan: int | None = None
        """The depth of the bracket that began the open plan."""
        self._handed_out = 0
        """The total number of plans found."""
        self._before = 0
        """The number of plans found before the outermost open bracket."""
        self._in_string = False
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._buffer = ""
        self._base = 0
        """The position of the buffer in the reply."""
        self._place = 0
        """The position in the buffer from which the scan continues."""

    def feed(self, text: str) -> list[SlotText]:
        """Read the next piece and return the plans that closed in it, in order."""
        if self.cut is not None:
            return []
        piece, reason = self._take(text)
        self._waiting.append(piece)
        self._waiting_chars += len(piece)
        found: list[SlotText] = []
        if "}" in piece or "]" in piece or reason or self._waiting_chars > _WAITING_CHARS_MAX:
            self._scan(found, reason)
        return found

    def close(self, *, whole: bool = True) -> list[SlotText]:  # noqa: ARG002 - a bracket closes a plan, not the end
        """End the scan: a plan still open is dropped and counts as cut."""
        found: list[SlotText] = []
        if self.cut is None:
            self._scan(found, None)
        if self.cut is None and self._plan is not None:
            self.cut = "the reply ended inside a plan"
        return found

    def _scan(self, found: list[SlotText], reason: str | None) -> None:
        """Read up to the last bracket that has arrived; then cut the scan if there is a reason."""
        self._buffer += "".join(self._waiting)
        self._waiting.clear()
        self._waiting_chars = 0
        end = max(self._buffer.rfind(bracket, self._place) for bracket in "{}[]") + 1
        while self.cut is None and self._place < end:
            pattern = _REST if self._in_string else _INSIDE if self._stack else _OUTSIDE
            token = pattern.search(self._buffer, self._place, end)
            if token is None:
                self._place = end
                break
            self._place = token.end()
            self._in_string = token.lastgroup == "open"
            if self._in_string:
                self._place = token.start("open")  # a backslash waits for the character that it escapes
                break
            if self._open_plan_is_too_long(self._base + self._place):
                self.cut = _TOO_LONG
            elif token.lastgroup is not None:
                self._read(token.lastgroup, token[token.lastgroup], token["slot"], found)
        if self._open_plan_is_too_long(self._size):
            reason = _TOO_LONG
        self.cut = self.cut or reason
        self._forget()

    def _read(self, kind: str, text: str, slot: str | None, found: list[SlotText]) -> None:
        """Process one token, which ends at `_place`; a plan of a slot begins with its bracket."""
        if kind == "begin":
            if self._plan is not None:
                del self._stack[self._plan :]
            self._open(text, slot)
        elif kind == "act":
            self._stack[-1].is_step = True
        elif kind == "agent":
            if self._stack[-1].agent is None:
                self._stack[-1].agent = int(text)
        elif text in "{[":
            self._open(text)
        else:
            self._close_bracket("{" if text == "}" else "[", found)

    def _open(self, opener: str, slot: str | None = None) -> None:
        if len(self._stack) >= DEPTH_MAX:
            self.cut = f"more than {DEPTH_MAX} brackets are open at once"
            return
        if not self._stack:
            self._before = self._handed_out
        if slot is not None:
            self._plan = len(self._stack)
        self._stack.append(_Bracket(opener, self._base + self._place - 1, slot))

    def _close_bracket(self, opener: str, found: list[SlotText]) -> None:
        """Close the nearest bracket of this kind; brackets inside it that are still open are dropped."""
        depth = next((d for d in range(len(self._stack) - 1, -1, -1) if self._stack[d].opener == opener), None)
        if depth is None:
            return
        bracket = self._stack[depth]
        del self._stack[depth:]
        inside = self._plan is not None and self._plan < depth
        if self._plan is not None and self._plan >= depth:
            self._plan = None
        if inside:
            return
        if bracket.slot is not None:
            self._hand_out(self._slots.get(bracket.slot), bracket, found)
        elif bracket.agent is not None and not bracket.is_step and opener == "{":
            self._hand_out(bracket.agent if bracket.agent in self._agents else None, bracket, found)
        elif not self._stack and self._before == self._handed_out and len(self.loose) < _LOOSE_MAX:
            text = self._text_of(bracket)
            if text is not None and '"act"' in text:
                self.loose.append(text)

    def _hand_out(self, agent: int | None, bracket: _Bracket, found: list[SlotText]) -> None:
        text = self._text_of(bracket)
        self._handed_out += 1
        if text is None:
            self.cut = _TOO_LONG
        else:
            self._give(agent, text, found)

    def _text_of(self, bracket: _Bracket) -> str | None:
        """Return the text from a bracket up to the position of the scan, or None if it is too long for a plan."""
        start = bracket.start - self._base
        return self._buffer[start : self._place] if self._place - start <= ELEMENT_CHARS_MAX else None

    def _open_plan_is_too_long(self, end: int) -> bool:
        return self._plan is not None and end - self._stack[self._plan].start > ELEMENT_CHARS_MAX

    def _forget(self) -> None:
        """Drop text in which no plan can begin any more."""
        kept = self._place - ELEMENT_CHARS_MAX
        kept = max(kept, self._stack[0].start - self._base) if self._stack else self._place
        if kept > 0:
            self._buffer = self._buffer[kept:]
            self._base += kept
            self._place -= kept
