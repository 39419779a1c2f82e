"""Planners compared: the same scenario for many seeds, every seed run twice, first with one planner, then the other.

A planner is a list of tiers, or a model. Where a domain has groups, the planners plan for its first two groups and swap
them in the second run. Each run then is a game that the group named by the outcome wins. With a metric, and where there
are no groups or whole runs are wanted, the two runs of a seed are one game: the planner of the run with the better last
value wins, and equal values are a draw. A planner's share of the decided games stands with Wilson's 95 percent interval
(E. B. Wilson, JASA 22, 1927), which also holds for few games and for shares near 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ai.plans import FallbackTier, LlmUsage
from sim.errors import ScenarioError
from sim.messages import suggestion
from sim.run.choices import tiers_of, with_tiers
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.run.workers import side_by_side
from sim.sweep.cell import model_of
from sim.sweep.spec import NO_MODEL
from sim.sweep.statistics import Difference, paired, wilson
from sim.tables.metrics import metric_of

MODEL: Final = "llm:"
"""How a planner is written that is a model."""
MODEL_TIERS: Final = tuple(str(tier) for tier in FallbackTier)
"""The tiers of a planner that is a model."""


@dataclass(frozen=True, slots=True)
class Player:
    """A planner as people write it: `goap,heuristic`, or `llm:` and a model as `--llm` takes it.

    >>> Player.of("goap").tiers, Player.of("llm:ollama:qwen3").model
    (('goap', 'emergency'), 'ollama:qwen3')
    """

    name: str
    tiers: tuple[str, ...]
    model: str = NO_MODEL

    @classmethod
    def of(cls, text: str) -> Player:
        """Read a planner."""
        if text.startswith(MODEL):
            return cls(text, MODEL_TIERS, text.removeprefix(MODEL))
        return cls(text, tuple(tiers_of(text)))


@dataclass(frozen=True, slots=True)
class Game:
    """One run of a seed.

    Attributes:
        seed: of the run.
        swapped: whether B planned for the first group, or for everybody where whole runs are compared.
        winner: `a`, `b` or None, by the outcome of the run.
        ticks: that it took.
        value: the last value of the metric, None where none was asked for.
        calls: calls of a model.
        prompt_tokens: tokens of their prompts, None where no server counted.
        completion_tokens: tokens of the replies.
    """

    seed: int
    swapped: bool
    winner: str | None
    ticks: int
    value: float | None = None
    calls: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The result of the games: games won by either planner, and draws."""

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


def score(games: Iterable[Game]) -> Score:
    """Count the games that each planner won by the outcome of the run."""
    winners = [game.winner for game in games]
    return Score(winners.count("a"), winners.count("b"), winners.count(None))


def score_by_value(games: Sequence[Game], *, lower: bool = False) -> Score:
    """Count the seeds for which each planner's run came to the better value: the greater, or with `lower` the lower."""
    gains = [first - second for first, second in zip(*values_by_player(games), strict=True)]
    a, b = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    draws = len(gains) - a - b
    return Score(b, a, draws) if lower else Score(a, b, draws)


def values_by_player(games: Sequence[Game]) -> tuple[list[float], list[float]]:
    """Return the values of the runs that A began with, and of those that B did, both in order of seeds."""
    return [float(game.value or 0) for game in games[::2]], [float(game.value or 0) for game in games[1::2]]


def difference(games: Sequence[Game]) -> Difference:
    """Return how far A's values are above B's, seed by seed."""
    return paired(*values_by_player(games))


def usage(games: Sequence[Game], *, swapped: bool | None = None) -> LlmUsage:
    """Return what models used in all games, or only in those that were or were not swapped."""
    total = LlmUsage()
    for game in games:
        if swapped is None or game.swapped is swapped:
            total.add(LlmUsage(game.calls, 0, game.prompt_tokens, game.completion_tokens))
    return total


def sides(scenario: Scenario, a: Sequence[str], b: Sequence[str], *, swapped: bool, whole: bool = False) -> Scenario:
    """Return the scenario with the tiers `a` for its first group and `b` for its second, or swapped.

    Where it has fewer than two groups, or whole runs are compared, all agents get `a`, or `b` when swapped.

    Raises:
        ScenarioError: its domain plans for nobody, or a list of tiers is not valid.
    """
    if scenario.domain.observation is None:
        raise ScenarioError(f"scenario {scenario.name!r} has no planning; there is nothing that planners could do")
    names = scenario.domain.group_names
    first, second = (b, a) if swapped else (a, b)
    if whole or len(names) < 2:
        return with_tiers(scenario, first)
    return with_tiers(scenario, groups={names[0]: first, names[1]: second})


