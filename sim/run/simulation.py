"""A run: builds a world from a scenario, ticks it, and reports every tick. No file I/O here.

A tick runs the domain's systems in their order, then the digest. `TickReport` is everything a recorder needs.
"""

from __future__ import annotations

import html
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from ai.guard import Watch, active
from ai.llm_types import LlmClient
from ai.planners.base import Planner
from ai.planners.outside import Choose
from ai.plans import BatchPlans
from sim.engine.digest import StateDigest, state_digest
from sim.engine.events import Event
from sim.engine.rng import SEED_MAX, Rng, purpose_name
from sim.engine.state import WorldState
from sim.engine.state_diff import Change, changes
from sim.engine.system import System
from sim.engine.values import integer
from sim.errors import ScenarioError, WorldError, short
from sim.messages import one_line
from sim.progress import notebook_progress
from sim.run.actions import reasons_of
from sim.run.agent_view import agent_view
from sim.run.checks import (
    check_domain,
    check_verbs,
    checked_mask,
    checked_outcome,
    checked_scores,
    checked_spaces,
    measured,
    place_in,
)
from sim.run.choices import named_tiers, with_tiers
from sim.run.context import PlanSource, Run
from sim.run.domain import Domain, Metric
from sim.run.faults import FAULT_NOTE
from sim.run.inputs import Input
from sim.run.listeners import Listeners
from sim.run.plan_columns import PLANNING, THINKING
from sim.run.planning_service import LivePlanner, ModelOptions, PlanningService
from sim.run.plugins import Plugin, check_plugins
from sim.run.portrayal import checked_portrayal
from sim.run.rounds import RoundNotes, Rounds, count_held, rounds_every
from sim.run.scenario_file import Scenario
from sim.run.schedule import schedule
from sim.run.settings import ALIVE_MAX
from sim.run.thinking import void
from sim.run.world import World
from sim.space import Grid

if TYPE_CHECKING:
    from sim.tables.collect import Collected

Detail = Literal["hash", "full"]


def watched(system: System) -> AbstractContextManager[None]:
    """Return the block that a system runs in where the guard is on."""
    return Watch(f"system {system.name!r}")


@dataclass(frozen=True, slots=True)
class PhaseDigest:
    """The state after one phase of a tick."""

    phase: str
    root: str
    components: dict[str, str]


@dataclass(slots=True)
class TickReport:
    """The events of one tick.

    Attributes:
        tick: its number.
        digest: the state after it.
        agents: entities alive after it.
        outcome: how the run ended, None while it is open.
        inputs: the inputs at its start, in order.
        refused: index of each input that had no effect, and the sentence that says why.
        known: the digest of what the planned agents knew; None when no agent was planned for.
        plans: the result of planning; None when no agent was planned for.
        round: the notes about the model tiers; None where none is in play.
        draws: random draws by purpose.
        events: other events (`died`, with keys); not recorded.
        phases: the state after each phase, at detail `full`.
        changes: every changed value, at detail `full`.
        durations: seconds by phase: measured, never recorded.
    """

    tick: int
    digest: StateDigest
    agents: int
    outcome: str | None
    inputs: tuple[Input, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)
    known: str | None = None
    plans: BatchPlans | None = None
    round: RoundNotes | None = None
    draws: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    phases: tuple[PhaseDigest, ...] = ()
    changes: tuple[Change, ...] = ()
    durations: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        plans = "" if self.plans is None else f", plans {self.plans.counts()}"
        return f"TickReport(tick {self.tick:,}, {self.agents:,} agents{plans}, root {self.digest.root})"


