"""Keeps by agent what it knew when the agent was first asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch

FIRST: dict[int, int] = {}


class Bug:
    """Keeps by agent what it knew when the agent was first asked for."""

    name = "bug"
    deterministic = True

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Let everyone scan as far as the first tick says."""
        radius = np.array([FIRST.setdefault(key, batch.tick) for key in batch.keys.tolist()])
        plans = PlanBatch.empty(batch.keys)
        plans.set_all(np.arange(len(batch)), registry.code("Scan"), (radius % 50 + 1).astype(np.int32))
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS = (Bug,)
