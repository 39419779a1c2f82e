"""A behaviour tree: py-trees decides which branch of the tree an agent takes, from the facts it knows.

The tree is data: a `Branch` succeeds when its facts hold and the registry offers its verbs, and the first branch that
succeeds gives the plan. Agents that know the same facts take the same branch, so the tree is ticked once for each set
of facts. py-trees comes with the extra `trees`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ai.actions import STEPS_MAX, ToolRegistry
from ai.errors import ContractError
from ai.facts import bits, facts_of
from ai.operators import operators, write
from ai.plan import Outcome, PlanBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.snapshot import SnapshotBatch

if TYPE_CHECKING:
    from py_trees.behaviour import Behaviour as Node


class Branch(NamedTuple):
    """What must hold (`!` before a fact for its opposite), and the verbs to do in turn."""

    when: tuple[str, ...]
    do: tuple[str, ...]


TREE: Final = (
    Branch(("enemy", "!healthy", "medkit"), ("TakeCover", "Heal")),
    Branch(("enemy", "!ammo", "reserve"), ("TakeCover", "Reload")),
    Branch(("enemy close",), ("HeavyAttack",)),
    Branch(("enemy in reach", "explosive"), ("ThrowExplosive", "Attack")),
    Branch(("enemy in reach", "ammo"), ("Attack", "Attack")),
    Branch(("enemy", "ammo"), ("Approach", "Attack")),
    Branch(("!healthy", "medkit"), ("Heal",)),
    Branch(("!ammo", "reserve"), ("Reload",)),
    Branch(("goal", "!at goal"), ("MoveTo",)),
    Branch((), ("Scan",)),
)
"""The tree, its first branch first."""


class _Mind:
    """What the leaves of a tree look at and write to while it is ticked for one set of facts."""

    def __init__(self) -> None:
        self.facts = 0
        self.offered: frozenset[str] = frozenset()
        self.verbs: tuple[str, ...] = ()


def _grow(tree: Sequence[Branch], mind: _Mind) -> Node:
    """Build the py-trees tree: a selector of sequences of conditions and one action."""
    try:
        import py_trees
    except ImportError:
        raise ContractError("the planner 'behaviour' needs py-trees; install tickweave[trees]") from None
    status = py_trees.common.Status

    class Holds(py_trees.behaviour.Behaviour):
        """Succeeds when facts hold."""

        def __init__(self, name: str, on: int, off: int) -> None:
            super().__init__(name)
            self._on, self._off = on, off

        def update(self) -> Any:
            holds = mind.facts & self._on == self._on and not mind.facts & self._off
            return status.SUCCESS if holds else status.FAILURE

    class Do(py_trees.behaviour.Behaviour):
        """Takes its verbs as the plan when they are all offered."""

        def __init__(self, verbs: tuple[str, ...]) -> None:
            super().__init__(", ".join(verbs))
            self._verbs = verbs

        def update(self) -> Any:
            if not mind.offered.issuperset(self._verbs):
                return status.FAILURE
            mind.verbs = self._verbs
            return status.SUCCESS

    root = py_trees.composites.Selector("plan", memory=False)
    for branch in tree:
        name = ", ".join(branch.when) or "otherwise"
        sequence = py_trees.composites.Sequence(name, memory=False)
        sequence.add_children([Holds(name, *bits(branch.when, f"branch {name!r}")), Do(branch.do)])
        root.add_child(sequence)
    grown: Node = root
    return grown


class Behaviour:
    """Gives every agent the verbs of the first branch of a behaviour tree that its facts lead to."""

    name: str = "behaviour"
    deterministic: bool = True

    def __init__(self, tree: Sequence[Branch] = TREE) -> None:
        for branch in tree:
            if not 1 <= len(branch.do) <= STEPS_MAX:
                raise ContractError(f"a branch does 1 to {STEPS_MAX} verbs, not {len(branch.do)}: {branch}")
        self._mind = _Mind()
        self._root = _grow(tree, self._mind)

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Tick the tree once for each set of facts, and give every agent its own targets."""
        plans = PlanBatch.empty(batch.keys, STEPS_MAX)
        outcome = np.full(len(batch), Outcome.MISSING, np.int8)
        self._mind.offered = frozenset(operator.verb for operator in operators(registry))
        facts = facts_of(batch)
        for each in np.unique(facts).tolist():
            verbs = self._decide(each)
            if verbs:
                rows = np.flatnonzero(facts == each)
                write(plans, rows, verbs, batch, registry)
                outcome[rows] = Outcome.OK
        return TierPlans(plans, outcome)

    def _decide(self, facts: int) -> tuple[str, ...]:
        """Tick the tree for a set of facts and return what it decided on."""
        self._mind.facts, self._mind.verbs = facts, ()
        self._root.tick_once()
        return self._mind.verbs


PLANNERS: tuple[type[Planner], ...] = (Behaviour,)
