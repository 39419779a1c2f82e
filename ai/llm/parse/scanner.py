"""The scanner of JSON replies: each agent's plan as its brackets close.

A plan stands under its slot's name (`{"a1":{"steps":[...]}}`, at any depth) or carries its agent's id
(`{"agent_id":7,"steps":[...]}`, in an array or on lines).

How it works. Only strings and brackets matter, and one regular expression steps from one to the next. Brackets are
matched on a stack; a closing bracket closes the nearest one of its kind, and those inside it that were left open are
given up.

A slot's name in quotes, a colon and an opening bracket are an *anchor*: a plan begins there, whatever came before.
This is safe, because sound JSON cannot hold an anchor inside a string (its quotes would be escaped) and no argument
of a verb may be named like a slot. It is also what keeps damage local. A plan that lacks a brace or a
quote, or that has a raw line end in a string, confuses what follows it only up to the next anchor: the broken plan is
given up there and the next one is read as if nothing had happened.

Tokens may be split over pieces, so a scan only goes up to the last bracket that has arrived; every token before a
bracket is whole, except for a string that the bracket itself is part of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ai.llm.parse.intake import DEPTH_MAX, ELEMENT_CHARS_MAX, ReplyScanner, SlotText

_WAITING_CHARS_MAX: Final = 1024
"""Characters that may wait for a closing bracket before they are scanned, so that limits are noticed in time."""
_LOOSE_MAX: Final = 2
"""Plans without slot or id that are kept; only a single one is of use."""
_TOO_LONG: Final = f"one plan is longer than {ELEMENT_CHARS_MAX} characters"

SLOT_NAME: Final = re.compile(r"a[0-9]{1,6}")
"""Names of slots; no argument of a verb may have one."""

# Quantifiers are possessive, so no text makes them go back and try again.
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
    """One open bracket: where it stands, whose plan it begins, and what stands at its own level."""

    opener: str
    start: int
    slot: str | None = None
    agent: int | None = None
    is_step: bool = False


class SlotScanner(ReplyScanner):
    """Finds plans by slot or id in JSON, however it is wrapped.

    Attributes:
        loose: texts that may be a plan and have neither slot nor id, at most two.
    """

    def __init__(self, slots: Mapping[str, int]) -> None:
        super().__init__()
        self.loose: list[str] = []
        self._slots = dict(slots)
        self._agents = frozenset(slots.values())
        self._stack: list[_Bracket] = []
        self._plan: int | None = None
        """Depth of the bracket that began the plan which is open."""
        self._handed_out = 0
        """Plans that were found in all."""
        self._before = 0
        """Plans that were found before the outermost open bracket."""
        self._in_string = False
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._buffer = ""
        self._base = 0
        """Where the buffer begins in the reply."""
        self._place = 0
        """Where the scan goes on, in the buffer."""

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
        """Read up to the last bracket that has arrived; then the scan is cut, if there is a reason."""
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
                self._place = token.start("open")  # a backslash waits for what it escapes
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
        """Take in one token, which ends at `_place`; a plan of a slot begins with its bracket."""
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
        """Close the nearest bracket of this kind; brackets inside it that were left open are given up."""
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
        """Return the text from a bracket up to the place of the scan, None where it is longer than a plan may be."""
        start = bracket.start - self._base
        return self._buffer[start : self._place] if self._place - start <= ELEMENT_CHARS_MAX else None

    def _open_plan_is_too_long(self, end: int) -> bool:
        return self._plan is not None and end - self._stack[self._plan].start > ELEMENT_CHARS_MAX

    def _forget(self) -> None:
        """Drop what no plan can begin in any more."""
        kept = self._place - ELEMENT_CHARS_MAX
        kept = max(kept, self._stack[0].start - self._base) if self._stack else self._place
        if kept > 0:
            self._buffer = self._buffer[kept:]
            self._base += kept
            self._place -= kept
