"""Utility: every option gets a score from the agent's observation, and the agent takes the best possible option.

Scores are integers, computed for all agents at once; of equal scores, the option listed first wins. An option with a
score of 0 or less is not taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ai.actions import STEPS_MAX, ToolRegistry
from ai.errors import ContractError
from ai.observation import Array, Counts, Layout, Number, ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.playbook import Consideration, Option, Playbook, Score
from ai.planners.ready import Ready
from ai.plans import Outcome, PlanBatch
from ai.rules import Condition, Facts, Fitting, Moves, entry_count, fitting, number_of, write


class Utility:
    """Gives every agent the option that scores highest among those that it can take.

    Args:
        options: the steps that agents may take, and their scores.
        facts: named conditions that options may use.
        moves: named functions that make steps.
    """

    name: str = "utility"
    deterministic: bool = True

    def __init__(
        self, options: Sequence[Option] = (), *, facts: Facts | None = None, moves: Moves | None = None
    ) -> None:
        self.options = tuple(options)
        self.facts, self.moves = dict(facts or {}), dict(moves or {})
        self._ready: Ready[list[tuple[Score, Fitting]]] = Ready(self._made)

    @classmethod
    def of(cls, playbook: Playbook) -> Self:
        """Return the planner of a domain's options."""
        return cls(playbook.options, facts=playbook.facts, moves=playbook.moves)

    def _made(self, registry: ToolRegistry, layout: Layout) -> list[tuple[Score, Fitting]]:
        made = []
        for number, option in enumerate(self.options, 1):
            where = f"option {number}"
            fit = fitting(option.step, registry, layout, self.facts, self.moves, where)
            try:
                score = _score(option, layout, self.facts)
            except ContractError as error:
                raise ContractError(f"{where}: {error}") from None
            made.append((score, fit))
        return made

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Score all options for all agents, then assign the best, the second best, and so on."""
        options = self._ready.of(registry, batch)
        plans = PlanBatch.empty(batch.keys, STEPS_MAX)
        pending = np.ones(len(batch), np.bool_)
        scores = np.stack([score(batch) for score, _ in options]) if options else np.zeros((0, len(batch)), np.int64)
        ranked = np.argsort(-scores, axis=0, kind="stable")
        for rank in range(len(options)):
            for option in np.unique(ranked[rank, pending]).tolist():
                rows = np.flatnonzero(pending & (ranked[rank] == option) & (scores[option] > 0))
                if len(rows):
                    pending[write(plans, rows, [options[option][1]], batch, registry)] = False
            if not pending.any():
                break
        return TierPlans(plans, np.where(pending, Outcome.MISSING, Outcome.OK).astype(np.int8))


def _score(option: Option, layout: Layout, facts: Facts) -> Score:
    """Return the function that scores an option.

    Raises:
        ContractError: a condition or a consideration does not fit the observation.
    """
    texts = (option.when,) if isinstance(option.when, str) else option.when
    tests = [Condition.parse(text).test(layout, facts) for text in texts]
    parts = [_considered(one, layout) for one in option.considerations]
    base = option.score

    def score(batch: ObservationBatch[Any]) -> Array:
        total = np.zeros(len(batch), np.int64) + (base(batch) if callable(base) else base)
        for part in parts:
            total = total + part(batch)
        for test in tests:
            total = np.where(test(batch), total, 0)
        return total

    return score


def _considered(one: Consideration, layout: Layout) -> Score:
    """Return the function for the share of one field in a score."""
    leaf, group = layout.leaves.get(one.field), layout.groups.get(one.field)
    table, _, name = one.field.rpartition(".")
    wide = layout.leaves.get(table)
    if one.low == one.high:
        raise ContractError(f"the consideration of {one.field!r} needs two different bounds")
    number: Number
    if group is not None and group.limit:
        low, high = one.low, one.high
        return lambda batch: _share(entry_count(batch, group), low, high, one.weight)
    if isinstance(wide, Counts):
        number = wide
    elif isinstance(leaf, Number) and not leaf.columns[0].list and not isinstance(leaf, Counts):
        number, name = leaf, ""
    else:
        raise ContractError(f"{one.field!r} is not a number, a table's number or a list that can be considered")

    def added(batch: ObservationBatch[Any]) -> Array:
        column = number_of(batch, number, name)
        scale = number.scale(batch)
        worth = _share(column, one.low * scale, one.high * scale, one.weight)
        there = number.there([column])
        return worth if there is None else np.where(there, worth, 0)

    return added


def _share(values: Array, low: float, high: float, weight: int) -> Array:
    """Return the share of a weight for values between two bounds, in whole numbers."""
    start, end = round(low), round(high)
    span = max(abs(end - start), 1)
    way = (values.astype(np.int64) - start) * (1 if end >= start else -1)
    share: Array = np.clip(way, 0, span) * weight // span
    return share


PLANNERS: tuple[type[Planner], ...] = (Utility,)
