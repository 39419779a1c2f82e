"""Draws by an agent's place in the batch instead of its key."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch
from sim.engine.rng import Rng, purpose


class Bug:
    """Draws by an agent's place in the batch instead of its key."""

    name = "bug"
    deterministic = True

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Let everyone scan as far as a draw says."""
        radius = (1 + Rng(7).below(np.arange(len(batch), dtype=np.int64), batch.tick, purpose("test"), 59)).astype(
            np.int32
        )
        plans = PlanBatch.empty(batch.keys)
        plans.set_all(np.arange(len(batch)), registry.code("Scan"), radius)
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS = (Bug,)
