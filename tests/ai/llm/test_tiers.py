"""The two model tiers: which verbs each offers, what each asks for, and what each hands on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ai.clients.scripted import ScriptedClient
from ai.errors import ClientError, PlannerError
from ai.llm.executor import BatchInferenceExecutor
from ai.llm.tiers import PLANNERS, FullLlm, SimplifiedLlm
from ai.llm_types import LlmChunk, LlmClient, LlmRequest
from ai.orchestrator import FallbackOrchestrator
from ai.planners.base import Asking, Deadline, PlanCall, Planner, TierPlans
from ai.plans import Outcome
from tests.ai.llm.village import MARKET, PEOPLE, Sell, Sleep, market, villager
from tests.ai.virtual_time import clock, run

BATCH = market(*[villager(people=(PEOPLE[3],))] * 3, keys=(2, 5, 9))


def ask(tier: Planner, client: LlmClient | None, **options: object) -> TierPlans:
    call = PlanCall(client=client, clock=lambda: 0.0, **options)  # type: ignore[arg-type]
    return asyncio.run(tier.plan(BATCH, MARKET, call))


def test_the_tiers_are_planners_that_need_a_client() -> None:
    """Both tiers have the planner's face, their public names, and say that a replay cannot compute them again."""
    assert [tier.name for tier in PLANNERS] == ["full_llm", "simplified_llm"]
    for tier in PLANNERS:
        assert isinstance(tier(), Planner)
        assert (tier.deterministic, tier.needs_client) == (False, True)


def test_a_tier_without_a_client_is_unavailable() -> None:
    """Asked without a client, a tier raises the one fault that says so."""
    with pytest.raises(ClientError) as caught:
        ask(FullLlm(), None)
    assert caught.value.outcome == "unavailable"


def test_rows_asked_are_rows_answered() -> None:
    """The answer has one row for each agent asked: plans where they are good, outcomes and texts for all."""
    client = ScriptedClient(
        [{"agent": 2, "steps": [{"act": "Sleep", "hours": 3}]}, {"agent": 9, "steps": [{"act": "Fly"}]}]
    )
    answer = ask(SimplifiedLlm(BatchInferenceExecutor(2, 2)), client)
    assert list(answer.plans.keys) == [2, 5, 9]
    assert list(answer.plans.length) == [1, 0, 0]
    assert answer.plans.steps(0, MARKET) == (Sleep(3),)
    assert [Outcome(int(code)) for code in answer.outcome] == [Outcome.OK, Outcome.MISSING, Outcome.INVALID]
    assert sorted(answer.errors) == [5, 9]
    assert sorted(answer.texts) == [2, 9]
    assert [(shard["k"], shard.get("again", False)) for shard in answer.shards] == [(2, False), (1, False), (2, True)]
    assert (answer.usage.calls, answer.usage.agents) == (3, 5)


def test_the_simplified_tier_offers_first_tier_verbs_only() -> None:
    """A verb that is not for the first tier is refused by the simplified tier and accepted by the full one."""
    client = ScriptedClient([{"agent": "*", "steps": [{"act": "Sell", "good": "fish", "count": 1}]}])
    assert not ask(SimplifiedLlm(), client).plans.length.any()
    full = ask(FullLlm(), client)
    assert full.plans.steps(1, MARKET) == (Sell("fish", 1),)


def test_each_tier_sends_its_own_prompt_and_the_call_s_seed() -> None:
    """The full prompt shows more verbs and examples; requests carry tier and seed."""
    requests: list[LlmRequest] = []

    class Listener:
        label = "listener"

        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            requests.append(request)
            yield LlmChunk("{}", "stop")

    for tier in PLANNERS:
        ask(tier(), Listener(), seed=11)
    full, simple = requests
    assert (full.tier, simple.tier, full.seed) == ("full_llm", "simplified_llm", 11)
    assert "Sell(" in full.messages[0].content
    assert "Sell(" not in simple.messages[0].content
    assert len(full.messages[0].content) > len(simple.messages[0].content)


SLEEP = '{"steps":[{"act":"Sleep","hours":1}]}'
BAD = '{"steps":[{"act":"Fly"}]}'
UNSEEN = '{"steps":[{"act":"Talk","to":77,"what":"Hello"}]}'


class Learner:
    """A model that answers each agent with a list of texts, one a call; None leaves it out."""

    label = "learner"

    def __init__(self, texts: dict[int, list[str | None]], last: str = "stop") -> None:
        self.texts = texts
        self.last = last
        self.requests: list[LlmRequest] = []

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.requests.append(request)
        told = {slot: self.texts[agent].pop(0) for slot, agent in request.slots.items()}
        yield LlmChunk("{" + ",".join(f'"{slot}":{text}' for slot, text in told.items() if text) + "}")
        yield LlmChunk(finish=self.last)


