"""The walk down the tiers: the source's named tests, every tier reached, and every way a reply can go wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from ai import (
    Action,
    AgentId,
    ClientError,
    ContractError,
    FailingLlm,
    FallbackMetrics,
    FallbackOrchestrator,
    FallbackResult,
    FallbackTier,
    LlmChunk,
    LlmClient,
    LlmRequest,
    MockBatchLlm,
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
from ai.llm.tiers import FullLlm
from ai.orchestrator import drive
from ai.planners.base import PlanCall, TierPlans
from ai.planners.emergency import Emergency
from ai.planners.heuristic import Heuristic
from ai.rules import Draft
from tests.ai.llm.village import FORAGING, MARKET, TABLES, Buy, Person, Sleep, Talk, Villager, forager, villager

Asked = list[tuple[AgentId, Villager]]
Answer = Callable[[LlmRequest], str]

BAKER = Person(id=40, trade="baker", mood=7)
RULES = (
    Rule("mood < 30", Sleep(9)),
    Rule("people", Talk(pick("first"), "Hello!")),
    Rule("money >= 5 and price.bread <= 3", Buy("bread", 1)),
)


def villagers(n: int, **fields: Any) -> Asked:
    """Return villagers with the ids 1 to n, each of whom sees a baker."""
    return [(key, villager(**{"people": (BAKER,), **fields})) for key in range(1, n + 1)]


def walk(*tiers: Any, **options: Any) -> FallbackOrchestrator:
    """Return an orchestrator with these tiers, or with the four tiers and the rules of the market."""
    return FallbackOrchestrator(tiers or default_tiers(Playbook(rules=RULES)), **options)


class SayingLlm:
    """Answers each request with the text that a function makes of it, in chunks of seven characters."""

    label = "saying"

    def __init__(self, answer: Answer, finish: str = "stop") -> None:
        self.answer = answer
        self.finish = finish
        self.tiers: list[str] = []

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.tiers.append(request.tier)
        text = self.answer(request)
        for start in range(0, len(text), 7):
            yield LlmChunk(text[start : start + 7])
        yield LlmChunk(finish=self.finish)


class TierOf:
    """A tier that lets some agents sleep and has nothing for the others."""

    deterministic = True

    def __init__(self, name: str, serves: Callable[[int], bool]) -> None:
        self.name = name
        self.serves = serves
        self.asked: list[list[int]] = []

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        self.asked.append(batch.keys.tolist())
        given = [[Sleep(1)] if self.serves(int(key)) else None for key in batch.keys]
        outcome = np.array([Outcome.OK if steps else Outcome.MISSING for steps in given], np.int8)
        return TierPlans(PlanBatch.from_steps(batch.keys, given, registry), outcome)


def plan(
    client: LlmClient | None,
    asked: Asked,
    registry: ToolRegistry = MARKET,
    orchestrator: FallbackOrchestrator | None = None,
) -> dict[AgentId, FallbackResult]:
    """Plan a batch in an event loop of its own."""
    chosen = walk() if orchestrator is None else orchestrator
    return asyncio.run(chosen.plan_batch_with_fallback(client, asked, registry))


def one(client: LlmClient | None, orchestrator: FallbackOrchestrator, **fields: Any) -> FallbackResult:
    """Plan for one villager."""
    return asyncio.run(orchestrator.plan_with_fallback(client, villager(**fields), MARKET, agent_id=1))


def replies(plans: Callable[[int], object]) -> Answer:
    """Make an answer that gives each slot's agent what `plans` says."""
    return lambda request: json.dumps({slot: plans(agent) for slot, agent in request.slots.items()})


def assert_one_legal_plan_each(results: dict[AgentId, FallbackResult], asked: Asked) -> None:
    """Check that the result maps exactly the agents asked, in key order, to legal plans."""
    assert list(results) == sorted(key for key, _ in asked)
    batch = Villager.from_objects(asked, tables=TABLES)
    plans = PlanBatch.from_steps(batch.keys, [result.plan.steps for result in results.values()], MARKET)
    assert not refusals(batch, plans, MARKET).any()
    for result in results.values():
        assert [attempt.tier for attempt in result.attempts if attempt.success] == [result.tier]
        assert result.attempts[-1].success


# The source's tests, under its names.


