"""Promises of the batch call that hold for any agents, any client and any tiers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ai import (
    AgentId,
    ClientError,
    FallbackOrchestrator,
    FallbackResult,
    LlmChunk,
    LlmRequest,
    MockBatchLlm,
    Outcome,
    PlanBatch,
    SnapshotBatch,
    ToolRegistry,
    WorldSnapshot,
)
from ai.legality import refusals
from ai.orchestrator import drive
from ai.planners.base import PlanCall, TierPlans
from ai.planners.emergency import Emergency
from ai.planners.heuristic import Heuristic
from ai.strategies import steps
from scenarios.tactics.testing.planning import batches
from tests.ai.strategies import small_registry

REGISTRY = small_registry()
Asked = list[tuple[AgentId, WorldSnapshot]]


class Script:
    """Replies that were drawn: for each request in turn a text with its chunk size, or a failure at some place.

    `{slots}` in a text stands for a correct reply to the request, `{other}` for one to agents that were not asked.
    """

    label = "script"

    def __init__(self, replies: list[tuple[str, int, str | None, str]]) -> None:
        self.replies = replies
        self.requests: list[LlmRequest] = []

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        text, size, failure, finish = self.replies[len(self.requests) % len(self.replies)]
        self.requests.append(request)
        good = {slot: {"steps": MockBatchLlm.steps_for(agent)} for slot, agent in request.slots.items()}
        other = {f"a{len(request.slots) + 1}": {"steps": MockBatchLlm.steps_for(1)}, "9999": {"steps": []}}
        text = text.replace("{slots}", json.dumps(good)).replace("{other}", json.dumps(other))
        if failure is not None:
            text = text[: len(text) // 2]
        for start in range(0, len(text), size):
            yield LlmChunk(text[start : start + size])
        if failure is not None:
            raise ClientError("drawn failure", outcome=failure)
        yield LlmChunk(finish=finish)


def plan_objects() -> st.SearchStrategy[str]:
    """Draw slot-keyed replies whose plans are legal, illegal or no plans at all."""
    step = steps(REGISTRY).map(lambda one: one.model_dump(mode="json", exclude_none=True))
    odd = st.sampled_from([{"act": "Explode"}, {"act": None}, {}, None, 3, {"act": "MoveTo", "x": 1e9, "y": 0}])
    plan = st.fixed_dictionaries({"steps": st.lists(st.one_of(step, odd), max_size=3)})
    slot = st.sampled_from(["a1", "a2", "a3", "a0", "b1", ""])
    return st.dictionaries(slot, st.one_of(plan, st.none(), st.just([])), max_size=3).map(json.dumps)


def scripts() -> st.SearchStrategy[list[tuple[str, int, str | None, str]]]:
    """Draw what a client does: good replies, garbage, cut replies, foreign ids, failures half-way."""
    known = ["{slots}", "{other}", "", "[{slots}]", "```json\n{slots}\n```", '{"a1":{"steps":[']
    text = st.one_of(
        st.sampled_from([*known, "{slots}{slots}"]),
        plan_objects(),
        st.text(st.sampled_from('{}[]",:a1 \\\n\ud800é0'), max_size=20),
    )  # fmt: skip
    failure = st.sampled_from([None, None, "timeout", "transport", "rate_limited", "breaker_open", "cut"])
    reply = st.tuples(text, st.integers(1, 40), failure, st.sampled_from(["stop", "length", "odd"]))
    return st.lists(reply, min_size=1, max_size=3)


def plan(client: Script | None, who: Asked) -> dict[AgentId, FallbackResult]:
    return asyncio.run(FallbackOrchestrator().plan_batch_with_fallback(client, who, REGISTRY))


@given(batches(), scripts())
def test_everyone_asked_gets_one_legal_plan_and_nobody_else_does(
    who: Asked, replies: list[tuple[str, int, str | None, str]]
) -> None:
    """Whatever a client does, the result maps exactly the agents asked, in key order, to one legal plan each."""
    results = plan(Script(replies), who)
    assert list(results) == sorted(key for key, _ in who)
    batch = SnapshotBatch.from_snapshots(who)
    plans = PlanBatch.from_steps(batch.keys, [result.plan.steps for result in results.values()], REGISTRY)
    assert not refusals(batch, plans, REGISTRY).any()
    for result in results.values():
        # A tier is used only if all tiers above refused that agent.
        assert [attempt.success for attempt in result.attempts] == [False] * (len(result.attempts) - 1) + [True]
        assert result.attempts[-1].tier == result.tier
        assert all(attempt.error for attempt in result.attempts[:-1])


@settings(max_examples=settings.default.max_examples // 2)
@given(batches(), scripts(), st.randoms(use_true_random=False))
def test_the_order_of_asking_does_not_matter(
    who: Asked, replies: list[tuple[str, int, str | None, str]], chance: Any
) -> None:
    """Agents asked in another order give the same requests and the same results."""
    other = list(who)
    chance.shuffle(other)
    first, second = Script(replies), Script(replies)
    assert plan(first, who) == plan(second, other)
    assert first.requests == second.requests


@given(batches(), st.data())
def test_planning_a_batch_is_planning_its_parts(who: Asked, data: st.DataObject) -> None:
    """Without a model, an agent's plan does not depend on who else is asked, however the batch is cut."""
    orchestrator = FallbackOrchestrator()
    whole = drive(orchestrator.plan_batch_with_fallback(None, who, REGISTRY))
    cut = data.draw(st.integers(0, len(who)))
    parts: dict[AgentId, FallbackResult] = {}
    for part in (who[:cut], who[cut:]):
        parts |= drive(orchestrator.plan_batch_with_fallback(None, part, REGISTRY))
    assert parts == whole
    for key, world in who:
        assert drive(orchestrator.plan_with_fallback(None, world, REGISTRY, agent_id=key)) == whole[key]


