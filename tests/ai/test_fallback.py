"""The walk down the tiers: the source's named tests, every tier reached, and every way a reply can go wrong."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from ai import (
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
    Outcome,
    PlanBatch,
    PlannerError,
    SnapshotBatch,
    ToolRegistry,
    WorldSnapshot,
)
from ai.actions import Scan, Wait
from ai.legality import refusals
from ai.llm.tiers import FullLlm
from ai.orchestrator import drive
from ai.planners.base import PlanCall, TierPlans
from ai.planners.emergency import Emergency
from ai.planners.heuristic import Heuristic
from tests.ai.strategies import agents, enemy, small_registry, snapshot

REGISTRY = small_registry()
Asked = list[tuple[AgentId, WorldSnapshot]]
Answer = Callable[[LlmRequest], str]


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
    """A tier that gives some agents a Wait and has nothing for the others."""

    deterministic = True

    def __init__(self, name: str, serves: Callable[[int], bool]) -> None:
        self.name = name
        self.serves = serves
        self.asked: list[list[int]] = []

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
        self.asked.append(batch.keys.tolist())
        given = [[Wait()] if self.serves(int(key)) else None for key in batch.keys]
        outcome = np.array([Outcome.OK if steps else Outcome.MISSING for steps in given], np.int8)
        return TierPlans(PlanBatch.from_steps(batch.keys, given, registry), outcome)


def plan(
    client: LlmClient | None,
    who: Asked,
    registry: ToolRegistry = REGISTRY,
    orchestrator: FallbackOrchestrator | None = None,
) -> dict[AgentId, FallbackResult]:
    """Plan a batch in an event loop of its own."""
    chosen = FallbackOrchestrator() if orchestrator is None else orchestrator
    return asyncio.run(chosen.plan_batch_with_fallback(client, who, registry))


def replies(plans: Callable[[int], object]) -> Answer:
    """Make an answer that gives each slot's agent what `plans` says."""
    return lambda request: json.dumps({slot: plans(agent) for slot, agent in request.slots.items()})


def assert_one_legal_plan_each(results: dict[AgentId, FallbackResult], who: Asked) -> None:
    """Check that the result maps exactly the agents asked, in key order, to legal plans."""
    assert list(results) == sorted(key for key, _ in who)
    batch = SnapshotBatch.from_snapshots(who)
    everything = ToolRegistry(spec.kind for spec in REGISTRY.specs)
    plans = PlanBatch.from_steps(batch.keys, [result.plan.steps for result in results.values()], everything)
    assert not refusals(batch, plans, everything).any()
    for result in results.values():
        assert [attempt.tier for attempt in result.attempts if attempt.success] == [result.tier]
        assert result.attempts[-1].success


# The source's tests, under its names.


def test_batch_planning_success() -> None:
    """Three agents asked of a working model all get non-empty plans from the first tier, in one call."""
    client = MockBatchLlm.for_agents(3)
    results = plan(client, agents(3))
    assert_one_legal_plan_each(results, agents(3))
    assert {result.tier for result in results.values()} == {FallbackTier.SIMPLIFIED_LLM}
    assert len({str(result.plan.steps) for result in results.values()}) == 3
    assert client.calls == 1


def test_batch_planning_deterministic() -> None:
    """The same agents in any order get the same results, whole: plans, ids, tiers and attempts."""
    client, orchestrator = MockBatchLlm.for_agents(3), FallbackOrchestrator()
    who = agents(3)
    first, second, third = (plan(client, [who[i] for i in order], REGISTRY, orchestrator)
                            for order in ((2, 0, 1), (0, 1, 2), (2, 1, 0)))  # fmt: skip
    assert list(first) == list(second) == list(third) == [1, 2, 3]
    assert first == second == third


def test_batch_planning_empty() -> None:
    """No agents give an empty result, and neither a model nor a planner is asked, in both forms."""
    client, tier = MockBatchLlm.for_agents(1), TierOf("mine", lambda _: True)
    orchestrator = FallbackOrchestrator([tier])
    assert plan(client, [], REGISTRY, orchestrator) == {}
    empty = SnapshotBatch(keys=np.array([], np.int64))
    result = drive(orchestrator.plan_batch_with_fallback(client, empty, REGISTRY))
    assert len(result.plans) == 0
    assert result.attempts == []
    assert client.calls == 0
    assert tier.asked == []
    assert orchestrator.metrics.calls == 0


