"""Makes a failing run smaller while it fails in the same way: fewer ticks, inputs, agents, cells, replies and faults.

Candidates are tried in a fixed order, the big steps first; each that still fails becomes the run that the next ones are
made from. What can be made smaller depends on what fails:

- a check of `sim.testing.checks`, or a replay of code that differs from itself: every candidate is run anew by the
  code that is here, so all of it can shrink. What a model said stays as it was recorded, less what is left out;
- a replay whose record differs from code that agrees with itself: only the code that recorded it could record a smaller
  run, and that is not here. So only ticks are cut (`sim.replay.cut`).
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from ai.clients.base import LlmClient
from ai.clients.faulty import Fault
from ai.errors import AIError
from ai.plan import Outcome
from scenarios.tactics.actions import recorded_registry
from scenarios.tactics.equipment import Gear
from scenarios.tactics.scenario import Scenario
from sim.errors import ReplayError, ScenarioError, SimError
from sim.replay.first import First
from sim.replay.format import Attempt, Header, Tick, plain, runs
from sim.replay.playback import RecordedPlanning
from sim.replay.reader import Progress, Replay, untold
from sim.replay.record import failures, planned
from sim.replay.second_pass import explained
from sim.replay.shrink import SHRINKS, Shrink, parts
from sim.replay.verify import verify
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.plugins import Plugin
from sim.run.simulation import Simulation
from sim.testing.checks import Case, Check, Finding

RUNS: Final = 200
"""Candidates that are tried, unless told."""

Fails = Callable[["Candidate"], int | None]
"""Runs a candidate: the tick in which it fails in the way that counts, None if it does not."""


class Reply(NamedTuple):
    """What one model tier came to for one agent in one tick of a recorded run: the text of a plan, or a failure."""

    tick: int
    tier: str
    key: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may fail: the scenario's canonical data, how many ticks, and what came from a model.

    `replies` are those of a recorded run that are still given, with their agents' keys at that time; `keys` are the new
    keys of the agents who are left by the old ones, None if all are. `faults` are the script of a model that is asked
    anew.
    """

    data: dict[str, Any]
    ticks: int
    replies: tuple[Reply, ...] = ()
    faults: tuple[Fault, ...] = ()
    keys: Mapping[int, int] | None = None

    @property
    def scenario(self) -> Scenario:
        """The scenario.

        Raises:
            ScenarioError: this candidate is none.
        """
        return Scenario.from_canonical({**self.data, "ticks": self.ticks})

    @property
    def size(self) -> dict[str, int]:
        """What is counted: agents to begin with, ticks, inputs, cells of the map, replies of a model, and faults."""
        plan = self.scenario
        failed = sum(reply.failed for reply in self.replies)
        return {
            "agents": plan.agents,
            "ticks": self.ticks,
            "inputs": len(plan.inputs),
            "cells": plan.map.width * plan.map.height,
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
            candidate.scenario  # noqa: B018 - one that is none is no run
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
        for shrink in SHRINKS:
            _exhaust(search, partial(_smaller, shrink))
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


def _smaller(shrink: Shrink, candidate: Candidate) -> Iterator[Candidate]:
    for data, keys in shrink(candidate.data):
        yield replace(candidate, data=data, keys=_in_turn(candidate.keys, keys))


def _in_turn(first: Mapping[int, int] | None, then: Mapping[int, int] | None) -> Mapping[int, int] | None:
    if first is None or then is None:
        return first or then
    return {old: then[new] for old, new in first.items() if new in then}


def _fewer_replies(candidate: Candidate) -> Iterator[Candidate]:
    yield from (replace(candidate, replies=tuple(kept)) for kept in parts(candidate.replies))


def _fewer_faults(candidate: Candidate) -> Iterator[Candidate]:
    """Let calls go right that went wrong; the calls around them stay what they are."""
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
        smaller = Case(candidate.scenario, candidate.ticks, case.seed, case.plugins, case.folder, client)
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


def failing_replay(first: First, record: Callable[[Candidate], bytes], plugin_files: Sequence[Path]) -> Fails:
    """Return what records a candidate anew and verifies it; it must be unstable with the same class of cause."""

    def fails(candidate: Candidate) -> int | None:
        replay = record(candidate)
        found = explained(replay, verify(replay, plugin_files=plugin_files), plugin_files).first
        if found is None or found["cause"] != first["cause"] or found["stable"]:
            return None
        return found["tick"]

    return fails


def candidate_of(replay: Replay) -> Candidate:
    """Return a recorded run as what a search begins with; inputs that it had from outside become its scenario's.

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
    whole = Candidate(header.scenario, header.ticks, tuple(replies))
    inputs = [
        {"tick": tick.t, "input": plain(given)}
        for tick in replay.ticks
        for place, given in enumerate(tick.inputs)
        if place not in [refused.at for refused in tick.refused]
    ]
    injected = replace(whole, data={**whole.data, "inputs": inputs})
    try:
        injected.scenario  # noqa: B018 - more than a scenario may have, or what only a running world takes
    except ScenarioError:
        return whole
    return injected


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
    kinds = [kind for plugin in plugins for kind in plugin.kinds]
    registry = recorded_registry(header.registry.kinds, kinds).with_names(Gear(plan).names)
    planners = [kind for plugin in plugins for kind in plugin.planners]
    source = RecordedPlanning(plan, registry, planners, otherwise=(Outcome.UNAVAILABLE, None))
    with Simulation(
        plan, seed=header.seed, registry=registry, plugins=plugins, source=source, detail=header.detail
    ) as simulation:
        recorder = Recorder(
            simulation,
            ReplayWriter(sink),
            keyframes=header.keyframes,
            llm=header.llm,
            prompt_version=header.prompt_version,
        )
        recorder.header()
        for tick in replay.ticks[: candidate.ticks]:
            if simulation.outcome is not None:
                break
            source.expect(_left_of(tick, replies[tick.t], candidate.keys))
            recorder.tick(simulation.tick())
        recorder.end()
    return sink.getvalue()


def _left_of(tick: Tick, replies: Sequence[Reply], keys: Mapping[int, int] | None) -> Tick:
    """Return the record of a tick with these replies alone, under their agents' present keys."""
    texts: dict[str, str] = {}
    given: dict[str, list[int]] = defaultdict(list)
    attempts: list[Attempt] = []
    for reply in replies:
        key = reply.key if keys is None else keys.get(reply.key)
        if key is None:
            continue
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
    """Write a scenario as TOML that `scenarios.tactics.scenario.load` reads back as the same scenario.

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
