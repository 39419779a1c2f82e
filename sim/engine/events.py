"""Events: records of things that happened, for observers; never state."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.errors import WorldError

EVENTS_MAX: Final = 1 << 20
"""Events that an `EventQueue` holds by default."""


@dataclass(frozen=True, slots=True)
class Event:
    """One batch of things that happened: columns of equal length."""

    name: str
    columns: Mapping[str, NDArray[Any]]


class EventQueue:
    """Carries events to observers in the order in which they were emitted. It is not state: no system may read it.

    Args:
        limit: the number of events (rows of batches) that may wait.

    Attributes:
        dropped: the number of events that found the queue full since the start.

    >>> queue = EventQueue(limit=2)
    >>> queue.emit("hit", target=[4, 7])
    >>> queue.emit("hit", target=[9])
    >>> [event.columns["target"].tolist() for event in queue.drain()], queue.dropped
    ([[4, 7]], 1)
    """

    def __init__(self, limit: int = EVENTS_MAX) -> None:
        self.limit = limit
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._size = 0

    def __len__(self) -> int:
        """Return the number of waiting events."""
        return self._size

    def emit(self, name: str, **columns: ArrayLike) -> None:
        """Add a batch; a batch that would exceed the limit is dropped whole and counted. Arrays are copied.

        Raises:
            WorldError: the columns are not flat or not equally long, or there are none.
        """
        arrays = {key: np.atleast_1d(np.array(values)) for key, values in columns.items()}
        lengths = {array.shape for array in arrays.values()}
        if len(lengths) != 1 or any(len(shape) != 1 for shape in lengths):
            raise WorldError(f"event {name!r}: columns must be flat and equally long, not {sorted(lengths)}")
        size = next(iter(lengths))[0]
        if size == 0:
            return
        if self._size + size > self.limit:
            self.dropped += size
            return
        self._size += size
        self._events.append(Event(name, arrays))

    def drain(self) -> list[Event]:
        """Take all batches, in the order they were emitted."""
        events = list(self._events)
        self.clear()
        return events

    def clear(self) -> None:
        """Discard the waiting events."""
        self._events.clear()
        self._size = 0