def test_batch_planning_fallback_to_heuristic() -> None:
    """A model that answers no JSON leaves every agent to the rules, each with its own plan and the history of it."""
    who = [
        (AgentId(1), snapshot(enemies=[enemy(9, 6, 5)])),
        (AgentId(2), snapshot(me={"ammo": 0})),
        (AgentId(3), snapshot()),
    ]
    client = FailingLlm()
    results = plan(client, who)
    assert_one_legal_plan_each(results, who)
    assert [result.tier for result in results.values()] == [FallbackTier.HEURISTIC] * 3
    assert [str(result.plan.steps[0]) for result in results.values()] == [
        "Attack(target_id=9)",
        "Reload()",
        "Scan(radius=10)",
    ]
    for result in results.values():
        assert [attempt.tier for attempt in result.attempts] == ["simplified_llm", "full_llm", "heuristic"]
        assert not any(attempt.success for attempt in result.attempts[:2])
        assert all(attempt.error for attempt in result.attempts[:2])
    assert client.calls == 2


@pytest.mark.parametrize("client", [MockBatchLlm.for_agents(1), FailingLlm(), None])
def test_batch_vs_single_agent_compatibility(client: LlmClient | None) -> None:
    """A batch of one and the single call give equal results: plan, id, tier and attempts."""
    world = snapshot(enemies=[enemy(9, 6, 5)])
    orchestrator = FallbackOrchestrator()
    single = asyncio.run(orchestrator.plan_with_fallback(client, world, REGISTRY, agent_id=AgentId(7)))
    batch = plan(client, [(AgentId(7), world)], REGISTRY, orchestrator)
    assert batch == {7: single}
    assert single.plan.steps


def test_full_llm_success() -> None:
    """Started at the full tier, a working model plans there, with a verb the simplified tier does not have."""
    client = SayingLlm(replies(lambda _: {"steps": [{"act": "AimedShot", "target_id": 9}]}))
    orchestrator = FallbackOrchestrator(start="full_llm")
    result = asyncio.run(orchestrator.plan_with_fallback(client, snapshot(enemies=[enemy(9, 6, 5)]), REGISTRY))
    assert result.tier == FallbackTier.FULL_LLM
    assert [attempt.tier for attempt in result.attempts] == ["full_llm"]
    assert client.tiers == ["full_llm"]


def test_fallback_to_heuristic() -> None:
    """A single agent whose model fails is planned by the rules."""
    result = asyncio.run(FallbackOrchestrator().plan_with_fallback(FailingLlm(), snapshot(), REGISTRY))
    assert result.tier == FallbackTier.HEURISTIC
    assert result.plan.steps


def test_heuristic_low_morale() -> None:
    """Without a model, an agent of low morale heals itself, whatever else is wrong."""
    world = snapshot(me={"morale": 20, "ammo": 0}, enemies=[enemy(9, 6, 5)])
    result = drive(FallbackOrchestrator().plan_with_fallback(None, world, REGISTRY))
    assert (result.tier, str(result.plan.steps[0])) == ("heuristic", "Heal()")


def test_heuristic_no_ammo() -> None:
    """Without a model, an agent without ammunition reloads before it fights."""
    world = snapshot(me={"ammo": 0}, enemies=[enemy(9, 6, 5)])
    result = drive(FallbackOrchestrator().plan_with_fallback(None, world, REGISTRY))
    assert (result.tier, str(result.plan.steps[0])) == ("heuristic", "Reload()")


@pytest.mark.parametrize("registry", [ToolRegistry(), ToolRegistry(offered=()), small_registry([]), REGISTRY])
def test_emergency_always_succeeds(registry: ToolRegistry) -> None:
    """The emergency tier gives everyone Scan 10 and Wait 1, whatever the registry offers."""
    results = plan(None, agents(3), registry, FallbackOrchestrator(start="emergency"))
    for result in results.values():
        assert result.tier == FallbackTier.EMERGENCY
        assert result.plan.steps == (Scan(radius=10), Wait(duration=1.0))


