"""Declared resources: one instance in each world, hashed, copied and restored without anybody keeping books."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pytest

from sim.engine.columns import Component, boolean, column, f64, i8, i16, i32, i64
from sim.engine.digest import state_digest
from sim.engine.resources import Resource
from sim.engine.system import System
from sim.engine.world import World
from sim.errors import WorldError

GOODS = ("bread", "fish")


class Season(StrEnum):
    SUMMER = "summer"
    WINTER = "winter"


class Grass(Resource):
    left: i16 = column(per="cell", default=3)
    kind: i8 = column(per="cell", shape=(2,))


class Clock(Resource):
    hour: i32 = column(default=6)
    season: Season
    price: float = column(scale=100, default=1.25)
    open: boolean

    def noon(self):
        self.hour = 12


class Prices(Resource):
    price: i64 = column(per="goods", scale=100, default=2)


class Smoke(Resource, rows=4):
    cell: i32
    until: i16 = column(default=9)
    offset: i8 = column(shape=(2,))


class Walker(Component):
    cell: i32


ALL = (Grass, Clock, Prices, Smoke)


def world_of(**options):
    return World([Walker], resources=ALL, tables={"goods": GOODS}, sizes={"cell": 6}, debug=True, **options)


@pytest.fixture
def field():
    """A world with every shape of resource."""
    with world_of() as world:
        yield world


def test_a_resource_starts_with_its_defaults(field):
    """Shapes follow cells, names and rows; values are the declared defaults."""
    assert (field[Grass].left.tolist(), field[Grass].left.dtype.name) == ([3] * 6, "int16")
    assert field[Grass].kind.shape == (6, 2)
    assert field[Prices].price.tolist() == [200, 200]
    assert (field[Smoke].count, field[Smoke].cell.shape, field[Smoke].offset.shape) == (0, (0,), (2, 0))
    clock = field[Clock]
    assert (int(clock.hour), int(clock.season), int(clock.price), bool(clock.open)) == (6, 0, 125, False)
    assert list(field.resources) == ["Clock", "Grass", "Prices", "Smoke"]


def test_a_single_value_is_assigned_and_counted_up(field):
    """A clock reads like a number, and takes what its column takes."""
    clock = field[Clock]
    clock.hour += 1
    assert clock.hour == 7
    clock.noon()
    clock.season, clock.price, clock.open = Season.WINTER, 0.005, True
    assert [int(each) for each in (clock.hour, clock.season, clock.price, clock.open)] == [12, 1, 1, 1]
    field[Clock].hour[...] = 13
    assert field[Clock].hour > 12


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda w: setattr(w[Clock], "hour", 2**40), r"Clock\.hour: 1099511627776 does not fit int32"),
        (lambda w: setattr(w[Clock], "hour", 1.5), r"Clock\.hour: 1\.5 is not an integer"),
        (lambda w: setattr(w[Clock], "season", "spring"), r"Clock\.season: 'spring' is not one of Season\.SUMMER"),
        (lambda w: setattr(w[Clock], "hour", [1, 2]), r"Clock\.hour: shape \(2,\) is not \(\)"),
        (lambda w: setattr(w[Clock], "minute", 5), r"Clock has no column 'minute', only hour, season, price, open"),
        (lambda w: setattr(w[Grass], "left", 0), r"write into the column: Grass\.left\[\.\.\.\] = values"),
        (lambda w: w[Clock].add(), "Clock has no rows; declare it with rows="),
        (lambda w: w[Clock].count, "Clock has no rows"),
        (lambda w: w[Smoke].add(5), "Smoke holds at most 4 rows; 5 more than 0 do not fit"),
        (lambda w: w[Smoke].add(-1), r"Smoke\.add: count: -1 is not in 0\.\."),
        (lambda w: w[Smoke].add(2, cell=[1, 2, 3]), r"Smoke\.cell: shape \(3,\) is neither \(\) nor \(2,\)"),
        (lambda w: w[Smoke].add(2, cell=2**40), r"Smoke\.cell: .* does not fit int32"),
        (lambda w: w[Smoke].add(place=2), "Smoke has no column 'place', only cell, until, offset"),
        (lambda w: w[Smoke].remove([0]), r"Smoke\.remove: rows 0\.\.0 are not in 0\.\.-1"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(field, write, message):
    """Each refusal names the resource, the column and what it holds."""
    before = state_digest(field)
    with pytest.raises(WorldError, match=message):
        write(field)
    assert state_digest(field) == before


def test_rows_come_and_go_in_a_stable_order(field):
    """New rows stand behind the others, and those that stay keep their order."""
    smoke = field[Smoke]
    smoke.add(3, cell=[5, 6, 7], offset=[1, 2])
    smoke.add(cell=8, until=1)
    assert (smoke.count, smoke.cell.tolist(), smoke.until.tolist()) == (4, [5, 6, 7, 8], [9, 9, 9, 1])
    assert smoke.offset.tolist() == [[1, 1, 1, 0], [2, 2, 2, 0]]
    old = smoke.cell
    smoke.remove(smoke.cell % 2 == 0)
    assert (smoke.cell.tolist(), old.tolist()) == ([5, 7], [5, 6, 7, 8])
    smoke.cell[0] = 50
    smoke.cell += 1
    assert field[Smoke].cell.tolist() == [51, 8]
    smoke.remove([0, 0])
    smoke.remove(slice(None))
    assert smoke.count == 0
    assert smoke.offset.shape == (2, 0)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Grass", lambda w: w[Grass].left.__setitem__(5, 1)),
        ("Grass", lambda w: np.add.at(w[Grass].left, [2, 2], -1)),
        ("Grass", lambda w: w.scatter_add(w[Grass].left, [2, 2], -1)),
        ("Clock", lambda w: setattr(w[Clock], "hour", 7)),
        ("Prices", lambda w: w[Prices].price.__setitem__(1, 3)),
        ("Smoke", lambda w: w[Smoke].add()),
    ],
)
def test_a_change_is_seen_without_being_told(field, name, change):
    """Whichever way a value is written, the next digest and snapshot have it, and an old snapshot does not."""
    digest, state = state_digest(field), field.snapshot()
    assert state_digest(field) == digest
    change(field)
    after = state_digest(field)
    changed = {each for each, value in after.components.items() if value != digest.components[each]}
    assert changed == {name}
    assert field.snapshot() != state
    field.restore(state)
    assert (state_digest(field), field.snapshot()) == (digest, state)


def test_a_fork_and_another_world_take_it_over(field):
    """A fork has its own arrays, and a state goes into a fresh world."""
    field[Grass].left[:] = range(6)
    field[Smoke].add(2, cell=[4, 5])
    field[Clock].hour = 9
    state = field.snapshot()
    with field.fork() as twin, world_of() as other:
        other.restore(state)
        assert state_digest(twin) == state_digest(field) == state_digest(other)
        twin[Grass].left[0] = 7
        twin[Smoke].remove(0)
        assert field.snapshot() == state == other.snapshot()
        assert twin.snapshot() != state


def test_an_array_may_be_kept_between_ticks_of_one_shape(field):
    """A restore writes into the arrays of cells and names, so that they stay those of the resource."""
    state, left = field.snapshot(), field[Grass].left
    left[0] = 1
    field.restore(state)
    assert left.tolist() == field[Grass].left.tolist() == [3] * 6
    left[1] = 2
    assert field[Grass].left[1] == 2


class Grow(System):
    def process(self, world, run):
        grass = world[Grass]
        grass.left[grass.left < 5] += 1
        world[Clock].hour += 1


def test_systems_change_resources(field):
    """A system reaches a resource as it reaches a component."""
    field.install([Grow()])
    for _ in range(3):
        field.process(None)
    assert (field[Grass].left.tolist(), int(field[Clock].hour)) == ([5] * 6, 9)


def test_scatter_add_names_a_resource(field):
    """What does not fit is named as for a component."""
    with pytest.raises(WorldError, match=r"Grass\.left: 32771 does not fit int16"):
        field.scatter_add(field[Grass].left, [1, 1], 2**14 - 1 + 1)
    with pytest.raises(WorldError, match=r"Grass\.left: rows 6\.\.6"):
        field.scatter_add(field[Grass].left, [6], 1)


def test_a_float_resource_makes_a_run_exact():
    """A declared float is known before a value is there; equal floats have equal hashes."""

    class Wind(Resource):
        speed: f64 = column(per="cell")

    with World([], resources=[Wind], sizes={"cell": 2}) as world:
        assert world.domain == "exact"
        world[Wind].speed[:] = [np.nan, 0.0]
        digest, stamp = state_digest(world), world.resources["Wind"].stamp
        world[Wind].speed[:] = [-np.nan, -0.0]
        assert (state_digest(world), world.resources["Wind"].stamp) == (digest, stamp)


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        ({}, {}, "Bad declares no column"),
        ({"add": i8}, {}, r"Bad\.add: no column can be called add"),
        ({"x": i8}, {"rows": 0}, r"Bad: rows=0 is not in 1\.\."),
        ({"x": int}, {}, r"Bad\.x is annotated"),
        ({"n": i8, "x": i8}, {"used": "n"}, r"Bad\.x: used_by is for components"),
    ],
)
def test_a_malformed_resource_fails_where_it_is_written(body, options, message):
    """The sentence names class and attribute."""
    columns = {"x": column(shape=(2,), used_by=options.pop("used"))} if "used" in options else {}
    with pytest.raises(WorldError, match=message):
        type("Bad", (Resource,), {**columns, "__annotations__": body, "__module__": __name__}, **options)


def test_a_resource_is_made_by_its_world_only(field):
    """Nobody makes a second one, and one that is not declared is named."""
    with pytest.raises(WorldError, match=r"Grass is a declaration; name it in World\(\.\.\., resources="):
        Grass()
    with World([]) as world, pytest.raises(WorldError, match="Grass is not declared in world"):
        _ = world[Grass]
    with pytest.raises(WorldError, match="the name 'Grass' is taken"):
        World([], resources=[Grass, Grass], sizes={"cell": 1})
    with pytest.raises(WorldError, match=r"Grass\.left: no table or size is called 'cell'"):
        World([], resources=[Grass])
