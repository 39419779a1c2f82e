"""Entities, columns, queries, commands and snapshots keep the promises of `sim.world`."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass
from typing import Annotated

import esper
import numpy as np
import pytest

import sim.rows
import sim.storage
from sim.columns import Column, Component, boolean, column, i8, i16, i32, i64, schema_of
from sim.digest import state_digest
from sim.entity import EntityView
from sim.errors import WorldError
from sim.events import EventQueue
from sim.world import System, World


class Position(Component):
    x: i32
    y: i32 = column(default=-1)


class Health(Component):
    hp: i8 = column(default=100)
    shield: boolean


class Route(Component):
    length: i8
    cells: i16 = column(shape=(4, 2), used_by="length")


class Wealth(Component):
    gold: i64


@dataclass
class Memory:
    note: str
    seen: list[int]


@dataclass
class Feeling:
    joy: float


class Board:
    def __init__(self, name="board"):
        self.name = name
        self.stamp = 0
        self.cells = np.arange(3, dtype=np.int16)

    def columns(self):
        return {"cells": self.cells}

    def put(self, place, value):
        self.cells[place] = value
        self.stamp += 1

    def restore(self, columns):
        self.cells = columns["cells"].copy()
        self.stamp += 1


ALL = (Position, Health, Route, Wealth)


@pytest.fixture
def world():
    with World(ALL, objects=[Memory], debug=True) as world:
        yield world


@pytest.fixture
def five(world):
    """Five entities, keys 0 to 4, x = 10 * key."""
    world.spawn({Position: {"x": np.arange(5) * 10}}, count=5)
    world.flush()
    return world


def test_a_schema_knows_dtype_shape_default_and_label():
    """What is declared can be read back."""
    length, cells = schema_of(Route).columns
    assert (length.label, length.dtype, length.shape, length.default) == ("Route.length", np.int8, (), 0)
    assert (cells.label, cells.dtype, cells.shape, cells.used_by) == ("Route.cells", np.int16, (4, 2), "length")


def declare(annotation, default=None):
    body = {"__annotations__": {"value": annotation}, "__module__": __name__}
    if default is not None:
        body["value"] = default
    return type("Bad", (Component,), body)


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (int, None, r"Bad\.value is annotated .*int"),
        ("float", None, r"Bad\.value is annotated"),
        ("i31", None, r"Bad has an annotation that cannot be resolved.*i31"),
        (Annotated[object, Column(np.float32)], None, r"Bad\.value is of dtype float32"),
        (Annotated[object, Column(np.uint8)], None, r"Bad\.value is of dtype uint8"),
        (i8, 5, r"Bad\.value = 5: say column\(default=5\)"),
        (i8, column(default=200), r"Bad\.value default: 200 does not fit int8"),
        (i8, column(shape=(0,)), r"Bad\.value: shape \(0,\)"),
        (i8, column(shape=(2,), used_by="other"), r"used_by='other' is not a flat integer column"),
        (i8, column(shape=(2,), used_by="value"), r"used_by='value' is not a flat integer column"),
    ],
)
def test_a_malformed_column_is_an_error_that_names_class_and_field(annotation, default, message):
    """A wrong declaration fails where it is written."""
    with pytest.raises(WorldError, match=message):
        declare(annotation, default)


def test_used_by_needs_a_shape_and_zero_default():
    """Entries beyond those in use are zeros, so their default cannot be anything else."""
    with pytest.raises(WorldError, match="needs a shape and the default 0"):

        class Bad(Component):
            length: i8
            cells: i8 = column(default=1, shape=(2,), used_by="length")


def test_a_component_without_columns_or_with_private_ones_is_refused():
    """Empty marks and names that attribute access would hide are told apart from typos."""
    with pytest.raises(WorldError, match="declares no column"):
        type("Mark", (Component,), {"__module__": __name__})
    with pytest.raises(WorldError, match="underscore"):
        type("Hidden", (Component,), {"__annotations__": {"_x": i8}, "__module__": __name__})


def test_a_component_is_never_an_instance():
    """Values live in columns; making an object of a schema says where to put them."""
    with pytest.raises(WorldError, match=r"World\.spawn"):
        Position()


def test_markers_are_found_where_only_a_function_imported_them():
    """A class made inside a function may use markers its module does not have."""
    body = {"__annotations__": {"value": "i16"}, "__module__": "sim.errors"}
    assert schema_of(type("Local", (Component,), body)).columns[0].dtype == np.int16


def test_two_components_of_one_name_and_plain_classes_as_objects_are_refused():
    """Names are what digests and snapshots go by."""
    twin = type("Position", (Component,), {"__annotations__": {"x": i8}, "__module__": __name__})
    with pytest.raises(WorldError, match="two components are called Position"):
        World([Position, twin])
    with pytest.raises(WorldError, match="not a dataclass"):
        World([Position], objects=[int])
    with pytest.raises(WorldError, match="is not a component"):
        World([Memory])


def test_an_undeclared_component_is_an_error_that_says_how_to_declare_it(five):
    """Nothing lives in a world that its hash does not know."""

    class Extra(Component):
        x: i8

    for call in (lambda: five[Extra], lambda: five.query(Extra), lambda: five.spawn({Extra: {}})):
        with pytest.raises(WorldError, match=r"Extra is not declared.*World\(\[\.\.\., Extra\]\)"):
            call()
    with pytest.raises(WorldError, match=r"World\(\.\.\., objects=\[Feeling\]\)"):
        five.attach_object(0, Feeling(0.5))


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


def test_births_are_ordered_by_issuer_then_call(world):
    """Keys do not depend on which system happened to run first."""
    world.spawn({Position: {"x": 1}}, issuer=9)
    world.spawn({Position: {"x": 2}}, issuer=3)
    world.spawn({Position: {"x": 3}}, issuer=9)
    world.spawn({Position: {"x": 4}}, issuer=3)
    world.flush()
    assert world[Position].x.tolist() == [2, 4, 1, 3]


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


def test_keys_and_query_results_are_read_only(five):
    """A caller cannot change what other callers will get."""
    five.detach([0], Wealth)
    five.flush()
    for array in (five.keys, five.query(Wealth)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3


def test_a_query_is_a_slice_when_everybody_has_the_components(five):
    """Full-column work needs no index."""
    assert five.query(Position, Health) == slice(0, 5)
    assert five.query() == slice(0, 5)


def test_a_query_is_ascending_rows_otherwise_and_kept_per_version(five):
    """Queries are cheap to repeat and in key order."""
    five.spawn({}, count=2, components=[Position])
    five.detach([1], Health)
    five.flush()
    rows = five.query(Position, Health)
    assert rows.tolist() == [0, 2, 3, 4]
    assert five.query(Position, Health) is rows
    assert five.query(Position) == slice(0, 7)
    assert five.has(Health).tolist() == [True, False, True, True, True, False, False]
    five.kill([6, 5, 1])
    five.flush()
    assert five.query(Position, Health) == slice(0, 4)


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
    assert five.query(Health).tolist() == [0]
    assert five[Health].hp.tolist() == [1, 0, 0, 0]
    with pytest.raises(WorldError, match="names a row twice"):
        five.attach([0, 0], Health)


def test_spawn_without_a_component_refuses_its_values(world):
    """Values for an absent component would be lost."""
    with pytest.raises(WorldError, match="not among the components"):
        world.spawn({Health: {"hp": 1}}, components=[Position])


def test_rows_of_knows_the_living_only(five):
    """The dead, the unborn and nonsense have row -1."""
    five.kill([1])
    five.flush()
    assert five.rows_of([4, 0, 1, 5, -1, 2**62]).tolist() == [3, 0, -1, -1, -1, -1]
    assert five.row_of(2) == 1
    assert five.row_of(-1) == five.row_of(10**30) == -1


def test_rows_of_works_without_the_dense_index(five, monkeypatch):
    """Where keys are too large for an array, a search gives the same answers."""
    monkeypatch.setattr(sim.rows, "DENSE_KEYS_MAX", 100)
    five.spawn({}, keys=[1000])
    five.kill([0])
    five.flush()
    assert five.rows_of([4, 0, 1000, 999, -1, 5000]).tolist() == [3, -1, 4, -1, -1, -1]
    five.check()
    five.kill(slice(None))
    five.flush()
    assert five.rows_of([1000]).tolist() == [-1]


def test_an_entity_view_reads_and_writes_python_values(five):
    """One entity at a time is comfortable, and as strict as a spawn."""
    entity = five.entity(3)
    assert entity[Position].x == 30
    entity[Health].hp = 5
    entity[Health].shield = True
    assert five[Health].hp.tolist() == [100, 100, 100, 5, 100]
    assert entity[Health].shield is True
    entity[Route].length = 1
    entity[Route].cells[0] = [7, 8]
    assert five[Route].cells[0, :, 3].tolist() == [7, 8]
    entity[Route].cells = np.zeros((4, 2), dtype=int)
    assert not five[Route].cells.any()


@pytest.mark.parametrize(
    ("value", "message"),
    [(1.5, "1.5 is not an integer"), (128, "128 does not fit int8"), ([1, 2], r"shape \(2,\) is not \(\)")],
)
def test_an_entity_view_refuses_what_does_not_fit(five, value, message):
    """No truncation and no wrapping by assignment."""
    with pytest.raises(WorldError, match=message):
        five.entity(0)[Health].hp = value
    assert five.entity(0)[Health].hp == 100


def test_an_entity_view_follows_its_key_until_death(five):
    """The view is of the entity, not of a row."""
    entity = five.entity(3)
    five.kill([0, 1])
    five.detach([4], Health)
    five.flush()
    assert entity[Position].x == 30
    with pytest.raises(WorldError, match="entity 4 has no Health"):
        _ = five.entity(4)[Health]
    with pytest.raises(WorldError, match="no column 'pain'"):
        _ = entity[Health].pain
    five.kill_keys([3])
    five.flush()
    assert not entity.alive
    assert "dead" in repr(entity)
    with pytest.raises(WorldError, match="no living entity has key 3"):
        _ = entity[Position].x
    with pytest.raises(WorldError, match="no living entity has key 3"):
        five.entity(3)


def test_a_world_hands_out_the_entity_view_it_was_given():
    """Other parts add properties by subclassing."""

    class Named(EntityView):
        @property
        def label(self):
            return f"agent {self.key}"

    with World([Position], entity_view=Named) as world:
        world.spawn({})
        world.flush()
        assert world.entity(0).label == "agent 0"
        with world.fork() as twin:
            assert twin.entity(0).label == "agent 0"


def test_scatter_add_sums_what_falls_on_one_row(five):
    """Damage from several sides is summed, where fancy indexing keeps one blow."""
    five.scatter_add(five[Health].hp, [1, 1, 3, 1], np.array([-10, -20, -5, 1]))
    assert five[Health].hp.tolist() == [100, 71, 100, 95, 100]
    five.scatter_add(five[Position].x, five[Position].x > 20, 1)
    assert five[Position].x.tolist() == [0, 10, 20, 31, 41]


def test_scatter_add_checks_the_sum_not_the_bound(five):
    """Large terms that cancel are fine; a sum that does not fit changes nothing and names the column."""
    hp = five[Health].hp
    five.scatter_add(hp, [0, 0, 1], [100, -120, 20])
    assert hp.tolist() == [80, 120, 100, 100, 100]
    with pytest.raises(WorldError, match=r"Health\.hp: 140 does not fit int8"):
        five.scatter_add(hp, [1, 1], [10, 10])
    assert hp.tolist() == [80, 120, 100, 100, 100]
    gold = five[Wealth].gold
    five.scatter_add(gold, [0], [2**63 - 1])
    with pytest.raises(WorldError, match=r"Wealth\.gold: 9223372036854775808"):
        five.scatter_add(gold, [0, 1], [1, 1])
    assert gold.tolist() == [2**63 - 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        ([-1], [1], r"Health\.hp: rows -1\.\.-1"),
        ([5], [1], r"rows 5\.\.5 are not in 0\.\.4"),
        ([0], [0.5], r"0\.5 is not an integer"),
        ([0, 1, 2], [1, 2], r"\(2,\) values for 3 rows"),
    ],
)
def test_scatter_add_refuses_rows_and_values_that_make_no_sense(five, rows, values, message):
    """-1, which means nobody, does not hit the last entity."""
    with pytest.raises(WorldError, match=message):
        five.scatter_add(five[Health].hp, rows, values)


def test_scatter_add_needs_a_flat_integer_column(five):
    """Inner dimensions and flags are refused; nothing to add is fine."""
    for array in (five[Route].cells, five[Health].shield):
        with pytest.raises(WorldError, match="flat integer column"):
            five.scatter_add(array, [0], 1)
    five.scatter_add(five[Health].hp, [], [])


def test_the_lowest_row_wins_a_claim_however_claims_are_ordered(five):
    """Conflicts are settled by key, not by order; later claims start afresh."""
    targets, claimants = np.array([8, 3, 8, 8]), np.array([4, 2, 1, 3])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        won = five.claim(targets[order], claimants[order], size=9)
        assert claimants[order][won].tolist() == sorted([2, 1], key=claimants[order].tolist().index)
    assert five.claim(np.array([8]), np.array([4]), size=9).tolist() == [True]
    assert five.claim(np.array([], int), np.array([], int), size=9).tolist() == []


def test_claims_out_of_range_are_refused(five):
    """A claim off the map is an error, not a claim on another cell."""
    for targets, claimants in (([-1], [0]), ([9], [0]), ([1, 2], [0])):
        with pytest.raises(WorldError):
            five.claim(np.array(targets), np.array(claimants), size=9)


def test_objects_belong_to_keys_and_die_with_them(five):
    """User code that is not hot may use plain dataclasses."""
    for key in (3, 1):
        five.attach_object(key, Memory(f"of {key}", [key]))
    assert [key for key, _ in five.objects(Memory)] == [1, 3]
    assert five.object(3, Memory).note == "of 3"
    assert five.entity(3)[Memory].seen == [3]
    five.detach_object(1, Memory)
    five.kill_keys([3])
    five.flush()
    assert five.objects(Memory) == []
    for call in (lambda: five.object(1, Memory), lambda: five.detach_object(1, Memory)):
        with pytest.raises(WorldError, match="entity 1 has no Memory"):
            call()


def test_objects_without_an_encoding_or_an_owner_are_refused(five):
    """What could not be hashed or would belong to nobody does not come in."""
    with pytest.raises(WorldError, match=r"Memory\.seen holds a set"):
        five.attach_object(0, Memory("x", {1}))
    with pytest.raises(WorldError, match="no living entity has key 9"):
        five.attach_object(9, Memory("x", []))


def test_one_float_makes_a_world_exact(five):
    """The domain follows declarations, values and resources."""
    assert five.domain == "portable"
    five.attach_object(0, Memory("x", [0.5]))
    assert five.domain == "exact"
    with World([Position], objects=[Feeling]) as world:
        assert world.domain == "exact"
    with World([Position]) as world:
        board = Board()
        world.add_resource(board)
        assert world.domain == "portable"
        board.cells = board.cells / 2
        assert world.domain == "exact"


def test_resources_are_listed_by_name_and_names_are_unique(five):
    """Order of addition is no state."""
    five.add_resource(Board("b"))
    five.add_resource(Board("a"))
    assert list(five.resources) == ["a", "b"]
    for name in ("a", "Position", "Memory"):
        with pytest.raises(WorldError, match="is taken"):
            five.add_resource(Board(name))


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


def filled(world):
    world.add_resource(Board())
    world.spawn({Position: {"x": np.arange(5)}}, count=5)
    world.spawn({Route: {"length": 2, "cells": [[1, 1], [2, 2], [0, 0], [0, 0]]}}, components=[Position, Route])
    world.flush()
    world.attach_object(2, Memory("m", [1]))
    world.tick = 4
    return world


def scramble(world):
    """Change everything there is."""
    world[Position].x[:] += 50
    world[Route].length[:] = 4
    world[Route].cells[:] = 9
    world.resources["board"].put(0, 99)
    world.object(2, Memory).seen.append(2)
    world.kill([0, 1])
    world.spawn({}, count=40)
    world.detach([2], Health)
    world.flush()
    world.attach_object(7, Memory("n", []))
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
    with World(ALL, objects=[Memory], capacity=1, debug=True) as other:
        other.add_resource(Board())
        other.restore(state)
        assert state_digest(other) == state_digest(world)
        for each in (world, other):
            each.kill([1])
            each.spawn({Position: {"x": 3}})
            each.flush()
        assert other.snapshot() == world.snapshot()


def test_a_snapshot_is_a_copy(world):
    """What happens later does not reach into it, nor does it lend out its own objects."""
    state = filled(world).snapshot()
    again = world.snapshot()
    scramble(world)
    assert state == again
    world.restore(state)
    world.object(2, Memory).seen.append(9)
    assert state == again


@pytest.mark.parametrize(
    "change",
    [
        lambda world: setattr(world, "tick", 9),
        lambda world: world[Position].x.__setitem__(0, 9),
        lambda world: world.object(2, Memory).seen.append(1),
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
    with World([Position]) as other, pytest.raises(WorldError, match=r"declared otherwise.*Health\.hp"):
        other.restore(state)
    with World(ALL, objects=[Memory]) as other:
        other.add_resource(Board())
        with pytest.raises(WorldError, match="has resources"):
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
    for name in ("create_entity", "delete_entity", "switch_world"):
        monkeypatch.setattr(esper, name, None)
    five.restore(state)


class Recorder(System):
    def process(self, world, frame):
        frame.append(self.name)


class First(Recorder):
    reads = (Position,)


class Second(Recorder):
    name = "the second"
    priority = 99


class Third(Recorder):
    pass


def test_systems_run_in_the_installed_order_and_are_reported(five):
    """Order is the schedule's, whatever priorities say, also over several installs."""
    five.install([First(), Second()])
    five.install([Third()])
    frame, done = [], []
    five.process(frame, done.append)
    five.process(frame)
    assert frame == ["first", "the second", "third"] * 2
    assert done == ["first", "the second", "third"]
    assert [system.name for system in five.systems] == done


