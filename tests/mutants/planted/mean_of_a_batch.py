"""Looks at all agents that are asked for together."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch


class Bug:
    """Looks at all agents that are asked for together."""

    name = "bug"
    deterministic = True

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Let everyone scan as far as the health of all says."""
        radius = np.full(len(batch), int(batch.column("me.hp").sum()) + len(batch))
        plans = PlanBatch.empty(batch.keys)
        plans.set_all(np.arange(len(batch)), registry.code("Scan"), (radius % 50 + 1).astype(np.int32))
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS = (Bug,)