def test_batch_planning_success() -> None:
    """Three agents asked of a working model all get non-empty plans from the first tier, in one call."""
    client = MockBatchLlm.for_agents(3, MARKET)
    results = plan(client, villagers(3))
    assert_one_legal_plan_each(results, villagers(3))
    assert {result.tier for result in results.values()} == {FallbackTier.SIMPLIFIED_LLM}
    assert len({str(result.plan.steps) for result in results.values()}) == 3
    assert client.calls == 1


def test_batch_planning_deterministic() -> None:
    """The same agents in any order get the same results, whole: plans, ids, tiers and attempts."""
    client, orchestrator = MockBatchLlm.for_agents(3, MARKET), walk()
    asked = villagers(3)
    first, second, third = (plan(client, [asked[i] for i in order], MARKET, orchestrator)
                            for order in ((2, 0, 1), (0, 1, 2), (2, 1, 0)))  # fmt: skip
    assert list(first) == list(second) == list(third) == [1, 2, 3]
    assert first == second == third


def test_batch_planning_empty() -> None:
    """No agents give an empty result, and neither a model nor a planner is asked, in both forms."""
    client, tier = MockBatchLlm.for_agents(1, MARKET), TierOf("mine", lambda _: True)
    orchestrator = walk(tier)
    assert plan(client, [], MARKET, orchestrator) == {}
    result = drive(orchestrator.plan_batch_with_fallback(client, Villager.none(), MARKET))
    assert len(result.plans) == 0
    assert result.attempts == []
    assert client.calls == 0
    assert tier.asked == []
    assert orchestrator.metrics.calls == 0


def test_batch_planning_fallback_to_heuristic() -> None:
    """A model that answers no JSON leaves every agent to the rules, each with its own plan and the history of it."""
    asked = [(1, villager(people=(BAKER,))), (2, villager(mood=10)), (3, villager())]
    client = FailingLlm()
    results = plan(client, asked)
    assert_one_legal_plan_each(results, asked)
    assert [result.tier for result in results.values()] == [FallbackTier.HEURISTIC] * 3
    assert [str(result.plan.steps[0]) for result in results.values()] == [
        "Talk(to=40, what=Hello!)",
        "Sleep(hours=9)",
        "Sleep(hours=1)",
    ]
    for result in results.values():
        assert [attempt.tier for attempt in result.attempts] == ["simplified_llm", "full_llm", "heuristic"]
        assert not any(attempt.success for attempt in result.attempts[:2])
        assert all(attempt.error for attempt in result.attempts[:2])
    assert client.calls == 2


@pytest.mark.parametrize("client", [MockBatchLlm.for_agents(1, MARKET), FailingLlm(), None])
def test_batch_vs_single_agent_compatibility(client: LlmClient | None) -> None:
    """A batch of one and the single call give equal results: plan, id, tier and attempts."""
    person = villager(people=(BAKER,))
    orchestrator = walk()
    single = asyncio.run(orchestrator.plan_with_fallback(client, person, MARKET, agent_id=7))
    assert plan(client, [(7, person)], MARKET, orchestrator) == {7: single}
    assert single.plan.steps


def test_full_llm_success() -> None:
    """Started at the full tier, a working model plans there, with a verb the simplified tier does not have."""
    client = SayingLlm(replies(lambda _: {"steps": [{"act": "Sell", "good": "fish", "count": 2}]}))
    result = one(client, walk(start="full_llm"))
    assert result.tier == FallbackTier.FULL_LLM
    assert [attempt.tier for attempt in result.attempts] == ["full_llm"]
    assert client.tiers == ["full_llm"]


def test_fallback_to_heuristic() -> None:
    """A single agent whose model fails is planned by the rules."""
    result = one(FailingLlm(), walk(), mood=10)
    assert result.tier == FallbackTier.HEURISTIC
    assert result.plan.steps == (Sleep(9),)


@pytest.mark.parametrize(
    ("fields", "step"),
    [
        ({"mood": 20, "people": (BAKER,)}, Sleep(9)),
        ({"people": (BAKER,), "money": 9.0, "price": {"bread": 2.0}}, Talk(40, "Hello!")),
        ({"money": 9.0, "price": {"bread": 2.0}}, Buy("bread", 1)),
    ],
)
def test_the_first_rule_that_holds_decides(fields: dict[str, Any], step: Action) -> None:
    """Without a model an agent takes the plan of its first rule, whatever else is wrong."""
    result = drive(walk().plan_with_fallback(None, villager(**fields), MARKET))
    assert (result.tier, result.plan.steps) == ("heuristic", (step,))


