"""The calls of a run's model, as a display tells of them: the round, calls in flight, plans that have come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.run.listeners import RoundBegun

if TYPE_CHECKING:
    from ai.llm.executor import CallEnd


class Calls:
    """Counts rounds and calls; a display calls the methods as it hears of them.

    >>> calls = Calls()
    >>> calls.round(RoundBegun(30, (1, 2, 3)))
    >>> calls.begun()
    >>> calls.begun()
    >>> calls.planned()
    >>> calls.sentence()
    'round 1, tick 30: 2 calls in flight, 0 back, 1 of 3 agents have plans'
    """

    def __init__(self) -> None:
        self._rounds = self._tick = self._asked = self._planned = self._in_flight = self._back = 0
        self._took = ""

    def round(self, begun: RoundBegun) -> None:
        """A round begins."""
        self._rounds, self._tick, self._asked = self._rounds + 1, begun.tick, len(begun.keys)
        self._planned = self._back = 0
        self._took = ""

    def begun(self) -> None:
        """A call goes out."""
        self._in_flight += 1

    def ended(self, call: CallEnd) -> None:
        """A call has ended, or was not made."""
        if call.total_s is not None:
            self._in_flight = max(self._in_flight - 1, 0)
            self._took = f" (the last took {call.total_s:.1f} s)"
        self._back += 1

    def planned(self) -> None:
        """A plan has come."""
        self._planned += 1

    def tick(self) -> None:
        """A tick is over: its round is too, unless calls are in flight that a later tick waits for."""
        self._asked = self._asked if self._in_flight else 0

    def sentence(self) -> str:
        """Return what goes on; empty where no round does."""
        if not self._asked:
            return ""
        plans = f"{self._planned:,} of {self._asked:,} agents have plans"
        calls = f"{self._in_flight:,} calls in flight, {self._back:,} back{self._took}"
        return f"round {self._rounds:,}, tick {self._tick:,}: {calls}, {plans}"