def ask_learner(client: Learner, **options: object) -> TierPlans:
    call = PlanCall(client=client, clock=lambda: 0.0, **options)  # type: ignore[arg-type]
    return asyncio.run(FullLlm(BatchInferenceExecutor(8, 4)).plan(BATCH, MARKET, call))


def test_missing_wrong_and_illegal_plans_are_asked_for_once_more() -> None:
    """Those agents only are asked a second time, each with its reason, and their second answer counts."""
    client = Learner({2: [SLEEP], 5: [None, SLEEP], 9: [UNSEEN, BAD]})
    answer = ask_learner(client)
    assert [list(request.slots.values()) for request in client.requests] == [[2, 5, 9], [5, 9]]
    again = client.requests[1].messages[1].content
    assert 'a1: "the reply holds no plan for this agent"' in again
    assert 'a2: "step 1: to: 77 is nobody in people or debt_to' in again
    assert [Outcome(int(code)).label for code in answer.outcome] == ["ok", "ok", "invalid"]
    assert answer.texts == {2: SLEEP, 5: SLEEP, 9: BAD}
    assert answer.errors[9].startswith("asked twice: step 1")
    assert answer.plans.length.tolist() == [1, 1, 0]


def test_good_plans_are_not_asked_for_again() -> None:
    """A batch whose plans are all good is one round."""
    client = Learner({2: [SLEEP], 5: [SLEEP], 9: [SLEEP]})
    ask_learner(client)
    assert len(client.requests) == 1


def test_a_reply_without_any_plan_is_not_asked_for_again() -> None:
    """A model that wrote nothing like a plan is left to the next tier."""
    client = Learner({2: [None], 5: [None], 9: [None]})
    assert ask_learner(client).outcome.tolist() == [Outcome.MISSING] * 3
    assert len(client.requests) == 1


def test_a_transport_that_failed_is_not_asked_again() -> None:
    """Faults of the way to the model are the retry loop's business, not a reason to ask again."""

    class Broken(Learner):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            self.requests.append(request)
            yield LlmChunk(f'{{"a1":{SLEEP}')
            raise ClientError("the line broke", outcome="timeout")

    client = Broken({})
    assert ask_learner(client).outcome.tolist() == [Outcome.OK, Outcome.TIMEOUT, Outcome.TIMEOUT]
    assert len(client.requests) == 1


def test_the_first_plan_is_timed_from_the_start_of_the_planning_call() -> None:
    """Two seconds in a first tier that fails and three in the second are five."""

    class Slow(Learner):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            await asyncio.sleep(2.0 if request.tier == "simplified_llm" else 3.0)
            yield LlmChunk(f'{{"a1":{SLEEP}}}' if request.tier == "full_llm" else "{}", "stop")

    async def story() -> float | None:
        await asyncio.sleep(1.0)
        orchestrator = FallbackOrchestrator(clock=clock)
        return (await orchestrator.plan_batch_with_fallback(Slow({}), BATCH.take(slice(0, 1)), MARKET)).first_plan_s

    assert run(story()) == 5.0


def test_nobody_is_asked_again_without_the_time_for_it() -> None:
    """When less time is left than the first plan took, agents go down instead."""

    async def ask_slowly(deadline: float) -> int:
        class Slow(Learner):
            async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
                await asyncio.sleep(2.0)
                async for chunk in Learner.stream(self, request):
                    yield chunk

        client = Slow({2: [SLEEP], 5: [None, SLEEP], 9: [SLEEP]})
        call = PlanCall(client=client, clock=clock, asking=Asking(deadline=Deadline(deadline)))
        answer = await FullLlm().plan(BATCH, MARKET, call)
        assert answer.first_plan_s == 2.0
        return len(client.requests)

    assert run(ask_slowly(3.9)) == 1
    assert run(ask_slowly(4.1)) == 2


def test_a_registry_without_the_tier_s_verbs_fails_the_tier() -> None:
    """When none of its verbs is offered, the tier fails as a whole and nothing is sent."""
    call = PlanCall(client=ScriptedClient([]), clock=lambda: 0.0)
    with pytest.raises(PlannerError, match="simplified_llm"):
        asyncio.run(SimplifiedLlm().plan(BATCH, MARKET.offering(["Sell"]), call))
