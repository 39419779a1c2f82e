"""Draws for its agents from one stream, in order."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch


class Bug:
    """Draws for its agents from one stream, in order."""

    name = "bug"
    deterministic = True

    def __init__(self) -> None:
        self.rng = random.Random(1)

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Let everyone scan as far as the stream says."""
        radius = np.array([self.rng.randrange(1, 60) for _ in range(len(batch))], np.int32)
        plans = PlanBatch.empty(batch.keys)
        plans.set_all(np.arange(len(batch)), registry.code("Scan"), radius)
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS = (Bug,)