@pytest.mark.parametrize("registry", [MARKET, MARKET.offering(()), MARKET.offering(["Buy"])])
def test_emergency_always_succeeds(registry: ToolRegistry) -> None:
    """The emergency tier gives everyone the idle step, whatever the registry offers."""
    results = plan(None, villagers(3), registry, walk(start="emergency"))
    for result in results.values():
        assert result.tier == FallbackTier.EMERGENCY
        assert result.plan.steps == (Sleep(1),)


def test_metrics_tracking() -> None:
    """Requests, successes and failures by tier and outcome, and means are counted alike for batch and single calls."""
    ticks = iter(range(1000))
    orchestrator = walk(clock=lambda: float(next(ticks)))
    plan(FailingLlm(), villagers(3), MARKET, orchestrator)
    one(MockBatchLlm.for_agents(1, MARKET), orchestrator)
    drive(orchestrator.plan_with_fallback(None, villager(), MARKET))
    metrics = orchestrator.metrics
    assert (metrics.requests, metrics.calls) == (5, 3)
    assert metrics.successes == {"heuristic": 4, "simplified_llm": 1}
    assert sorted(metrics.failures) == ["full_llm", "simplified_llm"]
    assert [sum(by_outcome.values()) for by_outcome in metrics.failures.values()] == [3, 3]
    assert metrics.mean_attempts == (3 * 3 + 1 + 1) / 5
    assert metrics.mean_duration_s > 0
    assert metrics.as_dict()["successes"] == metrics.successes


# Tiers, their order and what is recorded.


@pytest.mark.parametrize("tier", list(FallbackTier))
def test_every_tier_can_be_reached_by_failure_alone(tier: FallbackTier) -> None:
    """Each of the four tiers plans when exactly those above it fail."""
    sale = replies(lambda _: {"steps": [{"act": "Sell", "good": "fish", "count": 2}]})
    clients: dict[str, LlmClient] = {"simplified_llm": MockBatchLlm.for_agents(1, MARKET), "full_llm": SayingLlm(sale)}
    registry = MARKET.offering(["Talk"]) if tier == FallbackTier.EMERGENCY else MARKET
    client = clients.get(tier, FailingLlm())
    result = asyncio.run(walk().plan_with_fallback(client, villager(), registry))
    order = ["simplified_llm", "full_llm", "heuristic", "emergency"]
    assert [attempt.tier for attempt in result.attempts] == order[: order.index(tier) + 1]
    assert result.tier == tier


def test_the_emergency_tier_is_added_and_may_be_the_only_one() -> None:
    """A list of tiers without the emergency tier gets it at its end."""
    assert FallbackOrchestrator().tiers == ("simplified_llm", "full_llm", "heuristic", "emergency")
    assert FallbackOrchestrator([]).tiers == ("emergency",)
    assert FallbackOrchestrator([Heuristic()]).tiers == ("heuristic", "emergency")


@pytest.mark.parametrize(
    ("tiers", "options", "message"),
    [
        ([Heuristic(), Heuristic()], {}, "two tiers are named 'heuristic'"),
        ([Heuristic()], {"start": "full_llm"}, "no tier is named 'full_llm'"),
        ([Heuristic()], {"only": {"full_llm": ["red"]}}, r"`only` names \['full_llm'\]; it may name: heuristic"),
        ([Heuristic()], {"only": {"emergency": ["red"]}}, "`only` names emergency"),
        ([Emergency(), Heuristic()], {}, "after 'emergency'"),
        ([Heuristic], {}, "is not a tier"),
        ([object()], {}, "is not a tier"),
    ],
)
def test_a_wrong_list_of_tiers_is_a_contract_error(tiers: list[Any], options: dict[str, Any], message: str) -> None:
    """What cannot work as a list of tiers is refused when it is given, with a sentence that says why."""
    with pytest.raises(ContractError, match=message):
        FallbackOrchestrator(tiers, **options)


