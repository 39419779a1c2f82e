"""Goal-oriented action planning: A* over the needs and effects of a domain's operators.

An agent pursues the first goal that its facts call for and that a plan reaches. Agents with the same facts get the same
steps, so there is one search for each set of facts. The search is bounded and breaks ties by name, so it is
deterministic.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Self

import numpy as np

from ai.actions import STEPS_MAX, ToolRegistry
from ai.errors import ContractError
from ai.observation import Layout, ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.facts import FactBits
from ai.planners.playbook import Goal, Operator, Playbook
from ai.planners.ready import Ready
from ai.plans import Outcome, PlanBatch
from ai.rules import Facts, Fitting, Moves, fitting, write

NODES_MAX: Final = 2000
"""The most sets of facts that one search visits."""
KEPT_MAX: Final = 4096
"""The most plans that are kept, by facts; when there are more, all are dropped."""


class Known(NamedTuple):
    """An operator for a search: facts that must and must not hold before it, and facts that it makes true and false."""

    name: str
    place: int
    on: int
    off: int
    gives: int
    takes: int
    effort: int

    def applies(self, facts: int) -> bool:
        """Return whether its needs are met."""
        return facts & self.on == self.on and not facts & self.off

    def after(self, facts: int) -> int:
        """Return the facts that hold after it."""
        return (facts | self.gives) & ~self.takes


def search(facts: int, want: int, known: Sequence[Known], *, unwanted: int = 0) -> tuple[int, ...] | None:
    """Return the positions of the operators that reach a goal with the least effort, or None if none do.

    A goal is reached when all of the facts `want` hold and none of `unwanted`.

    This is A* with the least effort of any operator as the estimate for each state that is not a goal. Of equal plans,
    the one whose operators come first by name wins.
    """
    least = min((operator.effort for operator in known), default=0)
    relevant = want | unwanted
    frontier: list[tuple[int, int, tuple[tuple[str, int], ...], int]] = [(0, 0, (), facts)]
    best: dict[int, int] = {}
    looked = 0
    while frontier and looked < NODES_MAX:
        _, effort, steps, now = heapq.heappop(frontier)
        if now & relevant == want:
            return tuple(place for _, place in steps)
        if best.get(now, effort + 1) <= effort or len(steps) == STEPS_MAX:
            continue
        best[now] = effort
        looked += 1
        for operator in known:
            after = operator.after(now)
            if operator.applies(now) and after != now:
                spent = effort + operator.effort
                ahead = 0 if after & relevant == want else least
                heapq.heappush(frontier, (spent + ahead, spent, (*steps, (operator.name, operator.place)), after))
    return None


class _Mind:
    """Operators and goals prepared for one registry and observation, and the plans found so far."""

    def __init__(self, planner: Goap, registry: ToolRegistry, layout: Layout) -> None:
        self.bits = FactBits(planner.names, planner.facts, layout)
        self.goals = [(*self.bits.bits(goal.when), *self.bits.bits(goal.want)) for goal in planner.goals]
        self.steps: list[Fitting] = []
        self.known: list[Known] = []
        for place, one in enumerate(planner.operators):
            step = fitting(one.step, registry, layout, planner.facts, planner.moves, f"operator {place + 1}")
            self.steps.append(step)
            if not step.verb or step.verb in registry:
                name = step.verb or str(getattr(one.step, "__name__", one.step))
                ends = (*self.bits.bits(one.needs), *self.bits.bits(one.gives))
                self.known.append(Known(name, place, *ends, one.effort))
        self.known.sort(key=lambda operator: (operator.name, operator.place))
        self.kept: dict[int, tuple[int, ...]] = {}

    def steps_for(self, facts: int) -> tuple[int, ...]:
        """Return the operators for a set of facts, from an earlier search if there was one."""
        if facts not in self.kept:
            if len(self.kept) >= KEPT_MAX:
                self.kept.clear()
            self.kept[facts] = self._towards_a_goal(facts)
        return self.kept[facts]

    def _towards_a_goal(self, facts: int) -> tuple[int, ...]:
        for on, off, want, unwanted in self.goals:
            if facts & on == on and not facts & off:
                steps = search(facts, want, self.known, unwanted=unwanted)
                if steps:
                    return steps
        return ()


class Goap:
    """Plans several steps towards a goal, from the needs and effects of operators.

    Args:
        goals: the goals of agents, the most urgent first; if no plan reaches one, the next that applies is tried.
        operators: the operators that agents can use.
        facts: the condition of each fact; a fact without one can only be part of a goal.
        moves: named functions that make steps.

    Raises:
        ContractError: a goal or operator names a fact that neither a condition nor an operator gives.
    """

    name: str = "goap"
    deterministic: bool = True

    def __init__(
        self,
        goals: Sequence[Goal] = (),
        operators: Sequence[Operator] = (),
        *,
        facts: Facts | None = None,
        moves: Moves | None = None,
    ) -> None:
        self.goals, self.operators = tuple(goals), tuple(operators)
        self.facts, self.moves = dict(facts or {}), dict(moves or {})
        given = {name.removeprefix("!") for operator in self.operators for name in operator.gives}
        asked = [name for goal in self.goals for name in (*goal.when, *goal.want)]
        asked += [name for operator in self.operators for name in operator.needs]
        strange = sorted({name.removeprefix("!") for name in asked} - given - set(self.facts))
        if strange:
            known = ", ".join(sorted(given | set(self.facts))) or "none"
            raise ContractError(f"goap: there is no fact {strange[0]!r}; known: {known}")
        self.names = tuple(sorted({*given, *(name.removeprefix("!") for name in asked)}))
        self._ready: Ready[_Mind] = Ready(partial(_Mind, self))

    @classmethod
    def of(cls, playbook: Playbook) -> Self:
        """Return the planner of a domain's goals and operators."""
        return cls(playbook.goals, playbook.operators, facts=playbook.facts, moves=playbook.moves)

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Search once for each set of facts, and give every agent its own targets."""
        mind = self._ready.of(registry, batch)
        plans = PlanBatch.empty(batch.keys, STEPS_MAX)
        outcome = np.full(len(batch), Outcome.MISSING, np.int8)
        facts = mind.bits.of(batch)
        for each in np.unique(facts).tolist():
            steps = mind.steps_for(each)
            if steps:
                rows = np.flatnonzero(facts == each)
                outcome[write(plans, rows, [mind.steps[place] for place in steps], batch, registry)] = Outcome.OK
        return TierPlans(plans, outcome)


PLANNERS: tuple[type[Planner], ...] = (Goap,)
