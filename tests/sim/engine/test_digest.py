"""A root is a function of state alone, and every part of the state is in it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sim.engine.columns import Component, column, i8, i16, i32
from sim.engine.digest import state_digest
from sim.engine.world import World
from sim.errors import WorldError


class Position(Component):
    x: i32
    y: i32


class Plan(Component):
    length: i8
    kind: i16 = column(shape=(4,), used_by="length")


class Board:
    """A resource with one array."""

    def __init__(self, name="board", size=3, dtype=np.int32):
        self.name = name
        self.cells = np.zeros(size, dtype=dtype)
        self.stamp = 0
        self.asked = 0

    def columns(self):
        self.asked += 1
        return {"cells": self.cells}

    def restore(self, columns):
        self.cells = columns["cells"].copy()
        self.stamp += 1


@pytest.fixture
def world():
    with World([Position, Plan], debug=True) as world:
        world.spawn({Position: {"x": [1, 2, 3]}, Plan: {}}, count=3)
        world.flush()
        yield world


def root(world) -> str:
    return state_digest(world).root


def test_digest_names_every_part_in_declaration_order(world):
    """A divergence can be named: each component, resource and column has its own hash."""
    world.add_resource(Board())
    digest = state_digest(world)
    assert list(digest.components) == ["Position", "Plan", "board"]
    assert list(digest.columns) == ["Position.x", "Position.y", "Plan.length", "Plan.kind", "board.cells"]
    assert {len(text) for text in digest.components.values()} == {16} == {len(digest.root)}
    assert {len(text) for text in digest.columns.values()} == {8}


def test_one_changed_value_changes_its_column_its_component_and_the_root_only(world):
    """The hashes point at what changed."""
    before = state_digest(world)
    world[Position].y[1] += 1
    after = state_digest(world)
    assert [label for label in after.columns if after.columns[label] != before.columns[label]] == ["Position.y"]
    assert [name for name in after.components if after.components[name] != before.components[name]] == ["Position"]
    assert after.root != before.root
    world[Position].y[1] -= 1
    assert state_digest(world) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda world: setattr(world, "tick", 1),
        lambda world: (world.spawn({}), world.flush(), world.kill([3]), world.flush()),
        lambda world: (world.kill([2]), world.flush()),
        lambda world: (world.detach([2], Plan), world.flush()),
        lambda world: world.add_resource(Board()),
    ],
)
def test_every_kind_of_state_is_in_the_root(world, change):
    """Tick, next key, keys, membership and resources cannot change unnoticed."""
    before = root(world)
    change(world)
    assert root(world) != before


def test_two_entities_that_swap_their_state_change_the_root(world):
    """Values are hashed in key order, not as a sum."""
    before = root(world)
    world[Position].x[:] = [2, 1, 3]
    assert root(world) != before


def test_history_is_not_in_the_root():
    """Capacity, spawn order of fixed keys, detours and esper ids are no state."""
    with World([Position]) as straight, World([Position], capacity=1) as crooked:
        straight.spawn({Position: {"x": [5, 6, 7]}}, count=3)
        straight.flush()
        for key in (2, 0, 1):
            crooked.spawn({Position: {"x": 5 + key}}, keys=[key])
        crooked.flush()
        crooked[Position].x[0] = 99
        assert root(straight) != root(crooked)
        crooked[Position].x[0] = 5
        assert state_digest(straight) == state_digest(crooked)


def test_the_kept_hash_is_the_fresh_hash(world):
    """Keeping hashes of unchanged columns gives what hashing everything gives."""
    state_digest(world)
    world[Position].x[0] = 77
    world.kill([1])
    world.flush()
    kept = state_digest(world)
    world.digest_cache = None
    assert state_digest(world) == kept


def test_entries_beyond_those_in_use_are_not_hashed():
    """A world whose plan column once was longer hashes like one whose never was."""
    with World([Plan]) as short, World([Plan]) as shrunk:
        for world in (short, shrunk):
            world.spawn({Plan: {"length": 1, "kind": [3, 0, 0, 0]}})
            world.flush()
        shrunk[Plan].length[0] = 3
        shrunk[Plan].kind[:3, 0] = [3, 4, 5]
        assert root(short) != root(shrunk)
        shrunk[Plan].length[0] = 1
        shrunk[Plan].kind[1:, 0] = 0
        assert state_digest(short) == state_digest(shrunk)


def test_a_length_that_says_more_than_there_is_is_an_error(world):
    """A count of used entries past the column's shape is named, not clipped."""
    world[Plan].length[0] = 5
    with pytest.raises(WorldError, match=r"Plan\.length says that 5 entries of Plan\.kind"):
        state_digest(world)


def test_a_resource_is_hashed_again_when_its_stamp_changes(world):
    """An unchanged stamp costs nothing, a changed one is seen."""
    board = Board()
    world.add_resource(board)
    before = root(world)
    asked = board.asked
    assert root(world) == before
    assert board.asked == asked
    board.cells[0] = 1
    board.stamp += 1
    assert root(world) != before


def test_a_resource_that_takes_its_old_stamp_back_is_not_mistaken(world):
    """A restore forgets kept resource hashes, so that a stamp met again cannot stand for other content."""

    class Careless(Board):
        def restore(self, columns):
            self.cells = columns["cells"].copy()
            self.stamp = 0

    board = Careless()
    world.add_resource(board)
    state = world.snapshot()
    board.cells[0], board.stamp = 1, 1
    first = root(world)
    world.restore(state)
    board.cells[0], board.stamp = 2, 1
    assert root(world) != first


def test_resources_of_floats_merge_zeros_and_refuse_nan(world):
    """-0.0 equals 0.0, so their hashes are equal; NaN equals nothing, so it has none."""
    board = Board(dtype=np.float64)
    world.add_resource(board)
    zero = root(world)
    board.cells[0], board.stamp = -0.0, 1
    assert root(world) == zero
    board.cells[0], board.stamp = np.nan, 2
    with pytest.raises(WorldError, match=r"board\.cells holds NaN"):
        root(world)


def test_resources_without_an_encoding_are_refused(world):
    """Text and objects in a resource's arrays are named, not hashed by address."""
    world.add_resource(Board(dtype=object))
    with pytest.raises(WorldError, match=r"board\.cells is of dtype object"):
        root(world)


def test_the_root_is_the_same_in_another_process_under_another_hash_seed():
    """No set order, address or string hash reaches a root."""
    script = (
        "from sim.engine.columns import Component, boolean, i32\n"
        "from sim.engine.digest import state_digest\n"
        "from sim.engine.world import World\n"
        "class P(Component):\n    x: i32\n    flag: boolean\n"
        "w = World([P])\n"
        "w.spawn({P: {'x': [4, -5]}}, count=2); w.flush()\n"
        "print(state_digest(w).root)\n"
    )
    roots = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert roots == {"157708bf8be5b3a1\n"}
