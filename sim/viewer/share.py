"""The cost limit of a display: a share of a run's time, kept by looking less often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

MOST: Final = 0.015
"""Share of a run's time that a display takes at most, in the long run."""
AT_ONCE_S: Final = 0.02
"""Seconds that it may be ahead of its share."""


class Share:
    """Counts what a display has cost, and says whether it may look again.

    Args:
        clock: seconds.
        least_s: seconds from one look to the next, at least.

    >>> now = 0.0
    >>> share = Share(lambda: now)
    >>> with share.spent():
    ...     now += 1.0
    >>> share.due()
    False
    >>> now += 80.0
    >>> share.due()
    True
    """

    def __init__(self, clock: Callable[[], float], least_s: float = 0.0) -> None:
        self._clock = clock
        self._least_s = least_s
        self._began = clock()
        self._last = -least_s + self._began
        self._spent_s = 0.0

    def due(self) -> bool:
        """Return whether it is time for a look."""
        now = self._clock()
        return self._spent_s <= MOST * (now - self._began) + AT_ONCE_S and now - self._last >= self._least_s

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Count the time of a block."""
        self._last = begun = self._clock()
        try:
            yield
        finally:
            self._spent_s += self._clock() - begun
