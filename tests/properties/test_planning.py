"""Promises of the batch call that hold for any agents, any client and any tiers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

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
    PlannerError,
    Playbook,
    Rule,
    ToolRegistry,
    default_tiers,
    pick,
)
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
from scenarios.tactics.testing.planning import snapshots
from tests.ai.llm.village import FORAGING, MARKET, TABLES, Buy, Forager, Go, Pick, Sleep, Talk, Villager

Pairs = list[tuple[AgentId, Any]]


class Domain(NamedTuple):
    """What agents know and can do, their rules, and how some of them are drawn."""

    observation: type[Observation]
    registry: ToolRegistry
    playbook: Playbook
    pairs: st.SearchStrategy[Pairs]


SELLING = Playbook(rules=(
    Rule("mood < 30", Sleep(4)),
    Rule("people.mood > 20", Talk(pick("fewest:mood"), "Hello!")),
    Rule("stock.bread <= 0 and money >= 2", (Buy("bread", 1), Sleep(1))),
))  # fmt: skip
PICKING = Playbook(rules=(
    Rule("bushes within 2", Pick(pick("nearest"))),
    Rule("bushes and energy > 0", (Go(pick("nearest bushes")), Pick(pick("nearest")))),
    Rule("home", Go(pick("home"))),
))  # fmt: skip
GAME = default_registry()
DOMAINS = (
    Domain(Villager, MARKET, SELLING, batches(Villager, TABLES)),
    Domain(Forager, FORAGING, PICKING, batches(Forager)),
    Domain(
        WorldSnapshot, GAME, PLAYBOOK,
        st.lists(st.tuples(st.integers(0, 40), snapshots(GAME)), max_size=5, unique_by=lambda pair: pair[0]),
    ),
)  # fmt: skip


class Asked(NamedTuple):
    """Some agents of a domain."""

    domain: Domain
    pairs: Pairs

    @property
    def batch(self) -> ObservationBatch[Any]:
        """The agents as one batch."""
        return self.domain.observation.from_objects(self.pairs, tables=self.domain.registry.tables)

    @property
    def tiers(self) -> FallbackOrchestrator:
        """The four tiers with the rules of the domain."""
        return FallbackOrchestrator(default_tiers(self.domain.playbook))


def asked() -> st.SearchStrategy[Asked]:
    """Draw agents of any of the domains."""
    return st.sampled_from(DOMAINS).flatmap(lambda domain: domain.pairs.map(lambda pairs: Asked(domain, pairs)))


class Script:
    """Replies that were drawn: for each request in turn a text with its chunk size, or a failure at some place.

    `{slots}` in a text stands for a correct reply to the request, `{other}` for one to agents that were not asked.
    """

    label = "script"

    def __init__(self, replies: list[tuple[str, int, str | None, str]], registry: ToolRegistry) -> None:
        self.replies = replies
        self.mock = MockBatchLlm.for_agents(10**6, registry)
        self.requests: list[LlmRequest] = []

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        text, size, failure, finish = self.replies[len(self.requests) % len(self.replies)]
        self.requests.append(request)
        good = self._reply(request, request.slots)
        other = self._reply(request, {f"a{len(request.slots) + 1}": 1, "9999": 1})
        text = text.replace("{slots}", good).replace("{other}", other)
        if failure is not None:
            text = text[: len(text) // 2]
        for start in range(0, len(text), size):
            yield LlmChunk(text[start : start + size])
        if failure is not None:
            raise ClientError("drawn failure", outcome=failure)
        yield LlmChunk(finish=finish)

    def _reply(self, request: LlmRequest, slots: Mapping[str, int]) -> str:
        encoding, registry = encoding_of(request.encoding), self.mock.registry
        return encoding.frame(
            {slot: encoding.write(self.mock.steps_for(agent), registry) for slot, agent in slots.items()}
        )


def plan_objects() -> st.SearchStrategy[str]:
    """Draw slot-keyed replies whose plans are legal, illegal or no plans at all."""
    step = (
        st.sampled_from(DOMAINS)
        .flatmap(lambda domain: steps(domain.registry))
        .map(lambda one: one.model_dump(mode="json", exclude_none=True))
    )
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
    return asyncio.run(who.tiers.plan_batch_with_fallback(client, who.pairs, who.domain.registry))


@given(asked(), scripts())
def test_everyone_asked_gets_one_legal_plan_and_nobody_else_does(
    who: Asked, replies: list[tuple[str, int, str | None, str]]
) -> None:
    """Whatever a client does, the result maps exactly the agents asked, in key order, to one legal plan each."""
    results = plan(Script(replies, who.domain.registry), who)
    assert list(results) == sorted(key for key, _ in who.pairs)
    if not results:
        return
    registry = who.domain.registry
    plans = PlanBatch.from_steps(who.batch.keys, [result.plan.steps for result in results.values()], registry)
    assert not refusals(who.batch, plans, registry).any()
    for result in results.values():
        # A tier is used only if all tiers above refused that agent.
        assert [attempt.success for attempt in result.attempts] == [False] * (len(result.attempts) - 1) + [True]
        assert result.attempts[-1].tier == result.tier
        assert all(attempt.error for attempt in result.attempts[:-1])


@given(asked(), st.integers(1, 40))
def test_a_correct_reply_is_used(who: Asked, size: int) -> None:
    """Where the model answers as it was asked, in pieces of any size, the first tier serves everyone."""
    results = plan(Script([("{slots}", size, None, "stop")], who.domain.registry), who)
    assert {result.tier for result in results.values()} <= {"simplified_llm"}


@settings(max_examples=settings.default.max_examples // 2)
@given(asked(), scripts(), st.randoms(use_true_random=False))
def test_the_order_of_asking_does_not_matter(
    who: Asked, replies: list[tuple[str, int, str | None, str]], chance: Any
) -> None:
    """Agents asked in another order give the same requests and the same results."""
    other = Asked(who.domain, list(who.pairs))
    chance.shuffle(other.pairs)
    first, second = Script(replies, who.domain.registry), Script(replies, who.domain.registry)
    assert plan(first, who) == plan(second, other)
    assert first.requests == second.requests


@given(asked(), st.data())
def test_planning_a_batch_is_planning_its_parts(who: Asked, data: st.DataObject) -> None:
    """Without a model, an agent's plan does not depend on who else is asked, however the batch is cut."""
    orchestrator, registry = who.tiers, who.domain.registry
    whole = drive(orchestrator.plan_batch_with_fallback(None, who.pairs, registry))
    cut = data.draw(st.integers(0, len(who.pairs)))
    parts: dict[AgentId, FallbackResult] = {}
    for part in (who.pairs[:cut], who.pairs[cut:]):
        parts |= drive(orchestrator.plan_batch_with_fallback(None, part, registry))
    assert parts == whole
    for key, world in who.pairs:
        assert drive(orchestrator.plan_with_fallback(None, world, registry, agent_id=key)) == whole[key]


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