def test_a_system_or_name_twice_is_refused(five):
    """esper loses one of two processors of a type."""
    five.install([First()])
    with pytest.raises(WorldError, match="installed twice"):
        five.install([First()])

    class Other(Recorder):
        name = "first"

    with pytest.raises(WorldError, match="installed twice"):
        five.install([Other()])
    assert len(five.systems) == 1


def test_an_error_in_a_system_leaves_a_usable_world(five):
    """After an exception the world can be restored and run again, and esper's context is the old one."""

    class Broken(System):
        def process(self, world, frame):
            world.kill([0])
            if frame is None:
                raise ValueError("mine")

    five.install([Broken()])
    state = five.snapshot()
    with pytest.raises(ValueError, match="mine"):
        five.process(None)
    assert esper.current_world == "default"
    five.restore(state)
    five.process([])
    assert five.pending


def test_contexts_nest_and_are_left_after_exceptions():
    """Two worlds live side by side, and a block in one may open the other."""
    with World([Position], name="a") as a, World([Position], name="b") as b:
        with a.active():
            mine = esper.current_world
            with b.active(), a.active():
                assert esper.current_world == mine
            assert esper.current_world == mine
            with pytest.raises(KeyError), b.active():
                raise KeyError
            assert esper.current_world == mine
        assert esper.current_world == "default"


