"""Events come out in order, and a full queue counts what it drops."""

from __future__ import annotations

import numpy as np
import pytest

from sim.engine.events import EventQueue
from sim.errors import WorldError


def test_events_come_out_in_the_order_they_went_in():
    """Observers see what happened as it happened, and emptied queues are empty."""
    queue = EventQueue()
    source = np.array([1, 2])
    queue.emit("hit", target=source, harm=[5, 6])
    queue.emit("die", key=3)
    source[:] = 0
    assert len(queue) == 3
    assert [(e.name, {k: v.tolist() for k, v in e.columns.items()}) for e in queue.drain()] == [
        ("hit", {"target": [1, 2], "harm": [5, 6]}),
        ("die", {"key": [3]}),
    ]
    assert queue.drain() == []


def test_a_full_queue_counts_what_it_drops():
    """The bound holds, and nobody is left to believe that nothing happened."""
    queue = EventQueue(limit=3)
    queue.emit("a", key=[1, 2])
    queue.emit("b", key=[1, 2])
    queue.emit("c", key=[1])
    queue.emit("none", key=[])
    assert [event.name for event in queue.drain()] == ["a", "c"]
    assert queue.dropped == 2
    for columns in ({}, {"a": [1], "b": [1, 2]}, {"a": [[1]]}):
        with pytest.raises(WorldError, match="flat and equally long"):
            queue.emit("bad", **columns)