def test_metrics_tracking() -> None:
    """Requests, successes and failures by tier and outcome, and means are counted alike for batch and single calls."""
    ticks = iter(range(1000))
    orchestrator = FallbackOrchestrator(clock=lambda: float(next(ticks)))
    plan(FailingLlm(), agents(3), REGISTRY, orchestrator)
    asyncio.run(orchestrator.plan_with_fallback(MockBatchLlm.for_agents(1), snapshot(), REGISTRY))
    drive(orchestrator.plan_with_fallback(None, snapshot(), REGISTRY))
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
    aimed = replies(lambda _: {"steps": [{"act": "AimedShot", "target_id": 9}]})
    world = snapshot(enemies=[enemy(9, 6, 5)])
    client: LlmClient
    client, registry = {
        "simplified_llm": (MockBatchLlm.for_agents(1), REGISTRY),
        "full_llm": (SayingLlm(aimed), REGISTRY),
        "heuristic": (FailingLlm(), REGISTRY),
        "emergency": (FailingLlm(), small_registry(["Block"])),
    }[tier]
    result = asyncio.run(FallbackOrchestrator().plan_with_fallback(client, world, registry))
    order = ["simplified_llm", "full_llm", "heuristic", "emergency"]
    assert [attempt.tier for attempt in result.attempts] == order[: order.index(tier) + 1]
    assert result.tier == tier


def test_the_emergency_tier_is_added_and_may_be_the_only_one() -> None:
    """A list of tiers without the emergency tier gets it at its end."""
    assert FallbackOrchestrator().tiers == ("simplified_llm", "full_llm", "heuristic", "emergency")
    assert FallbackOrchestrator([]).tiers == ("emergency",)
    assert FallbackOrchestrator([Heuristic()]).tiers == ("heuristic", "emergency")


@pytest.mark.parametrize(
    ("tiers", "start", "message"),
    [
        ([Heuristic(), Heuristic()], None, "two tiers are named 'heuristic'"),
        ([Heuristic()], "full_llm", "no tier is named 'full_llm'"),
        ([Emergency(), Heuristic()], None, "after 'emergency'"),
        ([Heuristic], None, "is no tier"),
        ([object()], None, "is no tier"),
    ],
)
def test_a_wrong_list_of_tiers_is_a_contract_error(tiers: list[object], start: str | None, message: str) -> None:
    """What cannot work as a list of tiers is refused when it is given, with a sentence that says why."""
    with pytest.raises(ContractError, match=message):
        FallbackOrchestrator(tiers, start=start)  # type: ignore[arg-type]


def test_without_a_client_the_model_tiers_are_passed_over() -> None:
    """No client is no failure: the model tiers are recorded as unavailable and not counted."""
    orchestrator = FallbackOrchestrator()
    result = drive(orchestrator.plan_with_fallback(None, snapshot(), REGISTRY))
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
    results = plan(None, agents(10), REGISTRY, FallbackOrchestrator([even, three, Heuristic()]))
    assert even.asked == [list(range(1, 11))]
    assert three.asked == [[1, 3, 5, 7, 9]]
    assert [result.tier for result in results.values()] == [
        "heuristic", "even", "three", "even", "heuristic", "even", "heuristic", "even", "three", "even",
    ]  # fmt: skip


def test_one_bad_agent_in_ten_costs_that_agent_alone() -> None:
    """Nine legal plans of a batch are kept when the tenth is not; only the tenth is asked of the next tier."""
    good = [{"act": "Wait", "duration": 2}]
    bad = [{"act": "Attack", "target_id": 33}]
    client = SayingLlm(replies(lambda agent: {"steps": bad if agent == 4 else good}))
    results = plan(client, agents(10))
    assert_one_legal_plan_each(results, agents(10))
    tiers = {int(key): result.tier for key, result in results.items()}
    assert tiers == {key: "heuristic" if key == 4 else "simplified_llm" for key in range(1, 11)}
    refused = results[AgentId(4)].attempts
    assert [(a.tier, a.outcome) for a in refused] == [
        ("simplified_llm", Outcome.REFUSED),
        ("full_llm", Outcome.REFUSED),
        ("heuristic", Outcome.OK),
    ]
    assert "target" in str(refused[0].error)


