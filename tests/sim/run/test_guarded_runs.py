"""The guard in a run: shipped code passes it, and a system or planner that breaks it is stopped at a whole tick."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import pytest

import ai.planners.heuristic
from ai.guard import NondeterminismError, escape, everything, take_escapes
from ai.orchestrator import FallbackOrchestrator, drive
from ai.samples import sample_observations
from scenarios.tactics.actions import default_registry
from scenarios.tactics.actions.base import (
    Action,
    Turn,
)
from scenarios.tactics.inputs import Act, Control
from scenarios.tactics.snapshot import WorldSnapshot
from sim.engine.digest import state_digest
from sim.engine.system import System
from sim.engine.world import World
from sim.run.actions import Args, Codes, Rows
from sim.run.plugins import Plugin
from sim.run.scenario_file import available, load
from sim.run.simulation import Simulation


class Weather(System):
    """Reads the clock from tick 3 on."""

    def process(self, world: World, run: Any) -> None:
        if world.tick >= 3:
            time.perf_counter()


class Display(System):
    """Reads the clock for its own display."""

    def process(self, world: World, run: Any) -> None:
        with escape("frames a second"):
            time.perf_counter()


class Hasty(ai.planners.heuristic.Heuristic):
    """Says that it is deterministic and asks the clock."""

    name = "hasty"

    async def plan(self, batch: Any, registry: Any, call: Any) -> Any:
        call.clock()
        return await super().plan(batch, registry, call)


def with_system(system: type[System]) -> Simulation:
    """Return a skirmish with a system of a plug-in."""
    scenario = load("skirmish").replaced(plugins=["mine.py"])
    return Simulation(scenario, plugins=[Plugin("mine.py", "00", systems=(system,))])


@pytest.mark.parametrize("name", [name for name, _ in available()])
def test_shipped_systems_and_planners_pass_the_guard(name: str) -> None:
    """Under the guard every shipped scenario runs as it does without."""
    scenario = load(name)
    take_escapes()
    with Simulation(scenario) as plain:
        expected = [report.digest.root for report in plain.reports(5)]
    with everything(), Simulation(scenario) as guarded:
        assert [report.digest.root for report in guarded.reports(5)] == expected
    assert take_escapes() == ()


def test_a_system_that_reads_the_clock_is_stopped_at_the_last_whole_tick() -> None:
    """The refusal names the system, and the world is as it was before that tick."""
    with with_system(Weather) as simulation:
        list(simulation.reports(3))
        before = state_digest(simulation.world).root
        refused = pytest.raises(NondeterminismError, match=r"system 'weather' called time\.perf_counter\(\)")
        with everything(), refused:
            simulation.tick()
        assert simulation.world.tick == 3
        assert state_digest(simulation.world).root == before


class Nap(Action):
    """Sleep for a second."""

    at: ClassVar[str] = "effect"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        cls.look("refusals")
        return super().refusals(turn, rows, args)

    @classmethod
    def start(cls, turn: Turn, rows: Rows, args: Args) -> None:
        cls.look("begin")

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        cls.look("effect")

    @classmethod
    def look(cls, now: str) -> None:
        if now == cls.at:
            time.perf_counter()


@pytest.mark.parametrize("at", ["refusals", "begin", "effect"])
def test_an_action_kind_that_reads_the_clock_is_stopped(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the kind, not the shipped system that calls it, whichever of its parts asks."""
    monkeypatch.setattr(Nap, "at", at)
    scenario = load("skirmish").replaced(plugins=["mine.py"])
    nap = Act(agent=0, step={"act": "Nap"})
    with Simulation(scenario, plugins=[Plugin("mine.py", "00", actions=(Nap,))]) as simulation:
        simulation.inject(Control(agent=0))
        simulation.inject(nap)
        with everything(), pytest.raises(NondeterminismError, match=r"verb 'Nap' called time\.perf_counter\(\)"):
            list(simulation.reports(3))


def test_an_ordinary_run_is_not_watched() -> None:
    """Without the guard a system that reads the clock runs on: only the doctor and a strict run refuse it."""
    with with_system(Weather) as simulation:
        assert len(list(simulation.reports(5))) == 5


def test_an_escape_of_a_system_is_reported() -> None:
    """A system that only looks at the clock for show runs on, and the run tells of it."""
    take_escapes()
    with with_system(Display) as simulation:
        for _ in simulation.reports(3):
            pass
    assert take_escapes() == ("Display.process: frames a second",)


def test_a_deterministic_planner_that_reads_the_clock_is_stopped() -> None:
    """The refusal names the tier and is not a failure of the tier: nothing falls."""
    call = FallbackOrchestrator([Hasty()]).plan_batch_with_fallback(
        None, sample_observations(WorldSnapshot), default_registry()
    )
    said = r"tier 'hasty' called call\.clock\(\), which calls time\.perf_counter\(\)"
    with everything(), pytest.raises(NondeterminismError, match=said):
        drive(call)
