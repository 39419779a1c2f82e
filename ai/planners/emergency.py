"""The last tier: every agent takes the registry's idle step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.plans import FallbackTier, Outcome, PlanBatch


class Emergency:
    """Gives every agent the idle step. It reads no observation and cannot fail.

    If an agent reaches this tier, something is wrong: agents with nothing to do get a plan from the tier above.
    """

    name: str = FallbackTier.EMERGENCY
    deterministic: bool = True

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Return the same step for every agent."""
        plans = PlanBatch.from_encoded(batch.keys, [[registry.idle_step]] * len(batch))
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS: tuple[type[Planner], ...] = (Emergency,)
