"""Births, deaths and changes of membership: checked when they are queued, carried out in one order."""

from __future__ import annotations

import numpy as np
import pytest

from sim.errors import WorldError
from tests.sim.engine.small_world import Health, Position, Route, Wealth


def test_spawned_entities_have_defaults_and_given_values(world):
    """A birth sets every column: what is given, one value or one each, and defaults elsewhere."""
    cells = np.zeros((4, 2, 2), dtype=int)
    cells[0] = [[1, 2], [3, 4]]
    world.spawn({Position: {"x": [7, 8]}, Health: {"shield": True}, Route: {"length": 1, "cells": cells}}, count=2)
    world.flush()
    assert world[Position].x.tolist() == [7, 8]
    assert world[Position].y.tolist() == [-1, -1]
    assert world[Health].hp.tolist() == [100, 100]
    assert world[Health].shield.tolist() == [True, True]
    assert world[Route].cells[0].tolist() == [[1, 2], [3, 4]]
    assert world[Position].x.dtype == np.int32


def test_one_inner_array_is_given_to_all(world):
    """A value of the column's own shape goes to every newborn."""
    world.spawn({Route: {"length": 4, "cells": np.arange(8).reshape(4, 2)}}, count=3)
    world.flush()
    assert world[Route].cells[:, :, 2].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({Health: {"hp": 128}}, r"Health\.hp: 128 does not fit int8"),
        ({Health: {"hp": np.array([300, -200])}}, r"Health\.hp: -200 does not fit int8"),
        ({Health: {"hp": 1.5}}, r"Health\.hp: 1\.5 is not an integer"),
        ({Health: {"hp": "x"}}, r"Health\.hp: 'x' is not an integer"),
        ({Health: {"shield": 2}}, r"Health\.shield: 2 does not fit bool"),
        ({Wealth: {"gold": 2**63}}, r"Wealth\.gold: 9223372036854775808 does not fit int64"),
        ({Wealth: {"gold": 2**70}}, r"Wealth\.gold: 1180591620717411303424 does not fit int64"),
        ({Health: {"pain": 1}}, r"Health has no column 'pain', only hp, shield"),
        ({Position: {"x": [1, 2, 3]}}, r"Position\.x: shape \(3,\) is neither \(\) nor \(2,\)"),
        ({Route: {"cells": np.zeros((2, 4, 2), int)}}, r"Route\.cells: shape \(2, 4, 2\)"),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_queues_nothing(world, values, message):
    """Where ndarray would truncate or wrap, a spawn refuses, and the world is as before."""
    with pytest.raises(WorldError, match=message):
        world.spawn(values, count=2)
    assert not world.pending


def test_values_are_copied_when_queued(world):
    """What the caller does with the array after the call is its own business."""
    given = np.array([1, 2], dtype=np.int32)
    world.spawn({Position: {"x": given}}, count=2)
    given[:] = 9
    world.flush()
    assert world[Position].x.tolist() == [1, 2]


def test_births_are_ordered_by_parent_then_call(five):
    """Keys do not depend on which system happened to run first."""
    five.kill([0, 1])
    five.flush()
    five.spawn({Position: {"x": 1}}, like=2)
    five.spawn({Position: {"x": [2, 3]}}, 2, like=[1, 0])
    five.spawn({Position: {"x": 4}}, like=1)
    five.spawn({Position: {"x": [5, 6]}}, 2)
    five.flush()
    assert five[Position].x.tolist() == [20, 30, 40, 5, 6, 3, 2, 4, 1]
    with pytest.raises(WorldError, match="spawn of 3 entities like 2 rows"):
        five.spawn({}, 3, like=[0, 1])
    with pytest.raises(WorldError, match="spawn like: rows 9"):
        five.spawn({}, like=9)


def test_fixed_keys_in_any_order_land_in_key_order_and_others_come_after(world):
    """A file that names its entities decides their keys; the rest gets keys after them."""
    world.spawn({Position: {"x": 1}})
    world.spawn({Position: {"x": [40, 20]}}, count=2, keys=[4, 2])
    world.flush()
    assert world.keys.tolist() == [2, 4, 5]
    assert world[Position].x.tolist() == [20, 40, 1]
    assert world.next_key == 6