class Drawn:
    """A tier that offers each agent a plan that was drawn for it, or has none with an outcome that was drawn."""

    deterministic = True

    def __init__(self, name: str, plans: dict[int, Any]) -> None:
        self.name = name
        self.plans = plans
        self.asked: set[int] = set()

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
        self.asked |= set(batch.keys.tolist())
        given = [self.plans[key] for key in batch.keys.tolist()]
        outcome = [Outcome.OK if isinstance(one, list) else one for one in given]
        offered = [one if isinstance(one, list) else None for one in given]
        return TierPlans(PlanBatch.from_steps(batch.keys, offered, registry), np.array(outcome, np.int8))


@given(batches(), st.data())
def test_a_tier_is_used_only_if_all_above_refused_that_agent(who: Asked, data: st.DataObject) -> None:
    """Any tiers: each agent gets the first legal plan on its way down, and no tier below is asked for it."""
    batch = SnapshotBatch.from_snapshots(who)
    failures = [Outcome.MISSING, Outcome.INVALID, Outcome.TIMEOUT]
    answer = st.one_of(st.lists(steps(REGISTRY), max_size=2), st.sampled_from(failures))
    tiers = [Drawn(name, {int(key): data.draw(answer) for key, _ in who}) for name in ("first", "second")]
    results = drive(
        FallbackOrchestrator([*tiers, Heuristic(), Emergency()]).plan_batch_with_fallback(None, who, REGISTRY)
    )
    for row, key in enumerate(batch.keys.tolist()):
        expected = "heuristic"
        for tier in reversed(tiers):
            given = tier.plans[key]
            plans = PlanBatch.from_steps(batch.keys[[row]], [given if isinstance(given, list) else None], REGISTRY)
            if not refusals(batch.take(np.array([row])), plans, REGISTRY).any():
                expected = tier.name
        assert results[AgentId(key)].tier == expected
        if expected != "heuristic":
            assert list(results[AgentId(key)].plan.steps) == next(t for t in tiers if t.name == expected).plans[key]
        assert (key in tiers[1].asked) == (expected != "first")


@given(batches(), st.lists(st.sampled_from(REGISTRY.names), unique=True))
def test_the_rules_only_use_what_is_offered(who: Asked, offered: list[str]) -> None:
    """For any world and any offer the rules give a legal plan or none, and none only where Wait is not offered."""
    registry = small_registry(offered)
    batch = SnapshotBatch.from_snapshots(who)
    answer = drive(Heuristic().plan(batch, registry, PlanCall(None, lambda: 0.0)))
    verdict = refusals(batch, answer.plans, registry)
    assert not verdict[answer.outcome == Outcome.OK].any()
    assert "Wait" not in offered or (answer.outcome == Outcome.OK).all()
