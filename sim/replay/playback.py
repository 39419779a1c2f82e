"""Runs a recorded session again: no model, no network, no clock.

Inputs are injected as they were recorded. Plans of model tiers are read again from their recorded texts, those of
deterministic tiers are computed again, and both walk down the same tiers and through the same legality check as live
plans do. Decisions of a clock (agents that timed out, open breakers, the cut of calls) are taken from the record.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import EncodedStep, ToolRegistry
from ai.errors import ContractError, ParseError
from ai.llm.encodings import NAMED, encoding_of
from ai.llm.encodings.base import Encoding
from ai.observation import ObservationBatch
from ai.orchestrator import FallbackOrchestrator, drive
from ai.planners.base import Asking, PlanCall, Planner, TierPlans
from ai.plans import BatchPlans, Outcome, PlanBatch, Walk
from sim.engine.declaration import first_difference
from sim.errors import Diverged, ReplayError, ScenarioError, Unsupported
from sim.replay.format import HEADER, KEYFRAME, TICK, Amendment, Header, Tick, keys_of
from sim.replay.keyframes import keyframe_of
from sim.replay.reader import Replay
from sim.replay.record import failures, header_of, tick_of, usage_of, with_words_of
from sim.replay.writer import ReplayWriter
from sim.run.inputs import Input
from sim.run.planning import groups_of_tiers
from sim.run.planning_service import build_tiers
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation, TickReport

NOTHING_RECORDED: Final = "the record has nothing for this agent"
"""Why a model tier has no plan for an agent that it was not asked for when the run was recorded."""
_CHOSEN: Final = ("keyframes", "llm", "prompt_version", "parent", "amendments", "outside", "models")
"""The parts of a header that do not follow from scenario and code; a repeated run has those of the record."""
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
        self._record: Tick | None = None

    def expect(self, record: Tick) -> None:
        """Take over what the record of the coming tick says about this tier.

        Raises:
            Unsupported: its plans are written in an encoding that is not known here.
        """
        given = [record.planned, *(each.given for each in record.arrived)]
        given_keys = np.concatenate([keys_of(each.get(self.name, "")) for each in given])
        with_text = np.array([int(key) for key in record.texts], np.int64)
        self._texts = {key: record.texts[str(key)] for key in with_text[np.isin(with_text, given_keys)].tolist()}
        self._record = record
        self._encoding = _encoding(record, self.name)

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Read the recorded texts of the agents asked."""
        steps: list[tuple[EncodedStep, ...]] = []
        outcomes: list[Outcome] = []
        errors: dict[int, str] = {}
        texts: dict[int, str] = {}
        # A record may stand for millions of agents; only those asked are written out.
        failed = {} if self._record is None else failures(self._record, self.name, batch.keys)
        for key in batch.keys.tolist():
            plan: tuple[EncodedStep, ...] = ()
            outcome, error = failed.get(key, self._otherwise)
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

    `outside` names tiers whose plans only the record has. `otherwise` is how a model tier fails agents whom the record
    does not have for it; as it stands they are missing, and so show up as a difference. `models` are the model tiers
    that were in play.

    Raises:
        ScenarioError: the scenario names a tier that is not there.
    """

    def __init__(
        self,
        scenario: Scenario,
        registry: ToolRegistry,
        planners: Sequence[Planner | type[Planner]] = (),
        outside: Sequence[str] = (),
        otherwise: Failure = (Outcome.MISSING, NOTHING_RECORDED),
        *,
        models: Sequence[str] = (),
    ) -> None:
        self._registry = registry
        live = build_tiers(scenario, [*planners, *(RecordedTier(name, otherwise) for name in outside)])
        self._recorded = [
            RecordedTier(tier.name, otherwise) for tier in live if tier.name in outside or not tier.deterministic
        ]
        stand_ins = {tier.name: tier for tier in self._recorded}
        tiers = [stand_ins.get(tier.name, tier) for tier in live]
        self._orchestrator = FallbackOrchestrator(
            tiers,
            start=scenario.planning.start,
            only=groups_of_tiers(scenario.planning, scenario.domain.group_names),
            models=models,
            clock=_no_clock,
        )
        self.models = self._orchestrator.models
        self._record: Tick | None = None

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers' names, in order."""
        return self._orchestrator.tiers

    def expect(self, record: Tick) -> None:
        """Take over the record of the coming tick."""
        self._record = record
        for tier in self._recorded:
            tier.expect(record)

    def plan(self, batch: ObservationBatch[Any], walks: NDArray[np.int8] | None = None) -> BatchPlans:
        """Return the plans that the record and the rules give for the agents of the batch.

        Raises:
            ReplayError: `expect` was not called before the first tick.
        """
        if self._record is None:
            raise ReplayError("a replay plans from records; call expect with one before each tick")
        plans = drive(self._orchestrator.plan_batch_with_fallback(None, batch, self._registry, asking=Asking(walks)))
        plans.shards = list(self._record.shards)
        plans.usage = usage_of(self._record.usage)
        plans.model = dict(self._record.model)
        return plans

    def ask(self, batch: ObservationBatch[Any]) -> None:
        """Send no request: the record of a later tick has the reply."""

    def arrive(self, asked_at: int, batch: ObservationBatch[Any]) -> BatchPlans | None:
        """Return what the record of this tick has of the round of a tick, None where the round was lost.

        Raises:
            ReplayError: `expect` was not called before the tick.
        """
        if self._record is None:
            raise ReplayError("a replay plans from records; call expect with one before each tick")
        found = next((each for each in self._record.arrived if each.asked_at == asked_at), None)
        if found is None or "lost" in found.fates:
            return None
        walks = np.full(len(batch), Walk.MODEL.value, np.int8)
        plans = drive(self._orchestrator.plan_batch_with_fallback(None, batch, self._registry, asking=Asking(walks)))
        if found is self._record.arrived[0]:
            plans.shards, plans.usage = list(self._record.shards), usage_of(self._record.usage)
            plans.model = dict(self._record.model)
        return plans

    def forget(self) -> None:
        """Hold no calls."""

    def close(self) -> None:
        """Hold nothing, so give back nothing."""