@dataclass(frozen=True)
class Asked:
    """One run that is asked for, as plain data, so that any process can make it."""

    scenario: dict[str, Any]
    folder: Path | None
    seed: int
    ticks: int
    swapped: bool
    metric: str | None
    model: str = NO_MODEL


def play(asked: Asked) -> Game:
    """Make one run.

    Raises:
        ScenarioError: the domain has no such metric, or its value is not one number.
        ContractError: there is no such model.
    """
    scenario = Scenario.from_canonical(asked.scenario, str(asked.scenario["name"]), folder=asked.folder)
    plugins = load_plugins(scenario)
    total = LlmUsage()
    with (
        model_of(asked.model) as client,
        Simulation(scenario, seed=asked.seed, plugins=plugins, client=client) as simulation,
    ):
        for report in simulation.reports(asked.ticks):
            if report.plans is not None:
                total.add(report.plans.usage)
        winner = None
        for side, name in zip("ba" if asked.swapped else "ab", scenario.domain.group_names[:2], strict=False):
            if simulation.outcome == f"{name} wins":
                winner = side
        value = None if asked.metric is None else _value(simulation, asked.metric)
        used = total.calls, total.prompt_tokens, total.completion_tokens
        return Game(asked.seed, asked.swapped, winner, simulation.world.tick, value, *used)


def _value(simulation: Simulation, metric: str) -> float:
    values = {**simulation.metrics(), **simulation.scores()}
    if ":" in metric:
        name, function = metric_of(metric)
        values[name] = function(simulation.world)
        metric = name
    if metric not in values:
        raise ScenarioError(f"--metric: no metric {metric!r}; {suggestion(metric, list(values), 'metrics')}")
    value = values[metric]
    if not isinstance(value, int | float) and getattr(value, "shape", None) != ():
        raise ScenarioError(f"--metric: {metric!r} is not one number; choose a metric that is")
    return float(value)


def tournament(
    scenario: Scenario,
    a: Player | Sequence[str],
    b: Player | Sequence[str],
    seeds: Sequence[int],
    *,
    ticks: int | None = None,
    metric: str | None = None,
    whole: bool = False,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Game]:
    """Run every seed twice, and return the runs in order of seed, that with A first before the swapped one.

    Args:
        scenario: the scenario to run; its first two groups are the sides, if it has groups.
        a: one planner: a player, or tiers.
        b: the other.
        seeds: one pair of games each.
        ticks: a run's length at most, in place of the scenario's.
        metric: the metric or score whose last value each run reports, or `FILE.py:FUNCTION`.
        whole: whether each planner plans for everybody in its run, also where there are groups.
        jobs: processes; the results are the same for any number, models aside.
        progress: called with the number of finished runs and of all runs.

    Raises:
        ScenarioError: the scenario cannot be run so.
        WorkerError: a process ended before its runs did.
    """
    one, other = (each if isinstance(each, Player) else Player("", tuple(each)) for each in (a, b))
    apart = whole or len(scenario.domain.group_names) < 2
    if not apart and NO_MODEL not in (one.model, other.model) and one.model != other.model:
        raise ScenarioError("two models do not play in one run; compare whole runs with --whole --metric NAME")
    folder = None if scenario.folder is None else scenario.folder.absolute()
    asked: list[Asked] = []
    set_up = {
        swapped: sides(scenario, one.tiers, other.tiers, swapped=swapped, whole=whole).canonical()
        for swapped in (False, True)
    }
    for seed in seeds:
        for swapped in (False, True):
            mine = (other if swapped else one).model
            model = mine if apart else next((each.model for each in (one, other) if each.model != NO_MODEL), NO_MODEL)
            asked.append(Asked(set_up[swapped], folder, seed, ticks or scenario.ticks, swapped, metric, model))
    games: list[Game] = []
    waits = any(each.model != NO_MODEL for each in asked)
    with closing(side_by_side(play, asked, jobs, at_once=waits)) as played:
        for game in played:
            games.append(game)
            if progress is not None:
                progress(len(games), len(asked))
    return games
