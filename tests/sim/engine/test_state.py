"""A world goes back to any of its states, and a fork is a world of its own."""

from __future__ import annotations

import esper
import numpy as np
import pytest

from sim.engine.digest import state_digest
from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import ALL, Board, Health, Position, Route, Wealth, everything


def test_resources_are_listed_by_name_and_names_are_unique(five):
    """Order of addition is not a state."""
    five.add_resource(Board("b"))
    five.add_resource(Board("a"))
    assert list(five.resources) == ["a", "b"]
    for name in ("a", "Position"):
        with pytest.raises(WorldError, match="is taken"):
            five.add_resource(Board(name))


def filled(world):
    world.add_resource(Board())
    world.spawn(everything({Position: {"x": np.arange(5)}}), count=5)
    world.spawn({Position: {}, Route: {"length": 2, "cells": [[1, 1], [2, 2], [0, 0], [0, 0]]}})
    world.flush()
    world.tick = 4
    return world


def scramble(world):
    """Change everything there is."""
    world[Position].x[:] += 50
    world[Route].length[:] = 4
    world[Route].cells[:] = 9
    world.resources["board"].put(0, 99)
    world.kill([0, 1])
    world.spawn(everything(), count=40)
    world.detach([2], Health)
    world.flush()
    world.tick = 5
    world.events.emit("x", key=1)
    world.kill([0])


def test_restore_brings_everything_back(world):
    """After a restore nothing of what came in between is left, also in esper, the queue and the commands."""
    state = filled(world).snapshot()
    before = state_digest(world)
    for _ in range(2):
        scramble(world)
        world.restore(state)
        assert state_digest(world) == before
        assert world.snapshot() == state
        assert (world.tick, world.next_key, len(world.events), world.pending) == (4, 6, 0, False)
        world.check()


def test_restore_into_a_fresh_world_gives_the_same_world(world):
    """A snapshot is complete: hash, keys to come and behaviour after it are equal."""
    state = filled(world).snapshot()
    with World(ALL, capacity=1, debug=True) as other:
        other.add_resource(Board())
        other.restore(state)
        assert state_digest(other) == state_digest(world)
        for each in (world, other):
            each.kill([1])
            each.spawn(everything({Position: {"x": 3}}))
            each.flush()
        assert other.snapshot() == world.snapshot()


def test_a_snapshot_is_a_copy(world):
    """What happens later does not reach into it."""
    state = filled(world).snapshot()
    again = world.snapshot()
    scramble(world)
    assert state == again
    world.restore(state)
    world[Position].x[0] = 9
    assert state == again


@pytest.mark.parametrize(
    "change",
    [
        lambda world: setattr(world, "tick", 9),
        lambda world: world[Position].x.__setitem__(0, 9),
        lambda world: world.resources["board"].put(0, 9),
        lambda world: (world.detach([0], Wealth), world.flush()),
        lambda world: (world.kill([5]), world.flush()),
    ],
)
def test_snapshots_are_equal_when_their_content_is(world, change):
    """Every kind of state is compared."""
    state = filled(world).snapshot()
    assert state == world.snapshot()
    change(world)
    assert state != world.snapshot()
    assert state != "state"


def test_snapshot_and_fork_refuse_waiting_commands(five):
    """Half a change cannot be kept."""
    five.kill([0])
    for call in (five.snapshot, five.fork):
        with pytest.raises(WorldError, match="flush first"):
            call()


def test_restore_refuses_another_declaration(five):
    """Columns of another meaning are not poured in; the message names the difference."""
    state = five.snapshot()
    with (
        World([Position]) as other,
        pytest.raises(WorldError, match=r"with another declaration: component Health is only"),
    ):
        other.restore(state)
    with World(ALL) as other:
        other.add_resource(Board())
        with pytest.raises(WorldError, match="resource board is only here"):
            other.restore(state)


def test_a_fork_is_equal_and_independent(world):
    """Two futures do not touch each other, and a new key in one is not used up in the other."""
    with filled(world).fork() as twin:
        assert state_digest(twin) == state_digest(world)
        before = world.snapshot()
        scramble(twin)
        assert world.snapshot() == before
        world.spawn({})
        world.flush()
        assert world.keys[-1] == 6
        world.check()
        twin.check()


def test_restore_with_unchanged_keys_does_not_touch_esper(five, monkeypatch):
    """Going back a tick costs no per-entity work unless somebody was born or died."""
    state = five.snapshot()
    with World(ALL, esper_entities=True) as mirrored:
        mirrored.restore(state)
        for name in ("create_entity", "delete_entity"):
            monkeypatch.setattr(esper, name, None)
        mirrored.restore(state)
