"""How many agents a call has room for, and what becomes of an agent for whom there is none."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.batch import BatchInferenceExecutor, BatchRequest, BatchResponse
from ai.budget import CHAT_TOKENS, ESTIMATE_LOW, calls, fits, prompt_tokens
from ai.clients.base import Endpoint
from ai.fallback import FallbackOrchestrator
from ai.plan import Outcome
from ai.planners.llm import FullLlm, SimplifiedLlm
from ai.prompt import Asking
from ai.snapshot import ALLIES_MAX, ENEMIES_MAX, AgentId, SnapshotBatch, WorldSnapshot
from ai.tokens import estimate_tokens
from tests.ai.strategies import snapshot, wide_registry
from tests.ai.test_batch import Client

REGISTRY = wide_registry()
COUNTED = json.loads((Path(__file__).parents[2] / "fixtures" / "tokens.json").read_text("utf-8"))

cells = st.builds(lambda x, y: {"x": x, "y": y}, st.integers(0, 11), st.integers(0, 9))
ids = st.integers(100, 999)


def others(most: int) -> st.SearchStrategy[list[dict[str, object]]]:
    one = st.builds(lambda key, pos, hp: {"id": key, "pos": pos, "hp": hp}, ids, cells, st.integers(1, 100))
    return st.lists(one, max_size=most, unique_by=lambda other: other["id"])


snapshots: st.SearchStrategy[WorldSnapshot] = st.builds(
    snapshot,
    x=st.integers(0, 11),
    y=st.integers(0, 9),
    allies=others(ALLIES_MAX),
    enemies=others(ENEMIES_MAX),
    objects=others(6),
    pois=st.lists(st.builds(lambda k, pos: {"k": k, "pos": pos}, st.sampled_from("abcdefgh"), cells), max_size=12),
    objective=st.none() | st.text("holdthegate ", min_size=1, max_size=60),
    orders=st.lists(st.text("stay low", min_size=1, max_size=40), max_size=1),
)
contexts = st.integers(50, 2500)


def asking(known: WorldSnapshot, **options: object) -> Asking:
    batch = SnapshotBatch.from_snapshots([(AgentId(7), known)])
    return Asking(batch, REGISTRY, **options)  # type: ignore[arg-type]


@given(st.lists(snapshots, min_size=1, max_size=12), contexts)
def test_calls_ask_everybody_once_and_fit(known: list[WorldSnapshot], context: int) -> None:
    """However many agents and however small the context: all are asked in order, and what asks several of them fits."""
    batch = SnapshotBatch.from_snapshots([(AgentId(key), each) for key, each in enumerate(known)])
    found = calls(Asking(batch, REGISTRY), context)
    assert [key for call in found for key in call.batch.keys.tolist()] == list(range(len(known)))
    assert all(fits(call, context) for call in found if len(call.batch) > 1)


@pytest.mark.parametrize("name", COUNTED["samples"])
def test_what_is_kept_free_covers_the_error_of_the_estimate(name: str) -> None:
    """No text of those that a real tokenizer counted takes more tokens than are reserved for it."""
    sample = COUNTED["samples"][name]
    assert sample["tokens"] <= estimate_tokens(sample["text"]) * ESTIMATE_LOW + CHAT_TOKENS


# -- in a batch --------------------------------------------------------------------------------------------------------

CROWDED = snapshot(
    enemies=[{"id": 100 + n, "pos": {"x": n, "y": 1}} for n in range(8)],
    allies=[{"id": 200 + n, "pos": {"x": n, "y": 2}} for n in range(4)],
    pois=[{"k": f"place {n}", "pos": {"x": n, "y": 3}} for n in range(8)],
    objective="hold the gate",
)


def executed(client: Client, context: int, **reasons: Mapping[int, str]) -> BatchResponse:
    client.endpoint = Endpoint(reachable=True, context=context)  # type: ignore[attr-defined]
    batch = SnapshotBatch.from_snapshots([(AgentId(1), CROWDED), (AgentId(2), CROWDED)])
    request = BatchRequest(batch, REGISTRY, "simplified_llm", **reasons)  # type: ignore[arg-type]
    return asyncio.run(BatchInferenceExecutor(2, 2).execute(client, request))


def needed(**options: object) -> int:
    """Return the context in which the crowded agent, and nothing more, just fits."""
    whole = asking(CROWDED, **options)
    return prompt_tokens(whole) + Asking(whole.batch, REGISTRY).prompt().tokens


def test_agents_that_fit_alone_are_asked_alone() -> None:
    """In a context for one agent, each is asked in a call of its own, with all that it knows."""
    client = Client()
    response = executed(client, needed())
    assert [Outcome(code).label for code in response.outcome.tolist()] == ["ok", "ok"]
    assert client.calls == [(1,), (2,)]
    assert all("203@" in request.messages[1].content for request in client.requests)


def test_an_agent_whose_prompt_does_not_fit_is_refused_without_a_call() -> None:
    """A context that is one token too small: no call is made, the reason is told, and the record says refused."""
    client = Client()
    response = executed(client, needed() - 1)
    assert [Outcome(code).label for code in response.outcome.tolist()] == ["refused", "refused"]
    assert f"{needed() - 1:,} tokens" in response.errors[1]
    assert (client.calls, response.usage.calls) == ([], 0)
    assert [shard["finish"] for shard in response.shards] == ["refused", "refused"]


def test_reasons_for_asking_again_take_room_too() -> None:
    """An agent that just fits no longer does when a reason is added."""
    client = Client()
    response = executed(client, needed() + 4, reasons={1: "the target is not known to this agent"})
    assert [Outcome(code).label for code in response.outcome.tolist()] == ["refused", "ok"]


def test_whoever_is_refused_for_want_of_room_gets_a_plan_from_the_next_tier() -> None:
    """Both model tiers pass such agents on, and rules plan for them."""
    client = Client()
    client.endpoint = Endpoint(reachable=True, context=100)  # type: ignore[attr-defined]
    results = asyncio.run(FallbackOrchestrator().plan_batch_with_fallback(client, [(AgentId(1), CROWDED)], REGISTRY))
    result = results[AgentId(1)]
    assert result.tier == "heuristic"
    assert [(each.tier, each.outcome) for each in result.attempts][:2] == [
        (SimplifiedLlm.name, Outcome.REFUSED),
        (FullLlm.name, Outcome.REFUSED),
    ]
    assert client.calls == []
