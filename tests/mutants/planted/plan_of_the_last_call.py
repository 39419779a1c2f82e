"""Goes on from the plan that it gave an agent last."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch


class Bug:
    """Goes on from the plan that it gave an agent last."""

    name = "bug"
    deterministic = True

    def __init__(self) -> None:
        self.last: dict[int, int] = {}

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Let everyone scan farther than before."""
        for key in batch.keys.tolist():
            self.last[key] = self.last.get(key, 0) + 1
        radius = np.array([self.last[key] for key in batch.keys.tolist()])
        plans = PlanBatch.empty(batch.keys)
        plans.set_all(np.arange(len(batch)), registry.code("Scan"), (radius % 50 + 1).astype(np.int32))
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS = (Bug,)
