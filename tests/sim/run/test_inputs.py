"""The framework's own inputs, on worlds that do not extend them."""

from __future__ import annotations

import pytest

from scenarios.tactics.components import Status
from sim.engine.columns import Component, column, i32
from sim.engine.system import System
from sim.errors import ScenarioError
from sim.run.context import Run
from sim.run.domain import Domain, inputs_of
from sim.run.inputs import Act, Control, Input, InputSet, Kill, Spawn
from sim.run.simulation import Simulation
from sim.run.world import World
from tests.reference.stage import Stage
from tests.support.marks import covers


class Purse(Component):
    """What everyone has."""

    coins: i32 = column(default=1)


class Rest(System):
    """Does nothing."""

    def process(self, world: World, run: Run) -> None:
        """Do nothing."""


class Purses(Domain):
    """Three entities with a purse each."""

    components, systems = (Purse,), (Rest,)

    def setup(self, world: World, run: Run) -> None:
        """Spawn them."""
        world.spawn({Purse: {}}, count=3)


def after(*items: Input, agents_max: int | None = None) -> tuple[dict[int, int], dict[int, str]]:
    """Return the coins by key after a tick with these inputs, and which of them were refused and why."""
    with Simulation(Purses()) as simulation:
        if agents_max is not None:
            simulation.run_context.agents_max = agents_max
        for item in items:
            simulation.inject(item)
        refused = simulation.tick().refused
        world = simulation.world
        return dict(zip(world.keys.tolist(), world[Purse].coins.tolist(), strict=True)), refused


def test_births_and_deaths_from_outside() -> None:
    """Each input meets the world that the one before it left; keys are never given twice."""
    coins, refused = after(Kill(agent=1), Spawn(values={"Purse": {"coins": [5, 7]}}, count=2), Kill(agent=3))
    assert coins == {0: 1, 2: 1, 4: 7}
    assert refused == {}


@covers("agent 9 is not in the world")
def test_a_stranger_cannot_be_killed() -> None:
    """The sentence names the key, and nobody dies."""
    assert after(Kill(agent=9)) == ({0: 1, 1: 1, 2: 1}, {0: "agent 9 is not in the world"})


@covers("there is no component 'Prse'; did you mean 'Purse'?")
def test_a_birth_with_an_unknown_component_is_refused() -> None:
    """The sentence has the nearest name."""
    coins, refused = after(Spawn(values={"Prse": {"coins": 5}}))
    assert refused == {0: "there is no component 'Prse'; did you mean 'Purse'?"}
    assert len(coins) == 3


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"coins": 2**31}, "Purse.coins: 2147483648 does not fit int32"),
        ({"coins": [1, 2, 3]}, "Purse.coins: shape (3,)"),
        ({"coin": 5}, "Purse has no column 'coin'"),
        ({"coins": "five"}, "Purse.coins: 'five' is not an integer"),
    ],
)
def test_a_birth_with_values_that_do_not_fit_is_refused(values: dict[str, object], reason: str) -> None:
    """One sentence that begins with the column, and nobody is born."""
    coins, refused = after(Spawn(values={"Purse": values}, count=2))
    assert refused[0].startswith(reason)
    assert len(coins) == 3


@covers("a world holds at most 4 entities")
def test_a_world_does_not_grow_beyond_its_limit() -> None:
    """The birth that would is refused; a smaller one is not."""
    coins, refused = after(Spawn(values={"Purse": {}}, count=2), Spawn(values={"Purse": {}}), agents_max=4)
    assert refused == {0: "a world holds at most 4 entities"}
    assert len(coins) == 4


def test_agents_are_taken_over_told_what_to_do_and_given_back() -> None:
    """Only an agent that is taken over acts on a step from outside; it has no other plan meanwhile."""
    with Stage("a..") as stage:
        world, run = stage.sim.world, stage.sim.run_context
        step = {"act": "MoveTo", "x": 2, "y": 0}
        found = [
            each.apply(world, run)
            for each in (
                Act(agent=0, step=step),
                Control(agent=0, on=False),
                Control(agent=0),
                Control(agent=0),
                Act(agent=0, step={"act": "Dance"}),
                Act(agent=0, step=step),
                Act(agent=7, step=step),
                Control(agent=7),
            )
        ]
        assert found[0] == "agent 0 is not taken over; send a control input first"
        assert found[1] == "agent 0 is not taken over"
        assert found[2] is None
        assert found[3] == "agent 0 is taken over already"
        assert found[4] is not None
        assert found[4].startswith("the step of agent 0: ")
        assert found[5] is None
        assert found[6:] == ["agent 7 is not in the world"] * 2
        assert stage.status(0) is Status.RUNNING
        stage.tick(10)
        assert stage.at(0) == (2, 0)
        assert Control(agent=0, on=False).apply(world, run) is None
        assert stage.status(0) is Status.FINISHED


def test_a_domain_without_verbs_takes_no_orders() -> None:
    """`act` and `control` are no inputs of a domain whose agents do not plan."""
    assert sorted(each.kind for each in inputs_of(Purses)) == ["kill", "spawn"]
    with pytest.raises(ScenarioError, match=r"input\.kind: no input is of kind 'act'; kinds: kill, spawn"):
        InputSet(inputs_of(Purses)).read({"kind": "act", "agent": 0, "step": {}})