def test_without_a_client_the_model_tiers_are_passed_over() -> None:
    """No client is not a failure: the model tiers are recorded as unavailable and not counted."""
    orchestrator = walk()
    result = drive(orchestrator.plan_with_fallback(None, villager(), MARKET))
    assert [(attempt.tier, attempt.outcome) for attempt in result.attempts] == [
        ("simplified_llm", Outcome.UNAVAILABLE),
        ("full_llm", Outcome.UNAVAILABLE),
        ("heuristic", Outcome.OK),
    ]
    assert orchestrator.metrics.failures == {}
    assert orchestrator.metrics.mean_attempts == 1


def test_only_agents_without_a_legal_plan_go_down() -> None:
    """Each tier is asked for those that no tier above it served, and for nobody else."""
    even, three = TierOf("even", lambda key: key % 2 == 0), TierOf("three", lambda key: key % 3 == 0)
    results = plan(None, villagers(10), MARKET, walk(even, three, Heuristic()))
    assert even.asked == [list(range(1, 11))]
    assert three.asked == [[1, 3, 5, 7, 9]]
    assert [result.tier for result in results.values()] == [
        "heuristic", "even", "three", "even", "heuristic", "even", "heuristic", "even", "three", "even",
    ]  # fmt: skip


def test_a_tier_may_plan_for_some_groups_alone() -> None:
    """A tier with `only` is asked for agents of these groups; others, those of no group, and all of a batch without
    groups, go on to the next tier.
    """
    pairs, groups = villagers(5), (("red", "blue", "green"), (0, 1, 2, 1, -1))
    mine = TierOf("mine", lambda _: True)
    orchestrator = walk(mine, Heuristic(), only={"mine": ["blue", "green", "grey"]})
    batch = Villager.from_objects(pairs, tables=TABLES, groups=groups)
    result = drive(orchestrator.plan_batch_with_fallback(None, batch, MARKET))
    assert mine.asked == [[2, 3, 4]]
    assert [orchestrator.tiers[tier] for tier in result.plans.tier] == [
        "heuristic", "mine", "mine", "mine", "heuristic",
    ]  # fmt: skip
    assert [attempt.rows.tolist() for attempt in result.attempts] == [[1, 2, 3], [0, 4]]
    assert {result.tier for result in plan(None, pairs, MARKET, orchestrator).values()} == {"heuristic"}


class Meeting(TierOf):
    """A model tier that answers when the others of its meeting have been asked too, in an order of its own."""

    needs_client = True

    def __init__(self, name: str, begun: list[str], after: int) -> None:
        super().__init__(name, lambda key: key != 5)
        self.begun, self.after = begun, after

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        self.begun.append(self.name)
        for _ in range(1000):
            await asyncio.sleep(0)
            if len(self.begun) > 1:
                break
        assert len(self.begun) > 1, "the model of the other group was not asked meanwhile"
        for _ in range(self.after):
            await asyncio.sleep(0)
        answer = await super().plan(batch, registry, call)
        answer.shards.append({"k": len(batch)})
        return answer


@pytest.mark.parametrize("slower", ["red", "blue"])
def test_models_of_different_groups_are_asked_at_once(slower: str) -> None:
    """Neither waits for the other; the result is the same whichever comes first, and the rest plans afterwards."""
    pairs, groups = villagers(5), (("red", "blue"), (0, 1, 0, 1, 1))
    begun: list[str] = []
    tiers = [Meeting(f"one@{name}", begun, 20 if name == slower else 0) for name in ("red", "blue")]
    only = {f"one@{name}": [name] for name in ("red", "blue")}
    orchestrator = walk(*tiers, Heuristic(), only=only)
    batch = Villager.from_objects(pairs, tables=TABLES, groups=groups)
    result = asyncio.run(orchestrator.plan_batch_with_fallback(SayingLlm(lambda _: ""), batch, MARKET))
    assert [orchestrator.tiers[tier] for tier in result.plans.tier] == [
        "one@red", "one@blue", "one@red", "one@blue", "heuristic",
    ]  # fmt: skip
    assert [(each.tier, each.rows.tolist()) for each in result.attempts] == [
        ("one@red", [0, 2]), ("one@blue", [1, 3, 4]), ("heuristic", [4]),
    ]  # fmt: skip
    assert [shard["tier"] for shard in result.shards] == ["one@red", "one@blue"]


