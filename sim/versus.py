"""Planners against each other: the same scenario for many seeds, every seed played twice with the sides swapped.

What counts is who wins, so sides, maps and luck even out: a planner's share of the decided games stands with Wilson's
95 percent interval (E. B. Wilson, JASA 22, 1927), which is also right for few games and for shares near 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

from sim.errors import ScenarioError
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.run.workers import side_by_side

Z95: Final = 1.959963984540054
"""The quantile of the normal distribution that leaves 2.5 percent on either side."""


@dataclass(frozen=True, slots=True)
class Game:
    """One game: its seed, whether the sides were swapped, who won (`a`, `b` or None for a draw), and its ticks."""

    seed: int
    swapped: bool
    winner: str | None
    ticks: int


@dataclass(frozen=True, slots=True)
class Score:
    """What the games came to: games won by either planner, and draws."""

    a: int
    b: int
    draws: int

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
    """Count games."""
    winners = [game.winner for game in games]
    return Score(winners.count("a"), winners.count("b"), winners.count(None))


def sides(scenario: Scenario, a: Sequence[str], b: Sequence[str], *, swapped: bool) -> Scenario:
    """Return the scenario with the tiers `a` for its first group and `b` for its second, or swapped.

    Raises:
        ScenarioError: its domain has fewer than two groups, or a list of tiers is not valid.
    """
    names = scenario.domain.group_names
    if len(names) < 2:
        count = "one group" if names else "no groups"
        raise ScenarioError(f"scenario {scenario.name!r} has {count}; planners play each other in two")
    planning = scenario.planning.model_dump(mode="json")
    for name, tiers in zip(names[:2], (b, a) if swapped else (a, b), strict=True):
        planning["groups"][name] = {**planning["groups"].get(name, {}), "tiers": list(tiers)}
    return scenario.replaced(planning={**planning, "start": None})


def play(scenario: Scenario, seed: int, ticks: int, *, swapped: bool) -> Game:
    """Play one game of a scenario whose sides have been set."""
    with Simulation(scenario, seed=seed, plugins=load_plugins(scenario)) as simulation:
        simulation.run(ticks)
        winner = None
        for side, name in zip("ba" if swapped else "ab", scenario.domain.group_names[:2], strict=True):
            if simulation.outcome == f"{name} wins":
                winner = side
        return Game(seed, swapped, winner, simulation.world.tick)


def tournament(
    scenario: Scenario,
    a: Sequence[str],
    b: Sequence[str],
    seeds: Sequence[int],
    *,
    ticks: int | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Game]:
    """Play every seed twice, and return the games in order of seed.

    Args:
        scenario: what is played; its first two groups are the sides.
        a: the tiers of one planner.
        b: the tiers of the other.
        seeds: one pair of games each.
        ticks: a game's length at most, in place of the scenario's.
        jobs: processes; the games are the same for any number.
        progress: told games played and games in all.

    Raises:
        ScenarioError: the scenario cannot be played so.
        WorkerError: a process ended before its games were played.
    """
    set_up = {swapped: sides(scenario, a, b, swapped=swapped) for swapped in (False, True)}
    limit = ticks or scenario.ticks
    asked: list[dict[str, Any]] = [
        {"scenario": set_up[swapped], "seed": seed, "ticks": limit, "swapped": swapped}
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