@given(asked(), st.data())
def test_a_tier_is_used_only_if_all_above_refused_that_agent(who: Asked, data: st.DataObject) -> None:
    """Any tiers: each agent gets the first legal plan on its way down, and no tier below is asked for it."""
    registry, batch, playbook = who.domain.registry, who.batch, who.domain.playbook
    failures = [Outcome.MISSING, Outcome.INVALID, Outcome.TIMEOUT]
    answer = st.one_of(st.lists(steps(registry), max_size=2), st.sampled_from(failures))
    tiers = [Drawn(name, {key: data.draw(answer) for key, _ in who.pairs}) for name in ("first", "second")]
    walk = FallbackOrchestrator([*tiers, Heuristic.of(playbook), Emergency()])
    results = drive(walk.plan_batch_with_fallback(None, who.pairs, registry))
    for row, key in enumerate(batch.keys.tolist()):
        expected = "heuristic"
        for tier in reversed(tiers):
            given = tier.plans[key]
            plans = PlanBatch.from_steps(batch.keys[[row]], [given if isinstance(given, list) else None], registry)
            if not refusals(batch.take(np.array([row])), plans, registry).any():
                expected = tier.name
        assert results[key].tier == expected
        if expected != "heuristic":
            assert list(results[key].plan.steps) == next(t for t in tiers if t.name == expected).plans[key]
        assert (key in tiers[1].asked) == (expected != "first")


@given(asked(), st.data())
def test_the_rules_only_use_what_is_offered(who: Asked, data: st.DataObject) -> None:
    """For any agents and any offer the rules give a legal plan or none, and none only without the idle verb."""
    whole, batch = who.domain.registry, who.batch
    offered = data.draw(st.lists(st.sampled_from(whole.names), unique=True))
    registry = whole.offering(offered)
    answer = drive(Heuristic.of(who.domain.playbook).plan(batch, registry, PlanCall(None, lambda: 0.0)))
    verdict = refusals(batch, answer.plans, registry)
    assert not verdict[answer.outcome == Outcome.OK].any()
    assert whole.idle.act not in offered or (answer.outcome == Outcome.OK).all()


class Hostile:
    """A planner of somebody's that does what was drawn."""

    deterministic = True
    name = "hostile"

    def __init__(self, act: Callable[[ObservationBatch[Any], ToolRegistry], Any], *, deterministic: bool) -> None:
        self.act = act
        self.deterministic = deterministic

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> Any:
        return self.act(batch, registry)