def test_a_closed_world_leaves_no_context_and_takes_no_calls():
    """Contexts do not pile up."""
    before = set(esper.list_worlds())
    world = World([Position])
    (context,) = set(esper.list_worlds()) - before
    with pytest.raises(WorldError, match="inside active"), world.active():
        world.close()
    world.close()
    world.close()
    assert context not in esper.list_worlds()
    with pytest.raises(WorldError, match="is closed"):
        world.active().__enter__()


def test_a_forgotten_world_takes_its_context_along():
    """A world that is dropped without close() is cleaned up, even where its context was left current."""
    before = set(esper.list_worlds())
    world = World([Position])
    world.install([Recorder()])
    world.process([])
    (context,) = set(esper.list_worlds()) - before
    esper.switch_world(context)
    del world
    gc.collect()
    assert context not in esper.list_worlds()
    assert esper.current_world == "default"


def test_another_thread_is_refused(five):
    """esper has one global context and no locks."""
    errors = []

    def work():
        for call in (five.flush, lambda: five.process(None), lambda: five.active().__enter__()):
            try:
                call()
            except WorldError as error:
                errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(errors) == 3
    assert all("another thread" in error for error in errors)


def corrupt_esper(world):
    with world.active():
        esper.create_entity()


def corrupt_row(world):
    with world.active():
        esper.add_component(next(iter(esper.get_entities())), Memory("x", []))


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (corrupt_esper, "too many or too few"),
        (corrupt_row, "does not carry exactly its Row"),
        (lambda world: world._rows.keys.__setitem__(1, 9), "do not ascend"),
        (lambda world: world._rows.keys.__setitem__(4, 9), "not in 0"),
        (lambda world: world._rows._dense.__setitem__(1, 3), "key to row is wrong"),
        (lambda world: world._rows._dense.__setitem__(5, 3), "knows the dead"),
        (lambda world: world[Route].cells.__setitem__((2, 0, 0), 3), r"Route\.cells is not zero beyond Route\.length"),
        (lambda world: world[Wealth].gold.__setitem__(0, 3), r"Wealth\.gold is not zero where Wealth is absent"),
    ],
)
def test_check_finds_what_would_break_the_promises(five, corrupt, message):
    """Debug mode names the invariant that does not hold."""
    five.detach([0], Wealth)
    five.flush()
    five.check()
    corrupt(five)
    with pytest.raises(WorldError, match=message):
        five.check()


def test_many_rows_move_as_few_do(monkeypatch):
    """A flush moves large worlds in another way than small ones, with the same result."""
    results = []
    for few in (0, 10**9):
        monkeypatch.setattr(sim.storage, "FEW_ROWS", few)
        with World(ALL, debug=True) as world:
            cells = np.arange(4 * 2 * 50).reshape(4, 2, 50)
            world.spawn({Route: {"length": 4, "cells": cells}}, count=50, keys=np.arange(49, -1, -1))
            world.spawn({}, count=10, components=[Position])
            world.flush()
            world.kill(np.arange(60) % 7 == 2)
            world.flush()
            results.append(world.snapshot())
    assert results[0] == results[1]
