"""A run: builds a world from a scenario, ticks it, and reports every tick. No file I/O here.

A tick: inputs -> perception -> planning -> flight -> execution -> combat -> upkeep -> objectives -> cleanup -> digest.
The order is the visible tuple in `sim.run.schedule`. `TickReport` is everything a recorder needs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from ai.clients.base import LlmClient
from ai.guard import Watch, foreign
from ai.plan import BatchPlans
from scenarios.tactics.actions import check_kinds, default_registry
from scenarios.tactics.agent_view import agent_view
from scenarios.tactics.director import Budgets
from scenarios.tactics.equipment import Gear
from scenarios.tactics.grid import Grid, Smoke, Terrain
from scenarios.tactics.inputs import Input
from scenarios.tactics.map_objects import Objects
from scenarios.tactics.parameters import Parameters
from scenarios.tactics.reinforcements import Reserves
from scenarios.tactics.scenario import Scenario, place_things, terrain
from scenarios.tactics.scoring import TeamStanding, decide, standings
from scenarios.tactics.shared_knowledge import Lore
from scenarios.tactics.spawning import new_world, objectives_of, populate, squads_of, texts_of
from scenarios.tactics.terrain_edits import TerrainEdits
from sim.engine.digest import StateDigest, state_digest
from sim.engine.events import Event
from sim.engine.rng import Rng, purpose_name
from sim.engine.state import WorldState
from sim.engine.state_diff import Change, changes
from sim.engine.system import System
from sim.errors import WorldError
from sim.run.payloads import Payloads
from sim.run.planning_service import LivePlans, ModelOptions
from sim.run.plugins import Plugin, check_plugins
from sim.run.schedule import schedule
from sim.run.tick_context import Frame, PlanSource, Stage

Detail = Literal["hash", "full"]


def guarded(system: System) -> AbstractContextManager[None] | None:
    """Return the block that a system runs in: under the guard, unless it is one of ours."""
    return Watch(f"system {system.name!r}") if foreign(type(system)) else None


@dataclass(frozen=True, slots=True)
class PhaseDigest:
    """The state after one phase of a tick."""

    phase: str
    root: str
    components: dict[str, str]


@dataclass(slots=True)
class TickReport:
    """What happened in one tick.

    `teams` is how every team stands after it. `inputs` came at its start, in this order; `refused` has the places of
    those that had no effect, and the sentence that says why. `known` is the digest of what the planned agents knew;
    `plans` is None when nobody planned. `draws` counts random draws by purpose, `events` tells watchers what happened
    (`died`, `extracted`, with keys) and is not recorded.
    `phases` and `changes` are filled at detail `full` only. `durations` are seconds by phase: measured, never recorded.
    """

    tick: int
    digest: StateDigest
    agents: int
    outcome: str | None
    teams: tuple[TeamStanding, ...] = ()
    inputs: tuple[Input, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)
    known: str | None = None
    plans: BatchPlans | None = None
    draws: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    phases: tuple[PhaseDigest, ...] = ()
    changes: tuple[Change, ...] = ()
    durations: dict[str, float] = field(default_factory=dict)


class Simulation(AbstractContextManager["Simulation"]):
    """One run of a scenario.

    Args:
        scenario: what to start from.
        seed: replaces the scenario's seed.
        registry: the action kinds (default: all that are discovered, and those of the plug-ins).
        plugins: those that the scenario names (`sim.run.plugins.load_plugins`).
        client: the language model; without one the model tiers are passed over.
        model: how the model is called: deadline, sizes, retries, limits.
        source: replaces the live planning (a replay reads a record instead).
        detail: `full` also reports the state after every phase and every changed value.
        timeline: False leaves the scenario's timed inputs out (a replay injects the recorded ones).
        clock: seconds, for durations; they never reach the state.
        order: creates the agents in another order; keys, and so everything else, stay the same.

    Attributes:
        world: the world; between ticks `world.tick` is the number of the next tick.
        registry: the action kinds.
        plugins: digests of the plug-ins by name.
        tiers: names of the planning tiers, in order.
        outcome: how the run ended, None while it is open.

    Raises:
        ScenarioError: agents do not fit, or a tier is unknown.
        ContractError: an action kind cannot be executed.

    >>> from scenarios.tactics.scenario import load
    >>> with Simulation(load("skirmish"), seed=7) as simulation:
    ...     reports = list(simulation.run(3))
    >>> [report.tick for report in reports]
    [0, 1, 2]
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int | None = None,
        registry: ToolRegistry | None = None,
        plugins: Sequence[Plugin] = (),
        client: LlmClient | None = None,
        model: ModelOptions | None = None,
        source: PlanSource | None = None,
        detail: Detail = "hash",
        timeline: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        order: NDArray[np.intp] | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.detail = detail
        check_plugins(scenario, plugins)
        self.plugins = {plugin.name: plugin.digest for plugin in plugins}
        kinds = [kind for plugin in plugins for kind in plugin.kinds]
        gear = Gear(scenario)
        ground = terrain(scenario)
        objects = Objects(place_things(scenario.map, ground == Terrain.WALL, self.seed), gear)
        edits = TerrainEdits([team.terrain_edits for team in scenario.teams])
        self.registry = (default_registry(kinds) if registry is None else registry).with_names(gear.names)
        check_kinds(self.registry)
        self.outcome: str | None = None
        self._clock = clock
        self._injected: list[Input] = []
        self._timeline: dict[int, list[Input]] = defaultdict(list)
        for timed in scenario.inputs if timeline else ():
            self._timeline[timed.tick].append(timed.input)

        smoke, texts, squads = Smoke(), texts_of(scenario), squads_of(scenario)
        objectives = objectives_of(scenario, squads)
        budgets = Budgets({} if scenario.director is None else scenario.director.budget.model_dump())
        parameters = Parameters(scenario)
        grid = Grid(ground, smoke)
        places = [(place.name, place.x, place.y) for place in scenario.map.places]
        roles = [squad.role for squad in squads.values()]
        planners = [planner for plugin in plugins for planner in plugin.planners]
        planning: PlanSource = source or LivePlans(scenario, self.registry, client, clock, planners, model)
        self.stage = Stage(
            scenario=scenario,
            registry=self.registry,
            grid=grid,
            smoke=smoke,
            rng=Rng(self.seed),
            lore=Lore(texts, places, scenario.ticks_per_second, gear, objects, roles),
            squads=squads,
            objectives=objectives,
            budgets=budgets,
            parameters=parameters,
            payloads=Payloads(),
            gear=gear,
            objects=objects,
            edits=edits,
            source=planning,
        )
        self.tiers = planning.tiers
        self.world = new_world(
            scenario,
            [component for plugin in plugins for component in plugin.components],
            entity_view=agent_view(self.registry, self.stage.payloads),
        )
        reserves = Reserves(
            [0 if team.reinforcements is None else team.reinforcements.count for team in scenario.teams]
        )
        for resource in (
            grid,
            reserves,
            smoke,
            texts,
            objectives,
            budgets,
            parameters,
            self.stage.payloads,
            objects,
            edits,
        ):
            self.world.add_resource(resource)
        populate(self.world, scenario, squads, objectives, texts, self.seed, order)
        systems = schedule([system for plugin in plugins for system in plugin.systems])
        self.world.install([system() for system in systems])
        self._standings: tuple[object, tuple[TeamStanding, ...]] | None = None

    def inject(self, item: Input) -> None:
        """Queue an input for the start of the next tick, after those of the timeline and those queued before it."""
        self._injected.append(item)

    def tick(self) -> TickReport:
        """Advance one tick.

        Raises:
            WorldError: the run has been decided.
            Exception: whatever a system or planner raises; the world is then at the last whole tick, inputs still wait.
        """
        if self.outcome is not None:
            raise WorldError(f"the run is over since tick {self.world.tick - 1}: {self.outcome}")
        before = self.world.snapshot()
        tick = self.world.tick
        inputs = (*self._timeline.get(tick, ()), *self._injected)
        frame = Frame(self.stage, tick, inputs=inputs)
        durations: dict[str, float] = {}
        phases: list[PhaseDigest] = []
        mark = self._clock()

        def after(phase: str) -> None:
            nonlocal mark
            now = self._clock()
            durations[phase] = now - mark
            if self.detail == "full":
                digest = state_digest(self.world)
                phases.append(PhaseDigest(phase, digest.root, dict(digest.components)))
            mark = self._clock()

        try:
            self.world.process(frame, after, guarded)
            digest = state_digest(self.world)
            durations["digest"] = self._clock() - mark
            changed = changes(before, self.world.snapshot()) if self.detail == "full" else ()
        except BaseException:
            self.world.restore(before)
            self.world.events.clear()
            self.stage.rng.take_counts()
            raise
        self._injected.clear()
        self.world.tick = tick + 1
        self.outcome = self._decide()
        return TickReport(
            tick=tick,
            digest=digest,
            agents=self.world.n,
            outcome=self.outcome,
            teams=self.standings(),
            inputs=inputs,
            refused=frame.refused,
            known=None if frame.batch is None else frame.batch.digest(),
            plans=frame.plans,
            draws={purpose_name(code): count for code, count in self.stage.rng.take_counts().items()},
            events=self.world.events.drain(),
            phases=tuple(phases),
            changes=changed,
            durations=durations,
        )

    def standings(self) -> tuple[TeamStanding, ...]:
        """Return how every team stands now: result, score, agents on the map, objectives."""
        objectives = self.stage.objectives
        seen = (self.world.version, self.world.restores, objectives.stamp, self.outcome)
        if self._standings is None or self._standings[0] != seen:
            decision = decide(self.scenario, self.world, objectives)
            self._standings = seen, standings(self.scenario, self.world, objectives, decision)
        return self._standings[1]

    def _decide(self) -> str | None:
        return decide(self.scenario, self.world, self.stage.objectives).outcome

    def run(self, ticks: int) -> Iterator[TickReport]:
        """Tick until `ticks` whole ticks have been made in all, or the outcome is decided."""
        while self.world.tick < ticks and self.outcome is None:
            yield self.tick()

    def snapshot(self) -> WorldState:
        """Return all state between two ticks; queued inputs are not state."""
        return self.world.snapshot()

    def restore(self, state: WorldState) -> None:
        """Go to a state of this scenario, taken here or in another simulation of it."""
        self.world.restore(state)
        self.outcome = self._decide()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the plan source and the world's context."""
        try:
            self.stage.source.close()
        finally:
            self.world.close()
