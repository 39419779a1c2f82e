"""The tier of rules: `ai.heuristics` behind the planner's face."""

from __future__ import annotations

import numpy as np

from ai.actions import ToolRegistry
from ai.heuristics import HeuristicConfig, evaluate
from ai.plan import FallbackTier, Outcome
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.snapshot import SnapshotBatch


class Heuristic:
    """Gives every agent the one-step plan of the first rule that fits it.

    An agent is left without (`MISSING`) only where the registry offers neither what its rules need nor `Wait`.
    """

    name: str = FallbackTier.HEURISTIC
    deterministic: bool = True

    def __init__(self, config: HeuristicConfig | None = None) -> None:
        self.config = HeuristicConfig() if config is None else config

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Evaluate the rules for all agents at once."""
        plans = evaluate(self.config, batch, registry)
        outcome = np.zeros(len(batch), np.int8)
        outcome[plans.length == 0] = Outcome.MISSING
        return TierPlans(plans, outcome)


PLANNERS: tuple[type[Planner], ...] = (Heuristic,)
