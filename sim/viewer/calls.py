"""The calls of a run's model, as a display tells of them: the round, calls in flight, plans that have come."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sim.run.listeners import Listener, RoundBegun

if TYPE_CHECKING:
    from ai.actions import Action
    from ai.llm.executor import CallBegun, CallEnd
    from sim.run.simulation import TickReport


class Calls(Listener):
    """Counts rounds and calls as they are reported, from any thread.

    >>> calls = Calls()
    >>> calls.on_round(RoundBegun(30, (1, 2, 3)))
    >>> calls.on_call_begun(30, None)
    >>> calls.on_call_begun(30, None)
    >>> calls.on_plan(30, 2, ())
    >>> calls.sentence()
    'round 1, tick 30: 2 calls in flight, 0 back, 1 of 3 agents have plans'
    """

    def __init__(self) -> None:
        self._rounds = self._round = self._asked = self._planned = self._in_flight = self._back = 0
        self._took = ""
        self._counting = threading.Lock()

    def on_round(self, begun: RoundBegun) -> None:
        """A round begins."""
        with self._counting:
            self._rounds, self._round, self._asked = self._rounds + 1, begun.tick, len(begun.keys)
            self._planned = self._back = 0
            self._took = ""
        self.changed()

    def on_call_begun(self, tick: int, call: CallBegun | None) -> None:
        """A call goes out."""
        del tick, call
        with self._counting:
            self._in_flight += 1
        self.changed()

    def on_call(self, tick: int, call: CallEnd) -> None:
        """A call has ended, or was not made."""
        del tick
        with self._counting:
            if call.total_s is not None:
                self._in_flight = max(self._in_flight - 1, 0)
                self._took = f" (the last took {call.total_s:.1f} s)"
            self._back += 1
        self.changed()

    def on_plan(self, tick: int, key: int, steps: tuple[Action, ...]) -> None:
        """A plan has come."""
        del tick, key, steps
        with self._counting:
            self._planned += 1
        self.changed()

    def on_tick(self, report: TickReport) -> None:
        """A tick is over: its round is too, unless calls are in flight that a later tick waits for."""
        del report
        with self._counting:
            self._asked = self._asked if self._in_flight else 0

    def changed(self) -> None:
        """Do what a display does when a round, a call or a plan has been counted."""

    def sentence(self) -> str:
        """Return what goes on; empty where no round does."""
        with self._counting:
            if not self._asked:
                return ""
            plans = f"{self._planned:,} of {self._asked:,} agents have plans"
            calls = f"{self._in_flight:,} calls in flight, {self._back:,} back{self._took}"
            return f"round {self._rounds:,}, tick {self._round:,}: {calls}, {plans}"
