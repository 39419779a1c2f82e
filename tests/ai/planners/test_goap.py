"""Goal-oriented planning: searches as far as it promises, held against trying every sequence."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.actions import STEPS_MAX, ToolRegistry, pick
from ai.errors import ContractError
from ai.observation import ObservationBatch
from ai.orchestrator import drive
from ai.planners.base import PlanCall, TierPlans
from ai.planners.facts import FactBits
from ai.planners.goap import Goap, Known, search
from ai.planners.playbook import Goal, Operator
from ai.plans import Outcome
from tests.ai.llm.village import MARKET, Buy, Person, Sell, Sleep, Talk, Villager, market, villager

BITS = 4
FACTS = {
    "rich": "money >= 5",
    "fed": "stock.bread >= 1",
    "company": "people",
    "rested": "mood >= 50",
}
OPERATORS = (
    Operator(Buy("bread", 1), ("rich",), ("fed", "!rich"), 5),
    Operator(Sell("fish", 1), (), ("rich",), 20),
    Operator(Sleep(3), (), ("rested",), 8),
    Operator(Talk(pick("first"), "Hello!"), ("company", "rested"), ("cheered",)),
)
GOALS = (Goal(("!fed",), ("fed",)), Goal(("company",), ("cheered",)), Goal(("!rested",), ("rested",)))
BAKER = Person(id=4, trade="baker", mood=7)


def ask(planner: Any, batch: ObservationBatch[Any], registry: ToolRegistry = MARKET) -> TierPlans:
    """Ask one planner."""
    answer: TierPlans = drive(planner.plan(batch, registry, PlanCall(None, lambda: 0.0)))
    return answer


def steps(planner: Any, batch: ObservationBatch[Any], registry: ToolRegistry = MARKET) -> list[list[str]]:
    """Return the steps that a planner gives each agent, as texts."""
    plans = ask(planner, batch, registry).plans
    return [[str(step) for step in plans.steps(row, registry)] for row in range(len(batch))]


@st.composite
def operator_sets(draw: st.DrawFn) -> tuple[Known, ...]:
    """Draw a few operators over four facts."""
    some = st.integers(0, 2**BITS - 1)
    return tuple(
        Known(f"v{place}", place, draw(some) & draw(some), draw(some) & draw(some) & draw(some), draw(some),
              draw(some) & draw(some), draw(st.integers(1, 9)))
        for place in range(draw(st.integers(1, 5)))
    )  # fmt: skip


SOME = st.integers(0, 2**BITS - 1)


@given(known=operator_sets(), start=SOME, want=SOME, unwanted=SOME)
def test_the_search_finds_a_plan_of_least_effort(
    known: tuple[Known, ...], start: int, want: int, unwanted: int
) -> None:
    """Held against trying every sequence of up to four operators."""
    unwanted &= ~want
    found = search(start, want, known, unwanted=unwanted)
    least = None
    for length in range(4):
        for tried in product(known, repeat=length):
            facts, effort = start, 0
            for operator in tried:
                if not operator.applies(facts):
                    break
                facts, effort = operator.after(facts), effort + operator.effort
            else:
                if facts & (want | unwanted) == want and (least is None or effort < least):
                    least = effort
    if found is None:
        assert least is None
        return
    facts, spent = start, 0
    for place in found:
        assert known[place].applies(facts)
        facts, spent = known[place].after(facts), spent + known[place].effort
    assert facts & (want | unwanted) == want
    assert len(found) <= STEPS_MAX
    assert least is None or spent <= least


def test_several_steps_lead_to_the_most_urgent_goal() -> None:
    """The hungry buy, or sell first; the sociable talk, or sleep first; each has its own targets."""
    goap = Goap(GOALS, OPERATORS, facts=FACTS)
    batch = market(
        villager(money=9),
        villager(),
        villager(stock={"bread": 1}, people=(BAKER,)),
        villager(stock={"bread": 1}, people=(BAKER,), mood=3),
        villager(stock={"bread": 1}, mood=3),
        villager(stock={"bread": 1}),
    )
    assert steps(goap, batch) == [
        ["Buy(good=bread, count=1)"],
        ["Sell(good=fish, count=1)", "Buy(good=bread, count=1)"],
        ["Talk(to=4, what=Hello!)"],
        ["Sleep(hours=3)", "Talk(to=4, what=Hello!)"],
        ["Sleep(hours=3)"],
        [],
    ]
    assert ask(goap, batch).outcome.tolist() == [Outcome.OK] * 5 + [Outcome.MISSING]


def test_a_goal_may_want_a_fact_to_end() -> None:
    """The tired sleep because they want `!tired`; the others need nothing."""
    tired = {"tired": "mood < 50"}
    goap = Goap((Goal((), ("!tired",)),), (Operator(Sleep(3), ("tired",), ("!tired",)),), facts=tired)
    assert steps(goap, market(villager(mood=3), villager(mood=90))) == [["Sleep(hours=3)"], []]


def test_what_the_registry_does_not_offer_is_not_planned() -> None:
    """Without a verb the next goal is striven for."""
    goap = Goap(GOALS, OPERATORS, facts=FACTS)
    few = MARKET.offering(["Sleep", "Talk"])
    assert steps(goap, market(villager(people=(BAKER,))), few) == [["Talk(to=4, what=Hello!)"]]


def test_equal_plans_are_chosen_by_name() -> None:
    """Of two plans of the same effort the one whose verb comes first by name is taken, whatever their order."""
    both = (Operator(Sleep(1), (), ("done",)), Operator(Buy("bread", 1), (), ("done",)))
    for operators in (both, both[::-1]):
        goap = Goap((Goal((), ("done",)),), operators)
        assert steps(goap, market(villager())) == [["Buy(good=bread, count=1)"]]


@given(st.sets(st.sampled_from(sorted(FACTS))), st.sets(st.sampled_from(sorted(FACTS))))
def test_facts_are_bits(on: set[str], off: set[str]) -> None:
    """Names and bits stand for each other, `!` for the opposite; a bit is set where its condition holds."""
    bits = FactBits(FACTS, FACTS, Villager.layout)
    found_on, found_off = bits.bits([*sorted(on), *(f"!{name}" for name in sorted(off))])
    assert (found_on.bit_count(), found_off.bit_count()) == (len(on), len(off))
    known = villager(money=9.0 if "rich" in on else 0.0, stock={"bread": 1} if "fed" in on else {},
                     people=(BAKER,) if "company" in on else (), mood=90 if "rested" in on else 0)  # fmt: skip
    assert bits.of(market(known)).tolist() == [found_on]


def test_a_fact_that_nothing_gives_is_told() -> None:
    """A misspelt fact is an error when the planner is made; too many facts when it is made ready."""
    with pytest.raises(
        ContractError, match="goap: there is no fact 'ritch'; known: cheered, company, fed, rested, rich"
    ):
        Goap(GOALS, (*OPERATORS, Operator(Sleep(1), ("ritch",), ("fed",))), facts=FACTS)
    with pytest.raises(ContractError, match="at most 62 facts, not 63"):
        FactBits([f"f{number}" for number in range(63)], {}, Villager.layout)
    with pytest.raises(ContractError, match="operator 1: there is no action"):
        ask(Goap((Goal((), ("x",)),), (Operator({"act": "Fly"}, (), ("x",)),)), market(villager()))


def test_an_agent_without_a_target_has_no_plan() -> None:
    """Where facts call for a step that some agent cannot take, that agent alone is left to the next tier."""
    always = Goap((Goal((), ("cheered",)),), (Operator(Talk(pick("first"), "x"), (), ("cheered",)),))
    answer = ask(always, market(villager(people=(BAKER,)), villager()))
    assert answer.outcome.tolist() == [Outcome.OK, Outcome.MISSING]
    assert not np.any(answer.plans.args[:, :, 1])
