"""The ways of asking that are compared, and the timing of one of them.

Two do not use batches: `naive` is a simple caller of single agents, `baseline` a careful one. The others make calls as
a run does, in one encoding each: `singles` one after another, `giant` as few calls as a reply has room for, `shards`
cut as in a run, `low-latency` with two agents per call and one call at a time, so that nothing slows the first plan
down.

Before each way except `naive`, the part of the prompt that stays the same from tick to tick is put into the cache of
the slots in use, untimed, as in a run after its first tick: the system message, and map, places and texts if prompts
begin with them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from ai.actions import Action, EncodedStep, ToolRegistry
from ai.errors import ClientError
from ai.legality import refusals
from ai.llm.encodings import ENCODINGS, encoding_of
from ai.llm.executor import BatchInferenceExecutor, BatchRequest
from ai.llm.prompt import system_message
from ai.llm.prompt_rows import PromptRows
from ai.llm.sharding import IN_FLIGHT
from ai.llm.tiers import SimplifiedLlm
from ai.llm_types import Endpoint, LlmClient, LlmRequest, Message, reading
from ai.observation import ObservationBatch
from ai.plans import PlanBatch, Refusal
from sim.bench.singles import ask_singles
from sim.bench.steps import of_steps

LOW_LATENCY: Final = (2, 1)
"""The number of agents per call and of calls at once if the first plan counts."""
NAMED: Final = "named"


class Kind(StrEnum):
    """The ways of asking."""

    NAIVE = "naive"
    BASELINE = "baseline"
    SINGLES = "singles"
    GIANT = "giant"
    SHARDS = "shards"
    LOW_LATENCY = "low-latency"


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way of asking, in one encoding."""

    kind: Kind
    encoding: str

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.kind.value if self.kind in (Kind.NAIVE, Kind.BASELINE) else f"{self.kind.value} {self.encoding}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed batch.

    `total_s` is the time until every call has ended, `first_s` the time until the first plan was complete (None: there
    was none), `calls` the number of calls. Tokens are the counts of the server, None if it gives none; it had
    `cached_tokens` of the prompt in its cache. `valid` is the number of complete and legal plans, `steps` their total
    number of steps.
    """

    strategy: Strategy
    agents: int
    round: int
    total_s: float
    first_s: float | None
    calls: int
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    valid: int
    steps: int


def strategies(kinds: Sequence[Kind], encodings: Sequence[str]) -> list[Strategy]:
    """Return the ways of asking in a fixed order; low-latency only in the shortest of the encodings."""
    order = [encoding.name for encoding in ENCODINGS if encoding.name in encodings]
    found: list[Strategy] = []
    for kind in Kind:
        if kind in kinds:
            names = [NAMED] if kind in (Kind.NAIVE, Kind.BASELINE) else order
            found += [Strategy(kind, name) for name in (names[-1:] if kind is Kind.LOW_LATENCY else names)]
    return found


def slots_of_server(client: LlmClient) -> int:
    """Return the number of calls that the server runs at once, as far as it is known."""
    endpoint: Endpoint | None = getattr(client, "endpoint", None)
    return (endpoint.slots if endpoint is not None else None) or IN_FLIGHT


async def measure(
    client: LlmClient,
    strategy: Strategy,
    batch: ObservationBatch[Any],
    registry: ToolRegistry,
    *,
    number: int,
    steps: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Sample:
    """Ask once for the plans of all agents of `batch` in one way; `number` is the round.

    `steps` is the required number of steps of each plan; None leaves it to the model.
    """
    encoding = encoding_of(strategy.encoding)
    encoding = encoding if steps is None else of_steps(encoding, steps)
    if strategy.kind in (Kind.NAIVE, Kind.BASELINE):
        naive = strategy.kind is Kind.NAIVE
        if not naive:
            await _warm(client, (system_message(registry, encoding=encoding), "Agent"), 1)
        salt = f"{number}.{len(batch)}"
        answer = await ask_singles(client, batch, registry, naive=naive, salt=salt, encoding=encoding, clock=clock)
        total_s, first_s, usages, plans = answer.total_s, answer.first_s, answer.usages, answer.plans
    else:
        k, m = _sizes(strategy.kind, len(batch))
        standing = system_message(registry, encoding=encoding), PromptRows.of(batch).message()
        await _warm(client, standing, m or slots_of_server(client))
        request = BatchRequest(batch, registry, SimplifiedLlm.name, encoding=encoding)
        executor = BatchInferenceExecutor(k, m)
        begun = clock()
        response = await executor.execute(client, request, on_plan=_heard, clock=clock)
        total_s, first_s = clock() - begun, response.first_plan_s
        usages, plans = [shard["usage"] for shard in response.shards], response.plans
    legal = _legal(batch, plans, registry)
    return Sample(
        strategy=strategy,
        agents=len(batch),
        round=number,
        total_s=total_s,
        first_s=first_s,
        calls=len(usages),
        prompt_tokens=_sum(usages, "prompt_tokens"),
        cached_tokens=_sum(usages, "cached_tokens"),
        completion_tokens=_sum(usages, "completion_tokens"),
        valid=len(legal),
        steps=sum(len(plans[key]) for key in legal),
    )


def _heard(agent: int, steps: tuple[Action, ...]) -> None:
    """Listen to plans, so that the executor notes the time at which the first one closes."""


def _sizes(kind: Kind, agents: int) -> tuple[int | None, int | None]:
    """Return the agents per call and the calls at once; None leaves it to the executor, as in a run."""
    match kind:
        case Kind.SINGLES:
            return 1, 1
        case Kind.GIANT:
            return agents, 1
        case Kind.LOW_LATENCY:
            return LOW_LATENCY
        case _:
            return None, None


async def _warm(client: LlmClient, standing: tuple[str, str], calls: int) -> None:
    """Put the beginnings of both messages into the cache of `calls` slots; a failing server shows when it is timed."""
    messages = Message("system", standing[0]), Message("user", standing[1])

    async def one() -> None:
        with suppress(ClientError):
            async with reading(client.stream(LlmRequest(messages, tokens_max=1))) as stream:
                async for _ in stream:
                    pass

    await asyncio.gather(*(one() for _ in range(calls)))


def _legal(
    batch: ObservationBatch[Any], plans: dict[int, tuple[EncodedStep, ...]], registry: ToolRegistry
) -> list[int]:
    """Return the agents whose plan is complete and legal."""
    asked = PlanBatch.from_encoded(batch.keys, [plans.get(key) for key in batch.keys.tolist()])
    verdict = refusals(batch, asked, registry)
    return [int(key) for key in batch.keys[np.flatnonzero(verdict == Refusal.ACCEPTED.value)]]


def _sum(usages: Sequence[dict[str, int] | None], name: str) -> int | None:
    """Return the sum of the server's counts, or None if one call has none."""
    counts = [None if usage is None else usage.get(name) for usage in usages]
    return None if None in counts else sum(count for count in counts if count is not None)
