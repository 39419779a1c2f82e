"""A new run that shares the past of a recorded one: the same ticks before a point, and its own from there on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from ai.llm.prompt import PROMPT_VERSION
from ai.llm_types import LlmClient
from ai.planners.base import Planner
from ai.rules import Rules
from sim.errors import ReplayError, ScenarioError
from sim.messages import one_line, sentence
from sim.replay.format import HEADER, KEYFRAME, TICK, Amendment, Header, Keyframe, Parent, Tick
from sim.replay.keyframes import keyframe_of
from sim.replay.playback import amended, read_input, scenario_at, scenario_of
from sim.replay.record import environment, tick_of
from sim.replay.replay_file import ReplayFile
from sim.replay.writer import ReplayWriter, Sink
from sim.run.files import read_text, read_toml
from sim.run.inputs import Input, TimedInput
from sim.run.planning_service import ModelOptions, model_tiers
from sim.run.plugins import load_plugins
from sim.run.scenario_file import INPUTS_MAX, Scenario
from sim.run.simulation import Simulation


class Patch(BaseModel):
    """The changes of a fork: more inputs, keys of the scenario's `planning`, other rules.

    Places and agents cannot be changed: they are the past that is shared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[dict[str, JsonValue], ...] = ()
    planning: dict[str, Any] | None = None
    rules: Rules | None = None


def load_patch(path: Path) -> Patch:
    """Read a patch from a TOML file, or from JSON if the name ends so.

    Raises:
        ScenarioError: the file is not a patch; one sentence.
    """
    try:
        return Patch.model_validate(json.loads(read_text(path)) if path.suffix == ".json" else read_toml(path))
    except ValidationError as error:
        raise ScenarioError(f"{path}: {sentence(error, Patch.model_json_schema())}") from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError(one_line(f"{path}: cannot be read: {error}")) from None


@dataclass(frozen=True, slots=True)
class Changes:
    """How a fork differs from its parent: a patch, a list of tiers, a model; without any it runs as its parent did."""

    patch: Patch = field(default_factory=Patch)
    tiers: tuple[str, ...] | None = None
    client: LlmClient | None = None
    model: ModelOptions | None = None

    @property
    def live(self) -> bool:
        """Whether plans are made again, instead of taken from the parent's record."""
        return self.client is not None or self.tiers is not None or self.patch != Patch()

    def amended(self, scenario: Scenario) -> Scenario:
        """Return the scenario with the changes, for planning from the fork on.

        Raises:
            ScenarioError: the changes do not fit the scenario.
        """
        planning = {**scenario.head.planning.model_dump(mode="json"), **(self.patch.planning or {})}
        if self.tiers is not None:
            planning |= {"tiers": list(self.tiers), "start": None}
        changed: dict[str, Any] = {"planning": planning}
        if (planning.get("think", 0) == 0) != (scenario.planning.think == 0):
            raise ScenarioError("planning.think: a run cannot change from or to 0; it begins with it or without it")
        if self.patch.rules is not None:
            changed["rules"] = [rule.model_dump(mode="json") for rule in self.patch.rules]
        return scenario.replaced(**changed)


def fork(
    file: ReplayFile,
    at: int,
    sink: Sink,
    *,
    ticks: int | None = None,
    changes: Changes | None = None,
    plugin_files: Sequence[Path] = (),
) -> Iterator[tuple[Tick, Simulation | None]]:
    """Write the replay of a fork, and yield every tick with the run after it (None for those of the shared past).

    Ticks before `at` are the parent's. From there on it has the parent's inputs and, unless something is changed, its
    recorded outcomes. `ticks` is how many are planned in all (default: the parent's); those beyond the parent's are
    planned again.

    Raises:
        ReplayError: there is no such tick, or nothing would follow it.
        ScenarioError: the changes do not fit the scenario.
    """
    changes = Changes() if changes is None else changes
    decided = file.ticks > 0 and file.tick(file.ticks - 1).outcome is not None
    whole = file.header.ticks if decided else file.ticks
    total = whole if ticks is None else ticks
    if not 0 <= at <= file.ticks:
        raise ReplayError(f"the replay cannot be forked at tick {at}: it has {file.ticks} ticks")
    if total <= at:
        raise ReplayError(f"a fork at tick {at} of {total} ticks in all would have none of its own")
    if decided and at == file.ticks:
        raise ReplayError(f"the run was decided before tick {at}; fork it at an earlier one")
    parent = scenario_of(file.header, plugin_files)
    scenario = changes.amended(scenario_at(file.header, at, parent))
    inputs = _timed(changes.patch.inputs, scenario, at)
    planners = [planner for plugin in load_plugins(scenario, files=plugin_files) for planner in plugin.planners]
    header = _header(file, at, total, changes, scenario, parent, planners)
    writer = ReplayWriter(sink)
    writer.write(HEADER, header)
    for record in file.records(file.place(0)) if at else ():
        if isinstance(record.body, Tick | Keyframe):
            writer.write(record.kind, record.body)
        if isinstance(record.body, Tick):
            yield record.body, None
        if record.end.ticks == at and not record.end.due:
            break
    for tick, simulation in _own(file, at, total, header, scenario, changes, inputs, plugin_files):
        writer.write(TICK, tick)
        if header.keyframe_due(tick.t):
            writer.write(KEYFRAME, keyframe_of(simulation))
        yield tick, simulation
    writer.end(total)