WAIT = {"steps": [{"act": "Wait", "duration": 2}]}
WRONG_REPLIES: dict[str, Answer] = {
    "nothing": lambda _: "",
    "prose": lambda _: "I would rather talk about the weather.",
    "wrong brackets": lambda _: '{"a1": {"steps": [}}',
    "missing ids": lambda request: json.dumps(dict.fromkeys(list(request.slots)[:1], WAIT)),
    "unknown ids": lambda _: json.dumps({"a77": WAIT, "b1": WAIT, "": WAIT}),
    "duplicates": lambda request: "{" + ",".join(f'"{slot}":{json.dumps(WAIT)}' for slot in [*request.slots] * 2) + "}",
    "truncated": lambda request: json.dumps(dict.fromkeys(request.slots, WAIT))[:-12],
    "wrong verb": replies(lambda _: {"steps": [{"act": "Explode"}]}),
    "verb of no text": replies(lambda _: {"steps": [{"act": 7}]}),
    "wrong arguments": replies(lambda _: {"steps": [{"act": "MoveTo", "x": "far", "y": 1}]}),
    "missing arguments": replies(lambda _: {"steps": [{"act": "MoveTo"}]}),
    "extra arguments": replies(lambda _: {"steps": [{"act": "Block", "x": 1}]}),
    "outside the map": replies(lambda _: {"steps": [{"act": "MoveTo", "x": 4000, "y": 1}]}),
    "unseen enemy": replies(lambda _: {"steps": [{"act": "Attack", "target_id": 33}]}),
    "no steps": replies(lambda _: {"steps": []}),
    "too many steps": replies(lambda _: {"steps": WAIT["steps"] * 9}),
    "steps of no list": replies(lambda _: {"steps": {"act": "Wait"}}),
    "null": replies(lambda _: None),
    "deep": lambda _: '{"a1":' * 500,
    "not a number": lambda _: '{"a1": {"steps": [{"act": "Wait", "duration": NaN}]}}',
    "half a character": lambda _: '{"a1": {"steps": [{"act": "\\ud800"}]}}',
}  # fmt: skip


@pytest.mark.parametrize("answer", WRONG_REPLIES.values(), ids=WRONG_REPLIES.keys())
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_any_wrong_reply_still_gives_everyone_one_legal_plan(answer: Answer, finish: str) -> None:
    """Whatever a model writes, the result maps exactly the agents asked to one legal plan each."""
    who = agents(3, enemies=[enemy(9, 6, 5)])
    results = plan(SayingLlm(answer, finish), who)
    assert_one_legal_plan_each(results, who)
    assert FallbackTier.EMERGENCY not in {result.tier for result in results.values()}


def test_a_reply_that_names_agents_twice_keeps_the_first() -> None:
    """The first closed plan of an agent wins; a later one of the same slot changes nothing."""

    def twice(request: LlmRequest) -> str:
        later = {"steps": [{"act": "Block"}]}
        pairs = [f'"{slot}": {json.dumps(WAIT)}, "{slot}": {json.dumps(later)}' for slot in request.slots]
        return "{" + ", ".join(pairs) + "}"

    results = plan(SayingLlm(twice), agents(2))
    assert {str(result.plan.steps[0]) for result in results.values()} == {"Wait(duration=2.0)"}
    assert {result.tier for result in results.values()} == {"simplified_llm"}


@pytest.mark.parametrize("outcome", ["timeout", "transport", "rate_limited", "breaker_open", "cut"])
def test_a_failing_transport_is_recorded_as_what_it_was(outcome: str) -> None:
    """A client's error reaches each agent's attempts with its own outcome and words."""

    class Broken:
        label = "broken"

        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            raise ClientError("the cable is out", outcome=outcome)
            yield

    results = plan(Broken(), agents(2))
    for result in results.values():
        assert [a.outcome.label for a in result.attempts] == [outcome, outcome, "ok"]
        assert "the cable is out" in str(result.attempts[0].error)