def test_one_orchestrator_plans_for_several_domains() -> None:
    """Tiers, rules and metrics of an orchestrator serve any observation and registry."""
    orchestrator = walk(Heuristic())
    assert plan(None, villagers(1), MARKET, orchestrator)[1].plan.steps == (Sleep(1),)
    result = drive(orchestrator.plan_with_fallback(None, forager(), FORAGING))
    assert result.plan.steps == (FORAGING.idle,)


def test_agents_of_two_observations_are_refused() -> None:
    """One call plans for agents of one observation."""
    pairs: list[Any] = [(1, villager()), (2, forager())]
    with pytest.raises(ContractError, match="Forager"):
        drive(walk().plan_batch_with_fallback(None, pairs, MARKET))


def test_one_bad_agent_in_ten_costs_that_agent_alone() -> None:
    """Nine legal plans of a batch are kept when the tenth is not; only the tenth is asked of the next tier."""
    good = [{"act": "Sleep", "hours": 2}]
    bad = [{"act": "Talk", "to": 33, "what": "Psst!"}]
    client = SayingLlm(replies(lambda agent: {"steps": bad if agent == 4 else good}))
    results = plan(client, villagers(10))
    assert_one_legal_plan_each(results, villagers(10))
    tiers = {key: result.tier for key, result in results.items()}
    assert tiers == {key: "heuristic" if key == 4 else "simplified_llm" for key in range(1, 11)}
    refused = results[4].attempts
    assert [(a.tier, a.outcome) for a in refused] == [
        ("simplified_llm", Outcome.REFUSED),
        ("full_llm", Outcome.REFUSED),
        ("heuristic", Outcome.OK),
    ]
    assert refused[0].error == "step 1: to: 33 is nobody in people or debt_to"


SLEEP = {"steps": [{"act": "Sleep", "hours": 2}]}
WRONG_REPLIES: dict[str, Answer] = {
    "nothing": lambda _: "",
    "prose": lambda _: "I would rather talk about the weather.",
    "wrong brackets": lambda _: '{"a1": {"steps": [}}',
    "missing ids": lambda request: json.dumps(dict.fromkeys(list(request.slots)[:1], SLEEP)),
    "unknown ids": lambda _: json.dumps({"a77": SLEEP, "b1": SLEEP, "": SLEEP}),
    "duplicates": lambda request: (
        "{" + ",".join(f'"{slot}":{json.dumps(SLEEP)}' for slot in [*request.slots] * 2) + "}"
    ),
    "truncated": lambda request: json.dumps(dict.fromkeys(request.slots, SLEEP))[:-12],
    "wrong verb": replies(lambda _: {"steps": [{"act": "Explode"}]}),
    "verb of no text": replies(lambda _: {"steps": [{"act": 7}]}),
    "wrong arguments": replies(lambda _: {"steps": [{"act": "Buy", "good": "bread", "count": "many"}]}),
    "missing arguments": replies(lambda _: {"steps": [{"act": "Buy"}]}),
    "extra arguments": replies(lambda _: {"steps": [{"act": "Sleep", "hours": 1, "x": 1}]}),
    "too many": replies(lambda _: {"steps": [{"act": "Buy", "good": "bread", "count": 4000}]}),
    "unknown name": replies(lambda _: {"steps": [{"act": "Buy", "good": "gold", "count": 1}]}),
    "unknown person": replies(lambda _: {"steps": [{"act": "Talk", "to": 33, "what": "Psst!"}]}),
    "no steps": replies(lambda _: {"steps": []}),
    "too many steps": replies(lambda _: {"steps": SLEEP["steps"] * 9}),
    "steps of no list": replies(lambda _: {"steps": {"act": "Sleep"}}),
    "null": replies(lambda _: None),
    "deep": lambda _: '{"a1":' * 500,
    "not a number": lambda _: '{"a1": {"steps": [{"act": "Sleep", "hours": NaN}]}}',
    "half a character": lambda _: '{"a1": {"steps": [{"act": "\\ud800"}]}}',
}  # fmt: skip


