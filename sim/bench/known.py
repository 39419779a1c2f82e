"""The observations of agents of a real scenario at one moment: the same questions for every way of asking."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ai.actions import ToolRegistry
from sim.errors import ScenarioError
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation

TICK: Final = 30
"""The tick at which agents are asked: they know of each other by then, and most are still alive."""


def what_agents_know(scenario: Scenario, agents: int, *, seed: int, tick: int = TICK) -> Any:
    """Return the observations of the first `agents` living agents after `tick` ticks with rules, in key order.

    Raises:
        ScenarioError: the scenario has fewer agents at that tick.
    """
    with Simulation(scenario, seed=seed) as simulation:
        world = simulation.run(tick).world
        if world.n < agents:
            raise ScenarioError(
                f"scenario {scenario.name} has {world.n:,} agents at tick {tick}, not {agents:,}; "
                "ask for fewer, or name a larger scenario with --scenario"
            )
        return simulation.domain.observe(world, np.arange(agents))


def common_verbs(scenario: Scenario) -> ToolRegistry:
    """Return the verbs that every way of asking offers: those of the first model tier."""
    with Simulation(scenario) as simulation:
        assert simulation.registry is not None
        return simulation.registry.first_tier