class Playback(AbstractContextManager["Playback"]):
    """A recorded run, run again tick by tick. Use it as a context manager.

    Args:
        header: the start of the run.
        plugin_files: where the plug-ins are that its scenario names as files.

    Attributes:
        header: the header that recording this run here and now would write.
        simulation: the run.
        plugins: those that its scenario names, as the run uses them.
        timeline: the scenario's own inputs by tick; the record must have them.
        report: the report of the last tick, None before the first.

    Raises:
        ScenarioError: the header's scenario is not valid, or cannot be built.
    """

    def __init__(self, header: Header, plugin_files: Sequence[Path] = ()) -> None:
        scenario = scenario_of(header, plugin_files)
        self._recorded, self._scenario = header, scenario
        self.plugins = load_plugins(scenario, files=plugin_files)
        self._amended = 0
        self.report: TickReport | None = None
        self._source, self.simulation = self._simulation(scenario)
        self.timeline: dict[int, list[Input]] = defaultdict(list)
        for timed in scenario.inputs:
            self.timeline[timed.tick].append(timed.input)
        own = header_of(self.simulation, ticks=header.ticks)
        self.header = own.model_copy(update={name: getattr(header, name) for name in _CHOSEN})

    def _simulation(self, scenario: Scenario, tick: int = 0) -> tuple[RecordedPlanning | None, Simulation]:
        header, plugins = self._recorded, self.plugins
        registry = scenario.domain.registry([action for plugin in plugins for action in plugin.actions])
        source = None
        if registry is not None:
            planners = [planner for plugin in plugins for planner in plugin.planners]
            models = amended(header, tick).models
            source = RecordedPlanning(scenario, registry, planners, header.outside, models=models)
        return source, Simulation(
            scenario,
            seed=header.seed,
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
        self._source, self.simulation = self._simulation(
            scenario_at(self._recorded, state.tick, self._scenario), state.tick
        )
        self.simulation.restore(state)
        if any(each.tick == state.tick for each in self._recorded.amendments):
            self.simulation.void_asks()
        self._amended = amended

    def tick(self, record: Tick) -> Tick:
        """Run the tick of a record again and return what is recorded now.

        Raises:
            Exception: any error that the simulation raises.
        """
        self._amend()
        if self._source is not None:
            self._source.expect(record)
        for item in record.inputs:
            self.simulation.inject(read_input(self._scenario, item, record.t))
        self.report = self.simulation.tick()
        return with_words_of(record, tick_of(self.report, self.header))

    def match(self, record: Tick) -> None:
        """Run the tick of a record again, and compare the state after it with the recorded root.

        Raises:
            Diverged: it is another state.
            Exception: any error that the simulation raises.
        """
        if self.tick(record).root != record.root:
            raise Diverged(f"tick {record.t} differs when it is run again; `verify` says where")

    def check(self) -> None:
        """Check that the run can be compared with its recording.

        Raises:
            Unsupported: code or declarations here differ from the recorded ones.
        """
        problem = objection(self._recorded, self.header)
        if problem is not None:
            raise Unsupported(problem)

    @property
    def batch(self) -> ObservationBatch[Any] | None:
        """The knowledge of the agents that were planned in the last tick, None if there were none."""
        batch: ObservationBatch[Any] | None = self.simulation.run_context.batch
        return batch

    def close(self) -> None:
        """Give back the simulation."""
        self.simulation.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def scenario_of(header: Header, files: Sequence[Path] = ()) -> Scenario:
    """Return the scenario of a header; `files` are those of its domain and plug-ins, and folders of its data files.

    Data files are also looked for in the current folder.

    Raises:
        ScenarioError: it is not valid, or its domain is missing here.
    """
    return Scenario.from_canonical(
        header.scenario, "the header's scenario", files=[*files, Path()], recorded=header.files
    )


def scenario_at(header: Header, tick: int, scenario: Scenario) -> Scenario:
    """Return the scenario that a run plans with in a tick: its own, with the header's amendments up to then.

    Raises:
        ScenarioError: it is not valid.
    """
    changed: dict[str, Any] = {}
    for each in header.amendments:
        if each.tick <= tick:
            changed = {"planning": each.planning, "rules": each.rules}
    return scenario.replaced(**changed) if changed else scenario


def amended(header: Header, tick: int) -> Header | Amendment:
    """Return what says which model a run plans with in a tick."""
    return next((each for each in reversed(header.amendments) if each.tick <= tick), header)


def read_input(scenario: Scenario, data: dict[str, Any], tick: int) -> Input:
    """Return a recorded input.

    Raises:
        Unsupported: the domain here takes no such input.
    """
    try:
        return scenario.input_set.read(data)
    except ScenarioError as error:
        raise Unsupported(f"tick {tick}: {error}") from None


def objection(header: Header, again: Header) -> str | None:
    """Return the reason why nothing can be proven here about a run with this header, or None."""
    if header.minor > again.minor:
        return f"the format is of a newer minor version, {header.minor}, than is known here ({again.minor})"
    before = [] if header.registry is None else header.registry.kinds
    now = [] if again.registry is None else again.registry.kinds
    if before != now:
        changed = [f"without {name}" for name in before if name not in now]
        changed += [f"with {name}" for name in now if name not in before]
        return f"the verbs here are not those of the recording: {', '.join(changed)}"
    for name in ("determinism", "tiers", "components", "columns"):
        then, now = getattr(header, name), getattr(again, name)
        if then != now:
            verb = "is" if isinstance(then, str) else "are"
            return f"what runs here is not what was recorded: the {name} {verb} {_difference(then, now)}"
    try:
        world = first_difference(header.declarations.get("world", {}), again.declarations.get("world", {}))
    except (AttributeError, KeyError, TypeError):  # a header from outside can hold anything
        world = "the declarations in the header have another form"
    if world is not None:
        return f"what runs here is declared otherwise than what was recorded: {world}"
    for name in sorted(header.declarations.keys() | again.declarations.keys()):
        difference = first_change(header.declarations.get(name), again.declarations.get(name), name)
        if difference is not None:
            return f"what runs here is declared otherwise than what was recorded: {difference}"
    if header.files != again.files:
        return f"the data files here are not those of the recording: {first_change(header.files, again.files, 'files')}"
    if header.registry != again.registry:
        return "the verbs here are not those of the recording: which of them are offered, or the idle step, has changed"
    if header.determinism == "exact" and header.env != again.env:
        changed = sorted(
            name for name in header.env.keys() | again.env.keys() if header.env.get(name) != again.env.get(name)
        )
        return f"the run is only exact in the environment of its recording; here {', '.join(changed)} differ"
    return None


def first_change(then: Any, now: Any, path: str) -> str | None:
    """Return the first place where two declarations differ, as words; None where they agree."""
    if then == now:
        return None
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(key for key in now if key not in then)]:
            if key not in now or key not in then:
                return f"{path}.{key} is {'new here' if key in now else 'missing here'}"
            found = first_change(then[key], now[key], f"{path}.{key}")
            if found is not None:
                return found
        return f"{path} is in another order"
    if isinstance(then, list) and isinstance(now, list):
        gone = [each for each in then if each not in now]
        new = [each for each in now if each not in then]
        if gone or new:
            return f"{path}: " + "; ".join(
                [f"{each!r} is missing here" for each in gone[:1]] + [f"{each!r} is new here" for each in new[:1]]
            )
        return f"{path} is in another order"
    return f"{path} is {now!r}, not {then!r}"


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
        Exception: any error that the simulation raises where the replay does not match.
    """
    if replay.header is None:
        raise ReplayError("there is nothing to record again: the replay has no header")
    sink = io.BytesIO()
    writer = ReplayWriter(sink)
    with Playback(replay.header, plugin_files) as playback:
        writer.write(HEADER, playback.header)
        for recorded in replay.ticks:
            if playback.simulation.outcome is not None:
                break
            tick = playback.tick(recorded)
            writer.write(TICK, tick)
            if playback.header.keyframe_due(tick.t) and not (recorded is replay.ticks[-1] and replay.place.due):
                writer.write(KEYFRAME, keyframe_of(playback.simulation))
        writer.end(replay.header.ticks, None if replay.end is None else replay.end.given_reason)
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
