"""A run: ticks and reports, whole ticks or none, snapshots, forks of state, and giving things back."""

from __future__ import annotations

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from ai.observation import ObservationBatch
from scenarios.foraging.domain import Foraging
from scenarios.tactics.components import Health
from scenarios.tactics.domain import Tactics
from scenarios.tactics.inputs import Order, Remove, SetCells, Spawn
from scenarios.tactics.systems.cleanup import Cleanup
from scenarios.tactics.systems.combat import Combat
from scenarios.tactics.systems.execution import Execution
from scenarios.tactics.systems.flight import Flight
from scenarios.tactics.systems.inputs import Inputs
from scenarios.tactics.systems.objectives import ObjectiveSystem
from scenarios.tactics.systems.perception import Perception
from scenarios.tactics.systems.planning import Planning
from scenarios.tactics.systems.upkeep import Upkeep
from sim.engine.digest import state_digest
from sim.engine.system import System
from sim.errors import WorldError
from sim.run.inputs import Input
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation
from tests.reference.stage import Stage


@pytest.fixture(scope="module")
def skirmish() -> Scenario:
    """Return the shipped skirmish."""
    return load("skirmish")


def test_the_order_of_a_tick_is_the_domains() -> None:
    """Systems run in the order of the visible tuple, and reports name them in it."""
    assert Tactics.systems == (
        Inputs,
        Perception,
        Planning,
        Flight,
        Execution,
        Combat,
        Upkeep,
        ObjectiveSystem,
        Cleanup,
    )
    with Stage("a") as stage:
        report = stage.tick()
        assert report is not None
        assert list(report.durations) == [system.name for system in Tactics.systems] + ["digest"]


def test_a_report_is_of_its_tick(skirmish: Scenario) -> None:
    """Ticks count from zero, the digest is the state's after the tick, and plans stand where someone planned."""
    with Simulation(skirmish) as simulation:
        for tick, report in enumerate(simulation.reports(5)):
            assert report.tick == tick
            assert report.agents == simulation.world.n == 20
            assert (report.known is None) == (report.plans is None)
        assert simulation.world.tick == 5
        assert report.phases == report.changes == ()


def test_full_detail_changes_no_root(skirmish: Scenario) -> None:
    """Reporting every phase and change tells the same run; the last phase's state is the tick's."""
    with Simulation(skirmish) as plain, Simulation(skirmish, detail="full") as full:
        for one, two in zip(plain.reports(6), full.reports(6), strict=True):
            assert one.digest == two.digest
            assert [phase.phase for phase in two.phases] == [system.name for system in Tactics.systems]
            assert two.phases[-1].root == two.digest.root
            assert two.phases[-1].components == dict(two.digest.components)


def test_running_counts_in_whole_ticks_in_all(skirmish: Scenario) -> None:
    """`reports(n)` and `run(n)` go on to tick n, however many were made before, and make none beyond it."""
    with Simulation(skirmish) as simulation:
        assert len(list(simulation.reports(2))) == 2
        assert [report.tick for report in simulation.reports(4)] == [2, 3]
        assert list(simulation.reports(4)) == []
        assert simulation.run(5) is simulation
        assert simulation.world.tick == simulation.run(3).world.tick == 5


@pytest.mark.parametrize("ticks", [-1, 2.5, "many", True])
def test_ticks_are_a_whole_number(skirmish: Scenario, ticks: Any) -> None:
    """Half a tick would be run as a whole one, and fewer than none as none."""
    with Simulation(skirmish) as simulation, pytest.raises(WorldError, match="ticks"):
        simulation.run(ticks)


def test_a_decided_run_ends_and_cannot_be_ticked() -> None:
    """After the outcome there are no more ticks; the sentence says since when and why."""
    with Stage("ab", ends="last_team") as stage:
        reports = stage.give(Remove(agent=1))
        assert reports.outcome == "a wins"
        assert list(stage.sim.reports(9)) == []
        assert stage.sim.run(9).world.tick == 1
        with pytest.raises(WorldError, match="since tick 0: a wins"):
            stage.tick()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("system", Tactics.systems, ids=lambda system: system.name)
