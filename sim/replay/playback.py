"""Runs a recorded session again: no model, no network, no clock.

Inputs are injected as they were recorded. Plans of model tiers are read again from their recorded texts, those of
deterministic tiers are computed again, and both walk down the same tiers and through the same legality check as live
plans do. What a clock decided (who timed out, which breaker was open, how calls were cut) is taken from the record.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

from ai.actions import EncodedStep, ToolRegistry
from ai.encodings import NAMED, encoding_of
from ai.encodings.base import Encoding
from ai.errors import ContractError, ParseError
from ai.fallback import FallbackOrchestrator, drive
from ai.plan import BatchPlans, Outcome, PlanBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.snapshot import SnapshotBatch
from scenarios.tactics.actions import recorded_registry
from scenarios.tactics.equipment import Gear
from scenarios.tactics.inputs import Input
from scenarios.tactics.scenario import Scenario, tiers_of_teams
from sim.errors import ReplayError, Unsupported
from sim.replay.format import END, HEADER, KEYFRAME, TICK, Header, Tick
from sim.replay.keyframes import keyframe_of
from sim.replay.reader import Replay
from sim.replay.record import Totals, failures, header_of, planned, tick_of, usage_of
from sim.replay.writer import ReplayWriter
from sim.run.planning_service import build_tiers
from sim.run.plugins import load_plugins
from sim.run.simulation import Simulation, TickReport

NOTHING_RECORDED: Final = "the record has nothing for this agent"
"""Why a model tier has no plan for an agent that it was not asked for when the run was recorded."""
Failure = tuple[Outcome, str | None]
"""How a tier failed an agent: the outcome, and the error's text if there is one."""


class RecordedTier:
    """Stands for a tier that cannot be computed again: gives what the record has for each agent asked.

    An agent that the record does not have for this tier fails as `otherwise` says.
    """

    deterministic = True

    def __init__(self, name: str, otherwise: Failure) -> None:
        self.name = name
        self._otherwise = otherwise
        self._encoding: Encoding = NAMED
        self._texts: dict[int, str] = {}
        self._failures: dict[int, Failure] = {}

    def expect(self, record: Tick) -> None:
        """Take over what the record of the coming tick says about this tier.

        Raises:
            Unsupported: its plans are written in an encoding that is not known here.
        """
        given = [key for key, tier in planned(record).items() if tier == self.name]
        self._texts = {key: record.texts[str(key)] for key in given if str(key) in record.texts}
        self._failures = failures(record, self.name)
        self._encoding = _encoding(record, self.name)

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Read the recorded texts of the agents asked."""
        steps: list[tuple[EncodedStep, ...]] = []
        outcomes: list[Outcome] = []
        errors: dict[int, str] = {}
        texts: dict[int, str] = {}
        for key in batch.keys.tolist():
            plan: tuple[EncodedStep, ...] = ()
            outcome, error = self._failures.get(key, self._otherwise)
            if key in self._texts:
                try:
                    plan, outcome, error = self._encoding.encode(self._texts[key], registry), Outcome.OK, None
                except ParseError as problem:
                    outcome, error = Outcome.INVALID, str(problem)
                else:
                    texts[key] = self._texts[key]
            if error is not None:
                errors[key] = error
            steps.append(plan)
            outcomes.append(outcome)
        return TierPlans(PlanBatch.from_encoded(batch.keys, steps), np.array(outcomes, np.int8), errors, texts)


class RecordedPlanning:
    """The source of plans of a replay; `expect` says which record the next tick is held against.

    `batch` is what the agents knew for whom plans were asked since. `otherwise` is how a model tier fails agents whom
    the record does not have for it; as it stands they are missing, and so show up as a difference.

    Raises:
        ScenarioError: the scenario names a tier that is not there.
    """

    def __init__(
        self,
        scenario: Scenario,
        registry: ToolRegistry,
        planners: Sequence[type[Planner]] = (),
        otherwise: Failure = (Outcome.MISSING, NOTHING_RECORDED),
    ) -> None:
        self._registry = registry
        live = build_tiers(scenario, planners)
        self._recorded = [RecordedTier(tier.name, otherwise) for tier in live if not tier.deterministic]
        stand_ins = {tier.name: tier for tier in self._recorded}
        tiers = [stand_ins.get(tier.name, tier) for tier in live]
        self._orchestrator = FallbackOrchestrator(
            tiers, start=scenario.planning.start, only=tiers_of_teams(scenario), clock=_no_clock
        )
        self._record: Tick | None = None
        self.batch: SnapshotBatch | None = None

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers' names, in order."""
        return self._orchestrator.tiers

    def expect(self, record: Tick) -> None:
        """Take over the record of the coming tick."""
        self._record, self.batch = record, None
        for tier in self._recorded:
            tier.expect(record)

    def plan(self, batch: SnapshotBatch) -> BatchPlans:
        """Return the plans that the record and the rules give for the agents of the batch.

        Raises:
            ReplayError: `expect` was not called before the first tick.
        """
        if self._record is None:
            raise ReplayError("a replay plans from records; call expect with one before each tick")
        self.batch = batch
        plans = drive(self._orchestrator.plan_batch_with_fallback(None, batch, self._registry))
        plans.shards = list(self._record.shards)
        plans.usage = usage_of(self._record.usage)
        plans.model = dict(self._record.model)
        return plans

    def close(self) -> None:
        """Hold nothing, so give back nothing."""