class Simulation(AbstractContextManager["Simulation"]):
    """One run of a scenario or of a domain.

    Args:
        start: a scenario, or a domain with its settings.
        seed: replaces the scenario's seed.
        plugins: those that the scenario names (`sim.run.plugins.load_plugins`).
        client: the language model; without one the model tiers are passed over.
        model: how the model is called: deadline, sizes, retries, limits.
        service: in place of client and model: a service that asks a model for several runs.
        source: replaces the live planning (a replay reads a record instead).
        tiers: the planners, in order, in place of the scenario's tiers: names, planners, or functions that return the
            steps of one agent. Plans of the latter two are recorded, so that a replay needs no such object.
        detail: `full` also reports the state after every phase and every changed value.
        timeline: False leaves the scenario's timed inputs out (a replay injects the recorded ones).
        clock: seconds, for durations; they never reach the state.
        order: spawns the entities of the start in another order; keys, and so everything else, stay the same.
        listeners: objects that hear of the run (`sim.run.listeners`).

    Attributes:
        scenario: the scenario of the run.
        domain: the domain with its settings.
        world: the world; between ticks `world.tick` is the number of the next tick.
        run_context: the constants of the run that systems see.
        registry: the verbs, None where no agent plans.
        plugins: digests of the plug-ins by name.
        tiers: names of the planning tiers, in order.
        portrayal: how viewers draw the world, with all that the domain leaves open.
        models: names of the model tiers among them that are in play.
        outside: names of those that were handed over as objects.
        llm: the label of the model's client, None without one.
        outcome: how the run ended, None while it is open.

    Raises:
        ScenarioError: the start does not fit, or a tier is unknown.
        ContractError: the domain has a defect; the message names the class.

    >>> from sim.run.scenario_file import load
    >>> with Simulation(load("skirmish"), seed=7) as simulation:
    ...     reports = list(simulation.reports(3))
    >>> len(reports), reports[-1].tick
    (3, 2)
    """

    def __init__(
        self,
        start: Scenario | Domain,
        *,
        seed: int | None = None,
        plugins: Sequence[Plugin] = (),
        client: LlmClient | None = None,
        model: ModelOptions | None = None,
        service: PlanningService | None = None,
        source: PlanSource | None = None,
        tiers: Sequence[str | Planner | type[Planner] | Choose] | None = None,
        detail: Detail = "hash",
        timeline: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        order: NDArray[np.intp] | None = None,
        listeners: Sequence[object] = (),
    ) -> None:
        for what, given in ("tiers", tiers), ("plugins", plugins), ("listeners", listeners):
            if isinstance(given, str) or not isinstance(given, Iterable | None):
                raise ScenarioError(one_line(f"{what}: give a list, as in [{short(given)}]"))
        scenario = start if isinstance(start, Scenario) else Scenario.of(start)
        names, handed = ([], []) if tiers is None else named_tiers(tiers)
        self.scenario = scenario = with_tiers(scenario, names or None)
        self.outside = tuple(planner.name for planner in handed)
        asked = client if service is None else service.client
        if asked is not None and not hasattr(asked, "label"):
            raise ScenarioError(f"client: {short(asked)} is not a model; `ai.clients.client_from_spec` makes one")
        self.llm = None if asked is None else asked.label
        self.domain = domain = scenario.domain
        check_domain(domain)
        self.seed = integer(scenario.seed if seed is None else seed, 0, SEED_MAX, "seed")
        self.detail = detail
        check_plugins(scenario, plugins)
        self.plugins = {plugin.name: plugin.digest for plugin in plugins}
        self.metrics_by_name: Mapping[str, Metric] = {
            **domain.metrics,
            **{name: metric for plugin in plugins for name, metric in plugin.metrics.items()},
        }
        self.registry = domain.registry([action for plugin in plugins for action in plugin.actions])
        if self.registry is not None:
            check_verbs(domain, self.registry)
        self.outcome: str | None = None
        self._clock = clock
        self._listeners = Listeners(listeners)
        self._injected: list[Input] = []
        self._last: WorldState | None = None
        """The state that the last tick left, and when that was; a tick that fails goes back to it."""
        self._at = (0, 0, 0)
        self._timeline: dict[int, list[Input]] = defaultdict(list)
        for timed in scenario.inputs if timeline else ():
            self._timeline[timed.tick].append(timed.input)

        systems = schedule(domain, [system for plugin in plugins for system in plugin.systems])
        planners = [*(planner for plugin in plugins for planner in plugin.planners), *handed]
        planning = source
        if planning is None and self.registry is not None:
            planning = LivePlanner(scenario, self.registry, client, clock, planners, model, self._listeners, service)
        self.run_context = run = Run(
            domain=domain,
            seed=self.seed,
            ticks=scenario.ticks,
            ticks_per_second=scenario.ticks_per_second,
            planning=scenario.planning,
            registry=self.registry,
            rng=Rng(self.seed),
            reason_codes={reason: index + 1 for index, reason in enumerate(reasons_of(self.registry))},
            source=planning,
            rounds=None
            if planning is None
            else Rounds.of(
                scenario.planning,
                rounds_every(scenario),
                planning.tiers,
                planning.models,
                domain.group_names,
            ),
        )
        run.files = scenario.data.of(domain.settings)
        run.spaces = checked_spaces(domain.spaces(run), domain)
        self.tiers = () if planning is None else planning.tiers
        self.models = () if planning is None else planning.models
        components = (*domain.components, *(part for plugin in plugins for part in plugin.components))
        if self.registry is not None:
            components += tuple(part for part in PLANNING if part not in components)
            run.thinks = scenario.planning.think > 0
            components += THINKING if run.thinks else ()
        options: dict[str, Any] = {}
        if self.registry is not None:
            options["entity_view"] = agent_view(self.registry, run.payloads)
        resources = (*domain.resources, *(part for plugin in plugins for part in plugin.resources))
        self.world = World(
            components,
            resources=resources,
            tables=domain.tables,
            sizes=sizes_of(run.spaces),
            seed=self.seed,
            name=scenario.name,
            capacity=min(max(domain.agents or 64, 1), ALIVE_MAX),
            **options,
        )
        self.world.run = run
        self.world.always = components[len(domain.components) :]
        run.rng = self.world.rng
        if self.registry is not None:
            self.world.add_resource(run.payloads)
        domain.setup(self.world, run)
        self.world.flush()
        self.portrayal = checked_portrayal(domain, self.world, run.spaces, place_in(domain))
        if order is not None:
            respawn(self.world, order)
        self.world.install([system() for system in systems])

    def listen(self, listener: object) -> None:
        """Add a listener that hears of the run from now on (`sim.run.listeners`)."""
        self._listeners.add(listener)

    def measure(self, metrics: Mapping[str, Metric]) -> None:
        """Add metrics by name to those of the domain: summaries, displays, tables and plots have them from now on."""
        self.metrics_by_name = {**self.metrics_by_name, **metrics}

    def inject(self, item: Input) -> None:
        """Queue an input for the start of the next tick, after those of the timeline and those queued before it.

        Raises:
            WorldError: it is not an input of this domain, or holds what a recording could not give back.
        """
        kinds = self.scenario.input_set.by_kind
        if type(item) is not kinds.get(getattr(item, "kind", "")):
            raise WorldError(
                one_line(
                    f"inject: {item!r:.80} is not an input of {self.domain.name!r}; inputs: {', '.join(sorted(kinds))}"
                )
            )
        try:
            same = self.scenario.input_set.read(item.model_dump(mode="json")) == item
        except (ScenarioError, ValueError) as error:
            raise WorldError(one_line(f"inject: {item!r:.80} cannot be recorded: {error}")) from None
        if not same:
            raise WorldError(one_line(f"inject: {item!r:.80} would be read back from a recording as something else"))
        self._injected.append(item)

    def tick(self) -> TickReport:
        """Advance one tick.

        Raises:
            WorldError: the run has been decided.
            Exception: any error of a system or planner; the world is then at the last whole tick, inputs still wait.
        """
        if self.outcome is not None:
            raise WorldError(f"the run is over since tick {self.world.tick - 1}: {self.outcome}")
        before, now = self._last, (self.world.tick, self.world.restores, self.world.version)
        if before is None or self._at != now:
            before = self.world.snapshot()
        tick, run = self.world.tick, self.run_context
        drawn = run.rng.counts.copy()
        run.begin(tick, (*self._timeline.get(tick, ()), *self._injected))
        durations: dict[str, float] = {}
        phases: list[PhaseDigest] = []
        mark = self._clock()

        def after(phase: str) -> None:
            nonlocal mark
            now = self._clock()
            durations[phase], mark = now - mark, now
            if self.detail == "full":
                digest = state_digest(self.world)
                phases.append(PhaseDigest(phase, digest.root, dict(digest.components)))
                mark = self._clock()

        try:
            self.world.process(run, after, watched if active() else None)
            digest = state_digest(self.world)
            durations["digest"] = self._clock() - mark
            changed = changes(before, self.world.snapshot()) if self.detail == "full" else ()
        except BaseException as error:
            at = self.world.systems[min(len(durations), len(self.world.systems) - 1)].name if self.world.systems else ""
            error.add_note(f"{FAULT_NOTE}tick {tick}, system {at!r}")
            self.world.restore(before)
            self.world.events.clear()
            run.rng.take_counts()
            run.rng.counts.update(drawn)
            raise
        self._injected.clear()
        if run.rounds is not None:
            count_held(
                self.world, run, checked_mask(self.domain.plannable(self.world), self.world, self.domain, "plannable")
            )
        self.world.tick = tick + 1
        self._last = self.world.snapshot(looked=True)
        self._at = (self.world.tick, self.world.restores, self.world.version)
        self.outcome = checked_outcome(self.domain.outcome(self.world), self.domain)
        report = TickReport(
            tick=tick,
            digest=digest,
            agents=self.world.n,
            outcome=self.outcome,
            inputs=run.inputs,
            refused=run.refused,
            known=None if run.batch is None else run.batch.digest(),
            plans=run.plans,
            round=None if run.rounds is None else run.round,
            draws={purpose_name(code): count for code, count in run.rng.take_counts().items()},
            events=self.world.events.drain(),
            phases=tuple(phases),
            changes=changed,
            durations=durations,
        )
        if self._listeners:
            for arrival in run.round.arrivals:
                self._listeners.tell("on_arrival", arrival)
            self._listeners.tell("on_tick", report)
        return report

    def reports(self, ticks: int | None = None) -> Iterator[TickReport]:
        """Tick, and yield a report of each tick, until `ticks` whole ticks have been made in all, or the run is over.

        Without `ticks` the scenario's number counts.

        Raises:
            WorldError: `ticks` is not a whole number from 0, or as `tick`.
        """
        limit = self.scenario.ticks if ticks is None else integer(ticks, 0, SEED_MAX, "ticks")
        while self.world.tick < limit and self.outcome is None:
            yield self.tick()

    def run(self, ticks: int | None = None) -> Self:
        """Tick until `ticks` whole ticks have been made in all, or the run is over; return the simulation.

        Without `ticks` the scenario's number counts. In a notebook, progress is shown under the cell.
        """
        total = self.scenario.ticks if ticks is None else ticks
        with notebook_progress(self.scenario.name) as show:
            for report in self.reports(ticks):
                show(report.tick + 1, total)
        return self

    def metrics(self) -> dict[str, Any]:
        """Return the domain's metrics now, by name: numbers, or arrays where a metric returns one."""
        return {name: measured(name, metric, self.world, self.domain) for name, metric in self.metrics_by_name.items()}

    def collect(
        self,
        ticks: int | None = None,
        *,
        metrics: Mapping[str, Metric] | None = None,
        tables: Sequence[str] | None = None,
        every: int = 1,
    ) -> Collected:
        """Run as `run` does and return the run's tables: agents by tick, plans, attempts, calls, inputs, metrics.

        Args:
            ticks: whole ticks in all; without, the scenario's number.
            metrics: further metrics by name.
            tables: only these tables.
            every: agents and metrics of ticks that are divisible by this.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        from sim.tables.collect import collect

        return collect(self, ticks, metrics=metrics, tables=tables, every=every)

    def scores(self) -> dict[str, float]:
        """Return the domain's scores now, by name."""
        return checked_scores(self.domain.scores(self.world), self.domain)

    def show(self) -> Any:
        """Return a page of the world as it is now, which a notebook shows; `save(FILE)` writes it."""
        # By name: a run knows nothing of its viewers.
        return import_module("sim.viewer.replays").view_now(self)

    def __repr__(self) -> str:
        ended = "" if self.outcome is None else f", {self.outcome}"
        tick = f"tick {self.world.tick:,} of {self.scenario.ticks:,}"
        return one_line(f"Simulation({self.scenario.name}, seed {self.seed}, {tick}, {self.world.n:,} agents{ended})")

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
            for name, value in self.metrics().items()
            if np.ndim(value) == 0
        )
        return f"<p>{html.escape(repr(self))}</p><table>{rows}</table>"

    def snapshot(self) -> WorldState:
        """Return all state between two ticks; queued inputs are not state."""
        return self.world.snapshot()

    def restore(self, state: WorldState) -> None:
        """Go to a state of this scenario, taken here or in another simulation of it."""
        if self.run_context.source is not None:
            self.run_context.source.forget()
        self.world.restore(state)
        if state.tick:
            self.run_context.rng.take_counts()  # draws of the setup count for tick 0 alone
        self.outcome = self.domain.outcome(self.world)

    def __reduce__(self) -> NoReturn:
        """Refuse, and name the parts to keep or copy instead.

        Raises:
            TypeError: always.
        """
        raise TypeError("a Simulation cannot be pickled or copied; keep `snapshot()`, and `restore` it in another one")

    def void_asks(self) -> None:
        """Void the requests of planners that no longer plan from now on: open asks, and plans that wait."""
        if self.run_context.thinks:
            void(self.world, slice(None))

    def close(self) -> None:
        """Give back the plan source and the world's context."""
        try:
            if self.run_context.source is not None:
                self.run_context.source.close()
        finally:
            self.world.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def sizes_of(spaces: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes that `per` may name: each space by its name, and the cells of the only grid as `cell`."""
    sizes = {name: int(space.size) for name, space in spaces.items() if hasattr(space, "size")}
    grids = [space for space in spaces.values() if isinstance(space, Grid)]
    if len(grids) == 1:
        sizes["cell"] = grids[0].size
    return sizes


def respawn(world: World, order: NDArray[np.intp]) -> None:
    """Bring a world's entities into being again, in another order and under the same keys.

    Args:
        world: a world before its first tick; its state is the same afterwards.
        order: a permutation of its rows.

    Raises:
        WorldError: the rows are not in key order afterwards.
    """
    state = world.snapshot()
    world.kill(slice(None))
    world.flush()
    # A key is given once: going back to before the first birth makes the keys new again.
    world.restore(replace(world.snapshot(), next_key=0))
    for key in state.keys[order].tolist():
        world.spawn({}, keys=[key])
    world.flush()
    world.check()  # a restore would hide rows in the order of birth
    world.restore(state)