def test_an_exception_in_a_system_leaves_the_last_whole_tick(
    system: type[System], error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised in mid-tick, state, inputs and later ticks are those of a run in which it was not."""
    inputs = (
        Spawn(squad="a", count=2, x=0, y=0),
        Order(squad="b", text="hold on", x=1, y=1),
        SetCells(cell="wall", x=3, y=1),
        Remove(agent=1),
    )
    with Stage("a.b.", "...b") as stage, Stage("a.b.", "...b") as other:
        for each in (stage, other):
            each.plan(0, ("Attack", 2), ("ThrowSmoke", 2, 0))
            each.tick()
        assert stage.sim.snapshot() == other.sim.snapshot()
        process = system.process

        def broken(self: System, world: Any, frame: Any) -> None:
            process(self, world, frame)
            raise error("in mid-tick")

        before = stage.sim.snapshot()
        for item in inputs:
            stage.sim.inject(item)
            other.sim.inject(item)
        with monkeypatch.context() as patch:
            patch.setattr(system, "process", broken)
            for _ in range(2):
                with pytest.raises(error, match="in mid-tick"):
                    stage.tick()
                assert stage.sim.snapshot() == before
                assert state_digest(stage.sim.world).root == state_digest(other.sim.world).root
                assert not stage.sim.world.pending
                stage.sim.world.check()
        for _ in range(12):
            one, two = stage.tick(), other.tick()
            assert one is not None
            assert two is not None
            assert (one.digest, one.inputs, one.refused, one.draws) == (two.digest, two.inputs, two.refused, two.draws)


def test_an_exception_of_the_plan_source_leaves_the_last_whole_tick() -> None:
    """A planner that raises is not different from a system that does."""

    class Raising:
        tiers = ("raising",)
        models = ()

        def plan(self, batch: ObservationBatch[Any], walks: Any = None) -> Any:
            raise ValueError(f"asked for {len(batch)}")

        def close(self) -> None:
            pass

    with Simulation(load("skirmish"), source=Raising()) as simulation:
        before = simulation.snapshot()
        with pytest.raises(ValueError, match="asked for 20"):
            simulation.tick()
        assert simulation.snapshot() == before


def test_a_snapshot_is_a_copy_and_can_be_gone_back_to(skirmish: Scenario) -> None:
    """What happens after a snapshot does not change it, and a restored run goes on as the first time."""
    with Simulation(skirmish) as simulation:
        list(simulation.reports(40))
        state = simulation.snapshot()
        roots = [report.digest.root for report in simulation.reports(60)]
        simulation.restore(state)
        assert simulation.snapshot() == state
        assert [report.digest.root for report in simulation.reports(60)] == roots


def test_restoring_a_decided_state_decides() -> None:
    """The outcome belongs to the state: it comes with it and goes with it."""
    with Stage("ab", ends="last_team") as stage:
        open_state = stage.sim.snapshot()
        stage.give(Remove(agent=0))
        decided = stage.sim.snapshot()
        stage.sim.restore(open_state)
        assert stage.sim.outcome is None
        stage.sim.restore(decided)
        assert stage.sim.outcome == "b wins"


class Raise(Input):
    """An input of no domain."""


@pytest.mark.parametrize(
    "item", [{"kind": "remove", "agent": 1}, None, "x", Raise(), Remove.model_construct(agent="1")]
)
def test_only_what_a_recording_gives_back_is_injected(skirmish: Scenario, item: Any) -> None:
    """An input of another domain, or what is no input, is refused at once, and the tick goes on without it."""
    with Simulation(skirmish) as simulation:
        with pytest.raises(WorldError, match="inject"):
            simulation.inject(item)
        assert simulation.tick().inputs == ()


def test_numbers_of_numpy_are_numbers(skirmish: Scenario) -> None:
    """A seed, a key that was handed out, ticks and settings may come from NumPy; a bool is no number."""
    with Simulation(skirmish, seed=np.uint16(7)) as simulation:
        assert type(simulation.seed) is int
        simulation.inject(Remove(agent=simulation.world.keys[3]))
        simulation.inject(Order(squad="red one", text="hold", x=np.int8(3), y=np.int8(4)))
        report = simulation.run(np.int64(2)).tick()
        assert report.tick == 2
        assert simulation.world.row_of(np.int64(3)) == -1
    assert skirmish.replaced(ticks=np.int32(9)).ticks == 9
    assert Foraging(each=np.int64(7)).settings.each == 7
    for seed in (True, 7.0, "7", -1, 2**63):
        with pytest.raises(WorldError, match="seed"):
            Simulation(skirmish, seed=seed)


def test_runs_in_several_threads_take_turns(skirmish: Scenario) -> None:
    """Each thread may have runs of its own; they come to what they come to alone."""

    def root(seed: int) -> str:
        with Simulation(skirmish, seed=seed) as simulation:
            return [report.digest.root for report in simulation.reports(8)][-1]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(3) as threads:
            found = list(threads.map(root, range(6)))
    finally:
        sys.setswitchinterval(interval)
    assert found == [root(seed) for seed in range(6)]


def test_a_run_is_not_copied_but_its_state_is(skirmish: Scenario) -> None:
    """Pickling or copying a simulation is refused with what to do instead, and that works."""
    with Simulation(skirmish) as simulation:
        simulation.run(2)
        for copying in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="snapshot"):
                copying(simulation)
        state = pickle.loads(pickle.dumps(simulation.snapshot()))
        root = simulation.tick().digest.root
    with Simulation(skirmish) as another:
        another.restore(state)
        assert another.tick().digest.root == root


def test_the_seed_given_replaces_the_scenarios(skirmish: Scenario) -> None:
    """Another seed gives another run; the scenario's own is used where none is given."""
    runs = []
    for seed in (None, skirmish.seed, 99):
        with Simulation(skirmish, seed=seed) as simulation:
            runs.append([report.digest.root for report in simulation.reports(120)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0][0] != runs[2][0], "where agents start is drawn"


def test_draws_are_counted_by_purpose() -> None:
    """A tick in which two shoot counts two hit draws; a quiet one counts none."""
    with Stage("ab") as stage:
        stage.plan(0, ("Attack", 1))
        stage.plan(1, ("Attack", 0))
        first, second = stage.tick(), stage.tick()
        assert first is not None
        assert second is not None
        assert (first.draws, second.draws) == ({"hit": 2}, {})


def test_closing_twice_is_closing_once(skirmish: Scenario) -> None:
    """A closed simulation refuses to tick with one sentence."""
    simulation = Simulation(skirmish)
    simulation.close()
    simulation.close()
    with pytest.raises(WorldError, match="is closed"):
        simulation.tick()


def test_agents_are_shown_by_key() -> None:
    """A component's value and the plan's steps are read through the entity of a key."""
    with Stage("ab") as stage:
        stage.plan(1, ("Block",), ("Scan", 3))
        assert stage.sim.world.entity(1).steps == ()
        stage.tick()
        agent = stage.sim.world.entity(1)
        assert agent[Health].hp == 100
        assert [str(step) for step in agent.steps] == ["Block()", "Scan(radius=3)"]
        with pytest.raises(WorldError, match="no living entity has key 7"):
            stage.sim.world.entity(7)
