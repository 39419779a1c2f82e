"""Planners compared: the same scenario for many seeds, every seed run twice, first with one planner, then the other.

Where a domain has groups, the planners plan for its first two groups and swap them in the second run. Each run then is
a game that the group named by the outcome wins. With a metric, and where there are no groups, the two runs of a seed
are one game: the planner of the run with the better last value wins, and equal values are a draw. A planner's share of
the decided games stands with Wilson's 95 percent interval (E. B. Wilson, JASA 22, 1927), which also holds for few games
and for shares near 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

from sim.errors import ScenarioError
from sim.messages import suggestion
from sim.run.choices import with_tiers
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.run.workers import side_by_side

Z95: Final = 1.959963984540054
"""The quantile of the normal distribution that leaves 2.5 percent on either side."""


@dataclass(frozen=True, slots=True)
class Game:
    """One run of a seed.

    Attributes:
        seed: of the run.
        swapped: whether B planned for the first group, or for everybody where there are no groups.
        winner: `a`, `b` or None, by the outcome of the run.
        ticks: that it took.
        value: the last value of the metric, None where none was asked for.
    """

    seed: int
    swapped: bool
    winner: str | None
    ticks: int
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What the games came to: games won by either planner, and draws."""

    a: int
    b: int
    draws: int

    @property
    def games(self) -> int:
        """Return how many games there were."""
        return self.a + self.b + self.draws

    @property
    def share(self) -> float | None:
        """Return A's share of the decided games, None if none was decided."""
        decided = self.a + self.b
        return self.a / decided if decided else None

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 percent interval of A's share; everything is possible while nothing is decided."""
        return wilson(self.a, self.a + self.b)

    @property
    def stronger(self) -> str | None:
        """Return `a` or `b` where the interval tells them apart, None where it holds a half."""
        low, high = self.interval
        return "a" if low > 0.5 else "b" if high < 0.5 else None


def wilson(won: int, games: int) -> tuple[float, float]:
    """Return the 95 percent interval of a share of games won.

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not games:
        return 0.0, 1.0
    share, spread = won / games, Z95 * Z95 / games
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * sqrt(share * (1 - share) / games + spread / games / 4) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def score(games: Iterable[Game]) -> Score:
    """Count the games that each planner won by the outcome of the run."""
    winners = [game.winner for game in games]
    return Score(winners.count("a"), winners.count("b"), winners.count(None))


def score_by_value(games: Sequence[Game], *, lower: bool = False) -> Score:
    """Count the seeds for which each planner's run came to the better value: the greater, or with `lower` the lower."""
    gains = [
        float(first.value or 0) - float(second.value or 0)
        for first, second in zip(games[::2], games[1::2], strict=True)
    ]
    a, b = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    draws = len(gains) - a - b
    return Score(b, a, draws) if lower else Score(a, b, draws)


def sides(scenario: Scenario, a: Sequence[str], b: Sequence[str], *, swapped: bool) -> Scenario:
    """Return the scenario with the tiers `a` for its first group and `b` for its second, or swapped.

    Where it has fewer than two groups, all agents get `a`, or `b` when swapped.

    Raises:
        ScenarioError: its domain plans for nobody, or a list of tiers is not valid.
    """
    if scenario.domain.observation is None:
        raise ScenarioError(f"scenario {scenario.name!r} has no planning; there is nothing that planners could do")
    names = scenario.domain.group_names
    first, second = (b, a) if swapped else (a, b)
    if len(names) < 2:
        return with_tiers(scenario, first)
    return with_tiers(scenario, groups={names[0]: first, names[1]: second})


def play(scenario: Scenario, seed: int, ticks: int, *, swapped: bool, metric: str | None = None) -> Game:
    """Run a scenario whose sides have been set, for one seed.

    Raises:
        ScenarioError: the domain has no such metric, or its value is not one number.
    """
    with Simulation(scenario, seed=seed, plugins=load_plugins(scenario)) as simulation:
        simulation.run(ticks)
        winner = None
        for side, name in zip("ba" if swapped else "ab", scenario.domain.group_names[:2], strict=False):
            if simulation.outcome == f"{name} wins":
                winner = side
        value = None if metric is None else _value(simulation, metric)
        return Game(seed, swapped, winner, simulation.world.tick, value)


def _value(simulation: Simulation, metric: str) -> float:
    values = {**simulation.metrics(), **simulation.scores()}
    if metric not in values:
        raise ScenarioError(f"--metric: no metric {metric!r}; {suggestion(metric, list(values), 'metrics')}")
    value = values[metric]
    if not isinstance(value, int | float):
        raise ScenarioError(f"--metric: {metric!r} is not one number; choose a metric that is")
    return float(value)


def tournament(
    scenario: Scenario,
    a: Sequence[str],
    b: Sequence[str],
    seeds: Sequence[int],
    *,
    ticks: int | None = None,
    metric: str | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Game]:
    """Run every seed twice, and return the runs in order of seed, that with A first before the swapped one.

    Args:
        scenario: what is run; its first two groups are the sides, if it has groups.
        a: the tiers of one planner.
        b: the tiers of the other.
        seeds: one pair of games each.
        ticks: a run's length at most, in place of the scenario's.
        metric: the metric or score whose last value each run reports.
        jobs: processes; the results are the same for any number.
        progress: called with the number of finished runs and of all runs.

    Raises:
        ScenarioError: the scenario cannot be run so.
        WorkerError: a process ended before its runs did.
    """
    set_up = {swapped: sides(scenario, a, b, swapped=swapped) for swapped in (False, True)}
    limit = ticks or scenario.ticks
    asked: list[dict[str, Any]] = [
        {"scenario": set_up[swapped], "seed": seed, "ticks": limit, "swapped": swapped, "metric": metric}
        for seed in seeds
        for swapped in (False, True)
    ]
    games: list[Game] = []
    if jobs == 1:
        for each in asked:
            games.append(play(**each))
            if progress is not None:
                progress(len(games), len(asked))
        return games
    with closing(side_by_side(_play, asked, jobs)) as played:
        for game in played:
            games.append(game)
            if progress is not None:
                progress(len(games), len(asked))
    return games


def _play(asked: dict[str, Any]) -> Game:
    return play(**asked)
