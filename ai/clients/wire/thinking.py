"""Thoughts that a model writes into its answer, told apart from it: `<think>...</think>` before the reply.

Some servers open the block themselves, in the prompt, so that only its end shows. Thoughts without an opening are seen
by their end alone: a reply that begins with prose is held back until it shows an answer (a bracket, or a line for a
slot, `a1:`) or the end of a block. A client that has met such a model once says so (`inside`), and then prose up to the
end is thought.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

OPEN: Final = "<think>"
CLOSE: Final = "</think>"
HELD_CHARS_MAX: Final = 16_384
"""Characters of prose that are held back at most."""

_ANSWER: Final = re.compile(r"[{\[]|^[ \t]*a[0-9]+:", re.MULTILINE)
_MAY_BECOME_SLOT: Final = re.compile(r"a[0-9]*")


class _State(Enum):
    START = auto()
    PROSE = auto()
    THOUGHT = auto()
    TEXT = auto()


class ThoughtFilter:
    """Splits what a model writes into answer and thoughts; pieces may be split anywhere, inside the marks too.

    `unopened` says that thoughts came without their opening, so far as this reply shows.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.unopened = False
        self._inside = inside
        self._state = _State.START
        self._held = ""

    def feed(self, piece: str) -> tuple[str, str]:
        """Return the answer's text and the thoughts that have become certain."""
        if self._state is _State.TEXT:
            return piece, ""
        self._held += piece
        state: _State = self._state
        if state is _State.START:
            state = self._begun()
        if state is _State.PROSE:
            state = self._judged()
        self._state = state
        if state is _State.THOUGHT:
            return self._thought()
        return (self._taken(), "") if state is _State.TEXT else ("", "")

    def rest(self) -> tuple[str, str]:
        """Return what was held back, at the end of the reply."""
        held = self._taken()
        return ("", held) if self._state is _State.THOUGHT else (held, "")

    def _begun(self) -> _State:
        """Look at the first character that is no space, or at the opening mark once it is whole."""
        start = self._held.lstrip()
        if not start or (OPEN.startswith(start) and start != OPEN):
            return _State.START
        if start.startswith(OPEN):
            self._held = start[len(OPEN) :]
            self._inside = False
            return _State.THOUGHT
        if _MAY_BECOME_SLOT.fullmatch(start):
            return _State.START
        if _ANSWER.match(start):
            self.unopened = self._inside
            return _State.TEXT
        return _State.THOUGHT if self._inside else _State.PROSE

    def _judged(self) -> _State:
        """Decide whether prose is thought or answer, if that shows by now."""
        end = self._held.find(CLOSE)
        answer = _ANSWER.search(self._held)
        if end >= 0 and (answer is None or end < answer.start()):
            self._inside = True
            return _State.THOUGHT
        return _State.TEXT if answer or len(self._held) > HELD_CHARS_MAX else _State.PROSE

    def _thought(self) -> tuple[str, str]:
        """Take thoughts up to their end; of what may be the beginning of the mark, nothing yet."""
        thought, found, text = self._held.partition(CLOSE)
        if found:
            self._held, self._state = "", _State.TEXT
            self.unopened = self._inside
            return text, thought
        kept = next((n for n in range(len(CLOSE) - 1, 0, -1) if self._held.endswith(CLOSE[:n])), 0)
        cut = len(self._held) - kept
        thought, self._held = self._held[:cut], self._held[cut:]
        return "", thought

    def _taken(self) -> str:
        held, self._held = self._held, ""
        return held
