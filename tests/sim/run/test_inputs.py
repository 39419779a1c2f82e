"""The framework's inputs in a small world: each has its effect whole, or none and one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engine.columns import Component, column, i32
from sim.engine.digest import state_digest
from sim.errors import ScenarioError
from sim.run.actions import Action
from sim.run.domain import Domain
from sim.run.inputs import Act, Control, Input, InputSet, Kill, Spawn
from sim.run.simulation import Simulation
from sim.run.systems import Act as Acting
from sim.run.systems import Inputs, Observe, Plan
from tests.support.marks import covers


class Sheep(Component):
    """What grazing feeds."""

    energy: i32 = column(default=3)


class Graze(Action):
    """Eat the grass here."""

    act: Literal["Graze"] = "Graze"
    reasons: ClassVar[tuple[str, ...]] = ("full",)

    @classmethod
    def refused(cls, turn: Any, rows: Any, args: Any) -> dict[str, Any]:
        return {"full": turn[Sheep].energy[rows] > 8}

    @classmethod
    def apply(cls, turn: Any, rows: Any, args: Any) -> None:
        turn[Sheep].energy[rows] += 5


class Meadow(Domain):
    """Sheep that do only what an input tells them."""

    components, actions, systems = (Sheep,), (Graze,), (Inputs, Observe, Plan, Acting)
    idle = Graze()

    def setup(self, world: Any, run: Any) -> None:
        world.spawn({Sheep: {}}, count=3)

    def plannable(self, world: Any) -> Any:
        return np.zeros(world.n, np.bool_)


@pytest.fixture
def meadow() -> Iterator[Simulation]:
    """Three sheep."""
    with Simulation(Meadow()) as simulation:
        yield simulation


def refusals(simulation: Simulation, *items: Input) -> list[str]:
    """Give inputs to the next tick and return why they were refused."""
    for item in items:
        simulation.inject(item)
    return list(simulation.tick().refused.values())


def energy(simulation: Simulation) -> list[int]:
    """Return the energy of all sheep."""
    values: list[int] = simulation.world[Sheep].energy.tolist()
    return values


GRAZE = {"act": "Graze"}


def test_a_sheep_that_is_taken_over_does_what_it_is_told(meadow: Simulation) -> None:
    """It does the step once, and nothing after it; the others are left alone."""
    assert refusals(meadow, Control(agent=1), Act(agent=1, step=GRAZE)) == []
    meadow.run(4)
    assert energy(meadow) == [3, 8, 3]


def test_a_step_is_refused_for_the_reason_of_its_verb(meadow: Simulation) -> None:
    """A verb's reason stops its effect."""
    meadow.inject(Control(agent=1))
    for _ in range(4):
        assert refusals(meadow, Act(agent=1, step=GRAZE)) == []
    assert energy(meadow) == [3, 13, 3]


@covers("agent 0 is taken over already", "agent 0 is not taken over")
def test_a_sheep_is_taken_over_once(meadow: Simulation) -> None:
    """Taking over twice and giving back twice have no effect."""
    assert refusals(meadow, Control(agent=0), Control(agent=0)) == ["agent 0 is taken over already"]
    back = Control(agent=0, on=False)
    assert refusals(meadow, back, back) == ["agent 0 is not taken over"]


def test_what_cannot_be_done_is_one_sentence_and_nothing_else(meadow: Simulation) -> None:
    """Whoever is not there, is not taken over or has no such verb changes nothing."""
    with Simulation(Meadow()) as other:
        found = refusals(
            meadow,
            Control(agent=7),
            Act(agent=7, step=GRAZE),
            Act(agent=0, step=GRAZE),
            Kill(agent=7),
            Spawn(values={"Sheep": {"wool": 1}}),
        )
        assert found[:4] == [
            "agent 7 is not in the world",
            "agent 7 is not in the world",
            "agent 0 is not taken over; send a control input first",
            "agent 7 is not in the world",
        ]
        assert "wool" in found[4]
        other.tick()
        assert state_digest(meadow.world).root == state_digest(other.world).root
    (found_verb,) = refusals(meadow, Control(agent=0), Act(agent=0, step={"act": "Fly"}))
    assert found_verb.startswith("the step of agent 0: unknown verb 'Fly'")


def test_death_and_birth(meadow: Simulation) -> None:
    """An input meets the world that the ones before it left; values hold for all that are born, or one each."""
    born = Spawn(values={"Sheep": {"energy": [4, 5]}}, count=2)
    assert refusals(meadow, Kill(agent=1), born, Spawn(values={"Sheep": {"energy": 6}}, count=2)) == []
    assert meadow.world.keys.tolist() == [0, 2, 3, 4, 5, 6]
    assert energy(meadow) == [3, 3, 4, 5, 6, 6]
    assert refusals(meadow, Kill(agent=4), Kill(agent=4)) == ["agent 4 is not in the world"]


@covers("there is no component 'Shep'; did you mean 'Sheep'?")
def test_a_misspelt_component_is_told(meadow: Simulation) -> None:
    """The sentence has the name that was meant."""
    assert refusals(meadow, Spawn(values={"Shep": {}})) == ["there is no component 'Shep'; did you mean 'Sheep'?"]


@covers("a world holds at most 4 entities")
def test_a_world_has_a_largest_size(meadow: Simulation) -> None:
    """Nobody is born where not all find room."""
    meadow.run_context.agents_max = 4
    found = refusals(meadow, Spawn(values={"Sheep": {}}, count=2), Spawn(values={"Sheep": {}}))
    assert found == ["a world holds at most 4 entities"]
    assert meadow.world.n == 4


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = InputSet((Act, Control, Kill, Spawn))


@given(JSON | st.fixed_dictionaries({"tick": st.integers(-1, 3)}, optional={"input": JSON}))
def test_data_is_an_input_or_one_sentence(data: Any) -> None:
    """Whatever is read gives an input, or an error of one line."""
    said = ""
    try:
        KINDS.read_timed(data)
    except ScenarioError as error:
        said = str(error)
    assert not said or said.isprintable()


@pytest.mark.parametrize(
    "item", [Kill(agent=3), Control(agent=1, on=False), Act(agent=2, step=GRAZE), Spawn(values={})]
)
def test_inputs_survive_being_written(item: Input) -> None:
    """What is recorded of an input is read back as the same one."""
    assert KINDS.read(item.model_dump(mode="json")) == item


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (3, "should be a table with 'tick' and 'input'"),
        ({"input": {}}, "tick: is missing; add it"),
        ({"tick": True, "input": {}}, "tick: should be a whole number from 0, not True"),
        ({"tick": 1}, "input: is missing; add it"),
        ({"tick": 1, "inputs": {}}, "inputs: is not a known key; did you mean 'input'?"),
        ({"tick": 1, "input": 3}, "input: should be a table with a 'kind'"),
        (
            {"tick": 1, "input": {"kind": "kil", "agent": 1}},
            "input.kind: no input is of kind 'kil'; did you mean 'kill'?",
        ),
        ({"tick": 1, "input": {"kind": "kill"}}, "input.agent: is missing; add it"),
        ({"tick": 1, "input": {"kind": "kill", "agent": "1"}}, "input.agent: should be a valid integer, not '1'"),
        (
            {"tick": 1, "input": {"kind": "kill", "agent": 1, "at": 2}},
            "input.at: is not a known key; known keys: agent",
        ),
    ],
)
def test_what_is_wrong_with_data_is_said(data: object, sentence: str) -> None:
    """The sentence begins with the dotted key."""
    with pytest.raises(ScenarioError) as caught:
        KINDS.read_timed(data)
    assert str(caught.value) == sentence
