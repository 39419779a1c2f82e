"""Makes a failing run smaller while it fails in the same way: fewer ticks, inputs, squads and agents.

Candidates are tried in a fixed order, the big steps first; each that still fails becomes the run that the next ones are
made from. What can be made smaller depends on what fails:

- a check of `sim.checks`, or a replay of code that differs from itself: every candidate is run anew by the code that is
  here, so all of it can shrink;
- a replay whose record differs from code that agrees with itself: only the code that recorded it could record a smaller
  run, and that is not here. So only ticks are cut (`sim.replay.cut`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ai.errors import AIError
from sim.checks import Case, Check, Finding
from sim.errors import ScenarioError, SimError
from sim.plugins import Plugin, load_plugins
from sim.replay.first import First
from sim.replay.second_pass import explained
from sim.replay.verify import verify
from sim.replay.writer import Recorder, ReplayWriter
from sim.scenario import Scenario
from sim.simulation import Detail, Simulation

RUNS: Final = 200
"""Candidates that are tried, unless told."""

Fails = Callable[["Candidate"], int | None]
"""Runs a candidate: the tick in which it fails in the way that counts, None if it does not."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may fail: the scenario's canonical data, and how many ticks."""

    data: dict[str, Any]
    ticks: int

    @property
    def scenario(self) -> Scenario:
        """The scenario.

        Raises:
            ScenarioError: this candidate is none.
        """
        return Scenario.from_canonical({**self.data, "ticks": self.ticks})

    @property
    def size(self) -> dict[str, int]:
        """What is counted: agents to begin with, ticks, inputs."""
        agents = sum(squad["count"] for team in self.data["teams"] for squad in team["squads"])
        return {"agents": agents, "ticks": self.ticks, "inputs": len(self.data.get("inputs", ()))}


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
    progress: Callable[[int, int], None]
    stopped: Callable[[], bool]
    seen: set[str] = field(default_factory=set)

    def smaller(self, candidate: Candidate) -> bool:
        """Try a candidate and keep it if it fails; then also end it with the tick that fails."""
        name = json.dumps([candidate.data, candidate.ticks], sort_keys=True)
        if name in self.seen:
            return False
        self.seen.add(name)
        if self.found.runs >= self.runs or self.stopped():
            self.found.stopped = True
            return False
        self.found.runs += 1
        self.progress(self.found.runs, self.runs)
        try:
            tick = self.fails(candidate)
        except (SimError, AIError):
            return False  # it is no scenario, or cannot be run
        if tick is None:
            return False
        self.found.best = replace(candidate, ticks=tick + 1)
        return True


def minimise(
    candidate: Candidate,
    fails: Fails,
    *,
    runs: int = RUNS,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Minimised | None:
    """Return the smallest run found that fails in the same way; None if the first one does not fail.

    `stopped` is asked before each candidate whether to go on.
    """
    search = _Search(fails, Minimised(candidate), runs, progress or (lambda _done, _of: None), stopped)
    if not search.smaller(candidate):
        return None
    while True:
        before = search.found.best
        for shrink in (_fewer_inputs, _fewer_teams, _fewer_squads, _fewer_agents):
            _exhaust(search, shrink)
        if search.found.best == before or search.found.stopped:
            return search.found


def _exhaust(search: _Search, shrink: Callable[[dict[str, Any]], Iterator[dict[str, Any]]]) -> None:
    """Take the first step that still fails, and begin again with what it leads to, until none does."""
    again = True
    while again and not search.found.stopped:
        best = search.found.best
        again = any(search.smaller(replace(best, data=data)) for data in shrink(best.data))


def _fewer_inputs(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from ({**data, "inputs": kept} for kept in _parts(data.get("inputs", [])))


def _fewer_teams(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from ({**data, "teams": kept} for kept in _parts(data["teams"]) if kept)


def _fewer_squads(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place, team in enumerate(data["teams"]):
        for kept in _parts(team["squads"]):
            yield _with_team(data, place, {**team, "squads": kept})


def _fewer_agents(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place, team in enumerate(data["teams"]):
        for number, squad in enumerate(team["squads"]):
            count = squad["count"]
            for fewer in sorted({1, count // 2, count - 1} - {0, count}):
                squads = [*team["squads"]]
                squads[number] = {**squad, "count": fewer}
                yield _with_team(data, place, {**team, "squads": squads})


def _with_team(data: dict[str, Any], place: int, team: dict[str, Any]) -> dict[str, Any]:
    teams = [*data["teams"]]
    teams[place] = team
    return {**data, "teams": teams}


def _parts(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield a list without all of it, without each half, without each quarter, and so on down to single items.

    >>> list(_parts([1, 2, 3]))
    [[], [3], [1, 2], [2, 3], [1, 3]]
    """
    size = len(items)
    given: set[tuple[int, int]] = set()
    while size:
        for start in range(0, len(items), size):
            span = (start, min(start + size, len(items)))
            if span not in given:
                given.add(span)
                yield [*items[: span[0]], *items[span[1] :]]
        size = size // 2 if size > 2 else size - 1


# -- what fails --------------------------------------------------------------------------------------------------------


def failing_check(check: Check, case: Case) -> Fails:
    """Return what runs a check over a candidate; it must find something of the same system and component.

    Raises:
        ScenarioError: the case cannot be set up.
    """
    wanted: list[tuple[str | None, str | None]] = []

    def fails(candidate: Candidate) -> int | None:
        smaller = Case(candidate.scenario, candidate.ticks, case.seed, case.plugins, case.folder, case.client)
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


def failing_replay(first: First, seed: int, detail: Detail, plugin_files: Sequence[Path]) -> Fails:
    """Return what records a candidate anew and verifies it; it must be unstable with the same class of cause."""

    def fails(candidate: Candidate) -> int | None:
        replay = record(candidate, seed, detail, load_plugins(candidate.scenario, files=plugin_files))
        found = explained(replay, verify(replay, plugin_files=plugin_files), plugin_files).first
        if found is None or found["cause"] != first["cause"] or found["stable"]:
            return None
        return found["tick"]

    return fails


def record(candidate: Candidate, seed: int, detail: Detail, plugins: Sequence[Plugin]) -> bytes:
    """Run a candidate, without a model, and return its replay.

    Raises:
        ScenarioError: it cannot be set up.
    """
    sink = io.BytesIO()
    with Simulation(candidate.scenario, seed=seed, plugins=plugins, detail=detail) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink))
        recorder.header()
        for report in simulation.run(candidate.ticks):
            recorder.tick(report)
        recorder.end()
    return sink.getvalue()


# -- a scenario as a file ----------------------------------------------------------------------------------------------


def to_toml(scenario: Scenario) -> str:
    """Write a scenario as TOML that `sim.scenario.load` reads back as the same scenario.

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
