"""Makes a failing run smaller while it fails in the same way: fewer ticks, inputs, agents, replies and faults.

Candidates are tried in a fixed order, the big steps first; each that still fails becomes the run that the next ones are
made from. The kind of failure decides which parts can be made smaller:

- a check of `sim.testing.checks`, or a replay of code that differs from itself: every candidate is run again by the
  code that is here, so all of it can shrink. Replies of a model stay as they were recorded, less the ones left out;
- a replay whose record differs from code that agrees with itself: only the code that recorded it could record a smaller
  run, and that is not here. So only ticks are cut (`sim.replay.recover.cut`).
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from ai.clients.faulty import Fault
from ai.errors import AIError
from ai.llm_types import LlmClient
from ai.plans import Outcome
from sim.errors import ReplayError, ScenarioError, SimError
from sim.replay.diagnosis import diagnose
from sim.replay.divergence import Divergence
from sim.replay.format import Attempt, Header, Tick, runs
from sim.replay.playback import RecordedPlanning, read_input, scenario_of
from sim.replay.reader import Progress, Replay, untold
from sim.replay.record import failures, planned
from sim.replay.verify import verify
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.inputs import Kill, TimedInput
from sim.run.plugins import Plugin
from sim.run.scenario_file import INPUTS_MAX, Scenario
from sim.run.simulation import Simulation
from sim.testing.checks import Case, Check, Finding

T = TypeVar("T")
RUNS: Final = 200
"""Candidates that are tried by default."""

Fails = Callable[["Candidate"], int | None]
"""Runs a candidate: the tick in which it fails as the original does, None if it does not."""


class Reply(NamedTuple):
    """The result of one model tier for one agent in one tick of a recorded run: the text of a plan, or a failure."""

    tick: int
    tier: str
    key: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may fail: the scenario's canonical data, how many ticks, and the replies of a model.

    `replies` are those of a recorded run that are still given. `killed` are the keys of the agents that leave at tick
    0, so that all others keep their keys. `faults` are the script of a model that is asked again.
    """

    start: Scenario
    ticks: int
    replies: tuple[Reply, ...] = ()
    faults: tuple[Fault, ...] = ()
    inputs: tuple[TimedInput, ...] = ()
    killed: frozenset[int] = frozenset()

    @property
    def scenario(self) -> Scenario:
        """The scenario.

        Raises:
            ScenarioError: this candidate is none.
        """
        kills = [TimedInput(tick=0, input=Kill(agent=key)) for key in sorted(self.killed)]
        inputs = [timed.model_dump(mode="json") for timed in (*kills, *self.inputs)]
        return self.start.replaced(ticks=self.ticks, inputs=inputs)

    @property
    def size(self) -> dict[str, int]:
        """The sizes that are counted: agents to begin with, ticks, inputs, replies of a model, and faults."""
        failed = sum(reply.failed for reply in self.replies)
        return {
            "agents": self.start.agents - len(self.killed),
            "ticks": self.ticks,
            "inputs": len(self.inputs),
            "replies": len(self.replies) - failed,
            "faults": failed + sum(fault != Fault() for fault in self.faults),
        }


@dataclass(slots=True)
class Minimised:
    """The smallest run found: `runs` were tried, `stopped` says that not all were that could have been."""

    best: Candidate
    runs: int = 0
    stopped: bool = False


@dataclass(slots=True)
class _Search:
    """Goes from one failing candidate to a smaller one, as often as it may."""

    fails: Fails
    found: Minimised
    runs: int
    progress: Progress
    stopped: Callable[[], bool]
    seen: set[str] = field(default_factory=set)

    def smaller(self, candidate: Candidate) -> bool:
        """Try a candidate and keep it if it fails; then also end it with the tick that fails."""
        name = repr(candidate)
        if name in self.seen:
            return False
        self.seen.add(name)
        try:
            candidate.scenario  # noqa: B018 - one that is none is not a run
        except ScenarioError:
            return False
        if self.found.runs >= self.runs or self.stopped():
            self.found.stopped = True
            return False
        self.found.runs += 1
        self.progress(self.found.runs, self.runs)
        try:
            tick = self.fails(candidate)
        except (SimError, AIError):
            return False  # it cannot be run
        if tick is None:
            return False
        self.found.best = replace(candidate, ticks=tick + 1)
        return True


