"""A behaviour tree: py-trees decides from an agent's knowledge which branch of the tree it takes.

The tree is data. A branch succeeds if its conditions hold and either the registry offers all its verbs or one of the
branches inside it succeeds. The first branch that succeeds gives the plan. Agents for which the same conditions hold
take the same branch, so the tree is ticked once for each set of conditions. py-trees comes with the extra `trees`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from ai.actions import STEPS_MAX, ToolRegistry
from ai.errors import ContractError
from ai.guard import escape
from ai.observation import Layout, ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.playbook import Branch, Playbook
from ai.planners.ready import Ready
from ai.plans import Outcome, PlanBatch
from ai.rules import Condition, Facts, Fitting, Moves, Step, Test, fitting, write

if TYPE_CHECKING:
    from py_trees.behaviour import Behaviour as Node

CONDITIONS_MAX: Final = 62
"""The most different conditions that one tree may have."""


class _Mind:
    """A tree prepared for one registry and observation; its leaves read `held` and write `chosen`."""

    def __init__(self, planner: Behaviour, registry: ToolRegistry, layout: Layout) -> None:
        self.held = 0
        self.chosen: int | None = None
        self.leaves: list[list[Fitting]] = []
        self.tests: list[Test] = []
        self._bits: dict[str, int] = {}
        self._planner, self._registry, self._layout = planner, registry, layout
        with escape("py-trees gives nodes random ids, which reach no plan"):
            self.root = self._selector("plan", planner.tree, "branch")

    def decide(self, held: int) -> int | None:
        """Tick the tree for a set of conditions and return the position of the chosen leaf."""
        self.held, self.chosen = held, None
        self.root.tick_once()
        return self.chosen

    def _bit(self, text: str, where: str) -> int:
        if text not in self._bits:
            if len(self._bits) >= CONDITIONS_MAX:
                raise ContractError(f"a behaviour tree has at most {CONDITIONS_MAX} different conditions")
            try:
                self.tests.append(Condition.parse(text).test(self._layout, self._planner.facts))
            except ContractError as error:
                raise ContractError(f"{where}: {error}") from None
            self._bits[text] = 1 << len(self._bits)
        return self._bits[text]

    def _selector(self, name: str, branches: Sequence[Branch], where: str) -> Node:
        import py_trees

        root = py_trees.composites.Selector(name, memory=False)
        for number, branch in enumerate(branches, 1):
            root.add_child(self._branch(branch, f"{where} {number}"))
        grown: Node = root
        return grown

    def _branch(self, branch: Branch, where: str) -> Node:
        import py_trees

        status = py_trees.common.Status
        mind = self
        texts = (branch.when,) if isinstance(branch.when, str) else branch.when
        wanted = 0
        for text in texts:
            wanted |= self._bit(text, where)

        class Holds(py_trees.behaviour.Behaviour):
            """Succeeds if all conditions of the branch hold."""

            def update(self) -> Any:
                return status.SUCCESS if mind.held & wanted == wanted else status.FAILURE

        sequence = py_trees.composites.Sequence(where, memory=False)
        inner = _branches(branch)
        what = self._leaf(_steps(branch), where) if inner is None else self._selector(where, inner, where)
        sequence.add_children([Holds(" and ".join(texts) or "always"), what])
        grown: Node = sequence
        return grown

    def _leaf(self, steps: Sequence[Step], where: str) -> Node:
        import py_trees

        status = py_trees.common.Status
        planner, mind, place = self._planner, self, len(self.leaves)
        made = [fitting(step, self._registry, self._layout, planner.facts, planner.moves, where) for step in steps]
        self.leaves.append(made)
        offered = all(not step.verb or step.verb in self._registry for step in made)

        class Do(py_trees.behaviour.Behaviour):
            """Takes its steps as the plan if all their verbs are offered."""

            def update(self) -> Any:
                if not offered:
                    return status.FAILURE
                mind.chosen = place
                return status.SUCCESS

        leaf: Node = Do(", ".join(step.verb or "a move" for step in made))
        return leaf


def _branches(branch: Branch) -> tuple[Branch, ...] | None:
    """Return the branches inside a branch, or None if it has steps."""
    if isinstance(branch.do, Branch):
        return (branch.do,)
    if isinstance(branch.do, tuple) and branch.do and all(isinstance(one, Branch) for one in branch.do):
        return branch.do
    return None


def _steps(branch: Branch) -> tuple[Step, ...]:
    return branch.do if isinstance(branch.do, tuple) else (branch.do,)


class Behaviour:
    """Gives every agent the steps of the branch of a behaviour tree that its knowledge selects.

    Args:
        tree: the branches, in the order in which they are tried.
        facts: named conditions that branches may use.
        moves: named functions that make steps.

    Raises:
        ContractError: a branch has no steps or too many, or py-trees is not installed.
    """

    name: str = "behaviour"
    deterministic: bool = True

    def __init__(self, tree: Sequence[Branch] = (), *, facts: Facts | None = None, moves: Moves | None = None) -> None:
        self.tree = tuple(tree)
        self.facts, self.moves = dict(facts or {}), dict(moves or {})
        for branch in _leaves(self.tree):
            if not 1 <= len(_steps(branch)) <= STEPS_MAX:
                raise ContractError(f"a branch takes 1 to {STEPS_MAX} steps, not {len(_steps(branch))}: {branch}")
        try:
            import py_trees  # noqa: F401 - checks that it is installed
        except ImportError:
            raise ContractError("the planner 'behaviour' needs py-trees; install tickweave[trees]") from None
        self._ready: Ready[_Mind] = Ready(partial(_Mind, self))

    @classmethod
    def of(cls, playbook: Playbook) -> Self:
        """Return the planner of a domain's tree."""
        return cls(playbook.tree, facts=playbook.facts, moves=playbook.moves)

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Tick the tree once for each set of conditions, and give every agent its own targets."""
        mind = self._ready.of(registry, batch)
        plans = PlanBatch.empty(batch.keys, STEPS_MAX)
        outcome = np.full(len(batch), Outcome.MISSING, np.int8)
        held = np.zeros(len(batch), np.int64)
        for place, test in enumerate(mind.tests):
            held |= np.where(test(batch), 1 << place, 0)
        for each in np.unique(held).tolist():
            leaf = mind.decide(each)
            if leaf is not None:
                rows = np.flatnonzero(held == each)
                outcome[write(plans, rows, mind.leaves[leaf], batch, registry)] = Outcome.OK
        return TierPlans(plans, outcome)


def _leaves(branches: Sequence[Branch]) -> list[Branch]:
    found: list[Branch] = []
    for branch in branches:
        inner = _branches(branch)
        found += [branch] if inner is None else _leaves(inner)
    return found


PLANNERS: tuple[type[Planner], ...] = (Behaviour,)
