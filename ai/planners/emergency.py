"""The last tier: everyone looks around and waits."""

from __future__ import annotations

from typing import Final

import numpy as np

from ai.actions import ToolRegistry
from ai.plan import FallbackTier, Outcome, PlanBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.snapshot import SnapshotBatch

SCAN_RADIUS: Final = 10
"""Cells that an emergency plan looks around."""
WAIT_S: Final = 1.0
"""Seconds that an emergency plan waits."""


class Emergency:
    """Gives every agent Scan, then Wait. Cannot fail and needs neither a registry entry nor a snapshot.

    An agent that ends here means that something is wrong: agents with nothing to do get a plan from the tier above.
    """

    name: str = FallbackTier.EMERGENCY
    deterministic: bool = True

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Return the same two steps for everyone."""
        plans = PlanBatch.empty(batch.keys, 2)
        plans.length[:] = 2
        steps = (registry.make("Scan", radius=SCAN_RADIUS), registry.make("Wait", duration=WAIT_S))
        for position, step in enumerate(steps):
            encoded = registry.encode(step)
            plans.kind[position] = encoded.kind
            plans.args[position] = np.array(encoded.args, np.int32)[:, None]
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


PLANNERS: tuple[type[Planner], ...] = (Emergency,)
