"""The same scenario, seed and inputs give the same roots, whatever else is different about the run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ai import MockBatchLlm
from scenarios.tactics.actions import default_registry
from scenarios.tactics.bystanders import bystanders_of
from scenarios.tactics.components import Health, Position
from scenarios.tactics.inputs import Collapse, Fortify, Input, SetCells, Spawn, SpawnWave
from scenarios.tactics.testing.arenas import inputs, scenarios
from scenarios.tactics.testing.flat import flat, flattened
from sim.engine.columns import Component, i32
from sim.engine.rng import purpose
from sim.engine.state import WorldState
from sim.engine.system import System
from sim.engine.world import World
from sim.run.planning_service import LivePlanner
from sim.run.plugins import Plugin
from sim.run.scenario_file import load
from sim.run.simulation import Simulation
from sim.testing.checks.parts import InParts
from sim.testing.checks.processes import dispatched
from tests.reference.lockstep import COLUMNS

FEW = settings(max_examples=settings.default.max_examples // 5)
TICKS = 40

PROGRAM = f"""
import sys
import numpy as np
from sim.run.scenario_file import load
from sim.run.simulation import Simulation
junk = [bytes(n) for n in range(int(sys.argv[1]))]
core = getattr(np, "_core", None) or np.core
on = [name for name in sys.argv[2].split() if core._multiarray_umath.__cpu_features__[name]]
print("dispatching", *on)
with Simulation(load("skirmish")) as simulation:
    for report in simulation.reports({TICKS}):
        print(report.digest.root)
"""

Inputs = Mapping[int, Sequence[Input]]


def roots_of(simulation: Simulation, ticks: int, timeline: Inputs | None = None) -> list[str]:
    """Run to a tick and return every root; closes the simulation."""
    with simulation:
        roots = []
        while simulation.world.tick < ticks and simulation.outcome is None:
            for item in (timeline or {}).get(simulation.world.tick, ()):
                simulation.inject(item)
            roots.append(simulation.tick().digest.root)
        return roots


def elsewhere(*, junk: int = 0, features: str = "", **environment: str) -> list[str]:
    """Run the fixed corpus in another process and return its roots; warnings there are errors."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(junk), features]
    found = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stderr
    head, *roots = found.stdout.split("\n")[:-1]
    assert head == "dispatching"
    return roots


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """Return the roots of the fixed corpus in this process."""
    return roots_of(Simulation(load("skirmish")), TICKS)


def test_the_same_process_gives_the_same_roots_again(expected: list[str]) -> None:
    """Nothing is left over from the first run."""
    assert len(set(expected)) == TICKS
    assert roots_of(Simulation(load("skirmish")), TICKS) == expected


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_another_process_with_another_hash_seed_gives_the_same_roots(expected: list[str], hash_seed: str) -> None:
    """No order of sets, dictionaries or addresses reaches the state."""
    assert elsewhere(PYTHONHASHSEED=hash_seed, junk=int(hash_seed == "1") * 500) == expected


def test_another_allocator_gives_the_same_roots(expected: list[str]) -> None:
    """Where things lie in memory does not matter."""
    assert elsewhere(PYTHONMALLOC="malloc", junk=99) == expected


def test_a_processor_without_its_newer_instructions_gives_the_same_roots(expected: list[str]) -> None:
    """With every dispatched level of NumPy switched off, results are equal to the bit."""
    features = " ".join(dispatched())
    if not features:
        pytest.skip("this processor has none of the levels that NumPy dispatches to, so there is nothing to switch off")
    assert elsewhere(NPY_DISABLE_CPU_FEATURES=features, OPENBLAS_NUM_THREADS="1", features=features) == expected


@FEW
@given(data=st.data())
def test_the_order_of_spawning_does_not_matter(data: st.DataObject) -> None:
    """Agents created in any order have the keys of the file, and so the same run."""
    scenario = data.draw(scenarios())
    timeline = data.draw(inputs(scenario, 12))
    order = np.array(data.draw(st.permutations(range(scenario.agents))), np.intp)
    permuted = Simulation(scenario, order=order)
    assert permuted.world.next_key == scenario.agents
    assert roots_of(permuted, 15, timeline) == roots_of(Simulation(scenario), 15, timeline)