@pytest.mark.parametrize("answer", WRONG_REPLIES.values(), ids=WRONG_REPLIES.keys())
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_any_wrong_reply_still_gives_everyone_one_legal_plan(answer: Answer, finish: str) -> None:
    """Whatever a model writes, the result maps exactly the agents asked to one legal plan each."""
    results = plan(SayingLlm(answer, finish), villagers(3))
    assert_one_legal_plan_each(results, villagers(3))
    assert FallbackTier.EMERGENCY not in {result.tier for result in results.values()}


def test_a_reply_that_names_agents_twice_keeps_the_first() -> None:
    """The first closed plan of an agent wins; a later one of the same slot changes nothing."""

    def twice(request: LlmRequest) -> str:
        later = {"steps": [{"act": "Sleep", "hours": 7}]}
        pairs = [f'"{slot}": {json.dumps(SLEEP)}, "{slot}": {json.dumps(later)}' for slot in request.slots]
        return "{" + ", ".join(pairs) + "}"

    results = plan(SayingLlm(twice), villagers(2))
    assert {result.plan.steps for result in results.values()} == {(Sleep(2),)}
    assert {result.tier for result in results.values()} == {"simplified_llm"}


@pytest.mark.parametrize("outcome", ["timeout", "transport", "rate_limited", "breaker_open", "cut"])
def test_a_failing_transport_is_recorded_as_what_it_was(outcome: str) -> None:
    """A client's error reaches each agent's attempts with its own outcome and words."""

    class Unplugged:
        label = "unplugged"

        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            raise ClientError("the cable is out", outcome=outcome)
            yield

    results = plan(Unplugged(), villagers(2))
    for result in results.values():
        assert [a.outcome.label for a in result.attempts] == [outcome, outcome, "ok"]
        assert "the cable is out" in str(result.attempts[0].error)


def test_a_deadline_that_passed_costs_no_call() -> None:
    """Once the deadline is over no model is asked, and the attempts say so."""
    client = MockBatchLlm.for_agents(2, MARKET)
    orchestrator = walk(clock=lambda: 10.0)
    results = asyncio.run(orchestrator.plan_batch_with_fallback(client, villagers(2), MARKET, deadline=9.5))
    assert client.calls == 0
    for result in results.values():
        assert [a.outcome for a in result.attempts] == [Outcome.TIMEOUT, Outcome.TIMEOUT, Outcome.OK]


def test_plans_are_heard_of_as_they_close() -> None:
    """`on_plan` hears of every plan of a model tier."""
    heard: list[int] = []
    client = MockBatchLlm.for_agents(20, MARKET)
    results = asyncio.run(
        walk().plan_batch_with_fallback(client, villagers(20), MARKET, on_plan=lambda agent, _: heard.append(agent))
    )
    assert sorted(heard) == list(results)


# The array form.


def test_array_and_object_form_agree() -> None:
    """A batch in gives the plans, tiers and attempts that the object form gives."""
    client = SayingLlm(replies(lambda agent: {"steps": []} if agent % 3 == 0 else SLEEP))
    orchestrator = walk(run="here")
    batch = Villager.from_objects(villagers(9), tables=TABLES)
    arrays = asyncio.run(orchestrator.plan_batch_with_fallback(client, batch, MARKET))
    assert arrays.results(MARKET, run="here", tick=0) == plan(client, villagers(9), MARKET, orchestrator)
    assert arrays.counts() == {"simplified_llm": 6, "heuristic": 3}
    assert sorted(arrays.texts) == [1, 2, 4, 5, 7, 8]
    assert {shard["tier"] for shard in arrays.shards} == {"simplified_llm", "full_llm"}
    assert arrays.usage.calls == len(arrays.shards)
    assert [attempt.rows.tolist() for attempt in arrays.attempts] == [list(range(9)), [2, 5, 8], [2, 5, 8]]


def test_results_hold_copies_of_what_planners_gave() -> None:
    """A planner that reuses its arrays cannot change a result that was handed out."""

    class Reusing(Heuristic):
        async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
            self.last = await super().plan(batch, registry, call)
            return self.last

    planner = Reusing()
    batch = Villager.from_objects(villagers(3), tables=TABLES)
    result = drive(walk(planner).plan_batch_with_fallback(None, batch, MARKET))
    before = result.plans.digest(result.tiers)
    planner.last.plans.kind[:] = 0
    planner.last.plans.args[:] = 0
    planner.last.plans.length[:] = 0
    assert result.plans.digest(result.tiers) == before


