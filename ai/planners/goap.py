"""Goal-oriented action planning: A* over the preconditions and effects that the registry's kinds declare.

What an agent strives for is the first of `GOALS` that its facts call for. Agents that know the same facts get the same
verbs, so a search is made once for each set of facts; it is bounded and breaks ties by name, so it is deterministic.
"""

from __future__ import annotations

import heapq
from typing import Final, NamedTuple

import numpy as np

from ai.actions import STEPS_MAX, ToolRegistry
from ai.facts import bits, facts_of
from ai.operators import Operator, operators, write
from ai.plan import Outcome, PlanBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.snapshot import SnapshotBatch

NODES_MAX: Final = 2000
"""Sets of facts that one search looks at."""
KEPT_MAX: Final = 4096
"""Plans kept, by facts; they are forgotten together when there are more."""


class Goal(NamedTuple):
    """Facts to strive for, when other facts call for it; `!` before a name stands for its opposite."""

    when: tuple[str, ...]
    want: tuple[str, ...]


GOALS: Final = (
    Goal(("enemy", "!healthy", "medkit"), ("healthy",)),
    Goal(("enemy",), ("enemy beaten",)),
    Goal(("!healthy", "medkit"), ("healthy",)),
    Goal(("!ammo", "reserve"), ("ammo",)),
    Goal(("goal", "!at goal"), ("at goal",)),
    Goal((), ("informed",)),
)
"""What agents strive for, the most urgent first; where no plan leads there, the next that is called for."""


def search(facts: int, want: int, known: tuple[Operator, ...]) -> tuple[str, ...] | None:
    """Return the verbs of least effort that make the wanted facts hold, None if there are none within the bounds.

    A* with the least effort of any operator as the estimate for each state that is not there yet; of equal plans the
    one whose verbs come first by name.
    """
    least = min((operator.effort for operator in known), default=0)
    frontier: list[tuple[int, int, tuple[str, ...], int]] = [(0, 0, (), facts)]
    best: dict[int, int] = {}
    looked = 0
    while frontier and looked < NODES_MAX:
        _, effort, verbs, now = heapq.heappop(frontier)
        if now & want == want:
            return verbs
        if best.get(now, effort + 1) <= effort or len(verbs) == STEPS_MAX:
            continue
        best[now] = effort
        looked += 1
        for operator in known:
            after = operator.after(now)
            if operator.applies(now) and after != now:
                spent = effort + operator.effort
                ahead = 0 if after & want == want else least
                heapq.heappush(frontier, (spent + ahead, spent, (*verbs, operator.verb), after))
    return None


class Goap:
    """Plans several steps towards a goal, from what the kinds of the registry say they need and give."""

    name: str = "goap"
    deterministic: bool = True

    def __init__(self) -> None:
        self._goals = [(*bits(goal.when, "GOALS"), bits(goal.want, "GOALS")[0]) for goal in GOALS]
        self._registry = ""
        self._operators: tuple[Operator, ...] = ()
        self._kept: dict[int, tuple[str, ...]] = {}

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Search once for each set of facts, and give every agent its own targets."""
        offered = f"{registry.digest} {','.join(registry.names)}"
        if self._registry != offered:
            self._registry, self._operators = offered, operators(registry)
            self._kept.clear()
        plans = PlanBatch.empty(batch.keys, STEPS_MAX)
        outcome = np.full(len(batch), Outcome.MISSING, np.int8)
        facts = facts_of(batch)
        for each in np.unique(facts).tolist():
            verbs = self._verbs(each)
            if verbs:
                rows = np.flatnonzero(facts == each)
                write(plans, rows, verbs, batch, registry)
                outcome[rows] = Outcome.OK
        return TierPlans(plans, outcome)

    def _verbs(self, facts: int) -> tuple[str, ...]:
        """Return the verbs for a set of facts, from the last search for it if there was one."""
        if facts not in self._kept:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[facts] = self._towards_a_goal(facts)
        return self._kept[facts]

    def _towards_a_goal(self, facts: int) -> tuple[str, ...]:
        for on, off, want in self._goals:
            if facts & on == on and not facts & off:
                verbs = search(facts, want, self._operators)
                if verbs:
                    return verbs
        return ()


PLANNERS: tuple[type[Planner], ...] = (Goap,)
