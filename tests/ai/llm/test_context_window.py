"""How many agents a call has room for, and what becomes of an agent for whom there is none."""

import asyncio
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.llm.context_window import CHAT_TOKENS, ESTIMATE_LOW, calls, fits, max_agents, prompt_tokens, with_fewer_verbs
from ai.llm.encodings import ENCODINGS
from ai.llm.executor import BatchInferenceExecutor, BatchRequest, BatchResponse
from ai.llm.prompt import Detail, PromptRequest
from ai.llm.tiers import FullLlm, SimplifiedLlm
from ai.llm.tokens import estimate_tokens
from ai.llm_types import Endpoint
from ai.orchestrator import FallbackOrchestrator
from ai.planners.emergency import Emergency
from ai.plans import Outcome
from tests.ai.llm.test_executor import Client
from tests.ai.llm.village import MARKET, PEOPLE, VILLAGERS, Villager, market, villager

COUNTED = json.loads((Path(__file__).parents[2] / "fixtures" / "tokens.json").read_text("utf-8"))
WELL_CONNECTED = villager(people=tuple(PEOPLE.values())[:12], heard=("Fish is cheap today.", "There is a fire!"))


def request(*agents: Villager, **options: Any) -> PromptRequest:
    return PromptRequest(market(*agents), MARKET, **options)


def needed(one: PromptRequest) -> int:
    """Return the smallest context in which a request fits by its estimate."""
    return prompt_tokens(one) + one.prompt().tokens


@given(st.lists(VILLAGERS, min_size=1, max_size=12), st.integers(50, 2500), st.sampled_from(ENCODINGS))
@settings(deadline=None, max_examples=60)
def test_calls_ask_all_agents_once_and_fit(agents: list[Villager], context: int, encoding: Any) -> None:
    """However many agents and however small the context, all are in a call, in order; calls of several always fit."""
    whole = request(*agents, encoding=encoding)
    found = calls(whole, context)
    assert [key for call in found for key in call.keys] == whole.keys
    assert all(fits(call, context) for call in found if len(call.keys) > 1)
    assert all(call.left_out == 0 for call in found if len(call.keys) > 1)


@given(VILLAGERS, st.integers(50, 1500), st.sampled_from(Detail))
@settings(deadline=None, max_examples=60)
def test_an_agent_is_asked_with_as_many_verbs_as_fit(agent: Villager, context: int, detail: Detail) -> None:
    """The one call fits, and with any more verbs it would not; or the fewest verbs do not fit."""
    whole = request(agent, detail=detail)
    (call,) = calls(whole, context)
    ladder = [whole, *with_fewer_verbs(whole)]
    place = [each.registry.names for each in ladder].index(call.registry.names)
    assert fits(call, context) or place == len(ladder) - 1
    assert not any(fits(more, context) for more in ladder[:place])


def test_verbs_are_dropped_in_the_order_that_they_declare() -> None:
    """Those with the lowest `keep` go first, those with the highest stay; what the agent knows is never cut."""
    whole = request(WELL_CONNECTED)
    ladder = with_fewer_verbs(whole)
    assert [each.registry.names for each in ladder] == [("Buy", "Sleep", "Talk", "Tip"), ("Sleep",)]
    assert [each.left_out for each in ladder] == [1, 4]
    assert {each.user for each in ladder} == {whole.user}
    for more, less in pairwise([whole, *ladder]):
        assert prompt_tokens(less) < prompt_tokens(more)


@given(st.lists(VILLAGERS, min_size=2, max_size=20))
@settings(deadline=None, max_examples=30)
def test_a_larger_context_has_room_for_no_fewer_agents(agents: list[Villager]) -> None:
    """The room is at least one agent and grows with the context."""
    whole = request(*agents)
    rooms = [max_agents(whole, context) for context in range(100, 6000, 700)]
    assert rooms[0] >= 1
    assert rooms == sorted(rooms)
    assert rooms[-1] <= max_agents(whole, None)