def test_plan_ids_say_where_a_plan_came_from() -> None:
    """A plan's id names run, tick, agent and tier, and is the same every time."""
    result = drive(walk(run="r1").plan_with_fallback(None, villager(), MARKET, agent_id=8))
    assert result.plan.plan_id == "r1-0-8-heuristic"


# Tiers that break the rules.


class Broken:
    """A tier that answers for everyone and then spoils its answer."""

    deterministic = True

    def __init__(self, spoil: Callable[[TierPlans], object], name: str = "broken") -> None:
        self.name = name
        self.spoil = spoil

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        answer = await Heuristic().plan(batch, registry, call)
        changed = self.spoil(answer)
        return changed if changed is not None else answer  # type: ignore[return-value]  # a broken tier gives anything


def _shorter(answer: TierPlans) -> TierPlans:
    return TierPlans(answer.plans.take(np.arange(1)), answer.outcome[:1])


def _other_keys(answer: TierPlans) -> None:
    answer.plans.keys = answer.plans.keys + 1


def _no_length(answer: TierPlans) -> None:
    answer.plans.length[0] = 7


def _wide_kinds(answer: TierPlans) -> None:
    answer.plans.kind = answer.plans.kind.astype(np.int64)  # type: ignore[assignment]  # a broken tier gives anything


def _odd_outcome(answer: TierPlans) -> None:
    answer.outcome[0] = 50


def _crash(answer: TierPlans) -> None:
    raise ZeroDivisionError("nothing to share")


def _misuse(answer: TierPlans) -> None:
    raise ContractError("a list, please")


FAULTS: list[tuple[Callable[[TierPlans], object], str]] = [
    (_shorter, "asked for 3 agents and answered with arrays of shapes"),
    (_other_keys, "changed the agents"),
    (_no_length, "length outside 0 to 1"),
    (_wide_kinds, "of types"),
    (_odd_outcome, "an outcome code"),
    (lambda _: "plans", "answered with str, not TierPlans"),
    (_crash, r"ZeroDivisionError: nothing to share \(test_orchestrator.py:\d+\)"),
    (_misuse, "a list, please"),
]


