"""The two model tiers: which verbs each offers, what each asks for, and what each hands on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import numpy as np
import pytest

from ai.actions import ActionStep, ToolRegistry, Wait
from ai.batch import BatchInferenceExecutor
from ai.clients.base import LlmChunk, LlmClient, LlmRequest
from ai.clients.scripted import ScriptedClient
from ai.errors import ClientError, PlannerError
from ai.plan import Outcome
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.llm import PLANNERS, FullLlm, SimplifiedLlm
from ai.snapshot import SnapshotBatch


class Parry(ActionStep):
    """Turn a blow aside."""

    act: Literal["Parry"] = "Parry"


REGISTRY = ToolRegistry([Parry])
BATCH = SnapshotBatch(keys=np.array([2, 5, 9], np.int64))


def ask(tier: Planner, client: LlmClient | None, **options: object) -> TierPlans:
    call = PlanCall(client=client, clock=lambda: 0.0, **options)  # type: ignore[arg-type]
    return asyncio.run(tier.plan(BATCH, REGISTRY, call))


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
        [{"agent": 2, "steps": [{"act": "Wait", "duration": 3}]}, {"agent": 9, "steps": [{"act": "Fly"}]}]
    )
    answer = ask(SimplifiedLlm(BatchInferenceExecutor(shard_size=2)), client)
    assert list(answer.plans.keys) == [2, 5, 9]
    assert list(answer.plans.length) == [1, 0, 0]
    assert answer.plans.steps(0, REGISTRY) == (Wait(duration=3),)
    assert [Outcome(int(code)) for code in answer.outcome] == [Outcome.OK, Outcome.MISSING, Outcome.INVALID]
    assert sorted(answer.errors) == [5, 9]
    assert sorted(answer.texts) == [2, 9]
    assert [shard["k"] for shard in answer.shards] == [2, 1]
    assert answer.usage.calls == 2


def test_the_simplified_tier_offers_the_common_verbs_only() -> None:
    """A verb outside the fifteen is refused by the simplified tier, accepted by the full one, and encoded alike."""
    client = ScriptedClient([{"agent": "*", "steps": [{"act": "Parry"}]}])
    assert not ask(SimplifiedLlm(), client).plans.length.any()
    full = ask(FullLlm(), client)
    assert full.plans.steps(1, REGISTRY) == (Parry(),)


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
    assert "Parry" in full.messages[0].content
    assert "Parry" not in simple.messages[0].content
    assert len(full.messages[0].content) > len(simple.messages[0].content)


def test_a_registry_without_the_tier_s_verbs_fails_the_tier() -> None:
    """When none of its verbs is offered, the tier fails as a whole and nothing is sent."""
    call = PlanCall(client=ScriptedClient([]), clock=lambda: 0.0)
    with pytest.raises(PlannerError, match="simplified_llm"):
        asyncio.run(SimplifiedLlm().plan(BATCH, REGISTRY.offering(["Parry"]), call))
