"""What a call has room for: all that fits is told, the least valuable goes first, and some things always stay."""

import asyncio
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.batch import BatchInferenceExecutor, BatchRequest, BatchResponse
from ai.budget import CHAT_TOKENS, ENEMIES_KEPT, ESSENTIAL_KINDS, ESTIMATE_LOW, calls, fits, leaner, prompt_tokens
from ai.clients.base import Endpoint
from ai.encodings import ENCODINGS
from ai.fallback import FallbackOrchestrator
from ai.plan import Outcome
from ai.planners.llm import FullLlm, SimplifiedLlm
from ai.prompt import Asking, Detail
from ai.snapshot import ALLIES_MAX, ENEMIES_MAX, AgentId, SnapshotBatch, WorldSnapshot
from ai.tokens import estimate_tokens
from tests.ai.strategies import snapshot, wide_registry
from tests.ai.test_batch import Client

REGISTRY = wide_registry()
ORDER = ("allies", "objects", "places", "enemies", "detail", "verbs")
ROOMY = 100_000
COUNTED = json.loads((Path(__file__).parent.parent / "fixtures" / "tokens.json").read_text("utf-8"))

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
details = st.sampled_from(Detail)
encodings = st.sampled_from(ENCODINGS)


def asking(known: WorldSnapshot, **options: object) -> Asking:
    batch = SnapshotBatch.from_snapshots([(AgentId(7), known)])
    return Asking(batch, REGISTRY, **options)  # type: ignore[arg-type]


def row(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("a1 7@"))


@given(snapshots, details, encodings, contexts)
def test_an_agent_is_asked_with_as_much_as_fits(
    known: WorldSnapshot, detail: Detail, encoding: object, context: int
) -> None:
    """The one call fits, and with anything more it would not; or the least that can be said does not fit."""
    whole = asking(known, detail=detail, encoding=encoding)
    (call,) = calls(whole, context)
    ladder = list(leaner(whole))
    place = [dict(each.left_out) for each in ladder].index(dict(call.left_out))
    assert fits(call, context) or place == len(ladder) - 1
    assert not any(fits(more, context) for more in ladder[:place])


@given(snapshots, details)
def test_each_step_leaves_out_one_thing_more_and_takes_no_more_tokens(known: WorldSnapshot, detail: Detail) -> None:
    """From step to step the prompt is no longer, one count grows, and later things go after earlier ones."""
    ladder = list(leaner(asking(known, detail=detail)))
    assert ladder[0].left_out == {}
    for more, less in pairwise(ladder):
        assert prompt_tokens(less) <= prompt_tokens(more)
        assert sum(less.left_out.values()) > sum(more.left_out.values())
        kinds = list(less.left_out)
        assert kinds == [kind for kind in ORDER if kind in kinds]
        assert kinds[: len(more.left_out)] == list(more.left_out)


@given(snapshots, details, encodings)
def test_what_matters_most_is_never_left_out(known: WorldSnapshot, detail: Detail, encoding: object) -> None:
    """Own state, objective, orders and the nearest enemies are told to the end, in the same words."""
    whole = asking(known, detail=detail, encoding=encoding)
    own = row(whole.user).partition(" enemies ")[0]
    texts = [line for line in whole.user.splitlines() if line.startswith("Text ")]
    nearest = whole.batch.enemy[0, :ENEMIES_KEPT]
    for less in leaner(whole):
        assert row(less.user).startswith(f"{own} enemies ")
        assert [line for line in less.user.splitlines() if line.startswith("Text ")] == texts
        assert less.batch.enemy[0, :ENEMIES_KEPT].tolist() == nearest.tolist()
        assert less.batch.keys.tolist() == [7]
    least = list(leaner(whole))[-1]
    assert least.detail is Detail.BARE
    assert list(least.registry.names) == [name for name in REGISTRY.names if name in ESSENTIAL_KINDS]
    assert (least.batch.ally < 0).all()
    assert row(least.user).endswith("allies none")


@given(snapshots, contexts, contexts)
def test_a_larger_context_takes_nothing_away(known: WorldSnapshot, one: int, other: int) -> None:
    """What is left out in the larger context is left out in the smaller one too."""
    (small,), (large,) = calls(asking(known), min(one, other)), calls(asking(known), max(one, other))
    assert all(small.left_out.get(what, 0) >= count for what, count in large.left_out.items())


@given(st.lists(snapshots, min_size=1, max_size=12), contexts)
def test_calls_ask_everybody_once_and_fit(known: list[WorldSnapshot], context: int) -> None:
    """However many agents and however small the context: all are asked in order, and what asks several of them fits."""
    batch = SnapshotBatch.from_snapshots([(AgentId(key), each) for key, each in enumerate(known)])
    found = calls(Asking(batch, REGISTRY), context)
    assert [key for call in found for key in call.batch.keys.tolist()] == list(range(len(known)))
    assert all(fits(call, context) for call in found if len(call.batch) > 1)
    assert all(not call.left_out for call in found if len(call.batch) > 1)


def test_nothing_is_left_out_where_there_is_room() -> None:
    """In a large context, the prompt is the whole one."""
    whole = asking(snapshot(enemies=[{"id": 101, "pos": {"x": 1, "y": 1}}]))
    (call,) = calls(whole, ROOMY)
    assert call.prompt() == Asking(whole.batch, REGISTRY).prompt()


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


def test_what_was_left_out_is_recorded_and_the_model_answers_what_it_was_asked() -> None:
    """In a context a little too small, agents are asked alone with less, and get plans; the calls say what went."""
    client = Client()
    response = executed(client, needed() - 60)
    assert [Outcome(code).label for code in response.outcome.tolist()] == ["ok", "ok"]
    assert client.calls == [(1,), (2,)]
    assert all(shard["left_out"]["allies"] == ALLIES_MAX for shard in response.shards)
    assert all("200@" not in request.messages[1].content for request in client.requests)
    assert all("hold the gate" in request.messages[1].content for request in client.requests)


def test_a_verb_that_was_left_out_is_not_accepted() -> None:
    """What the prompt does not offer, the parser refuses, as it does with everything else."""
    least = list(leaner(asking(CROWDED)))[-1]
    context = prompt_tokens(least) + least.prompt().tokens
    client = Client(lambda agent: json.dumps([{"act": "Block"}] if agent == 1 else [{"act": "Reload"}]))
    response = executed(client, context)
    assert [Outcome(code).label for code in response.outcome.tolist()] == ["invalid", "ok"]
    assert all("Block" not in request.messages[0].content for request in client.requests)


def test_an_agent_for_whom_nothing_fits_is_refused_without_a_call() -> None:
    """A context that is too small for the least: no call is made, the reason is told, and the record says refused."""
    client = Client()
    response = executed(client, 100)
    assert [Outcome(code).label for code in response.outcome.tolist()] == ["refused", "refused"]
    assert "100 tokens" in response.errors[1]
    assert (client.calls, response.usage.calls) == ([], 0)
    assert [shard["finish"] for shard in response.shards] == ["refused", "refused"]


def test_reasons_for_asking_again_take_room_too() -> None:
    """What just fits is asked with less when a reason is added."""
    client = Client()
    context = needed() + 4
    assert all("left_out" not in shard for shard in executed(client, context).shards)
    response = executed(client, context, reasons={1: "the target is not known to this agent", 2: "no such verb"})
    assert all(shard["left_out"] for shard in response.shards)


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
