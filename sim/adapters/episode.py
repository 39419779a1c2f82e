"""The common part of both environments: a run that is advanced step by step, with actions from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from sim.adapters.policy import plans_of
from sim.adapters.vectors import Vectors, vectors_of
from sim.errors import ScenarioError
from sim.messages import one_line, quoted, suggestion
from sim.replay.recording import recorded
from sim.run.domain import Domain
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation, TickReport

Start = str | Path | Scenario | Domain
"""The start of an environment's run: a scenario's name or file, a scenario, or a domain with its settings."""
Reward = str | Callable[[Any], float]
"""A metric or score by name, a column of the agents ("Villager.coins"), or a function of the world."""


class _Chosen:
    """The tier of actions from outside."""

    name = "policy"
    deterministic = False

    def __init__(self) -> None:
        self.actions: dict[int, Any] = {}
        self.took: set[int] = set()
        self.vectors: Vectors | None = None

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        assert self.vectors is not None
        found = plans_of(self.vectors, batch, self.actions)
        self.took |= set(self.actions) & set(batch.keys.tolist())
        return found


class Episode:
    """One run under control from outside.

    Args:
        scenario: the scenario to run.
        seed: of the run.
        others: the tiers that plan where no action was given, or none was possible.
        replay: where the run is recorded; None records nothing.
    """

    def __init__(self, scenario: Scenario, seed: int, others: Sequence[str], replay: Path | None) -> None:
        self._chosen = _Chosen()
        self._stack = ExitStack()
        tiers: list[Planner | str] = [self._chosen, *others]
        self.simulation = self._stack.enter_context(
            Simulation(scenario, seed=seed, plugins=load_plugins(scenario), tiers=tiers)
        )
        try:
            self.vectors = self._chosen.vectors = vectors_of(self.simulation)
        except BaseException:
            self.close()
            raise
        self._reports: Iterator[TickReport] = recorded(self.simulation, replay, replace=True)
        self.over = False

    def keys(self) -> list[int]:
        """Return the agents that may plan now."""
        world = self.simulation.world
        return [int(key) for key in world.keys[self.simulation.domain.plannable(world)]]

    def advance(self, ticks: int, actions: Mapping[int, Any]) -> set[int]:
        """Make some ticks with actions by agent, and return the agents whose action was taken.

        An agent that is still busy with an earlier step takes no action.
        """
        self._chosen.actions, self._chosen.took = dict(actions), set()
        for _ in range(ticks):
            if next(self._reports, None) is None:
                self.over = True
                break
            for key in self._chosen.took:
                self._chosen.actions.pop(key, None)  # one action a step: the other tiers plan the ticks after it
        self.over = self.over or self.simulation.outcome is not None
        return set(self._chosen.took)

    @property
    def at_limit(self) -> bool:
        """Whether the run has made all its ticks."""
        return self.simulation.world.tick >= self.simulation.scenario.ticks

    def observations(self, keys: Sequence[int]) -> NDArray[np.float32]:
        """Return what agents know now, as vectors."""
        world = self.simulation.world
        if not keys:
            return np.zeros((0, self.vectors.size), np.float32)
        return self.vectors.observations(self.simulation.domain.observe(world, world.rows_of(np.array(keys))))

    def close(self) -> None:
        """End the run; a recording of an unfinished one ends as interrupted."""
        reports = getattr(self, "_reports", None)
        if reports is not None:
            reports.close()
        self._stack.close()


def values_of(simulation: Simulation, reward: Reward, keys: Sequence[int]) -> NDArray[np.float64]:
    """Return the rewarded value of each agent, `[len(keys)]`; an agent that is gone has 0.

    Raises:
        ScenarioError: there is no such metric, score or column.
    """
    world = simulation.world
    if callable(reward):
        return np.broadcast_to(np.asarray(reward(world), np.float64), (len(keys),)).copy()
    if "." in reward:
        for schema in world.schemas:
            for spec in schema.columns:
                if spec.label == reward and not spec.shape and not spec.is_text:
                    component = next(each for each in world.components if each.__name__ == schema.name)
                    rows = np.array([world.row_of(key) for key in keys])
                    values = getattr(world[component], spec.name)[np.maximum(rows, 0)] / spec.scale
                    return np.where(rows >= 0, values, 0.0)
    named = {**simulation.metrics(), **simulation.scores()}
    if reward not in named:
        columns = [spec.label for schema in world.schemas for spec in schema.columns if not spec.shape]
        raise ScenarioError(
            one_line(f"no metric, score or column {quoted(reward)}; {suggestion(reward, [*named, *columns], 'known')}")
        )
    return np.full(len(keys), float(named[reward]))


class Episodes:
    """The episodes of an environment, one after another, each with a seed and a recording of its own.

    Args:
        start: the scenario or domain of every episode.
        others: the tiers that plan where no action was given; None takes those of the scenario.
        record: a folder in which every episode leaves its replay.
    """

    render_mode = None

    def __init__(self, start: Start, others: Sequence[str] | None, record: str | Path | None) -> None:
        self.scenario = scenario_of(start)
        self._others = self.scenario.planning.tiers if others is None else others
        self._record = None if record is None else Path(record)
        self._begun = 0
        self._episode: Episode | None = None

    def _begin(self, seed: int) -> Episode:
        """End the episode and begin the next."""
        self.close()
        self._begun += 1
        replay = None
        if self._record is not None:
            self._record.mkdir(parents=True, exist_ok=True)
            replay = self._record / f"episode-{self._begun:06d}.replay.jsonl"
        self._episode = Episode(self.scenario, seed, self._others, replay)
        return self._episode

    def close(self) -> None:
        """End the episode and its recording."""
        if self._episode is not None:
            self._episode.close()
            self._episode = None


def scenario_of(start: Start) -> Scenario:
    """Return what an environment runs."""
    if isinstance(start, Scenario):
        return start
    return Scenario.of(start) if isinstance(start, Domain) else load(start)
