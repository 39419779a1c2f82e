"""Replies of a model in every encoding, and streams of servers in every dialect, spoilt: plans, or a named outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

from ai.actions import ToolRegistry
from ai.clients.ollama import NdjsonReader
from ai.clients.openai import SseReader
from ai.clients.reply import Reply
from ai.errors import ClientError
from ai.legality import refusals
from ai.llm.encodings import ENCODINGS
from ai.llm_types import LlmChunk, LlmRequest, Message
from ai.observation import ObservationBatch
from ai.orchestrator import FallbackOrchestrator
from ai.plans import Refusal
from ai.samples import sample_observations
from ai.testing import MockBatchLlm
from scenarios.market.domain import Market
from sim.run.planning_service import build_tiers
from sim.run.scenario_file import Scenario
from tests.fuzz.harness import Draw, fuzz, said_well, spoilt_bytes

KEY = "sk-a-key-of-nobody"


@cache
def asked() -> tuple[ToolRegistry, ObservationBatch[Any]]:
    """Return the verbs of the market, and villagers that need a plan."""
    registry = Market().registry()
    assert registry is not None
    kind = Market.observation
    assert kind is not None
    return registry, kind.from_objects(sample_observations(kind, registry.tables), tables=registry.tables)


def make(draw: Draw) -> bytes:
    registry, batch = asked()
    encoding = draw.below(len(ENCODINGS))
    mock = MockBatchLlm.for_agents(len(batch), registry)
    keys = batch.keys.tolist()
    plans = {
        f"a{place + 1}": ENCODINGS[encoding].write(mock.steps_for(key), registry) for place, key in enumerate(keys)
    }
    text = ENCODINGS[encoding].frame(plans).encode()
    return bytes([encoding, draw.below(40) + 1]) + (spoilt_bytes(draw, text) if draw.chance(97) else text)


def check(data: bytes) -> None:
    """Read a reply as the executor does: in pieces, then each plan by itself."""
    _, batch = asked()
    encoding, size = ENCODINGS[data[0] % len(ENCODINGS)], data[1]
    text = data[2:].decode("utf-8", "replace")
    scanner = encoding.scanner({f"a{place + 1}": key for place, key in enumerate(batch.keys.tolist())})
    for start in range(0, len(text), size):
        scanner.feed(text[start : start + size])


class Saying:
    """A model that always says the same."""

    label = "saying"

    def __init__(self, text: str, size: int) -> None:
        self._pieces = [text[start : start + size] for start in range(0, len(text), size)]

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        for piece in self._pieces:
            yield LlmChunk(piece)
        yield LlmChunk(finish="stop")


def check_plans(data: bytes) -> None:
    """Ask the whole fallback: every agent has one legal plan, whatever the model says."""
    check(data)
    registry, batch = asked()
    scenario = _scenario()
    orchestrator = FallbackOrchestrator(build_tiers(scenario, ()), start="simplified_llm", clock=lambda: 0.0)
    client = Saying(data[2:].decode("utf-8", "replace"), data[1])
    found = asyncio.run(orchestrator.plan_batch_with_fallback(client, batch, registry))
    assert found.plans.keys.tolist() == batch.keys.tolist()
    assert all(code == Refusal.ACCEPTED for code in refusals(batch, found.plans, registry.whole).tolist())
    for attempt in found.attempts:
        assert all(text.isprintable() for text in attempt.errors.values())


@cache
def _scenario() -> Scenario:
    return Scenario.of(Market())


def test_spoilt_replies_leave_everyone_with_a_legal_plan() -> None:
    """In each encoding, in pieces of any size: no exception, and every agent is helped by some tier."""
    assert fuzz("replies", make, check_plans)


OPENAI = (
    {"choices": [{"delta": {"content": '{"a1": {"steps": []}}'}}]},
    {"choices": [{"delta": {"reasoning_content": "so", "content": f"key {KEY}"}, "finish_reason": None}]},
    {"error": {"message": f"bad {KEY}", "code": 500}},
    {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 7}},
    {"choices": [], "usage": {"prompt_tokens": 5}, "timings": {"prompt_ms": 3.5, "predicted_per_second": 40}},
    {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]},
)
OLLAMA = (
    {"message": {"content": "a"}, "done": False},
    {"message": {"content": f"{KEY}", "thinking": "so"}, "done": False},
    {"error": "model not found"},
    {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 7},
)
NUMBERS = ("-5", "9" * 25, "9" * 400, "1e999", "NaN", "true", '"x"', "[]", "null", "1.5")


def make_stream(draw: Draw) -> bytes:
    is_sse = draw.chance(50)
    events = [json.dumps(draw.one(OPENAI if is_sse else OLLAMA)) for _ in range(draw.one((1, 2, 4, 8)))]
    if draw.chance(40):
        place = draw.below(len(events))
        for number in ("5", "7", "3.5", "40", "500"):
            if draw.chance(50):
                events[place] = events[place].replace(f": {number}", f": {draw.one(NUMBERS)}")
    ends = draw.one(("\n\n", "\r\n\r\n", "\r\r", "\n")) if is_sse else "\n"
    text = "".join(f"data: {event}{ends}" if is_sse else f"{event}{ends}" for event in events)
    text += draw.one(("data: [DONE]\n\n", "", ": ping\n\n", "event: error\ndata: x\n\n")) if is_sse else ""
    data = text.encode()
    return bytes([is_sse, draw.below(60) + 1]) + (spoilt_bytes(draw, data) if draw.chance(70) else data)


def check_stream(data: bytes) -> None:
    request = LlmRequest((Message("user", "a1: id 7"),), tokens_max=64, timeout_s=5.0)
    reply = Reply(request, secret=KEY)
    reader = (SseReader if data[0] else NdjsonReader)(reply, KEY)
    chunks: list[LlmChunk] = []
    try:
        for start in range(2, len(data), data[1]):
            if reader.done:
                break
            chunks.append(reader.feed(data[start : start + data[1]]))
        chunks.append(reader.close())
    except ClientError as error:
        said_well(error)
        chunks = [LlmChunk(str(error))]
    text = "".join(chunk.text + chunk.thinking for chunk in chunks)
    assert KEY not in text
    text.encode()
    for chunk in chunks:
        assert all(type(count) is int and 0 <= count < 2**63 for count in (chunk.usage or {}).values())


def test_spoilt_streams_end_with_a_reply_or_a_client_error() -> None:
    """Event streams and lines of JSON, in pieces of any size, with numbers of any kind: and never the key."""
    assert fuzz("dialects", make_stream, check_stream)
