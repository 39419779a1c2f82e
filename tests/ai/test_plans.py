"""Plans as integers and as objects, and the record of how they came about."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import Action
from ai.errors import ContractError
from ai.metrics import FallbackMetrics
from ai.observation import Cell
from ai.plans import (
    NO_TIER,
    Attempts,
    BatchPlans,
    FallbackAttempt,
    FallbackTier,
    LlmUsage,
    Outcome,
    PlanBatch,
    PlanIntent,
    Refusal,
)
from ai.strategies import steps
from tests.ai.llm.village import FORAGING, MARKET, Buy, Nap, Order, Sleep, Talk, Tour

TOUR = Tour(1, (Cell(1, 2),), (), Order("nuts", 0.5))
PLANS = st.lists(st.lists(steps(FORAGING), max_size=3), max_size=4)


@settings(max_examples=80, deadline=None)
@given(PLANS)
def test_steps_survive_the_arrays(plans: list[list[Action]]) -> None:
    """Steps written into a batch are read back equal, and an empty plan stays empty."""
    batch = PlanBatch.from_steps(np.arange(len(plans)), plans, FORAGING)
    assert [list(batch.steps(row, FORAGING)) for row in range(len(batch))] == plans
    assert (batch.tier == NO_TIER).all()


@settings(max_examples=80, deadline=None)
@given(PLANS, st.data())
def test_put_copies_whole_plans(plans: list[list[Action]], data: st.DataObject) -> None:
    """Putting some rows replaces exactly those plans, whatever lengths both sides have."""
    keys = np.arange(len(plans))
    target = PlanBatch.from_steps(keys, [[Nap(), TOUR]] * len(plans), FORAGING)
    source = PlanBatch.from_steps(keys, plans, FORAGING)
    rows = np.array(sorted(data.draw(st.sets(st.sampled_from(range(len(plans))) if plans else st.nothing()))), np.intp)
    target.put(rows, source, rows, 2)
    for row in range(len(plans)):
        taken = row in rows
        assert list(target.steps(row, FORAGING)) == (plans[row] if taken else [Nap(), TOUR])
        assert target.tier[row] == (2 if taken else NO_TIER)


def test_the_digest_sees_agents_tiers_and_steps_but_no_spare_room() -> None:
    """Equal plans have equal digests whatever room their arrays have; any difference in meaning changes them."""
    keys = np.array([3, 5])
    given: list[list[Action]] = [[Buy("bread", 1)], [Sleep(1)]]
    batch = PlanBatch.from_steps(keys, given, MARKET)
    roomy = PlanBatch.empty(keys, 5)
    roomy.put(np.arange(2), batch, np.arange(2), NO_TIER)
    assert roomy.digest(("a",)) == batch.digest(("a",))
    others = [
        PlanBatch.from_steps(np.array([3, 6]), given, MARKET),
        PlanBatch.from_steps(keys, given[::-1], MARKET),
        PlanBatch.from_steps(keys, [given[0], None], MARKET),
        PlanBatch.from_steps(keys, [[Buy("bread", 2)], [Sleep(1)]], MARKET),
    ]
    tiered = PlanBatch.from_steps(keys, given, MARKET)
    tiered.tier[0] = 0
    digests = {other.digest(("a",)) for other in (*others, tiered)} | {batch.digest(("b",)), batch.digest(("a",))}
    assert len(digests) == 7


def test_a_plan_longer_than_the_limit_is_refused() -> None:
    """Nine steps are a contract error, eight are not."""
    keys = np.array([1])
    assert PlanBatch.from_steps(keys, [[Sleep(1)] * 8], MARKET).length[0] == 8
    with pytest.raises(ContractError, match="at most 8 steps, not 9"):
        PlanBatch.from_steps(keys, [[Sleep(1)] * 9], MARKET)


def test_results_name_run_tick_agent_and_tier() -> None:
    """The object form holds plans, tiers and each agent's own attempts in order."""
    keys = np.array([4, 9])
    plans = PlanBatch.from_steps(keys, [[Sleep(1)], [Talk(3, "hello")]], MARKET)
    plans.tier[:] = [1, 0]
    attempts = [
        Attempts("first", np.array([0, 1]), np.array([Outcome.MISSING, Outcome.OK], np.int8), {4: "nothing"}, 0.5),
        Attempts("second", np.array([0]), np.array([Outcome.OK], np.int8)),
    ]
    batch = BatchPlans(plans, ("first", "second"), attempts, duration_s=2.0)
    results = batch.results(MARKET, run="r", tick=7)
    assert list(results) == [4, 9]
    assert results[4].plan == PlanIntent(plan_id="r-7-4-second", steps=(Sleep(1),))
    assert results[4].attempts == (
        FallbackAttempt("first", Outcome.MISSING, "nothing"),
        FallbackAttempt("second", Outcome.OK),
    )
    assert results[9].attempts == (FallbackAttempt("first", Outcome.OK),)
    assert batch.counts() == {"first": 1, "second": 1}


