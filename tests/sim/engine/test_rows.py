"""Keys lead to the rows of the living, and to nobody else."""

from __future__ import annotations

import sim.engine.rows


def test_rows_of_knows_the_living_only(five):
    """The dead, the unborn and nonsense have row -1."""
    five.kill([1])
    five.flush()
    assert five.rows_of([4, 0, 1, 5, -1, 2**62]).tolist() == [3, 0, -1, -1, -1, -1]
    assert five.row_of(2) == 1
    assert five.row_of(-1) == five.row_of(10**30) == -1


def test_rows_of_works_without_the_dense_index(five, monkeypatch):
    """Where keys are too large for an array, a search gives the same answers."""
    monkeypatch.setattr(sim.engine.rows, "DENSE_KEYS_MAX", 100)
    five.spawn({}, keys=[1000])
    five.kill([0])
    five.flush()
    assert five.rows_of([4, 0, 1000, 999, -1, 5000]).tolist() == [3, -1, 4, -1, -1, -1]
    five.check()
    five.kill(slice(None))
    five.flush()
    assert five.rows_of([1000]).tolist() == [-1]
