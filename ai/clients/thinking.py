"""Separation of a model's thoughts from its answer; the only module that knows thinking marks.

A block of thoughts is between an opening and a closing mark, such as `<think>...</think>`. Some servers put the opening
mark into the prompt, so that the reply has only the closing one. It voids all text before it: the filter reports that
(`Parts.voids`), and callers that have read plans in that text drop them. A client that has seen such a model starts the
next reply inside a block (`inside`), so that drafts in it are not read at all.

A mark inside a JSON string is data. A string also ends at a line end, which JSON strings cannot contain, so a single
quote in prose hides no mark on later lines.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_NAMES: Final = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad")
OPENING: Final = (
    *(f"<{name}>" for name in _NAMES),
    *("<seed:think>", "[THINK]", "◁think▷", "<|begin_of_thought|>", "<|START_THINKING|>"),
    "<|channel|>analysis<|message|>",
)
"""Marks that begin thoughts."""
CLOSING: Final = (
    *(f"</{name}>" for name in _NAMES),
    *("</seed:think>", "[/THINK]", "◁/think▷", "<|end_of_thought|>", "<|END_THINKING|>"),
    "<|channel|>final<|message|>",
)
"""Marks that end thoughts."""

_MARK: Final = re.compile("|".join(map(re.escape, (*OPENING, *CLOSING))), re.IGNORECASE)
_CLOSING: Final = frozenset(mark.lower() for mark in CLOSING)
_PREFIXES: Final = frozenset(mark.lower()[:n] for mark in (*OPENING, *CLOSING) for n in range(1, len(mark)))
_FIRST: Final = re.compile(r"[<\[◁]")
_LONGEST: Final = max(map(len, _PREFIXES))
_QUOTING: Final = re.compile(r'\\.|"|\n', re.DOTALL)
_ANSWER: Final = re.compile(r"\s*(?:[{\[]|a[0-9]+:)")
_MAY_ANSWER: Final = re.compile(r"\s*(?:a[0-9]*)?")


class Parts(NamedTuple):
    """The contents of one piece of a reply. If `voids` is True, all earlier text was a thought and not an answer."""

    text: str = ""
    thinking: str = ""
    voids: bool = False


class ThoughtFilter:
    """Splits a model's text into answer and thoughts; pieces may be split anywhere, even inside a mark.

    `unopened` is True if the thoughts of this model have no opening mark.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.unopened = inside
        self._inside = inside
        self._assumed = inside
        self._kept: list[str] = []
        self._held = ""
        self._quoted = False
        self._escaped = False

    def feed(self, piece: str) -> Parts:
        """Return the answer's text and the thoughts that have become certain."""
        held = self._held + piece
        if self._assumed and not self._kept:
            # A model that was expected to think may answer at once.
            if _ANSWER.match(held) and not self._may_be_mark(held):
                self._assumed = self._inside = False
            elif _MAY_ANSWER.fullmatch(held):
                self._held = held
                return Parts()
        end = self._beginning_of_mark(held)
        self._held = held[end:]
        return self._split(held[:end])

    def rest(self, *, whole: bool) -> Parts:
        """Return the text that was held back, at the end of the reply; `whole` is True if the reply is complete.

        A whole reply that was expected to begin with thoughts and never closed them is an answer.
        """
        parts = self._split(self._held)
        self._held = ""
        if self._assumed and self._inside and whole:
            self.unopened = False
            return Parts("".join(self._kept))
        return parts

    def _split(self, text: str) -> Parts:
        answer, thinking, voids, start = "", "", False, 0
        for mark in _MARK.finditer(text) if _FIRST.search(text) else ():
            before, start = text[start : mark.start()], mark.end()
            closing = mark[0].lower() in _CLOSING
            if self._inside:
                if self._assumed and not closing and not (before.strip() or thinking or self._kept):
                    self._assumed = self.unopened = False  # this reply opens its thoughts itself
                    continue
                thinking += before if closing else before + mark[0]
                self._inside = not closing
                self._assumed &= not closing
                continue
            answer += before
            if self._in_string(before):
                answer += mark[0]
            elif closing:
                thinking, answer, voids = thinking + answer, "", True
                self.unopened, self._quoted = True, False
            else:
                self._inside, self.unopened = True, False
        if self._inside:
            thinking += text[start:]
        else:
            answer += text[start:]
            self._in_string(text[start:])
        if self._assumed and thinking:
            self._kept.append(thinking)
        return Parts(answer, thinking, voids)

    def _in_string(self, text: str) -> bool:
        """Return whether a JSON string is open after this text of the answer."""
        if self._escaped and text:
            self._escaped, text = False, text[1:]
        if '"' in text or "\\" in text or "\n" in text:
            for found in _QUOTING.findall(text):
                self._quoted = (not self._quoted) if found == '"' else self._quoted and found != "\n"
            self._escaped = (len(text) - len(text.rstrip("\\"))) % 2 == 1
        return self._quoted

    @staticmethod
    def _may_be_mark(text: str) -> bool:
        start = text.lstrip().lower()
        return start in _PREFIXES or any(start.startswith(mark.lower()) for mark in OPENING)

    @staticmethod
    def _beginning_of_mark(text: str) -> int:
        """Return the position of a possible beginning of a mark at the end of the text, or the text's length."""
        starts = (found.start() for found in _FIRST.finditer(text, max(len(text) - _LONGEST, 0)))
        return next((start for start in starts if text[start:].lower() in _PREFIXES), len(text))
