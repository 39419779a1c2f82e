"""A domain as a PettingZoo parallel environment: every agent that plans acts in every step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.adapters.episode import Episode, Episodes, Reward, Start, values_of
from sim.extras import extra

if TYPE_CHECKING:
    Base = object
else:
    Base = extra("pettingzoo", "parallel_env").ParallelEnv
spaces = extra("gymnasium.spaces", "parallel_env")


class DomainParallelEnv(Episodes, Base):  # type: ignore[misc, valid-type, unused-ignore]
    """A domain as a PettingZoo parallel environment.

    Agents are those that may plan at the start, called `agent_KEY`. Observations and actions are vectors
    (`sim.adapters.vectors`). An agent that is still busy with a step takes no action: `infos[agent]["acted"]` says
    whether it did. The reward is the change of a value during the step.

    Args:
        start: a scenario's name or file, a scenario, or a domain with its settings.
        reward: a metric or score by name, a column of the agents ("Villager.coins"), or a function of the world.
        ticks_a_step: ticks that one step lasts.
        record: a folder in which every episode leaves its replay.

    Raises:
        MissingExtra: PettingZoo is not installed.
        ScenarioError: agents do not plan, or there is no such reward.
    """

    metadata: dict[str, Any]

    def __init__(
        self, start: Start, reward: Reward, *, ticks_a_step: int = 1, record: str | Path | None = None
    ) -> None:
        super().__init__(start, ("emergency",), record)
        self.metadata = {"name": f"tickweave_{self.scenario.name}_v0", "render_modes": []}
        self._reward, self._ticks = reward, ticks_a_step
        self._random = np.random.default_rng(self.scenario.seed)
        episode = self._episode = Episode(self.scenario, self.scenario.seed, self._others, None)
        keys = episode.keys()
        values_of(episode.simulation, reward, keys)
        self.possible_agents = [_name(key) for key in keys]
        self._keys = dict(zip(self.possible_agents, keys, strict=True))
        box = spaces.Box(-np.inf, np.inf, (episode.vectors.size,), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, box)
        self.action_spaces = {name: spaces.MultiDiscrete(episode.vectors.shape) for name in self.possible_agents}
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        """Return the space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Return the space of an agent's actions."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin an episode; without a seed it is the next of those that follow from the last one given."""
        del options
        if seed is not None:
            self._random = np.random.default_rng(seed)
        episode = self._begin(int(self._random.integers(2**31)))
        alive = set(episode.keys())
        self.agents = [name for name in self.possible_agents if self._keys[name] in alive]
        return self._seen(self.agents), {name: {"acted": False} for name in self.agents}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Apply the agents' actions and make the ticks of a step."""
        episode = self._episode
        if episode is None or not self.agents:
            self.agents = []
            return {}, {}, {}, {}, {}
        names = self.agents
        keys = [self._keys[name] for name in names]
        before = values_of(episode.simulation, self._reward, keys)
        acted = episode.advance(self._ticks, {self._keys[name]: action for name, action in actions.items()})
        gains = values_of(episode.simulation, self._reward, keys) - before
        alive = set(episode.keys())
        ended = episode.simulation.outcome is not None
        limit = not ended and (episode.over or episode.at_limit)
        observations = self._seen(names)
        terminations = {name: ended or self._keys[name] not in alive for name in names}
        truncations = {name: limit and not terminations[name] for name in names}
        infos = {name: {"acted": self._keys[name] in acted} for name in names}
        self.agents = [name for name in names if not (terminations[name] or truncations[name])]
        if not self.agents:
            self.close()
        return observations, dict(zip(names, gains.tolist(), strict=True)), terminations, truncations, infos

    def _seen(self, names: list[str]) -> dict[str, Any]:
        """Return what agents know; one that is gone knows nothing, which is zeros."""
        assert self._episode is not None
        alive = [key for key in self._episode.keys() if _name(key) in self.observation_spaces]  # noqa: SIM118 - a method
        vectors = dict(zip(alive, self._episode.observations(alive), strict=True))
        nothing = np.zeros(self._episode.vectors.size, np.float32)
        return {name: vectors.get(self._keys[name], nothing) for name in names}

    def render(self) -> None:
        """Draw nothing; `tickweave view` shows recorded episodes."""

    def state(self) -> Any:
        """Return what all agents know, as one vector."""
        return np.concatenate(list(self._seen(self.possible_agents).values()))


def _name(key: int) -> str:
    return f"agent_{key}"


parallel_env = DomainParallelEnv
