"""Planners compared: the same scenario for many seeds, every seed run twice, first with one planner, then the other.

A planner is a list of tiers, or a model. Where a domain has groups, the planners plan for its first two groups and swap
them in the second run. Each run then is a game that the group named by the outcome wins. With a metric, and where there
are no groups or whole runs are wanted, the two runs of a seed are one game: the planner of the run with the better last
value wins, and equal values are a draw. A planner's share of the decided games stands with Wilson's 95 percent interval
(E. B. Wilson, JASA 22, 1927), which also holds for few games and for shares near 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai.llm.models import Models, kind_and_model, tiers_of_model
from ai.plans import LlmUsage
from sim.errors import ScenarioError
from sim.messages import suggestion
from sim.run.checks import measured
from sim.run.choices import MODEL, tiers_of, with_tiers
from sim.run.llm_usage import ModelTally
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.run.workers import parallel_map
from sim.sweep.cell import model_of
from sim.sweep.spec import NO_MODEL
from sim.sweep.statistics import Difference, paired, wilson
from sim.tables.metrics import metric_of


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
            return cls(text, tiers_of_model(), text.removeprefix(MODEL))
        return cls(text, tuple(tiers_of(text)))

    @property
    def has_model(self) -> bool:
        """Whether it is a model."""
        return self.model != NO_MODEL

    def named(self, side: str) -> tuple[str, ...]:
        """Return its tiers on a side; those of a model ask the model of this name."""
        return tiers_of_model(side) if self.has_model else self.tiers


@dataclass(frozen=True, slots=True)
class Game:
    """One run of a seed.

    Attributes:
        seed: of the run.
        swapped: whether B planned for the first group, or for all agents where whole runs are compared.
        winner: `a`, `b` or None, by the outcome of the run.
        ticks: that it took.
        value: the last value of the metric, None where none was asked for.
        used: the usage of the models of `a` and `b`.
    """

    seed: int
    swapped: bool
    winner: str | None
    ticks: int
    value: float | None = None
    used: Mapping[str, LlmUsage] = field(default_factory=dict)


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


def usage(games: Sequence[Game], side: str) -> LlmUsage:
    """Return what the model of `a` or `b` used in all games."""
    total = LlmUsage()
    for game in games:
        total.add(game.used.get(side, LlmUsage()))
    return total


def apart(scenario: Scenario, *, whole: bool = False) -> bool:
    """Return whether each planner plans for all agents in a run of its own: by choice, or without two groups."""
    return whole or len(scenario.domain.group_names) < 2


def sides(scenario: Scenario, a: Sequence[str], b: Sequence[str], *, swapped: bool, whole: bool = False) -> Scenario:
    """Return the scenario with the tiers `a` for its first group and `b` for its second, or swapped.

    Where the planners play `apart`, all agents get `a`, or `b` when swapped.

    Raises:
        ScenarioError: agents of its domain do not plan, or a list of tiers is not valid.
    """
    if scenario.domain.observation is None:
        raise ScenarioError(f"scenario {scenario.name!r} has no planning; there is nothing that planners could do")
    names = scenario.domain.group_names
    first, second = (b, a) if swapped else (a, b)
    if apart(scenario, whole=whole):
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
    models: Mapping[str, str] = field(default_factory=dict)
    """Specs of models by side."""


def play(asked: Asked) -> Game:
    """Make one run.

    Raises:
        ScenarioError: the domain has no such metric, or its value is not one number.
        ContractError: there is no such model.
    """
    scenario = Scenario.from_canonical(asked.scenario, str(asked.scenario["name"]), folder=asked.folder)
    plugins = load_plugins(scenario)
    tally = ModelTally()
    with ExitStack() as stack:
        clients = {side: stack.enter_context(model_of(spec)) for side, spec in asked.models.items()}
        models = Models({side: client for side, client in clients.items() if client is not None}) if clients else None
        simulation = stack.enter_context(Simulation(scenario, seed=asked.seed, plugins=plugins, client=models))
        for report in simulation.reports(asked.ticks):
            tally.add(report.tick, report.plans, report.round)
        winner = None
        for side, name in zip("ba" if asked.swapped else "ab", scenario.domain.group_names[:2], strict=False):
            if simulation.outcome == f"{name} wins":
                winner = side
        value = None if asked.metric is None else _value(simulation, asked.metric)
        used = {side: LlmUsage() for side in asked.models}
        for tier, calls in tally.by_tier.items():
            used[kind_and_model(tier)[1]].add(
                LlmUsage(calls.calls, calls.agents, calls.prompt_tokens, calls.completion_tokens)
            )
        return Game(asked.seed, asked.swapped, winner, simulation.world.tick, value, used)


def _value(simulation: Simulation, metric: str) -> float:
    values = {**simulation.metrics(), **simulation.scores()}
    if ":" in metric:
        name, function = metric_of(metric)
        values[name] = measured(name, function, simulation.world, simulation.domain)
        metric = name
    if metric not in values:
        raise ScenarioError(f"--metric: no metric {metric!r}; {suggestion(metric, list(values), 'metrics')}")
    value = values[metric]
    if not isinstance(value, int | float) and getattr(value, "shape", None) != ():
        raise ScenarioError(f"--metric: {metric!r} is not one number; choose a metric that is")
    return float(value)


def tournament(
    scenario: Scenario,
    a: Player,
    b: Player,
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
        a: one planner.
        b: the other.
        seeds: one pair of games each.
        ticks: a run's length at most, in place of the scenario's.
        metric: the metric or score whose last value each run reports, or `FILE.py:FUNCTION`.
        whole: whether each planner plans for all agents in its run, even where there are groups.
        jobs: processes; the results are the same for any number, models aside.
        progress: called with the number of finished runs and of all runs.

    Raises:
        ScenarioError: the scenario cannot be run so.
        WorkerError: a process ended before its runs did.
    """
    players = {"a": a, "b": b}
    specs = {side: player.model for side, player in players.items() if player.has_model}
    alone = apart(scenario, whole=whole)
    tiers = [player.named(side) for side, player in players.items()]
    folder = None if scenario.folder is None else scenario.folder.absolute()
    asked: list[Asked] = []
    set_up = {swapped: sides(scenario, *tiers, swapped=swapped, whole=whole).canonical() for swapped in (False, True)}
    for seed in seeds:
        for swapped in (False, True):
            mine = "b" if swapped else "a"
            models = {side: spec for side, spec in specs.items() if side == mine or not alone}
            asked.append(Asked(set_up[swapped], folder, seed, ticks or scenario.ticks, swapped, metric, models))
    games: list[Game] = []
    with closing(parallel_map(play, asked, jobs, at_once=bool(specs))) as played:
        for game in played:
            games.append(game)
            if progress is not None:
                progress(len(games), len(asked))
    return games
