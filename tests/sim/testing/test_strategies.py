"""What `sim.testing` draws fits the registry and plug-ins it is given, and shrinks to what a person can read."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from ai.errors import ParseError
from ai.llm.encodings import NAMED
from ai.plans import PlanIntent
from scenarios.tactics.actions import default_registry
from scenarios.tactics.snapshot import WorldSnapshot
from scenarios.tactics.testing.arenas import inputs, scenarios
from scenarios.tactics.testing.planning import batches, snapshots
from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World
from sim.run.plugins import Plugin
from sim.run.simulation import Simulation
from sim.testing import fault_scripts, hostile_replies, plans, steps
from tests.ai.strategies import small_registry, wide_registry
from tests.support.replies import parse_reply

REGISTRY = default_registry()
SLOTS = {"a1": 3, "a2": 12}
SLOWLY = settings(suppress_health_check=[HealthCheck.too_slow])
"""A busy machine draws slowly; what is promised here is what is drawn."""
QUIET = settings(SLOWLY, database=None, derandomize=True, max_examples=2000)


class Mood(Component):
    """What the plug-in brings."""

    value: i32


class Brooding(System):
    """Counts ticks for everyone."""

    def process(self, world: World, run: object) -> None:
        world[Mood].value[:] += 1


@given(plans(REGISTRY))
@settings(SLOWLY)
def test_plans_survive_being_written(plan: PlanIntent) -> None:
    """A plan of the shipped kinds reads back from its text as itself."""
    assert NAMED.parse(NAMED.write(plan.steps, REGISTRY), REGISTRY) == plan.steps


@given(batches(wide_registry()))
@settings(SLOWLY)
def test_batches_can_be_planned_for(batch: list[tuple[int, WorldSnapshot]]) -> None:
    """Drawn agents are different ones and make a batch."""
    assert len(WorldSnapshot.from_objects(batch)) == len(batch)


def test_snapshots_hold_what_the_registry_names() -> None:
    """A thing that only the user's kinds know is drawn."""
    registry = wide_registry()
    (names,) = {arg.choices for spec in registry.specs for arg in spec.args if arg.sources == ("items",)}
    assert "rope" in names
    found = find(snapshots(registry), lambda drawn: "medkit" in drawn.me.holdings, settings=QUIET)
    assert found.me.holdings == {"medkit": 1}


@given(hostile_replies(list(SLOTS), small_registry()))
@settings(SLOWLY, max_examples=100)
def test_hostile_replies_give_plans_of_the_asked_or_an_error(text: str) -> None:
    """Whatever is drawn, reading it ends in `ParseError` or in plans and errors of the agents asked."""
    try:
        reply = parse_reply(text, SLOTS, small_registry())
    except ParseError:
        return
    assert set(reply.plans) | set(reply.errors) <= set(SLOTS.values())


def test_hostile_replies_hold_good_plans_and_bad_ones() -> None:
    """Both are drawn in one reply, so that what is good can be seen to be kept."""

    def mixed(text: str) -> bool:
        try:
            reply = parse_reply(text, SLOTS, small_registry())
        except ParseError:
            return False
        return bool(reply.plans) and bool(reply.errors)

    find(hostile_replies(list(SLOTS), small_registry()), mixed, settings=QUIET)


@given(st.data())
@settings(SLOWLY, max_examples=15)
def test_scenarios_bring_plug_ins_along(data: st.DataObject) -> None:
    """A drawn scenario names the plug-ins, and runs with them and with drawn inputs."""
    plugins = (Plugin("mine.py", "", components=(Mood,), systems=(Brooding,)),)
    scenario = data.draw(scenarios(plugins))
    timeline = data.draw(inputs(scenario, 3))
    with Simulation(scenario, plugins=plugins) as simulation:
        while simulation.outcome is None and simulation.world.tick < 3:
            for item in timeline.get(simulation.world.tick, ()):
                simulation.inject(item)
            simulation.tick()
        assert (simulation.world[Mood].value <= simulation.world.tick).all()


@pytest.mark.parametrize(
    ("strategy", "broken", "shown"),
    [
        (snapshots(), lambda drawn: drawn.me.hp < 50, "WorldSnapshot"),
        (steps(small_registry()), lambda drawn: drawn.act == "MoveTo", "MoveTo(x=0, y=0)"),
        (plans(small_registry()), lambda drawn: len(drawn.steps) > 1, "drawn: "),
        (hostile_replies(["a1"], small_registry()), lambda drawn: "NaN" in drawn, ""),
        (fault_scripts(), lambda drawn: any(each.outcome for each in drawn), ""),
    ],
    ids=["snapshots", "steps", "plans", "hostile_replies", "fault_scripts"],
)
def test_what_fails_is_shown_small(strategy: st.SearchStrategy[object], broken: object, shown: str) -> None:
    """A property that fails is told with a value of at most a few hundred characters."""
    found = find(strategy, broken, settings=QUIET)
    assert len(str(found)) < 900
    assert shown in str(found) or shown in repr(found)


def test_the_smallest_failing_values_read_like_examples() -> None:
    """An agent alone and hurt; one fault; a scenario of few agents on the smallest map."""
    alone = find(snapshots(), lambda drawn: drawn.me.hp < 50, settings=QUIET)
    assert (alone.me.hp, alone.me.pos.x, alone.me.pos.y, len(alone.enemies)) == (0, 0, 0, 0)
    (fault,) = find(fault_scripts(), lambda drawn: any(each.outcome for each in drawn), settings=QUIET)
    assert (fault.outcome, fault.after, fault.wait_s, fault.text) == ("timeout", 0, 0.0, "")
    small = find(scenarios(), lambda drawn: len(drawn.settings.teams) > 1, settings=QUIET)
    assert (small.agents, small.settings.map.width, small.settings.map.height) == (2, 4, 4)
