"""The tier of rules: `ai.rules` with the interface of a planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ai.actions import ToolRegistry
from ai.observation import Layout, ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.playbook import Playbook
from ai.planners.ready import Ready
from ai.plans import NO_TIER, FallbackTier, Outcome, PlanBatch
from ai.rules import Bound, Facts, Moves, Rule, plans_by_rules


class Heuristic:
    """Gives every agent the plan of the first rule that serves it, or the idle step if none does.

    An agent gets no plan (`MISSING`) only if the registry offers neither the verbs of its rules nor the idle verb.

    Args:
        rules: the rules, in the order in which they are tried.
        groups: the rules of groups with their own rules, by the group's name in the batch.
        facts: named conditions that rules may use.
        moves: named functions that make steps.
    """

    name: str = FallbackTier.HEURISTIC
    deterministic: bool = True

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        groups: Mapping[str, Sequence[Rule]] | None = None,
        *,
        facts: Facts | None = None,
        moves: Moves | None = None,
    ) -> None:
        self.rules, self.groups = tuple(rules), dict(groups or {})
        self.facts, self.moves = dict(facts or {}), dict(moves or {})
        self._common: Ready[Bound] = Ready(self._bound)
        self._own: Ready[dict[str, Bound]] = Ready(self._bound_by_group)

    @classmethod
    def of(cls, playbook: Playbook) -> Self:
        """Return the tier of a domain's rules."""
        return cls(playbook.rules, playbook.group_rules, facts=playbook.facts, moves=playbook.moves)

    def check(self, registry: ToolRegistry, layout: Layout) -> None:
        """Check all rules against a registry and an observation.

        Raises:
            ContractError: a rule names a field, verb, argument or move that does not exist.
        """
        self._bound(registry, layout)
        self._bound_by_group(registry, layout)

    def _bound(self, registry: ToolRegistry, layout: Layout) -> Bound:
        return Bound(self.rules, registry, layout, self.facts, self.moves)

    def _bound_by_group(self, registry: ToolRegistry, layout: Layout) -> dict[str, Bound]:
        return {name: Bound(own, registry, layout, self.facts, self.moves) for name, own in self.groups.items()}

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Evaluate the rules for all agents at once."""
        common = self._common.of(registry, batch)
        own = self._own.of(registry, batch) if self.groups and batch.groups is not None else {}
        plans = self._by_group(batch, common, own) if own else plans_by_rules(common, batch)
        outcome = np.zeros(len(batch), np.int8)
        if np.count_nonzero(plans.length) < len(batch):
            outcome[plans.length == 0] = Outcome.MISSING
        return TierPlans(plans, outcome)

    def _by_group(self, batch: ObservationBatch[Any], common: Bound, own: Mapping[str, Bound]) -> PlanBatch:
        """Evaluate every group's own rules for its agents, and the common rules for all others."""
        plans = PlanBatch.empty(batch.keys)
        assert batch.groups is not None
        names = (*batch.groups.names, "")
        for group in np.unique(batch.groups.index).tolist():
            rows = np.flatnonzero(batch.groups.index == group)
            part = plans_by_rules(own.get(names[group], common), batch.take(rows))
            plans.put(rows, part, np.arange(len(rows)), NO_TIER)
        return plans


PLANNERS: tuple[type[Planner], ...] = (Heuristic,)