def minimise(
    candidate: Candidate,
    fails: Fails,
    *,
    runs: int = RUNS,
    progress: Progress = untold,
    stopped: Callable[[], bool] = lambda: False,
) -> Minimised | None:
    """Return the smallest run found that fails in the same way; None if the first one does not fail.

    `stopped` is asked before each candidate whether to go on.
    """
    search = _Search(fails, Minimised(candidate), runs, progress, stopped)
    if not search.smaller(candidate):
        return None
    while True:
        before = search.found.best
        _exhaust(search, _fewer_inputs)
        _exhaust(search, _fewer_agents)
        _exhaust(search, _fewer_replies)
        _exhaust(search, _fewer_faults)
        if search.found.best == before or search.found.stopped:
            return search.found


def _exhaust(search: _Search, shrink: Callable[[Candidate], Iterator[Candidate]]) -> None:
    """Take the first step that still fails, and begin again with what it leads to, until none does."""
    again = True
    while again and not search.found.stopped:
        again = False
        for candidate in shrink(search.found.best):
            again = search.smaller(candidate)
            if again or search.found.stopped:
                break


def parts(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Yield what is left of a list without a part of it: without all, a half, a quarter, and so on to single ones."""
    size = len(items)
    while size:
        for start in range(0, len(items), size):
            yield (*items[:start], *items[start + size :])
        size //= 2


def _fewer_inputs(candidate: Candidate) -> Iterator[Candidate]:
    yield from (replace(candidate, inputs=kept) for kept in parts(candidate.inputs))


def _fewer_agents(candidate: Candidate) -> Iterator[Candidate]:
    everyone = frozenset(range(candidate.start.agents))
    alive = sorted(everyone - candidate.killed)
    yield from (replace(candidate, killed=everyone - frozenset(kept)) for kept in parts(alive) if kept)


def _fewer_replies(candidate: Candidate) -> Iterator[Candidate]:
    yield from (replace(candidate, replies=kept) for kept in parts(candidate.replies))


def _fewer_faults(candidate: Candidate) -> Iterator[Candidate]:
    """Remove the faults of calls that went wrong; the calls around them stay as they are."""
    wrong = [call for call, fault in enumerate(candidate.faults) if fault != Fault()]
    for kept in parts(wrong):
        script = [fault if call in kept else Fault() for call, fault in enumerate(candidate.faults)]
        yield replace(candidate, faults=tuple(script[: max(kept, default=-1) + 1]))


# -- what fails --------------------------------------------------------------------------------------------------------


def failing_check(check: Check, case: Case, faulty: Callable[[Sequence[Fault]], LlmClient] | None = None) -> Fails:
    """Return what runs a check over a candidate; it must find something of the same system and component.

    `faulty` makes a model that goes wrong as a candidate's script says, in place of the case's.

    Raises:
        ScenarioError: the case cannot be set up.
    """
    wanted: list[tuple[str | None, str | None]] = []

    def fails(candidate: Candidate) -> int | None:
        client = case.client if faulty is None else partial(faulty, candidate.faults)
        smaller = Case(candidate.scenario, candidate.ticks, case.seed, case.plugins, client=client)
        finding: Finding | None = check.examine(smaller).finding
        if finding is None:
            return None
        place = (finding.system, finding.component)
        if not wanted:
            wanted.append(place)
        if place != wanted[0]:
            return None
        return candidate.ticks - 1 if finding.tick is None else finding.tick

    return fails


def failing_replay(first: Divergence, record: Callable[[Candidate], bytes], plugin_files: Sequence[Path]) -> Fails:
    """Return what records a candidate again and verifies it; it must be unstable with the same class of cause."""

    def fails(candidate: Candidate) -> int | None:
        replay = record(candidate)
        found = diagnose(replay, verify(replay, plugin_files=plugin_files), plugin_files).first
        if found is None or found.cause != first.cause or found.stable:
            return None
        return found.tick

    return fails


def candidate_of(replay: Replay, plugin_files: Sequence[Path] = ()) -> Candidate:
    """Return a recorded run as the first candidate of a search; inputs that it had from outside become its scenario's.

    Raises:
        ReplayError: it has no header.
    """
    header = _header_of(replay)
    replies = [
        Reply(tick.t, tier, key, failed)
        for tick in replay.ticks
        for tier, failed, keys in _heard(tick, header)
        for key in keys
    ]
    scenario = scenario_of(header, plugin_files)
    inputs = [
        TimedInput(tick=tick.t, input=read_input(scenario, given, tick.t))
        for tick in replay.ticks
        for place, given in enumerate(tick.inputs)
        if place not in [refused.at for refused in tick.refused]
    ]
    return Candidate(scenario, header.ticks, tuple(replies), inputs=tuple(inputs[:INPUTS_MAX]))


def _header_of(replay: Replay) -> Header:
    if replay.header is None:
        raise ReplayError("the replay has no header")
    return replay.header


def _heard(tick: Tick, header: Header) -> Iterator[tuple[str, bool, list[int]]]:
    """Yield the tiers of which a tick has replies, whether they are failures, and the agents' keys."""
    by_tier = planned(tick)
    for tier in header.tiers:
        yield tier, False, [key for key in sorted(by_tier) if by_tier[key] == tier and str(key) in tick.texts]
        failed = failures(tick, tier)
        yield tier, True, [key for key in sorted(failed) if failed[key][0] is not Outcome.UNAVAILABLE]


def recorded_anew(candidate: Candidate, replay: Replay, plugins: Sequence[Plugin]) -> bytes:
    """Run a candidate and return its replay; model tiers give the replies of a replay that the candidate still has.

    Where it has none the tier is passed over, as a model that is not there is.

    Raises:
        ScenarioError: it cannot be set up.
        ReplayError: the replay has no header.
    """
    header, plan = _header_of(replay), candidate.scenario
    replies: dict[int, list[Reply]] = defaultdict(list)
    for reply in candidate.replies:
        replies[reply.tick].append(reply)
    sink = io.BytesIO()
    registry = plan.domain.registry([action for plugin in plugins for action in plugin.actions])
    planners = [kind for plugin in plugins for kind in plugin.planners]
    source = None
    if registry is not None:
        source = RecordedPlanning(
            plan, registry, planners, header.outside, (Outcome.UNAVAILABLE, None), models=header.models
        )
    with Simulation(plan, seed=header.seed, plugins=plugins, source=source, detail=header.detail) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), keyframes=header.keyframes)
        recorder.header(llm=header.llm, prompt_version=header.prompt_version, outside=header.outside)
        for tick in replay.ticks[: candidate.ticks]:
            if simulation.outcome is not None:
                break
            if source is not None:
                source.expect(_left_of(tick, replies[tick.t]))
            recorder.tick(simulation.tick())
        recorder.end()
    return sink.getvalue()