@pytest.mark.parametrize("name", COUNTED["samples"])
def test_what_is_kept_free_covers_the_error_of_the_estimate(name: str) -> None:
    """No text of those that a real tokenizer counted takes more tokens than are reserved for it."""
    sample = COUNTED["samples"][name]
    assert sample["tokens"] <= estimate_tokens(sample["text"]) * ESTIMATE_LOW + CHAT_TOKENS


# -- in a batch --------------------------------------------------------------------------------------------------------


def executed(client: Client, context: int, **options: Mapping[int, str]) -> BatchResponse:
    client.endpoint = Endpoint(reachable=True, context=context)  # type: ignore[attr-defined]
    asked = BatchRequest(market(WELL_CONNECTED, WELL_CONNECTED), MARKET, "full_llm", **options)  # type: ignore[arg-type]
    return asyncio.run(BatchInferenceExecutor(2, 2).execute(client, asked))


def outcomes(response: BatchResponse) -> list[str]:
    return [Outcome(code).label for code in response.outcome.tolist()]


def test_agents_that_fit_alone_are_asked_alone() -> None:
    """In a context for one agent, each is asked in a call of its own, with all that it knows."""
    client = Client()
    response = executed(client, needed(request(WELL_CONNECTED)))
    assert outcomes(response) == ["ok", "ok"]
    assert client.calls == [(1,), (2,)]
    assert all("11 weaver" in each.messages[1].content for each in client.requests)
    assert all("left_out" not in shard for shard in response.shards)


def test_verbs_that_were_dropped_are_recorded_and_not_accepted() -> None:
    """A call with fewer verbs says how many it lacks, and the parser refuses them like any other unknown verb."""
    smaller = with_fewer_verbs(request(WELL_CONNECTED))[0]
    client = Client({1: '[{"act":"Sell","good":"fish","count":1}]', 2: '[{"act":"Sleep"}]'}.get)
    response = executed(client, needed(smaller))
    assert outcomes(response) == ["invalid", "ok"]
    assert [shard["left_out"] for shard in response.shards] == [1, 1]
    assert all("Sell" not in each.messages[0].content for each in client.requests)


def test_an_agent_whose_prompt_does_not_fit_is_refused_without_a_call() -> None:
    """With the fewest verbs one token too long: no call is made, the reason is given, and the record says refused."""
    client = Client()
    context = needed(with_fewer_verbs(request(WELL_CONNECTED))[-1]) - 1
    response = executed(client, context)
    assert outcomes(response) == ["refused", "refused"]
    assert f"{context:,} tokens" in response.errors[1]
    assert (client.calls, response.usage.calls) == ([], 0)
    assert [shard["finish"] for shard in response.shards] == ["refused", "refused"]


def test_reasons_for_asking_again_take_room_too() -> None:
    """An agent that just fits is asked with fewer verbs when a reason is added."""
    client = Client()
    response = executed(client, needed(request(WELL_CONNECTED)) + 4, reasons={1: "the plan has no steps at all"})
    assert [shard.get("left_out", 0) for shard in response.shards] == [1, 0]


def test_an_agent_that_is_refused_for_want_of_room_gets_a_plan_from_the_next_tier() -> None:
    """Both model tiers pass such agents on, and a tier without a model plans for them."""
    client = Client()
    client.endpoint = Endpoint(reachable=True, context=100)  # type: ignore[attr-defined]
    orchestrator = FallbackOrchestrator([SimplifiedLlm(), FullLlm(), Emergency()])
    result = asyncio.run(orchestrator.plan_batch_with_fallback(client, [(1, WELL_CONNECTED)], MARKET))[1]
    assert result.tier == "emergency"
    assert [(each.tier, each.outcome) for each in result.attempts][:2] == [
        (SimplifiedLlm.name, Outcome.REFUSED),
        (FullLlm.name, Outcome.REFUSED),
    ]
    assert client.calls == []