def test_a_deadline_that_passed_costs_no_call() -> None:
    """Once the deadline is over no model is asked, and the attempts say so."""
    client = MockBatchLlm.for_agents(2)
    orchestrator = FallbackOrchestrator(clock=lambda: 10.0)
    results = asyncio.run(orchestrator.plan_batch_with_fallback(client, agents(2), REGISTRY, deadline=9.5))
    assert client.calls == 0
    for result in results.values():
        assert [a.outcome for a in result.attempts] == [Outcome.TIMEOUT, Outcome.TIMEOUT, Outcome.OK]


def test_progress_is_told_as_plans_close() -> None:
    """`on_plan` hears of every plan of a model tier."""
    heard: list[int] = []
    orchestrator = FallbackOrchestrator()
    client = MockBatchLlm.for_agents(20)
    results = asyncio.run(
        orchestrator.plan_batch_with_fallback(
            client, agents(20), REGISTRY, on_plan=lambda agent, _: heard.append(int(agent))
        )
    )
    assert sorted(heard) == list(results)


# The array form.


def test_array_and_object_form_agree() -> None:
    """A `SnapshotBatch` in gives the plans, tiers and attempts that the object form gives."""
    client = SayingLlm(replies(lambda agent: {"steps": []} if agent % 3 == 0 else WAIT))
    orchestrator = FallbackOrchestrator(run="here")
    who = agents(9)
    batch = SnapshotBatch.from_snapshots(who)
    arrays = asyncio.run(orchestrator.plan_batch_with_fallback(client, batch, REGISTRY))
    assert arrays.results(REGISTRY, run="here", tick=0) == plan(client, who, REGISTRY, orchestrator)
    assert arrays.counts() == {"simplified_llm": 6, "heuristic": 3}
    assert sorted(arrays.texts) == [1, 2, 4, 5, 7, 8]
    assert {shard["tier"] for shard in arrays.shards} == {"simplified_llm", "full_llm"}
    assert arrays.usage.calls == len(arrays.shards)
    assert [attempt.rows.tolist() for attempt in arrays.attempts] == [list(range(9)), [2, 5, 8], [2, 5, 8]]


def test_results_hold_copies_of_what_planners_gave() -> None:
    """A planner that reuses its arrays cannot change a result that was handed out."""

    class Reusing(Heuristic):
        async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
            self.last = await super().plan(batch, registry, call)
            return self.last

    planner = Reusing()
    batch = SnapshotBatch.from_snapshots(agents(3))
    result = drive(FallbackOrchestrator([planner]).plan_batch_with_fallback(None, batch, REGISTRY))
    before = result.plans.digest(result.tiers)
    planner.last.plans.kind[:] = 0
    planner.last.plans.args[:] = 0
    planner.last.plans.length[:] = 0
    assert result.plans.digest(result.tiers) == before


def test_plan_ids_say_where_a_plan_came_from() -> None:
    """A plan's id names run, tick, agent and tier, and is the same every time."""
    result = drive(FallbackOrchestrator(run="r1").plan_with_fallback(None, snapshot(), REGISTRY, agent_id=AgentId(8)))
    assert result.plan.plan_id == "r1-0-8-heuristic"


# Tiers that break the rules.


class Broken:
    """A tier that answers for everyone and then spoils its answer."""

    name = "broken"
    deterministic = True

    def __init__(self, spoil: Callable[[TierPlans], object], name: str = "broken") -> None:
        self.name = name
        self.spoil = spoil

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
        answer = await Heuristic().plan(batch, registry, call)
        changed = self.spoil(answer)
        return changed if changed is not None else answer  # type: ignore[return-value]


def _shorter(answer: TierPlans) -> TierPlans:
    return TierPlans(answer.plans.take(np.arange(1)), answer.outcome[:1])


def _other_keys(answer: TierPlans) -> None:
    answer.plans.keys = answer.plans.keys + 1