def _left_of(tick: Tick, replies: Sequence[Reply]) -> Tick:
    """Return the record of a tick with these replies alone."""
    texts: dict[str, str] = {}
    given: dict[str, list[int]] = defaultdict(list)
    attempts: list[Attempt] = []
    for reply in replies:
        key = reply.key
        if reply.failed:
            outcome, error = failures(tick, reply.tier)[reply.key]
            attempts.append(Attempt(tier=reply.tier, outcome=outcome.label, keys=str(key), error=error))  # type: ignore[arg-type]
        else:
            texts[str(key)] = tick.texts[str(reply.key)]
            given[reply.tier].append(key)
    who = {tier: runs(np.array(sorted(keys))) for tier, keys in given.items()}
    return tick.model_copy(update={"texts": texts, "planned": who, "attempts": attempts, "usage": None})


# -- a scenario as a file ----------------------------------------------------------------------------------------------


def to_toml(scenario: Scenario) -> str:
    """Write a scenario as TOML that `sim.run.scenario_file.load` reads back as the same scenario.

    Raises:
        ScenarioError: it has no such form.
    """
    return "".join(f"{name} = {_toml(value)}\n" for name, value in scenario.canonical().items() if value is not None)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            pairs = (f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items() if each is not None)
            return f"{{ {', '.join(pairs)} }}"
        case list() | tuple():
            return f"[{', '.join(_toml(each) for each in value)}]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return repr(value)
        case _:
            raise ScenarioError(f"{value!r} has no form in TOML")
