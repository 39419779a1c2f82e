"""Promises of the batch call that hold for any agents, any client and any tiers, in every world that is declared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
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
    Observation,
    ObservationBatch,
    Outcome,
    PlanBatch,
    Playbook,
    Rule,
    ToolRegistry,
    default_tiers,
)
from ai.actions import pick
from ai.legality import refusals
from ai.llm.encodings import encoding_of
from ai.orchestrator import drive
from ai.planners.base import PlanCall, TierPlans
from ai.planners.emergency import Emergency
from ai.planners.heuristic import Heuristic
from ai.strategies import batches, steps
from scenarios.tactics.actions import default_registry
from scenarios.tactics.playbook import PLAYBOOK
from scenarios.tactics.snapshot import WorldSnapshot
from scenarios.tactics.testing import planning as game
from tests.ai.llm.village import FORAGING, MARKET, TABLES, Field, Forager, Go, Pick, Sleep, Talk, Villager

Asked = list[tuple[AgentId, Any]]


@dataclass(frozen=True)
class Place:
    """What agents of one kind know, may do and do by rules, and how some of them are drawn."""

    known: type[Observation]
    registry: ToolRegistry
    playbook: Playbook
    some: st.SearchStrategy[Asked]

    def __repr__(self) -> str:
        return self.known.__name__

    def batch(self, who: Asked) -> ObservationBatch[Any]:
        """Return the arrays of some agents."""
        return self.known.from_objects(who, tables=self.registry.tables)

    def tiers(self, *first: Any) -> FallbackOrchestrator:
        """Return the walk down the usual tiers, or some, then rules, then the idle step."""
        return FallbackOrchestrator([*first, Heuristic.of(self.playbook), Emergency()])


PLACES = (
    Place(
        Villager,
        MARKET,
        Playbook(rules=(Rule("mood < 30", Sleep(3)), Rule("people", Talk(pick("fewest:mood"), "Cheer up!")))),
        batches(Villager, TABLES),
    ),
    Place(
        Forager,
        FORAGING,
        Playbook(rules=(Rule("bushes within 5", Pick(pick("nearest"))), Rule("home", Go(pick("home"))))),
        batches(Forager, FORAGING.tables, {"field": Field(12, 9)}),
    ),
    Place(WorldSnapshot, default_registry(), PLAYBOOK, game.batches(default_registry())),
)
PEOPLED = st.sampled_from(PLACES).flatmap(lambda place: st.tuples(st.just(place), place.some))
"""A kind of agents, and some of them."""


class Script:
    """Replies that were drawn: for each request in turn a text with its chunk size, or a failure at some place.

    `{slots}` in a text stands for a correct reply to the request, `{other}` for one to agents that were not asked.
    """

    label = "script"

    def __init__(self, replies: list[tuple[str, int, str | None, str]], registry: ToolRegistry) -> None:
        self.replies = replies
        self.model = MockBatchLlm.for_agents(10**6, registry)
        self.requests: list[LlmRequest] = []

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        text, size, failure, finish = self.replies[len(self.requests) % len(self.replies)]
        self.requests.append(request)
        good = self.reply(request, request.slots)
        other = self.reply(request, {f"a{len(request.slots) + 1}": 1, "9999": 1})
        text = text.replace("{slots}", good).replace("{other}", other)
        if failure is not None:
            text = text[: len(text) // 2]
        for start in range(0, len(text), size):
            yield LlmChunk(text[start : start + size])
        if failure is not None:
            raise ClientError("drawn failure", outcome=failure)
        yield LlmChunk(finish=finish)

    def reply(self, request: LlmRequest, slots: dict[str, int]) -> str:
        """Return a correct reply for some slots, in the encoding that was asked for."""
        encoding, registry = encoding_of(request.encoding), self.model.registry
        return encoding.frame(
            {slot: encoding.write(self.model.steps_for(agent), registry) for slot, agent in slots.items()}
        )


def plan_objects() -> st.SearchStrategy[str]:
    """Draw slot-keyed replies whose plans are legal, illegal or no plans at all."""
    step = st.one_of([steps(place.registry) for place in PLACES])
    step = step.map(lambda one: one.model_dump(mode="json", exclude_none=True))
    odd = st.sampled_from(
        [{"act": "Explode"}, {"act": None}, {}, None, 3, {"act": "MoveTo", "x": 1e9, "y": 0}, {"act": "Talk", "to": -1}]
    )
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


def plan(place: Place, client: Script | None, who: Asked) -> dict[AgentId, FallbackResult]:
    tiers = FallbackOrchestrator(default_tiers(place.playbook))
    return asyncio.run(tiers.plan_batch_with_fallback(client, who, place.registry))


@given(PEOPLED, scripts())
def test_everyone_asked_gets_one_legal_plan_and_nobody_else_does(
    peopled: tuple[Place, Asked], replies: list[tuple[str, int, str | None, str]]
) -> None:
    """Whatever a client does, the result maps exactly the agents asked, in key order, to one legal plan each."""
    place, who = peopled
    results = plan(place, Script(replies, place.registry), who)
    assert list(results) == sorted(key for key, _ in who)
    batch = place.batch(who)
    plans = PlanBatch.from_steps(batch.keys, [result.plan.steps for result in results.values()], place.registry)
    assert not refusals(batch, plans, place.registry).any()
    for result in results.values():
        # A tier is used only if all tiers above refused that agent.
        assert [attempt.success for attempt in result.attempts] == [False] * (len(result.attempts) - 1) + [True]
        assert result.attempts[-1].tier == result.tier
        assert all(attempt.error for attempt in result.attempts[:-1])


@given(PEOPLED, st.integers(1, 40))
def test_a_correct_reply_is_used(peopled: tuple[Place, Asked], size: int) -> None:
    """Where the model answers as it was asked, in pieces of any size, the first tier serves everyone."""
    place, who = peopled
    results = plan(place, Script([("{slots}", size, None, "stop")], place.registry), who)
    assert {result.tier for result in results.values()} <= {"simplified_llm"}


@settings(max_examples=settings.default.max_examples // 2)
@given(PEOPLED, scripts(), st.randoms(use_true_random=False))
def test_the_order_of_asking_does_not_matter(
    peopled: tuple[Place, Asked], replies: list[tuple[str, int, str | None, str]], chance: Any
) -> None:
    """Agents asked in another order give the same requests and the same results."""
    place, who = peopled
    other = list(who)
    chance.shuffle(other)
    first, second = Script(replies, place.registry), Script(replies, place.registry)
    assert plan(place, first, who) == plan(place, second, other)
    assert first.requests == second.requests


@given(PEOPLED, st.data())
def test_planning_a_batch_is_planning_its_parts(peopled: tuple[Place, Asked], data: st.DataObject) -> None:
    """Without a model, an agent's plan does not depend on who else is asked, however the batch is cut."""
    place, who = peopled
    tiers = place.tiers()
    whole = drive(tiers.plan_batch_with_fallback(None, who, place.registry))
    cut = data.draw(st.integers(0, len(who)))
    parts: dict[AgentId, FallbackResult] = {}
    for part in (who[:cut], who[cut:]):
        parts |= drive(tiers.plan_batch_with_fallback(None, part, place.registry))
    assert parts == whole
    for key, known in who:
        assert drive(tiers.plan_with_fallback(None, known, place.registry, agent_id=key)) == whole[key]


