"""What the planning path itself costs: the orchestrator with no model, and with a client that answers at once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from scaled import scaled

from ai.fallback import FallbackOrchestrator, drive
from ai.snapshot import SnapshotBatch
from ai.testing import MockBatchLlm
from sim.perception import occupancy_of, perceive
from sim.simulation import Simulation


def everyone(agents: int) -> tuple[SnapshotBatch, Simulation]:
    """Return what everybody of the scaled battle knows after some ticks."""
    simulation = Simulation(scaled(agents))
    list(simulation.run(20))
    world, stage = simulation.world, simulation.stage
    occupancy = occupancy_of(world, stage.grid)
    return perceive(world, stage.grid, occupancy, np.arange(world.n), stage.lore), simulation


@pytest.mark.parametrize("agents", [10, 100, 1_000, 10_000])
def test_heuristic_tier(benchmark, agents: int) -> None:
    """Everybody is planned by rules in one batch call without a model."""
    batch, simulation = everyone(agents)
    with simulation:
        orchestrator = FallbackOrchestrator()
        result = benchmark(lambda: drive(orchestrator.plan_batch_with_fallback(None, batch, simulation.registry)))
        assert len(result.plans) == len(batch)
        benchmark.extra_info.update(us_an_agent=benchmark.stats.stats.median / len(batch) * 1e6)


@pytest.mark.parametrize("agents", [10, 100, 1_000])
def test_model_tier_with_instant_client(benchmark, agents: int) -> None:
    """Everybody is planned by a model tier whose client answers at once: prompts, shards, scanner, checks."""
    batch, simulation = everyone(agents)
    with simulation:
        orchestrator = FallbackOrchestrator()
        client = MockBatchLlm.for_agents(len(batch))

        def plan() -> None:
            asyncio.run(orchestrator.plan_batch_with_fallback(client, batch, simulation.registry))

        benchmark.pedantic(plan, rounds=5, warmup_rounds=1)
        benchmark.extra_info.update(us_an_agent=benchmark.stats.stats.median / len(batch) * 1e6)
