"""Holds a run to a number of ticks a second of the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

LATE_S: Final = 0.005
"""A tick that begins this much after its time is not late yet: no sleep ends to the point, seconds."""


class Pace:
    """Starts ticks at an even rate, and counts those that began late.

    A late tick moves all later ones: the run does not hurry to catch up.

    Args:
        rate: ticks a second.
        clock: gives seconds.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.rate = rate
        self.late = 0
        self.late_s = 0.0
        self._clock, self._sleep = clock, sleep
        self._due: float | None = None

    def wait(self) -> None:
        """Return when the next tick is to begin."""
        now = self._clock()
        if self._due is not None:
            self._due += 1 / self.rate
            if now > self._due + LATE_S:
                self.late += 1
                self.late_s += now - self._due
                self._due = now
            elif self._due > now:
                self._sleep(self._due - now)
            return
        self._due = now

    def as_json(self) -> dict[str, float]:
        """Return what `run --json` says of it."""
        return {"ticks_a_second": self.rate, "late": self.late, "late_s": round(self.late_s, 3)}