class Drawn:
    """A tier that offers each agent a plan that was drawn for it, or has none with an outcome that was drawn."""

    deterministic = True

    def __init__(self, name: str, plans: dict[int, Any]) -> None:
        self.name = name
        self.plans = plans
        self.asked: set[int] = set()

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        self.asked |= set(batch.keys.tolist())
        given = [self.plans[key] for key in batch.keys.tolist()]
        outcome = [Outcome.OK if isinstance(one, list) else one for one in given]
        offered = [one if isinstance(one, list) else None for one in given]
        return TierPlans(PlanBatch.from_steps(batch.keys, offered, registry), np.array(outcome, np.int8))


@given(PEOPLED.filter(lambda peopled: bool(peopled[1])), st.data())
def test_a_tier_is_used_only_if_all_above_refused_that_agent(peopled: tuple[Place, Asked], data: st.DataObject) -> None:
    """Any tiers: each agent gets the first legal plan on its way down, and no tier below is asked for it."""
    place, who = peopled
    batch, registry = place.batch(who), place.registry
    failures = [Outcome.MISSING, Outcome.INVALID, Outcome.TIMEOUT]
    answer = st.one_of(st.lists(steps(registry), max_size=2), st.sampled_from(failures))
    tiers = [Drawn(name, {int(key): data.draw(answer) for key, _ in who}) for name in ("first", "second")]
    results = drive(place.tiers(*tiers).plan_batch_with_fallback(None, who, registry))
    for row, key in enumerate(batch.keys.tolist()):
        expected = "heuristic"
        for tier in reversed(tiers):
            given = tier.plans[key]
            plans = PlanBatch.from_steps(batch.keys[[row]], [given if isinstance(given, list) else None], registry)
            if not refusals(batch.take(np.array([row])), plans, registry).any():
                expected = tier.name
        assert results[AgentId(key)].tier == expected
        if expected != "heuristic":
            assert list(results[AgentId(key)].plan.steps) == next(t for t in tiers if t.name == expected).plans[key]
        assert (key in tiers[1].asked) == (expected != "first")


@given(PEOPLED, st.data())
def test_the_rules_only_use_what_is_offered(peopled: tuple[Place, Asked], data: st.DataObject) -> None:
    """For any agents and any offer the rules give a legal plan or none, and none only without the idle verb."""
    place, who = peopled
    offered = data.draw(st.lists(st.sampled_from(place.registry.names), unique=True))
    registry = place.registry.offering(offered)
    batch = place.batch(who)
    answer = drive(Heuristic.of(place.playbook).plan(batch, registry, PlanCall(None, lambda: 0.0)))
    verdict = refusals(batch, answer.plans, registry)
    assert not verdict[answer.outcome == Outcome.OK].any()
    assert registry.idle.act not in offered or (answer.outcome == Outcome.OK).all()
