"""The shared part of all scanners: the text of a reply with its limits, and the agents that have a plan already."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Final, NamedTuple

ELEMENT_CHARS_MAX: Final = 16_384
"""The most characters of one agent's plan."""
REPLY_CHARS_MAX: Final = 1_048_576
"""The most characters of one reply."""
DEPTH_MAX: Final = 32
"""The most brackets that may be open at once."""
WHITESPACE_RUN_MAX: Final = 64
"""The number of whitespace characters in a row at which a reply counts as a loop and is cut."""

_LOOP: Final = re.compile(r"\s{%d}" % WHITESPACE_RUN_MAX)  # noqa: UP031 - braces


class SlotText(NamedTuple):
    """One agent's plan as written in the reply."""

    agent: int
    text: str


class ReplyScanner(ABC):
    """Returns each agent's plan text when it closes in a stream; linear in the text and bounded in memory.

    The first plan of an agent that closes wins.

    Attributes:
        cut: the reason why the scan stopped before the reply did, or None.
        duplicates: number of later plans by agent, for agents that already had one.
        unknown: number of plans for agents that were not asked.
    """

    def __init__(self) -> None:
        self.cut: str | None = None
        self.duplicates: dict[int, int] = {}
        self.unknown = 0
        self._given: set[int] = set()
        self._pieces: list[str] = []
        self._size = 0
        self._blank = 0

    @property
    def text(self) -> str:
        """The whole text so far, up to a limit if one was reached."""
        return "".join(self._pieces)

    @abstractmethod
    def feed(self, text: str) -> list[SlotText]:
        """Read the next piece and return the plans that closed in it, in order."""

    @abstractmethod
    def close(self, *, whole: bool = True) -> list[SlotText]:
        """End the scan and return the plans that only the end of a reply closes, if it is `whole` and was not cut."""

    def _take(self, text: str) -> tuple[str, str | None]:
        """Add a piece to the text; return the part within the limits, and the reason if a limit was reached."""
        room = REPLY_CHARS_MAX - self._size
        end, reason = len(text), None
        if end > room:
            end, reason = room, f"the reply is longer than {REPLY_CHARS_MAX} characters"
        blank = " " * self._blank + text[:end]
        loop = _LOOP.search(blank)
        if loop is not None:
            end, reason = loop.end() - self._blank, f"{WHITESPACE_RUN_MAX} whitespace characters in a row"
        self._blank = len(blank) - len(blank.rstrip())
        piece = text[:end]
        self._pieces.append(piece)
        self._size += len(piece)
        return piece, reason

    def _give(self, agent: int | None, text: str, found: list[SlotText]) -> None:
        """Add a plan to the result, unless its agent was not asked (None) or has one already."""
        if agent is None:
            self.unknown += 1
        elif agent in self._given:
            self.duplicates[agent] = self.duplicates.get(agent, 0) + 1
        else:
            self._given.add(agent)
            found.append(SlotText(agent, text))
