"""A domain as a Gymnasium environment: one agent acts, planners of the scenario plan for all others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.adapters.episode import Episode, Episodes, Reward, Start, values_of
from sim.errors import ScenarioError
from sim.extras import extra

if TYPE_CHECKING:
    Base = object
else:
    Base = extra("gymnasium", "env").Env
spaces = extra("gymnasium.spaces", "env")


class DomainEnv(Episodes, Base):  # type: ignore[misc, valid-type, unused-ignore]
    """A domain as a Gymnasium environment.

    Observations and actions are vectors (`sim.adapters.vectors`); `info["acted"]` says whether the agent was free to
    act. The reward is the change of a value during the step.

    Args:
        start: a scenario's name or file, a scenario, or a domain with its settings.
        reward: a metric or score by name, a column of the agent ("Villager.coins"), or a function of the world.
        agent: the key of the agent that acts; without, the first that may plan.
        ticks_a_step: ticks that one step lasts.
        record: a folder in which every episode leaves its replay.

    Raises:
        MissingExtra: Gymnasium is not installed.
        ScenarioError: agents do not plan, there is no such agent, or no such reward.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own form
    np_random: Any

    def __init__(
        self,
        start: Start,
        reward: Reward,
        *,
        agent: int | None = None,
        ticks_a_step: int = 1,
        record: str | Path | None = None,
    ) -> None:
        super().__init__(start, None, record)
        self._reward, self._ticks = reward, ticks_a_step
        episode = Episode(self.scenario, self.scenario.seed, self._others, None)
        try:
            keys = episode.keys()
            if not keys or (agent is not None and agent not in keys):
                raise ScenarioError(
                    f"no agent {agent} plans at the start of {self.scenario.name!r}; {len(keys)} agents do"
                )
            self._key = keys[0] if agent is None else agent
            values_of(episode.simulation, reward, [self._key])
            self.observation_space = spaces.Box(-np.inf, np.inf, (episode.vectors.size,), np.float32)
            self.action_space = spaces.MultiDiscrete(episode.vectors.shape)
        finally:
            episode.close()

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; without a seed it is the next of those that follow from the last one given."""
        Base.reset(self, seed=seed, options=options)  # type: ignore[attr-defined, unused-ignore]
        self._begin(int(self.np_random.integers(2**31)))
        return self._seen(), {"acted": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Apply the agent's action and make the ticks of a step.

        Raises:
            ScenarioError: there is no episode; `reset` begins one.
        """
        episode = self._episode
        if episode is None:
            raise ScenarioError("there is no episode; call reset first")
        before = values_of(episode.simulation, self._reward, [self._key])[0]
        acted = episode.advance(self._ticks, {self._key: action})
        gain = float(values_of(episode.simulation, self._reward, [self._key])[0] - before)
        terminated = episode.simulation.outcome is not None or self._key not in episode.keys()  # noqa: SIM118 - a method
        truncated = not terminated and (episode.over or episode.at_limit)
        return self._seen(), gain, terminated, truncated, {"acted": self._key in acted}

    def _seen(self) -> Any:
        assert self._episode is not None
        if self._key in self._episode.keys():  # noqa: SIM118 - a method
            return self._episode.observations([self._key])[0]
        return np.zeros(self._episode.vectors.size, np.float32)


env = DomainEnv
