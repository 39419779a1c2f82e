"""The end of a run: the result of each team and of the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from scenarios.tactics.components import Team
from scenarios.tactics.objectives import Objectives, State, words
from scenarios.tactics.settings import TacticsSettings
from sim.run.world import World


class Result(StrEnum):
    """The result of a team."""

    OPEN = "open"
    VICTORY = "victory"
    DEFEAT = "defeat"
    DRAW = "draw"


@dataclass(frozen=True, slots=True)
class ObjectiveStanding:
    """The progress of one objective; `state` is open, done or failed."""

    kind: str
    text: str
    state: str
    progress: int
    target: int


@dataclass(frozen=True, slots=True)
class TeamStanding:
    """The standing of a team: its result, its score, its number of agents on the map, and its objectives in order."""

    team: str
    result: Result
    score: int
    alive: int
    objectives: tuple[ObjectiveStanding, ...]

    def data(self) -> dict[str, Any]:
        """Return the standing as plain data."""
        return {**asdict(self), "result": self.result.value, "objectives": [asdict(each) for each in self.objectives]}


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of the run: `NAME wins`, `NAME loses` (a single team), `draw`, or None; and each team's result."""

    outcome: str | None
    results: tuple[Result, ...]


def decide(settings: TacticsSettings, ticks: int, world: World, objectives: Objectives) -> Decision:
    """Decide from the state between two ticks.

    A team whose required objectives are all done wins; several at once draw. A team is out when a required objective
    has failed or, with `ends = "last_team"`, when none of its agents is left; the last team that is not out wins.
    After the last tick the `at_limit` rule decides. With `ends = "never"` nothing decides.
    """
    teams = range(len(settings.teams))
    if settings.ends == "never":
        return _undecided(settings)
    required: list[list[int]] = [[] for _ in teams]
    for (team, objective), state in zip(objectives.listed, objectives.state.tolist(), strict=True):
        if objective.required:
            required[team].append(state)
    winners = [team for team in teams if required[team] and set(required[team]) == {State.DONE.value}]
    if winners:
        return _won(settings, winners)
    standing = [team for team in teams if State.FAILED.value not in required[team]]
    if settings.ends == "last_team":
        alive = np.bincount(world[Team].id, minlength=len(teams))
        standing = [team for team in standing if alive[team] or (len(teams) == 1 and not required[team])]
    if len(teams) > 1 and len(standing) < 2:
        return _won(settings, standing)
    if not standing:
        return Decision(f"{settings.teams[0].name} loses", (Result.DEFEAT,))
    if world.tick >= ticks:
        return _at_limit(settings, objectives)
    return _undecided(settings)


def _undecided(settings: TacticsSettings) -> Decision:
    return Decision(None, (Result.OPEN,) * len(settings.teams))


def _won(settings: TacticsSettings, winners: list[int]) -> Decision:
    """Return the victory of one team, or a draw between several teams or all; the other teams lose."""
    teams = range(len(settings.teams))
    if len(winners) == 1:
        results = tuple(Result.VICTORY if team in winners else Result.DEFEAT for team in teams)
        return Decision(f"{settings.teams[winners[0]].name} wins", results)
    level = winners or teams
    return Decision("draw", tuple(Result.DRAW if team in level else Result.DEFEAT for team in teams))


def _at_limit(settings: TacticsSettings, objectives: Objectives) -> Decision:
    rule, names = settings.at_limit, [team.name for team in settings.teams]
    match rule.rule:
        case "open":
            return _undecided(settings)
        case "draw":
            return _won(settings, [])
        case "team":
            assert rule.team is not None
            return _won(settings, [names.index(rule.team)])
        case "score":
            scores = [objectives.score(team) for team in range(len(names))]
            return _won(settings, [team for team, score in enumerate(scores) if score == max(scores)])


def standings(
    settings: TacticsSettings, world: World, objectives: Objectives, decision: Decision
) -> tuple[TeamStanding, ...]:
    """Return the standing of every team, in the scenario's order."""
    alive = np.bincount(world[Team].id, minlength=len(settings.teams)).tolist()
    listed: list[list[ObjectiveStanding]] = [[] for _ in settings.teams]
    progress, states = objectives.progress.tolist(), objectives.state.tolist()
    for (team, each), done, state in zip(objectives.listed, progress, states, strict=True):
        name = State(state).name.lower()
        listed[team].append(ObjectiveStanding(each.kind, words(each), name, done, each.target))
    return tuple(
        TeamStanding(team.name, decision.results[t], objectives.score(t), alive[t], tuple(listed[t]))
        for t, team in enumerate(settings.teams)
    )
