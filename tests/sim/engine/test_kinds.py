"""Columns of every kind take what they declare, hold numbers, and give agents Python values."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engine.columns import Component, boolean, column, f64, i8, i16, i64
from sim.engine.digest import state_digest
from sim.engine.system import System
from sim.engine.values import step, steps
from sim.engine.world import World
from sim.errors import WorldError

GOODS = ("bread", "fish", "salt")


class Mood(IntEnum):
    LOW = -2
    HIGH = 300


class Job(StrEnum):
    BAKER = "baker"
    FISHER = "fisher"


class Villager(Component):
    money: float = column(scale=100, default=2.5)
    debt: i64 = column(scale=10)
    mood: Mood
    job: i8 = column(enum=Job, default=Job.FISHER)
    awake: boolean
    stock: i16 = column(per="goods", default=1)
    paid: float = column(per="goods", scale=4)
    days: i8 = column(shape=(3,))
    grid: i8 = column(per="goods", shape=(2,))


class Heat(Component):
    value: f64 = column(default=1.5)


@pytest.fixture
def town():
    """A world of three villagers with defaults."""
    with World([Villager, Heat], tables={"goods": GOODS}, debug=True) as world:
        world.spawn({Villager: {}, Heat: {}}, 3)
        world.flush()
        yield world


def test_defaults_are_those_that_were_declared(town):
    """A newborn has what the declaration says, in the column's own numbers."""
    villager = town[Villager]
    assert villager.money.tolist() == [250, 250, 250]
    assert villager.mood.dtype == np.int16
    assert villager.mood.tolist() == [-2, -2, -2]
    assert villager.job.tolist() == [1, 1, 1]
    assert (villager.stock.shape, villager.stock.dtype.name) == ((3, 3), "int16")
    assert villager.grid.shape == (3, 2, 3)
    assert town[Heat].value.tolist() == [1.5, 1.5, 1.5]


def test_an_agent_reads_and_writes_values_as_they_are_meant(town):
    """A loop over agents works with money, moods and names, not with steps and codes."""
    agent = town.entity(1)[Villager]
    assert (agent.money, agent.mood, agent.job, agent.awake) == (2.5, Mood.LOW, Job.FISHER, False)
    assert isinstance(agent.mood, Mood)
    agent.money -= 0.125
    agent.debt = 3
    agent.mood, agent.job, agent.awake = Mood.HIGH, "baker", True
    agent.stock["fish"] += 4
    agent.paid["salt"] = 0.3
    agent.days[1] = 7
    villager = town[Villager]
    assert villager.money.tolist() == [250, 238, 250]
    assert villager.debt.tolist() == [0, 30, 0]
    assert villager.mood.tolist() == [-2, 300, -2]
    assert villager.job.tolist() == [1, 0, 1]
    assert villager.stock[:, 1].tolist() == [1, 5, 1]
    assert villager.paid[:, 1].tolist() == [0, 0, 1]
    assert villager.days[:, 1].tolist() == [0, 7, 0]
    assert (agent.money, agent.job, agent.stock["fish"], agent.paid["salt"]) == (2.38, Job.BAKER, 5, 0.25)
    assert (list(agent.stock), len(agent.stock), repr(agent.stock)) == (
        list(GOODS), 3, "{'bread': 1, 'fish': 5, 'salt': 1}",
    )  # fmt: skip
    town.entity(0)[Heat].value = 3
    assert town.entity(0)[Heat].value == 3.0


