"""Columns grow and move with their rows, and views of them are never stale unnoticed."""

from __future__ import annotations

import numpy as np
import pytest

import sim.engine.rows
import sim.engine.storage
from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import ALL, Health, Position, Route, Wealth, everything


def test_storage_grows_and_everything_moves_along(world):
    """Growing past the capacity keeps all values."""
    for start in range(0, 300, 100):
        world.spawn({Position: {"x": np.arange(start, start + 100)}}, count=100)
        world.flush()
        world.kill(world[Position].x % 3 == 1)
        world.flush()
    assert world[Position].x.tolist() == [x for x in range(300) if x % 3 != 1]


def test_a_view_is_a_column_and_in_place_arithmetic_writes_into_it(five):
    """`view.x += 1` and `view.x[rows] += 1` are how systems write."""
    position = five[Position]
    position.x += 1
    position.x[[0, 2]] += 100
    assert five[Position].x.tolist() == [101, 11, 121, 31, 41]


def test_replacing_a_column_is_refused(five):
    """An assignment that would write into nothing is an error that says what to write."""
    with pytest.raises(WorldError, match=r"view\.x\[\.\.\.\] = values"):
        five[Position].x = np.zeros(5, dtype=np.int32)
    with pytest.raises(AttributeError, match="no column 'z'"):
        _ = five[Position].z


def test_a_stale_view_raises_and_a_fresh_one_is_right(five):
    """Nobody reads or writes a column that has moved."""
    old = five[Position]
    array = old.x
    five.kill([0])
    five.flush()
    with pytest.raises(WorldError, match="before the last flush"):
        _ = old.x
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    assert five[Position].x.tolist() == [10, 20, 30, 40]


def test_keys_and_rows_are_read_only(five):
    """A caller cannot change what other callers will get."""
    five.detach([0], Wealth)
    five.flush()
    for array in (five.keys, five.rows(Wealth)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3


def test_rows_are_all_rows_when_everybody_has_the_components(five):
    """No components, and those that all have, give every row."""
    assert five.rows(Position, Health).tolist() == five.rows().tolist() == [0, 1, 2, 3, 4]


def test_rows_ascend_and_are_kept_per_version(five):
    """They are cheap to ask for again and in key order."""
    five.spawn({Position: {}}, count=2)
    five.detach([1], Health)
    five.flush()
    rows = five.rows(Position, Health)
    assert rows.tolist() == [0, 2, 3, 4]
    assert five.rows(Position, Health) is rows
    assert five.rows(Position).tolist() == list(range(7))
    assert five.has(Health).tolist() == [True, False, True, True, True, False, False]
    five.kill([6, 5, 1])
    five.flush()
    assert five.rows(Position, Health).tolist() == [0, 1, 2, 3]


def test_many_rows_move_as_few_do(monkeypatch):
    """A flush moves large worlds in another way than small ones, with the same result."""
    results = []
    for few in (0, 10**9):
        monkeypatch.setattr(sim.engine.storage, "FEW_ROWS", few)
        with World(ALL, debug=True) as world:
            cells = np.arange(4 * 2 * 50).reshape(4, 2, 50)
            world.spawn(everything({Route: {"length": 4, "cells": cells}}), count=50, keys=np.arange(49, -1, -1))
            world.spawn({Position: {}}, count=10)
            world.flush()
            world.kill(np.arange(60) % 7 == 2)
            world.flush()
            results.append(world.snapshot())
    assert results[0] == results[1]