class Playback(AbstractContextManager["Playback"]):
    """A recorded run, run again tick by tick. Use it as a context manager.

    Args:
        header: what the run started from.
        plugin_files: where the plug-ins are that its scenario names as files.

    Attributes:
        header: the header that recording this run here and now would write.
        simulation: the run.
        timeline: the scenario's own inputs by tick; the record must have them.
        report: what the last tick reported, None before the first.

    Raises:
        ScenarioError: the header's scenario is not valid, or cannot be built.
    """

    def __init__(self, header: Header, plugin_files: Sequence[Path] = ()) -> None:
        scenario = Scenario.from_canonical(header.scenario, "the header's scenario")
        self._recorded = header
        self._plugins = load_plugins(scenario, files=plugin_files)
        self._amended = 0
        self.report: TickReport | None = None
        self._source, self.simulation = self._simulation(scenario)
        self.timeline: dict[int, list[Input]] = defaultdict(list)
        for timed in scenario.inputs:
            self.timeline[timed.tick].append(timed.input)
        self.header = header_of(
            self.simulation,
            ticks=header.ticks,
            keyframes=header.keyframes,
            llm=header.llm,
            prompt_version=header.prompt_version,
            parent=header.parent,
            amendments=header.amendments,
        )

    def _simulation(self, scenario: Scenario) -> tuple[RecordedPlanning, Simulation]:
        header, plugins = self._recorded, self._plugins
        registry = recorded_registry(header.registry.kinds, [kind for plugin in plugins for kind in plugin.kinds])
        registry = registry.with_names(Gear(scenario).names)
        source = RecordedPlanning(scenario, registry, [kind for plugin in plugins for kind in plugin.planners])
        return source, Simulation(
            scenario,
            seed=header.seed,
            registry=registry,
            plugins=plugins,
            source=source,
            detail=header.detail,
            timeline=False,
            clock=_no_clock,
        )

    def _amend(self) -> None:
        """Go on with the scenario that holds for the coming tick."""
        amended = sum(each.tick <= self.simulation.world.tick for each in self._recorded.amendments)
        if amended == self._amended:
            return
        state = self.simulation.snapshot()
        self.simulation.close()
        self._source, self.simulation = self._simulation(scenario_at(self._recorded, state.tick))
        self.simulation.restore(state)
        self._amended = amended

    def tick(self, record: Tick) -> Tick:
        """Run the tick of a record again and return what is recorded now.

        Raises:
            Exception: whatever the simulation raises.
        """
        self._amend()
        self._source.expect(record)
        for item in record.inputs:
            self.simulation.inject(item)
        self.report = self.simulation.tick()
        return tick_of(self.report, self.header)

    @property
    def batch(self) -> SnapshotBatch | None:
        """What the agents knew that were planned in the last tick, None if there were none."""
        return self._source.batch

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the simulation."""
        self.simulation.close()


def scenario_at(header: Header, tick: int) -> Scenario:
    """Return the scenario that a run plans with in a tick: the header's, with the amendments up to then.

    Raises:
        ScenarioError: it is not valid.
    """
    scenario = header.scenario
    for each in header.amendments:
        if each.tick <= tick:
            scenario = {**scenario, "planning": each.planning, "heuristics": each.heuristics}
    return Scenario.from_canonical(scenario, "the header's scenario")


def objection(header: Header, again: Header) -> str | None:
    """Say why nothing can be proven here about a run with this header, or None."""
    if header.minor > again.minor:
        return f"the format is of a newer minor version, {header.minor}, than is known here ({again.minor})"
    if header.registry != again.registry:
        before, now = header.registry.kinds, again.registry.kinds
        changed = [f"without {name}" for name in before if name not in now]
        changed += [f"with {name}" for name in now if name not in before]
        return f"the action kinds here are not those of the recording: {', '.join(changed) or 'their shapes changed'}"
    for name in ("domain", "tiers", "components", "columns"):
        then, now = getattr(header, name), getattr(again, name)
        if then != now:
            return f"what runs here is not what was recorded: the {name} are {_difference(then, now)}"
    if header.domain == "exact" and header.env != again.env:
        changed = sorted(
            name for name in header.env.keys() | again.env.keys() if header.env.get(name) != again.env.get(name)
        )
        return f"the run is only exact in the environment of its recording; here {', '.join(changed)} differ"
    return None


def _difference(then: object, now: object) -> str:
    if isinstance(then, list) and isinstance(now, list):
        strange = sorted(set(then) ^ set(now))
        return f"others ({', '.join(strange)})" if strange else "in another order"
    return f"{now!r}, not {then!r}"


def rerecord(replay: Replay, plugin_files: Sequence[Path] = ()) -> bytes:
    """Run a whole replay again and return the bytes that recording it now gives: the same, but for the header's `env`.

    Where it is not the same any more, it may end sooner; it never goes on beyond the ticks that were recorded.

    Raises:
        ReplayError: the replay has no header.
        Exception: whatever the simulation raises where the replay does not match.
    """
    if replay.header is None:
        raise ReplayError("there is nothing to record again: the replay has no header")
    sink = io.BytesIO()
    writer, totals = ReplayWriter(sink), Totals()
    with Playback(replay.header, plugin_files) as playback:
        writer.write(HEADER, playback.header)
        for recorded in replay.ticks:
            if playback.simulation.outcome is not None:
                break
            tick = playback.tick(recorded)
            writer.write(TICK, tick)
            totals.add(tick)
            if playback.header.keyframe_due(tick.t) and not (recorded is replay.ticks[-1] and replay.place.due):
                writer.write(KEYFRAME, keyframe_of(playback.simulation))
        recovered = replay.end is not None and replay.end.reason == "recovered"
        writer.write(END, totals.end(replay.header.ticks, recovered=recovered))
    return sink.getvalue()


def _encoding(record: Tick, tier: str) -> Encoding:
    """Return the encoding that a tier's calls used in a tick; all of its calls share one."""
    names = [shard["encoding"] for shard in record.shards if shard.get("tier") == tier and "encoding" in shard]
    try:
        return encoding_of(str(names[0])) if names else NAMED
    except ContractError as error:
        raise Unsupported(f"tick {record.t}: {error}") from None


def _no_clock() -> float:
    return 0.0
