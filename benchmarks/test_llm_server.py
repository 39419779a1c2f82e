"""A batch on a real socket: shards against one giant call and singles, what the client itself costs, and the deadline.

The server is the fake one, as a process of its own: 200 ms to the first token, 20 ms a token, 8 slots, 22 tokens a
plan. What it cannot be faster than for 100 agents is ceil(100 / 8) plans, one token after the other, in each slot.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from ai.clients import client_from_spec
from ai.clients.resilience import ResilientClient
from ai.llm.executor import BatchInferenceExecutor, BatchRequest, BatchResponse
from ai.llm.probe import probe
from ai.llm.prompt import PromptRequest, slots_of
from ai.llm.tiers import SimplifiedLlm
from ai.llm_types import LlmClient, LlmRequest, Message
from ai.observation import Cell
from ai.orchestrator import FallbackOrchestrator
from ai.planners.base import OnPlan
from scenarios.tactics.actions import default_registry
from scenarios.tactics.snapshot import SelfState, WorldSnapshot

AGENTS = 100
SLOTS = 8
LATENCY_S = 0.2
TOKEN_S = 0.02
PLAN_TOKENS = 22
BATCHES = 9
"""Batches of which the median counts: other work on the machine spoils some of them."""
BOUND_S = LATENCY_S + math.ceil(AGENTS / SLOTS) * PLAN_TOKENS * TOKEN_S
REGISTRY = default_registry()
BATCH = WorldSnapshot.from_objects([(key, WorldSnapshot(me=SelfState(pos=Cell(key, 0)))) for key in range(AGENTS)])


@contextmanager
def server(*options: str) -> Iterator[str]:
    """Run the fake server as a process and yield the spec of its model."""
    words = [sys.executable, "-m", "sim", "fake-llm", "--json", "--context", "65536", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["llm"]["openai"]
        finally:
            process.terminate()


def on(spec: str, work: Callable[[ResilientClient], Awaitable[None]]) -> None:
    """Do some work with a probed client of the server."""

    async def all_of_it() -> None:
        client = client_from_spec(spec)
        await probe(client)
        resilient = ResilientClient(client)
        try:
            await work(resilient)
        finally:
            await resilient.aclose()

    asyncio.run(all_of_it())


async def shards(
    client: LlmClient, k: int | None = None, m: int | None = None, on_plan: OnPlan | None = None
) -> BatchResponse:
    executor = BatchInferenceExecutor(k, m)
    response = await executor.execute(client, BatchRequest(BATCH, REGISTRY, "simplified_llm"), on_plan=on_plan)
    assert len(response.plans) == AGENTS
    return response


async def giant(client: LlmClient) -> None:
    """Ask for all agents in one call, whatever the executor would allow."""
    prompt = PromptRequest(BATCH, REGISTRY).prompt()
    messages = (Message("system", prompt.system), Message("user", prompt.user))
    request = LlmRequest(messages, schema=prompt.schema, tokens_max=prompt.tokens, slots=slots_of(BATCH.keys))
    assert [chunk.finish async for chunk in client.stream(request)][-1] == "stop"


def test_shards_reach_the_bound_of_slots_and_decoding(benchmark) -> None:
    """Shards take at most 1.15 times the bound, in ceil(n / k) calls; one giant call and singles take far longer."""
    took: dict[str, float] = {}

    async def work(client: ResilientClient) -> None:
        for name, way in (
            ("shards", lambda: shards(client)),
            ("one call", lambda: giant(client)),
            ("singles", lambda: shards(client, 1, 1)),
        ):
            begun = time.perf_counter()
            response = await way()
            took[name] = time.perf_counter() - begun
            if name == "shards":
                assert response.usage.calls == SLOTS == math.ceil(AGENTS / max(s["k"] for s in response.shards))

    with server() as spec:
        benchmark.pedantic(lambda: on(spec, work), rounds=1)
    benchmark.extra_info.update(bound_s=BOUND_S, **{name.replace(" ", "_"): took[name] for name in took})
    for name, seconds in took.items():
        print(f"{name:>10} {seconds:7.2f} s, {seconds / BOUND_S:5.2f} times the bound of {BOUND_S:.2f} s")
    assert took["shards"] <= 1.15 * BOUND_S


@pytest.mark.parametrize(
    ("options", "on_plan"),
    [
        ((), None),
        ((), lambda agent, steps: None),
        (("--slots", "32", "--tokens-per-s", "100"), None),
        (("--latency-ms", "0", "--tokens-per-s", "0"), None),
    ],
    ids=["paced", "heard", "busy", "at_once"],
)
def test_client_cpu_an_agent_over_http(benchmark, options: tuple[str, ...], on_plan: OnPlan | None) -> None:
    """What the client spends of CPU on an agent: prompts, connecting, HTTP, framing, scanning, parsing.

    All that this process computes from the start of a batch to its end counts, in the kernel too; the server is another
    process. What happens once in a run does not count: imports, starting the loop, the probe. Paced is 20 ms a token;
    heard is the same with a listener; busy is 32 calls at once of 100 tokens a second; with all tokens at once nothing
    waits, which shows the price of waking up. Beside it the time of an empty loop, which says how busy the machine was.
    """
    spent: list[float] = []
    share: list[float] = []
    first: list[float] = []
    loop: list[float] = []

    async def work(client: ResilientClient) -> None:
        for _ in range(BATCHES):
            begun, started = time.process_time(), time.perf_counter()
            response = await shards(client, on_plan=on_plan)
            took = time.process_time() - begun
            spent.append(took / AGENTS * 1e6)
            share.append(took / (time.perf_counter() - started))
            first.append(response.first_plan_s or math.inf)
            begun = time.process_time()
            for _ in range(1_000_000):
                pass
            loop.append((time.process_time() - begun) * 1e3)

    with server(*options) as spec:
        benchmark.pedantic(lambda: on(spec, work), rounds=1)
    us, first_s, loop_ms = statistics.median(spent), statistics.median(first), statistics.median(loop)
    core = statistics.median(share)
    benchmark.extra_info.update(us_an_agent=us, share_of_a_core=core, first_plan_s=first_s, loop_ms=loop_ms)
    print(f"client CPU {us:.0f} us an agent, {core:.1%} of a core (runs: {', '.join(f'{us:.0f}' for us in spent)})")
    print(f"first plan read after {first_s:.2f} s; a million turns of an empty loop took {loop_ms:.0f} ms")
    if not options:
        assert us <= 7_000
        assert core <= 0.12


def test_a_batch_returns_at_its_deadline(benchmark) -> None:
    """In real time, a batch returns within 50 ms of its deadline and its readers end within one read timeout."""
    over: list[float] = []
    ended: list[float] = []

    async def work(client: ResilientClient) -> None:
        for budget in (0.5, 1.0, 2.0):
            tier = SimplifiedLlm()
            orchestrator = FallbackOrchestrator([tier])
            begun = time.perf_counter()
            again = ResilientClient(client.client)  # one with the breaker of the batch before would not ask at all
            result = await orchestrator.plan_batch_with_fallback(again, BATCH, REGISTRY, deadline=begun + budget)
            over.append(time.perf_counter() - begun - budget)
            assert len(result.plans) == AGENTS
            await tier.aclose()
            ended.append(time.perf_counter() - begun - 2 * budget)

    with server() as spec:
        benchmark.pedantic(lambda: on(spec, work), rounds=1)
    benchmark.extra_info.update(over_ms=max(over) * 1000)
    print(f"returned {', '.join(f'{s * 1000:.1f}' for s in over)} ms after the deadline")
    assert max(over) <= 0.05
    assert max(ended) <= 0.1