@FEW
@given(data=st.data())
def test_a_fresh_world_restored_at_every_tick_goes_on_the_same(data: st.DataObject) -> None:
    """There is no state but what a snapshot holds: not in systems, caches, resources or planners."""
    scenario = data.draw(scenarios())
    timeline = data.draw(inputs(scenario, 8))
    whole = roots_of(Simulation(scenario), 10, timeline)
    roots: list[str] = []
    state: WorldState | None = None
    while len(roots) < len(whole):
        order = np.array(data.draw(st.permutations(range(scenario.agents))), np.intp)
        with Simulation(scenario, order=order) as simulation:
            if state is not None:
                simulation.restore(state)
            for item in timeline.get(simulation.world.tick, ()):
                simulation.inject(item)
            roots.append(simulation.tick().digest.root)
            state = simulation.snapshot()
    assert roots == whole


@FEW
@given(data=st.data(), at=st.integers(0, 25))
def test_a_fresh_world_restored_at_any_tick_goes_on_the_same(data: st.DataObject, at: int) -> None:
    """A snapshot of any tick, put into a world that has lived through something else, continues the run."""
    scenario = data.draw(scenarios())
    timeline = data.draw(inputs(scenario, 20))
    whole = roots_of(Simulation(scenario), 30, timeline)
    with Simulation(scenario) as first:
        head = []
        for tick in range(min(at, len(whole))):
            for item in timeline.get(tick, ()):
                first.inject(item)
            head.append(first.tick().digest.root)
        state = first.snapshot()
    second = Simulation(scenario, seed=scenario.seed)
    for _ in range(3):
        if second.outcome is None:
            second.tick()
    second.restore(state)
    assert head + roots_of(second, 30, timeline) == whole


def test_the_skirmish_restored_into_fresh_worlds_ends_the_same() -> None:
    """Fights, smoke and deaths included: snapshots of several ticks, each into a fresh world."""
    scenario = load("skirmish")
    whole = roots_of(Simulation(scenario), 250)
    for start in range(25, len(whole), 75):
        with Simulation(scenario) as first:
            state = first.run(start).snapshot()
        second = Simulation(scenario)
        second.restore(state)
        assert roots_of(second, 250) == whole[start:]


def _against_all(aim: Mapping[str, Any]) -> bool:
    return bool(aim["kind"] == "eliminate" and aim["team"] is None)


def _values(simulation: Simulation, agents: int, height: int) -> dict[str, Any]:
    """Return everything about the first so many agents and the map's north, by key and cell."""
    world, grid, smoke = simulation.world, simulation.run_context.game.grid, simulation.run_context.game.smoke
    kept = world.keys < agents
    found: dict[str, Any] = {"keys": world.keys[kept].tolist(), "terrain": grid.terrain[:height].tolist()}
    for label, component, name in COLUMNS:
        found[label] = getattr(world[component], name)[..., kept].tolist()
    found["smoke"] = sorted(zip(smoke.cell.tolist(), smoke.until.tolist(), strict=True))
    return found


def _corners(item: Input) -> list[tuple[int, int]]:
    """Return the cells that say how far an input reaches."""
    match item:
        case SetCells():
            return [(item.x + item.width - 1, item.y + item.height - 1)]
        case Fortify():
            return [(item.rect.x + item.rect.width - 1, item.rect.y + item.rect.height - 1)]
        case Collapse():
            return [(item.a.x, item.a.y), (item.b.x, item.b.y)]
        case _:
            return [(getattr(item, "x", 0) or 0, getattr(item, "y", 0) or 0)]


@FEW
@given(data=st.data())
def test_inert_agents_change_nobody_elses_run(data: st.DataObject) -> None:
    """Agents with keys after all others, behind a wall, leave every value of every other agent as it was.

    Nobody may be asked to eliminate all others: whoever is added is one of them.
    """
    drawn = data.draw(scenarios())
    made = flattened(drawn)
    made["planning"]["per_tick_max"] = 1000
    for team in made["teams"]:
        team["objectives"] = [aim for aim in team["objectives"] if not _against_all(aim)]
    scenario = flat({**made, "ends": "never"})
    both = bystanders_of(scenario.settings)
    assert both is not None
    crowded = scenario.replaced(settings=both[1].model_dump(mode="json"))
    assert crowded.agents > scenario.agents
    width, height = scenario.settings.map.width, scenario.settings.map.height
    timeline = {
        tick: [
            item
            for item in items
            # Newcomers would take other keys, and what lies outside one map lies inside the other.
            if not isinstance(item, Spawn | SpawnWave)
            and all(x < width and y < height for x, y in _corners(item))
            and getattr(item, "agent", 0) < scenario.agents
            # Where only so many plan in a tick, one more makes others wait.
            and getattr(item, "name", "") != "planning.per_tick_max"
        ]
        for tick, items in data.draw(inputs(scenario, 15)).items()
    }
    with Simulation(scenario) as alone, Simulation(crowded) as watched:
        for tick in range(20):
            for simulation in (alone, watched):
                for item in timeline.get(tick, ()):
                    simulation.inject(item)
                simulation.tick()
            one, two = (_values(simulation, scenario.agents, height) for simulation in (alone, watched))
            for name, value in one.items():
                assert value == two[name], f"tick {tick}, {name}"