def _no_length(answer: TierPlans) -> None:
    answer.plans.length[0] = 7


def _wide_kinds(answer: TierPlans) -> None:
    answer.plans.kind = answer.plans.kind.astype(np.int64)


def _odd_outcome(answer: TierPlans) -> None:
    answer.outcome[0] = 50


@pytest.mark.parametrize("spoil", [_shorter, _other_keys, _no_length, _wide_kinds, _odd_outcome, lambda _: "plans"])
def test_a_tier_that_breaks_the_rules_is_named(spoil: Callable[[TierPlans], object]) -> None:
    """Wrong rows, changed agents, impossible lengths and outcomes are errors that name the tier, not plans."""
    with pytest.raises(ContractError, match="'broken'"):
        plan(None, agents(3), REGISTRY, FallbackOrchestrator([Broken(spoil)]))


def test_an_emergency_tier_of_ones_own_must_serve_everyone() -> None:
    """A replaced emergency tier without a legal plan for someone is an error that names the tier and the agent."""

    def unseen(answer: TierPlans) -> None:
        answer.plans.kind[0] = REGISTRY.code("Attack")
        answer.plans.args[0, 0] = 33

    with pytest.raises(ContractError, match=r"'emergency' left agent 1 without.*target"):
        plan(None, agents(2), REGISTRY, FallbackOrchestrator([Broken(unseen, "emergency")]))


def test_a_bug_in_a_planner_is_not_swallowed() -> None:
    """Only planner errors send agents down; any other exception reaches the caller."""

    def crash(answer: TierPlans) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plan(None, agents(1), REGISTRY, FallbackOrchestrator([Broken(crash)]))


def test_a_planner_error_sends_all_its_agents_down() -> None:
    """A tier that fails as a whole is recorded for each of its agents with outcome and text."""

    def fail(answer: TierPlans) -> None:
        raise PlannerError("out of ideas")

    results = plan(None, agents(2), REGISTRY, FallbackOrchestrator([Broken(fail), Heuristic()]))
    for result in results.values():
        assert [(a.outcome, a.error) for a in result.attempts] == [
            (Outcome.INVALID, "out of ideas"),
            (Outcome.OK, None),
        ]


def test_an_agent_asked_twice_is_refused() -> None:
    """One batch names an agent once; twice is an error that names it."""
    with pytest.raises(ContractError, match="agent 1 was asked for twice"):
        plan(None, [*agents(1), *agents(1)])


def test_drive_refuses_a_coroutine_that_waits() -> None:
    """Without an event loop a tier that waits is an error, not a hang."""

    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(ContractError, match="waited"):
        drive(waits())


def test_emergency_plans_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first emergency plan of an orchestrator is a warning, later ones are not."""
    orchestrator = FallbackOrchestrator(start="emergency")
    with caplog.at_level(logging.DEBUG, "tickweave.ai.orchestrator"):
        plan(None, agents(2), REGISTRY, orchestrator)
        plan(None, agents(2), REGISTRY, orchestrator)
    levels = [record.levelname for record in caplog.records if "got the emergency plan" in record.getMessage()]
    assert levels == ["WARNING", "DEBUG"]
    assert any("planning 2 agents" in record.getMessage() for record in caplog.records)


def test_metrics_can_be_shared_and_given() -> None:
    """Two orchestrators may count into one recorder."""
    metrics = FallbackMetrics()
    for _ in range(2):
        plan(None, agents(2), REGISTRY, FallbackOrchestrator([Heuristic()], metrics=metrics))
    assert metrics.requests == 4
    assert metrics.successes == {"heuristic": 4}


def test_a_tier_of_another_name_stands_beside_the_four() -> None:
    """Tiers are open: a third party's planner takes any place in the list, here between model and rules."""
    mine = TierOf("mine", lambda key: key == 2)
    orchestrator = FallbackOrchestrator([FullLlm(), mine, Heuristic()])
    results = plan(FailingLlm(), agents(2), REGISTRY, orchestrator)
    assert [result.tier for result in results.values()] == ["heuristic", "mine"]
