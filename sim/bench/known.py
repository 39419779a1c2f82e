"""What agents of a real scenario know at one moment of it: the same questions for every way of asking."""

from __future__ import annotations

from typing import Final

import numpy as np

from ai.actions import COMMON_KINDS, ToolRegistry
from ai.snapshot import SnapshotBatch
from scenarios.tactics.perception import occupancy_of, perceive
from scenarios.tactics.scenario import Scenario
from sim.errors import ScenarioError
from sim.run.simulation import Simulation

TICK: Final = 30
"""When agents are asked: in the skirmish most of them see their first enemies then, and all are alive."""


def what_agents_know(scenario: Scenario, agents: int, *, seed: int, tick: int = TICK) -> SnapshotBatch:
    """Return what the first `agents` living agents know after `tick` ticks by rules, in key order.

    Raises:
        ScenarioError: the scenario has fewer agents then.
    """
    with Simulation(scenario, seed=seed) as simulation:
        for _ in simulation.run(tick):
            pass
        world, stage = simulation.world, simulation.stage
        if world.n < agents:
            raise ScenarioError(
                f"scenario {scenario.name} has {world.n:,} agents at tick {tick}, not {agents:,}; "
                "ask for fewer, or name a larger scenario with --scenario"
            )
        return perceive(world, stage.grid, occupancy_of(world, stage.grid), np.arange(agents), stage.lore)


def common_verbs(scenario: Scenario) -> ToolRegistry:
    """Return the verbs that every way of asking offers: those of the first model tier."""
    with Simulation(scenario) as simulation:
        return simulation.registry.offering(COMMON_KINDS)