class Idle(Component):
    """What no other system reads."""

    value: i32


class Idler(System):
    """Draws, counts and looks at everyone, and writes only what nobody else reads."""

    writes: ClassVar = (Idle,)

    def process(self, world: World, frame: Any) -> None:
        rows = world.rows(Position, Health)
        drawn = frame.rng.below(world.keys, frame.tick, purpose("test"), 1000)
        world[Idle].value[:] += drawn
        world[Idle].value[rows] += world[Health].hp[rows]


@FEW
@given(data=st.data())
def test_parts_that_nobody_reads_change_nobody_elses_run(data: st.DataObject) -> None:
    """With a component more, and a system that draws and reads, every other column is as it was."""
    scenario = data.draw(scenarios())
    timeline = data.draw(inputs(scenario, 15))
    idle = Plugin("idle.py", "00", components=(Idle,), systems=(Idler,))
    with (
        Simulation(scenario) as plain,
        Simulation(scenario.replaced(plugins=["idle.py"]), plugins=[idle]) as more,
    ):
        for _ in range(20):
            if plain.outcome is not None:
                break
            for simulation in (plain, more):
                for item in timeline.get(simulation.world.tick, ()):
                    simulation.inject(item)
            expected, report = plain.tick(), more.tick()
            found = {name: value for name, value in report.digest.columns.items() if not name.startswith("Idle.")}
            assert (found, report.outcome) == (dict(expected.digest.columns), expected.outcome)


def _cuts(sizes: Sequence[int]) -> Callable[[int], list[NDArray[np.intp]]]:
    """Return what cuts batches into parts of drawn sizes, over and over."""
    endless = cycle(sizes)

    def cut(n: int) -> list[NDArray[np.intp]]:
        parts: list[NDArray[np.intp]] = []
        start = 0
        while start < n:
            end = min(start + next(endless), n)
            parts.append(np.arange(start, end))
            start = end
        return parts

    return cut


@FEW
@given(data=st.data(), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_any_split_of_the_batch_gives_the_same_roots(data: st.DataObject, sizes: list[int]) -> None:
    """An agent's plan does not depend on who else is planned for in the same call."""
    scenario = data.draw(scenarios())
    timeline = data.draw(inputs(scenario, 12))
    live = LivePlanner(scenario, default_registry(), None, time.perf_counter)
    split = Simulation(scenario, source=InParts(live, _cuts(sizes)))
    assert roots_of(split, 15, timeline) == roots_of(Simulation(scenario), 15, timeline)


def test_two_runs_in_turn_do_not_affect_each_other(expected: list[str]) -> None:
    """Simulations that live side by side, ticked alternately, are each as if alone."""
    scenario = load("skirmish")
    other = roots_of(Simulation(scenario, seed=5), TICKS)
    with Simulation(scenario) as one, Simulation(scenario, seed=5) as two:
        turns = [(one.tick().digest.root, two.tick().digest.root) for _ in range(TICKS)]
    assert [turn[0] for turn in turns] == expected
    assert [turn[1] for turn in turns] == other


def _in_a_loop(work: Callable[[], list[str]]) -> list[str]:
    async def inside() -> list[str]:
        await asyncio.sleep(0)
        return work()

    return asyncio.run(inside())


def test_a_run_inside_a_running_event_loop_gives_the_same_roots(expected: list[str]) -> None:
    """As in a notebook; nothing of the run needs the loop."""
    assert _in_a_loop(lambda: roots_of(Simulation(load("skirmish")), TICKS)) == expected


def test_a_model_is_asked_the_same_inside_a_running_event_loop() -> None:
    """With a client, its own background loop does the waiting, whether or not another loop runs here."""

    def run() -> list[str]:
        return roots_of(Simulation(load("skirmish"), client=MockBatchLlm.for_agents(20, default_registry())), 12)

    assert _in_a_loop(run) == run()