def test_births_between_living_keys_are_merged(world):
    """Rows ascend by key even where fixed keys of one flush come in turns, shaped columns included."""
    world.spawn({Position: {"x": 3}, Route: {"length": 2, "cells": np.full((4, 2), 0)}}, keys=[3])
    world.spawn({Position: {"x": 1}, Route: {"length": 1, "cells": [[5, 5], [0, 0], [0, 0], [0, 0]]}}, keys=[1])
    world.flush()
    assert world[Position].x.tolist() == [1, 3]
    assert world[Route].cells[0, 0].tolist() == [5, 0]
    world.check()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([2, 9], "key 2 was given before"),
        ([-1, 9], "key -1 was given before"),
        ([9, 9], "given twice"),
        ([7, 9], "given twice"),
        ([9], r"\(1,\) keys for 2 entities"),
        ([2**63 - 1, 9], "leaves no next key"),
        ([1.5, 9], "keys: 1.5 is not an integer"),
    ],
)
def test_a_key_is_given_once(five, keys, message):
    """No key is reused, passed over and then used, or given twice in a flush."""
    five.spawn({}, keys=[7])
    with pytest.raises(WorldError, match=message):
        five.spawn({}, count=2, keys=keys)
    five.flush()
    assert five.keys.tolist() == [0, 1, 2, 3, 4, 7]


def test_keys_of_the_dead_never_come_back(five):
    """A stale reference never points at somebody else."""
    five.kill_keys([3, 4])
    five.flush()
    five.spawn({})
    five.flush()
    assert five.keys.tolist() == [0, 1, 2, 5]
    with pytest.raises(WorldError, match="given before"):
        five.spawn({}, keys=[4])


def test_killing_twice_is_killing_once_and_order_is_kept(five):
    """Rows, masks, slices and keys add up to one set of dead."""
    five.kill([1])
    five.kill(np.array([False, True, False, True, False]))
    five.kill(slice(3, 4))
    five.kill_keys([1])
    five.flush()
    assert five.keys.tolist() == [0, 2, 4]
    assert five[Position].x.tolist() == [0, 20, 40]


def test_killing_what_does_not_live_is_an_error_at_once(five):
    """The mistake is reported where it is made, not a tick later."""
    for keys in ([7], [-1], [0, 99]):
        with pytest.raises(WorldError, match="no living entity has key"):
            five.kill_keys(keys)
    for rows in ([5], [-1], np.ones(4, dtype=bool), [0.5]):
        with pytest.raises(WorldError, match="kill"):
            five.kill(rows)
    assert not five.pending


def test_a_flush_of_nothing_changes_nothing(five):
    """Version and views last as long as the structure does."""
    version, view = five.version, five[Position]
    five.kill([])
    five.spawn({}, count=0)
    five.flush()
    assert five.version == version
    assert five[Position] is view


def test_attach_gives_defaults_and_values_and_detach_leaves_zeros(five):
    """Equal states have equal bytes whatever an absent component once held."""
    five.detach([1, 2], Health)
    five.flush()
    assert five[Health].hp.tolist() == [100, 0, 0, 100, 100]
    five.attach([2], Health, {"shield": True})
    five.flush()
    assert five[Health].hp.tolist() == [100, 0, 100, 100, 100]
    assert five[Health].shield.tolist() == [False, False, True, False, False]


def test_membership_commands_apply_in_the_order_they_were_queued(five):
    """The last word counts, also for an entity that dies in the same flush."""
    five.detach(slice(None), Health)
    five.attach([0, 4], Health, {"hp": [1, 2]})
    five.kill([4])
    five.flush()
    assert five.rows(Health).tolist() == [0]
    assert five[Health].hp.tolist() == [1, 0, 0, 0]
    with pytest.raises(WorldError, match="names a row twice"):
        five.attach([0, 0], Health)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda world: world.attach(Health, [0, 1]), r"class is expected, not list; .* attach\(rows, Component\)"),
        (lambda world: world.attach(Health, np.array([0])), "class is expected, not ndarray"),
        (lambda world: world.attach(Health, 1), "class is expected, not int"),
        (lambda world: world.detach(Health, [0]), "class is expected, not list"),
        (lambda world: world.has([0]), "class is expected, not list"),
        (lambda world: world.attach([0], Health, 3), "values of Health by column: a dictionary is expected, not int"),
        (lambda world: world.spawn({Health: [3]}), "values of Health by column: a dictionary is expected, not list"),
        (lambda world: world.spawn(Health), "spawn: components with their values: a dictionary is expected, not type"),
    ],
)
def test_arguments_of_another_kind_are_told(five, call, sentence):
    """Rows and component in the other order, or values that are no dictionary, are one sentence and change nothing."""
    with pytest.raises(WorldError, match=sentence):
        call(five)
    assert not five.pending


def test_an_entity_has_exactly_the_components_that_are_named(five):
    """Nothing comes along: what is not named is absent and reads as zeros."""
    five.spawn({Health: {"hp": 1}, Wealth: {}})
    five.spawn({})
    five.flush()
    assert [five.has(component)[5:].tolist() for component in (Health, Wealth, Position)] == [
        [True, False],
        [True, False],
        [False, False],
    ]
    assert five[Position].y[5:].tolist() == [0, 0]