@pytest.mark.parametrize(("spoil", "said"), FAULTS)
def test_a_fault_of_a_foreign_tier_is_its_attempt_and_names_it(
    spoil: Callable[[TierPlans], object], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong in somebody else's planner, its agents go down, the attempt says whose code it was and where,
    and the first time it is a warning.
    """
    orchestrator = walk(Broken(spoil), Heuristic())
    with caplog.at_level(logging.DEBUG, "tickweave.ai.orchestrator"):
        results = plan(None, villagers(3), MARKET, orchestrator)
        plan(None, villagers(3), MARKET, orchestrator)
    assert_one_legal_plan_each(results, villagers(3))
    for result in results.values():
        assert [(a.tier, a.outcome) for a in result.attempts] == [("broken", Outcome.FAULT), ("heuristic", Outcome.OK)]
        assert re.match(rf"{__name__}\.Broken: .*{said}", str(result.attempts[0].error))
    assert [r.levelname for r in caplog.records if "failed" in r.getMessage()] == ["WARNING", "DEBUG"]
    assert orchestrator.metrics.failures == {"broken": {"fault": 6}}


def _careless(batch: Any, rows: Any) -> Any:
    raise KeyError("bread")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_careless, r"KeyError: 'bread' \(test_orchestrator.py:\d+\)"),
        (lambda batch, rows: Buy("bread", 1), "rule 1: .*lambda> .*: it returned Buy; return a Draft or several"),
        (lambda batch, rows: Draft("Sleep", {"hours": np.ones(7, int)}), "rule 1: .*hours has the shape"),
        (lambda batch, rows: [], "a rule leads to 0 steps"),
    ],
)
def test_a_fault_in_a_domains_code_is_the_attempt_of_the_tier_that_ran_it(make: Any, said: str) -> None:
    """Whatever goes wrong in a function of a rule, the attempt says which function it was, and agents go down."""
    tiers = default_tiers(Playbook(rules=(Rule("people", make),)))
    result = one(None, FallbackOrchestrator(tiers), people=(BAKER,))
    assert (result.tier, result.plan.steps) == ("emergency", (MARKET.idle,))
    assert [a.outcome for a in result.attempts[-2:]] == [Outcome.FAULT, Outcome.OK]
    assert re.search(said, str(result.attempts[-2].error))


def test_a_tier_of_ours_that_was_set_up_wrongly_is_for_the_caller() -> None:
    """A rule that names no field is not an attempt: the call ends, with the sentence that says what is wrong."""
    with pytest.raises(ContractError, match="mod < 3"):
        plan(None, villagers(1), MARKET, walk(Heuristic([Rule("mod < 3", Sleep(1))])))


@pytest.mark.parametrize("spoil", [_crash, _shorter])
def test_an_emergency_tier_of_ones_own_cannot_leave_anyone_without(spoil: Callable[[TierPlans], object]) -> None:
    """Where a replaced emergency tier fails, agents get the idle step and the attempt says why."""
    results = plan(None, villagers(2), MARKET.offering(["Buy"]), walk(Broken(spoil, "emergency")))
    for result in results.values():
        assert (result.tier, result.plan.steps) == ("emergency", (MARKET.idle,))
        assert [a.outcome for a in result.attempts] == [Outcome.FAULT]


def test_an_emergency_plan_that_is_not_legal_is_replaced_by_the_idle_step() -> None:
    """A replaced emergency tier whose plan is refused for one agent costs that agent its plan alone."""

    def stranger(answer: TierPlans) -> None:
        answer.plans = PlanBatch.from_steps(answer.plans.keys, [[Talk(33, "Psst!")], [Sleep(4)]], MARKET)

    results = plan(None, villagers(2), MARKET, walk(Broken(stranger, "emergency")))
    assert [result.plan.steps for result in results.values()] == [(Sleep(1),), (Sleep(4),)]
    assert [result.attempts[0].outcome for result in results.values()] == [Outcome.REFUSED, Outcome.OK]


def test_a_planner_error_sends_all_its_agents_down() -> None:
    """A tier that fails as a whole is recorded for each of its agents with outcome and text."""

    def fail(answer: TierPlans) -> None:
        raise PlannerError("out of ideas")

    results = plan(None, villagers(2), MARKET, walk(Broken(fail), Heuristic()))
    for result in results.values():
        assert [(a.outcome, a.error) for a in result.attempts] == [
            (Outcome.INVALID, "out of ideas"),
            (Outcome.OK, None),
        ]


def test_an_agent_asked_twice_is_refused() -> None:
    """One batch names an agent once; twice is an error that names it."""
    with pytest.raises(ContractError, match="agent 1 "):
        plan(None, [*villagers(1), *villagers(1)])


def test_drive_refuses_a_coroutine_that_waits() -> None:
    """Without an event loop a tier that waits is an error, not a hang."""

    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(ContractError, match="waited"):
        drive(waits())


def test_emergency_plans_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first emergency plan of an orchestrator is a warning, later ones are not."""
    orchestrator = walk(start="emergency")
    with caplog.at_level(logging.DEBUG, "tickweave.ai.orchestrator"):
        plan(None, villagers(2), MARKET, orchestrator)
        plan(None, villagers(2), MARKET, orchestrator)
    levels = [record.levelname for record in caplog.records if "got the emergency plan" in record.getMessage()]
    assert levels == ["WARNING", "DEBUG"]
    assert any("planning 2 agents" in record.getMessage() for record in caplog.records)


def test_metrics_can_be_shared_and_given() -> None:
    """Two orchestrators may count into one recorder."""
    metrics = FallbackMetrics()
    for _ in range(2):
        plan(None, villagers(2), MARKET, walk(Heuristic(), metrics=metrics))
    assert metrics.requests == 4
    assert metrics.successes == {"heuristic": 4}


def test_a_tier_of_another_name_stands_beside_the_four() -> None:
    """Tiers are open: a third party's planner takes any place in the list, here between model and rules."""
    mine = TierOf("mine", lambda key: key == 2)
    orchestrator = walk(FullLlm(), mine, Heuristic())
    results = plan(FailingLlm(), villagers(2), MARKET, orchestrator)
    assert [result.tier for result in results.values()] == ["heuristic", "mine"]
