"""The tier of rules: `ai.heuristics` behind the planner's face."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ai.actions import ToolRegistry
from ai.heuristics import HeuristicConfig, evaluate
from ai.plan import NO_TIER, FallbackTier, Outcome, PlanBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.snapshot import SnapshotBatch


class Heuristic:
    """Gives every agent the plan of the first rule that fits it.

    Teams, by their numbers, may have rules of their own. An agent is left without (`MISSING`) only where the registry
    offers neither what its rules need nor `Wait`.
    """

    name: str = FallbackTier.HEURISTIC
    deterministic: bool = True

    def __init__(
        self, config: HeuristicConfig | None = None, teams: Mapping[int, HeuristicConfig] | None = None
    ) -> None:
        self.config = HeuristicConfig() if config is None else config
        self.teams = dict(teams or {})

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Evaluate the rules for all agents at once."""
        plans = evaluate(self.config, batch, registry) if not self.teams else self._by_team(batch, registry)
        outcome = np.zeros(len(batch), np.int8)
        if np.count_nonzero(plans.length) < len(batch):
            outcome[plans.length == 0] = Outcome.MISSING
        return TierPlans(plans, outcome)

    def _by_team(self, batch: SnapshotBatch, registry: ToolRegistry) -> PlanBatch:
        """Evaluate every team's own rules for its agents, and the common ones for all others."""
        plans = PlanBatch.empty(batch.keys)
        for team in np.unique(batch.team).tolist():
            rows = np.flatnonzero(batch.team == team)
            part = evaluate(self.teams.get(team, self.config), batch.take(rows), registry)
            plans.put(rows, part, np.arange(len(rows)), NO_TIER)
        return plans


PLANNERS: tuple[type[Planner], ...] = (Heuristic,)