def test_spawn_takes_members_names_and_numbers(town):
    """What is given may be one value for all, one for each, or values by name; the rest is defaults."""
    town.spawn(
        {
            Villager: {
                "money": [0.005, -0.005, 7],
                "mood": [Mood.HIGH, -2, Mood.LOW],
                "job": ["baker", Job.FISHER, Job.BAKER],
                "stock": {"fish": [5, 6, 7], "bread": 2},
                "paid": [[1, 1.5, 2], [0, 0, 0], [0.125, 0.1, -0.125]],
            }
        },
        3,
    )
    town.flush()
    villager = town[Villager]
    assert villager.money[3:].tolist() == [1, -1, 700]
    assert villager.mood[3:].tolist() == [300, -2, -2]
    assert villager.job[3:].tolist() == [0, 1, 0]
    assert villager.stock[:, 3:].tolist() == [[2, 2, 2], [5, 6, 7], [1, 1, 1]]
    assert villager.paid[:, 3:].tolist() == [[4, 6, 8], [0, 0, 0], [1, 0, -1]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"money": "x"}, r"Villager\.money: 'x' is not a finite number"),
        ({"money": [1.0, float("nan")]}, r"Villager\.money: nan is not a finite number"),
        ({"money": float("inf")}, r"Villager\.money: inf is not a finite number"),
        ({"money": 1e17}, r"Villager\.money: 10000000000000000000 does not fit int64"),
        ({"money": 10**17}, r"Villager\.money: 10000000000000000000 does not fit int64"),
        ({"mood": 7}, r"Villager\.mood: 7 is not one of Mood\.LOW, Mood\.HIGH"),
        ({"mood": True}, r"Villager\.mood: True is not one of"),
        ({"job": "miller"}, r"Villager\.job: 'miller' is not one of Job\.BAKER, Job\.FISHER"),
        ({"job": None}, r"Villager\.job: None is not one of"),
        ({"job": 2}, r"Villager\.job: 2 is not one of"),
        ({"stock": {"iron": 1}}, r"Villager\.stock: 'iron' is not one of bread, fish, salt"),
        ({"stock": [1, 2]}, r"Villager\.stock: shape \(2,\) is neither \(3,\) nor \(3, 2\)"),
        ({"money": [[1.0], [2.0, 3.0]]}, r"Villager\.money: setting an array element"),
        ({"money": [2**70, 0.5]}, r"Villager\.money: 118059162071741130342400 does not fit int64"),
        ({"awake": [[True], []]}, r"Villager\.awake: \[\[True\], \[\]\] is not an array of numbers"),
        ({"job": [[], {}]}, r"Villager\.job: "),
        ({"days": {"bread": 1}}, r"Villager\.days has no names; give one value"),
    ],
)
def test_a_value_of_another_kind_is_named(town, values, message):
    """A spawn and an agent's attribute refuse with the column, the value and what there is."""
    with pytest.raises(WorldError, match=message):
        town.spawn({Villager: values}, 2)
    assert not town.pending
    before = state_digest(town)
    ((name, value),) = values.items()
    if not isinstance(value, list):
        with pytest.raises(WorldError, match=message.partition(":")[0]):
            setattr(town.entity(0)[Villager], name, value)
    assert state_digest(town) == before


@pytest.mark.parametrize(("name", "value"), [("iron", 1), ("bread", 40_000), ("bread", 0.5), ("bread", "x")])
def test_a_named_value_that_does_not_fit_is_refused(town, name, value):
    """Values by name are as strict as others."""
    with pytest.raises(WorldError, match=r"Villager\.stock: "):
        town.entity(0)[Villager].stock[name] = value
    assert town[Villager].stock[:, 0].tolist() == [1, 1, 1]


@given(st.integers(1, 10_000), st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9))
def test_fixed_point_rounds_half_away_from_zero(scale, value):
    """One number and an array give the same steps: those nearest to the product, a half going away from zero."""
    exact = Fraction(value * scale)
    away = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    assert step(value, scale) == away
    assert steps([value, 0], scale, np.dtype(np.int64), "x").tolist() == [away, 0]


@given(st.integers(-(10**12), 10**12), st.integers(1, 10_000))
def test_what_an_agent_reads_can_be_written_back(number, scale):
    """Reading a fixed-point value and writing it changes nothing."""
    assert step(number / scale, scale) == number


def test_a_table_or_size_that_is_missing_is_named():
    """The sentence says which column needs it and how it is given."""
    with pytest.raises(WorldError, match=r"Villager\.stock: no table or size is called 'goods'.*name it in `tables`"):
        World([Villager])
    for tables in ({"goods": ()}, {"goods": ("a", "a")}, {"goods": ("a", "")}):
        with pytest.raises(WorldError, match="table 'goods' must list different names"):
            World([Villager], tables=tables)
    with pytest.raises(WorldError, match=r"must be of other names than tables"):
        World([Villager], tables={"goods": GOODS}, sizes={"goods": 3})


# -- floats ------------------------------------------------------------------------------------------------------------


def test_floats_make_a_run_exact(town):
    """A world says that its state is comparable on this machine only."""
    assert town.domain == "exact"
    with World([Villager], tables={"goods": GOODS}) as world:
        assert world.domain == "portable"


def test_equal_floats_have_equal_hashes(town):
    """Both zeros are one value and so are all that are no number, in digest, snapshot and after a restore."""
    town[Heat].value[:] = [0.0, np.nan, 1.0]
    before, state = state_digest(town), town.snapshot()
    payload = np.array([0x7FF800000000BEEF], np.uint64).view(np.float64)
    town[Heat].value[:2] = [-0.0, payload[0]]
    assert state_digest(town) == before
    assert town.snapshot() == state
    town[Heat].value[2] = 2.0
    assert state_digest(town) != before
    town.restore(state)
    assert state_digest(town) == before


class Zeros(System):
    def process(self, world, run):
        world[Heat].value[:] = -0.0


class Inverse(System):
    def process(self, world, run):
        with np.errstate(divide="ignore"):
            world[Heat].value[:] = 1.0 / world[Heat].value


def test_a_negative_zero_does_not_live_until_the_next_system(town):
    """What a restored world cannot tell apart must not lead to different results."""
    town.install([Zeros(), Inverse()])
    town.process(None)
    assert town[Heat].value.tolist() == [np.inf, np.inf, np.inf]
