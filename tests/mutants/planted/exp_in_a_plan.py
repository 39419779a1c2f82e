"""Lets the last bit of an exponential decide."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch


class Bug:
    """Lets the last bit of an exponential decide."""

    name = "bug"
    deterministic = True

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Let everyone scan as far as a bit says."""
        # In 32 bits every dispatched level shows, in 64 only the widest.
        wide = np.exp(np.linspace(0.1, 9.7, 4096, dtype=np.float32)).view(np.int32).astype(np.int64)
        radius = np.full(len(batch), 1 + int(wide.sum() % 59), np.int32)
        plans = PlanBatch.empty(batch.keys)
        plans.set_all(np.arange(len(batch)), registry.code("Scan"), radius)
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS = (Bug,)