def test_durations_never_enter_a_comparison() -> None:
    """Two attempts that differ in time alone are equal."""
    assert FallbackAttempt("a", Outcome.OK, None, 0.1) == FallbackAttempt("a", Outcome.OK, None, 9.0)


def test_metrics_leave_out_what_was_passed_over() -> None:
    """Unavailable tiers count neither as tries nor as failures; other outcomes count by tier and name."""
    keys = np.arange(3)
    plans = PlanBatch.from_steps(keys, [[Sleep(1)]] * 3, MARKET)
    plans.tier[:] = 2
    rows = np.arange(3)
    attempts = [
        Attempts("a", rows, np.full(3, Outcome.UNAVAILABLE, np.int8)),
        Attempts("b", rows, np.array([Outcome.TIMEOUT, Outcome.REFUSED, Outcome.TIMEOUT], np.int8)),
        Attempts("c", rows, np.full(3, Outcome.OK, np.int8)),
    ]
    metrics = FallbackMetrics()
    assert (metrics.mean_attempts, metrics.mean_duration_s) == (0.0, 0.0)
    metrics.record(BatchPlans(plans, ("a", "b", "c"), attempts, duration_s=0.5))
    assert metrics.as_dict() == {
        "requests": 3,
        "calls": 1,
        "successes": {"c": 3},
        "failures": {"b": {"timeout": 2, "refused": 1}},
        "mean_attempts": 2.0,
        "mean_duration_s": 0.5,
    }


def test_usage_that_nobody_reported_stays_unknown() -> None:
    """Adding usage keeps unknown tokens unknown, and a report makes them known."""
    total = LlmUsage()
    total.add(LlmUsage(calls=1, agents=4, errors={"cut": 1}))
    assert (total.calls, total.prompt_tokens) == (1, None)
    total.add(LlmUsage(calls=1, prompt_tokens=5, completion_tokens=2, errors={"cut": 2}))
    assert (total.calls, total.agents, total.prompt_tokens, total.completion_tokens) == (2, 4, 5, 2)
    assert total.errors == {"cut": 3}


def test_outcomes_and_refusals_have_words() -> None:
    """Every outcome has a label that leads back to it, every refusal a sentence, every tier the source's name."""
    assert all(Outcome.of(outcome.label) is outcome for outcome in Outcome)
    with pytest.raises(ContractError, match="unknown outcome 'odd'"):
        Outcome.of("odd")
    assert len({refusal.sentence for refusal in Refusal}) == len(Refusal)
    assert [str(tier) for tier in FallbackTier] == ["simplified_llm", "full_llm", "heuristic", "emergency"]


def test_plans_and_steps_read_well() -> None:
    """A plan prints as its id and its steps."""
    plan = PlanIntent(plan_id="r-1-2-heuristic", steps=(Buy("bread", 1), Sleep(1)))
    assert str(plan) == "r-1-2-heuristic: Buy(good=bread, count=1), Sleep(hours=1)"
    assert str(PlanIntent(plan_id="e")) == "e: no steps"