def raising(error: BaseException) -> Callable[..., Any]:
    def act(*_: object) -> Any:
        raise error

    return act


def altered(**parts: Any) -> Callable[..., Any]:
    """Answer with idle plans in which some parts are replaced."""

    def act(batch: ObservationBatch[Any], registry: ToolRegistry) -> Any:
        plans = PlanBatch.from_encoded(batch.keys, [[registry.idle_step]] * len(batch))
        for name in [name for name in parts if hasattr(plans, name)]:
            setattr(plans, name, parts[name](getattr(plans, name)))
        answer = TierPlans(plans, np.zeros(len(batch), np.int8))
        for name in [name for name in parts if hasattr(answer, name)]:
            setattr(answer, name, parts[name](getattr(answer, name)))
        return answer

    return act


class BogusError(PlannerError):
    outcome = "bogus"


HOSTILE = (
    raising(ValueError("no")), raising(SystemExit(3)), raising(RecursionError()), raising(BogusError("no")),
    raising(MemoryError()), raising(StopAsyncIteration()), raising(TimeoutError()), raising(KeyError("x")),
    lambda *_: None, lambda *_: [], lambda *_: 7,
    altered(keys=lambda keys: keys[::-1]), altered(keys=lambda keys: keys + 1), altered(keys=lambda keys: keys[:-1]),
    altered(length=lambda length: length + 100), altered(length=lambda length: length - 2),
    altered(kind=lambda kind: kind + 9999), altered(kind=lambda kind: -kind - 5), altered(kind=lambda kind: kind * 1.5),
    altered(args=lambda args: args + 2**30), altered(args=lambda args: args[:, :2]),
    altered(outcome=lambda outcome: outcome + 77), altered(outcome=lambda outcome: outcome.astype(str)),
    altered(errors=lambda _: None), altered(errors=lambda _: {0: 5}), altered(texts=lambda _: [1]),
    altered(texts=lambda _: {0: b"x"}), altered(shards=lambda _: [3]), altered(shards=lambda _: None),
    altered(usage=lambda _: "much"), altered(payloads=lambda _: {(0, 0): 5}), altered(payloads=lambda _: None),
)  # fmt: skip
"""What a planner's code may do instead of its work."""


class Rude:
    """A client of somebody's that does what was drawn: raises, or gives pieces that are none."""

    label = "rude"

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    async def stream(self, request: LlmRequest) -> AsyncIterator[Any]:
        yield LlmChunk("{")
        yield self.act()


RUDE = (
    raising(ValueError("no")), raising(SystemExit(3)), raising(asyncio.CancelledError()), raising(StopIteration()),
    raising(ClientError("no", outcome="bogus")), lambda: None, lambda: 7, lambda: LlmChunk(None),
    lambda: LlmChunk("}", ["stop"]), lambda: LlmChunk("}", "stop", usage=7),
    lambda: LlmChunk("}", "stop", usage={"prompt_tokens": float("nan")}), lambda: LlmChunk("}", "stop", timings=[]),
    lambda: LlmChunk("}", object()),
)  # fmt: skip
"""What a client's code may do in the middle of a reply."""


@given(asked(), st.lists(st.sampled_from(HOSTILE), max_size=3), st.booleans(), st.sampled_from([None, *RUDE]))
def test_whatever_planners_and_clients_do_everyone_asked_gets_one_legal_plan(
    who: Asked,
    acts: list[Callable[..., Any]],
    deterministic: bool,  # noqa: FBT001 - it is drawn
    rude: Callable[[], Any] | None,
) -> None:
    """Foreign code may raise, lie about its answer, or answer with something else: it is an attempt's outcome."""
    tiers = [Hostile(act, deterministic=deterministic) for act in acts]
    for place, tier in enumerate(tiers):
        tier.name = f"hostile{place}"
    walk = FallbackOrchestrator([*default_tiers(who.domain.playbook)[:2], *tiers, Emergency()])
    client = None if rude is None else Rude(rude)
    results = asyncio.run(walk.plan_batch_with_fallback(client, who.pairs, who.domain.registry))
    assert list(results) == sorted(key for key, _ in who.pairs)
    if not results:
        return
    registry = who.domain.registry
    plans = PlanBatch.from_steps(who.batch.keys, [result.plan.steps for result in results.values()], registry)
    assert not refusals(who.batch, plans, registry).any()
    for result in results.values():
        assert [attempt.success for attempt in result.attempts] == [False] * (len(result.attempts) - 1) + [True]
        assert all(attempt.outcome is not Outcome.OK for attempt in result.attempts[:-1])