def _timed(inputs: Sequence[object], scenario: Scenario, at: int) -> tuple[TimedInput, ...]:
    """Return the inputs of a patch.

    Raises:
        ScenarioError: one is of the shared past, or does not fit the scenario.
    """
    if len(inputs) > INPUTS_MAX:
        raise ScenarioError(f"the patch has more than {INPUTS_MAX} inputs")
    found: list[TimedInput] = []
    for place, data in enumerate(inputs):
        try:
            timed = scenario.timed_input(data)
        except ScenarioError as error:
            raise ScenarioError(f"inputs[{place}].{error}") from None
        if timed.tick < at:
            raise ScenarioError(f"inputs[{place}].tick: {timed.tick} is before the fork at tick {at}")
        found.append(timed)
    return tuple(found)


def _header(
    file: ReplayFile,
    at: int,
    total: int,
    changes: Changes,
    scenario: Scenario,
    parent: Scenario,
    planners: Sequence[Planner | type[Planner]],
) -> Header:
    before = file.header
    kept = [each for each in before.amendments if each.tick < at or not changes.live]
    planned, past = scenario.canonical(), before.model_copy(update={"amendments": kept})
    # From where plans are made again; until there an unchanged fork has its parent's.
    begin = at if changes.live else file.ticks
    label = None if changes.client is None else changes.client.label
    models = list(model_tiers(scenario, changes.client, planners))
    before_it = amended(past, begin)
    # A model that is asked now never gives the replies to earlier questions, whatever its name.
    same = label is None and (label, models) == (before_it.llm, before_it.models)
    if begin < total and not (same and planned == scenario_at(past, begin, parent).canonical()):
        amendment = Amendment(
            tick=begin, planning=planned["planning"], rules=planned["rules"], llm=label, models=models
        )
        kept.append(amendment)
    update: dict[str, Any] = {
        "ticks": total,
        "env": environment(),
        "parent": Parent(run=before.run, tick=at, root=file.tick(at - 1).root if at else None),
        "amendments": kept,
    }
    if changes.client is not None:
        update |= {"prompt_version": PROMPT_VERSION}
    return before.model_copy(update=update)


def _own(
    file: ReplayFile,
    at: int,
    total: int,
    header: Header,
    scenario: Scenario,
    changes: Changes,
    inputs: Sequence[TimedInput],
    plugin_files: Sequence[Path],
) -> Iterator[tuple[Tick, Simulation]]:
    """Run the ticks that are not shared, those that the parent recorded first."""
    reused = at if changes.live else min(file.ticks, total)
    with file.at(at) as playback:
        for tick in range(at, reused):
            yield playback.tick(file.tick(tick)), playback.simulation
        state = playback.simulation.snapshot()
        if playback.simulation.outcome is not None or reused == total:
            return
    with Simulation(
        scenario,
        seed=header.seed,
        plugins=load_plugins(scenario, files=plugin_files),
        client=changes.client,
        model=changes.model,
        detail=header.detail,
        timeline=False,
    ) as simulation:
        simulation.restore(state)
        if any(each.tick == state.tick for each in header.amendments):
            simulation.void_asks()
        while simulation.world.tick < total and simulation.outcome is None:
            for item in _inputs(file, simulation.world.tick, scenario, inputs):
                simulation.inject(item)
            yield tick_of(simulation.tick(), header), simulation


def _inputs(file: ReplayFile, tick: int, scenario: Scenario, more: Sequence[TimedInput]) -> list[Input]:
    """Return a tick's inputs: those that the parent had, or would have had, and the patch's."""
    if tick < file.ticks:
        found = [read_input(scenario, data, tick) for data in file.tick(tick).inputs]
    else:
        found = [timed.input for timed in scenario.inputs if timed.tick == tick]
    return found + [timed.input for timed in more if timed.tick == tick]
