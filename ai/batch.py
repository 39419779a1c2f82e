"""One batch for a model tier: cut into shards, several in flight, each plan kept or refused on its own.

Agents are in key order and shards are contiguous, so a batch has one cut for a given k. Each shard is one call of the
client, read by its own task through its encoding's scanner; every plan is parsed as it closes. Results are merged by
agent, never by arrival.

The deadline is cooperative. A reader looks at the clock between chunks; at the deadline the executor stops waiting, and
a reader that still hangs in the network closes its stream at its next chunk or read timeout, because cancelling a read
inside an HTTP client leaks its connection. Late readers are kept referenced until they end; `aclose` waits for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import ActionStep, ToolRegistry
from ai.clients.base import LlmChunk, LlmClient, LlmRequest, Message
from ai.encodings import NAMED
from ai.encodings.base import Encoding, Scanner
from ai.errors import ClientError, ContractError, ParseError
from ai.parse import SlotText
from ai.plan import LlmUsage, Outcome
from ai.planners.base import OnPlan
from ai.prompt import PROMPT_VERSION, build_prompt, slots_of
from ai.snapshot import AgentId, SnapshotBatch

SHARD_SIZE: Final = 8
"""Agents in one model call."""
IN_FLIGHT: Final = 4
"""Model calls running at once."""
TOKENS_MAX: Final = 4096
"""Reply tokens that one call may ask for."""
SILENCE_S: Final = 60.0
"""Longest silence between two chunks where no deadline is nearer, seconds."""
DRAIN_S: Final = 5.0
"""How long `aclose` waits for late readers before it cancels them, seconds."""

_SILENCE_MIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What a tier asks for: the agents, the verbs it offers, and how it asks. Slots follow the batch's key order."""

    batch: SnapshotBatch
    registry: ToolRegistry
    tier: str
    examples: bool = False
    seed: int = 0
    encoding: Encoding = NAMED


@dataclass(slots=True)
class BatchResponse:
    """What came back, in key order.

    `outcome [n] int8` holds an `Outcome` for each agent asked; `plans` has the steps of those that are `OK`, `texts`
    the raw text of every plan that closed, `errors` a reason for each agent without a plan. `shards` says how the batch
    was cut and how each call ended. `usage.errors` counts agents by outcome.
    """

    plans: dict[int, tuple[ActionStep, ...]]
    outcome: NDArray[np.int8]
    errors: dict[int, str]
    texts: dict[int, str]
    shards: list[dict[str, Any]]
    usage: LlmUsage


@dataclass(slots=True, eq=False)
class _Shard:
    """One call and what it has given so far. Once `stopped`, its reader may write nothing more."""

    batch: SnapshotBatch
    slots: dict[str, int]
    scanner: Scanner
    plans: dict[int, tuple[ActionStep, ...]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    invalid: dict[int, str] = field(default_factory=dict)
    called: bool = False
    stopped: bool = False
    timed_out: bool = False
    finish: str | None = None
    usage: dict[str, int] | None = None
    failure: tuple[Outcome, str] | None = None


class BatchInferenceExecutor:
    """Runs batches against a client: shards of `shard_size` agents, at most `in_flight` calls at once.

    Raises:
        ContractError: a size is not positive.
    """

    def __init__(self, shard_size: int = SHARD_SIZE, in_flight: int = IN_FLIGHT) -> None:
        if shard_size < 1 or in_flight < 1:
            raise ContractError(f"shard_size and in_flight must be at least 1, not {shard_size} and {in_flight}")
        self.shard_size = shard_size
        self.in_flight = in_flight
        self._late: set[asyncio.Task[None]] = set()

    async def execute(
        self,
        client: LlmClient,
        request: BatchRequest,
        *,
        on_plan: OnPlan | None = None,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> BatchResponse:
        """Ask the client for every agent's plan and return what there is when all shards ended or `deadline` came.

        `deadline` is a reading of `clock`, in seconds. `on_plan` is called as each plan closes, in order of arrival.

        Raises:
            ContractError: the client broke its contract.
        """
        run = _Run(client, request, asyncio.Semaphore(self.in_flight), on_plan, deadline, clock)
        shards = self._shards(request)
        readers = [asyncio.create_task(_read(run, shard)) for shard in shards]
        try:
            if readers:
                await asyncio.wait(readers, timeout=run.left_s(), return_when=asyncio.FIRST_EXCEPTION)
            faults = [fault for reader in readers if reader.done() and (fault := reader.exception()) is not None]
            if faults:
                raise faults[0]
        finally:
            for shard, reader in zip(shards, readers, strict=True):
                shard.stopped = True
                if not reader.done():
                    shard.timed_out = True
                    self._late.add(reader)
                    reader.add_done_callback(self._forget)
        return _merge(request, shards)

    async def aclose(self) -> None:
        """Wait for readers that were still in the network at their deadline; cancel those that do not end."""
        if self._late:
            await asyncio.wait(self._late, timeout=DRAIN_S)
        for reader in list(self._late):
            reader.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def _forget(self, reader: asyncio.Task[None]) -> None:
        self._late.discard(reader)
        if not reader.cancelled():
            reader.exception()  # a late reader has nobody left to report to

    def _shards(self, request: BatchRequest) -> list[_Shard]:
        shards = []
        for start in range(0, len(request.batch), self.shard_size):
            part = request.batch.take(slice(start, start + self.shard_size))
            slots = slots_of(part)
            shards.append(_Shard(part, slots, request.encoding.scanner(slots)))
        return shards


@dataclass(frozen=True, slots=True)
class _Run:
    """What the readers of one `execute` share."""

    client: LlmClient
    request: BatchRequest
    gate: asyncio.Semaphore
    on_plan: OnPlan | None
    deadline: float | None
    clock: Callable[[], float]

    def left_s(self) -> float | None:
        return None if self.deadline is None else max(self.deadline - self.clock(), 0.0)

    def late(self, shard: _Shard) -> bool:
        """Say whether the shard's time is over, and stop it if so."""
        if not shard.stopped and self.left_s() == 0:
            shard.stopped = shard.timed_out = True
        return shard.stopped

    def call(self, shard: _Shard) -> LlmRequest:
        """Return the shard's model call; made when its turn comes, so that a late one costs nothing."""
        prompt = build_prompt(
            shard.batch, self.request.registry, encoding=self.request.encoding, examples=self.request.examples
        )
        left = self.left_s()
        return LlmRequest(
            messages=(Message("system", prompt.system), Message("user", prompt.user)),
            schema=prompt.schema,
            grammar=prompt.grammar,
            encoding=self.request.encoding.name,
            tokens_max=min(prompt.tokens, TOKENS_MAX),
            seed=self.request.seed,
            tier=self.request.tier,
            slots=shard.slots,
            timeout_s=SILENCE_S if left is None else min(max(left, _SILENCE_MIN_S), SILENCE_S),
        )

    def take(self, shard: _Shard, chunk: LlmChunk) -> None:
        """Add one chunk to the shard and keep the plans that closed in it."""
        shard.finish = chunk.finish or shard.finish
        shard.usage = dict(chunk.usage) if chunk.usage is not None else shard.usage
        self.closed(shard, shard.scanner.feed(chunk.text))

    def closed(self, shard: _Shard, slots: list[SlotText]) -> None:
        """Read the plans that have closed."""
        for slot in slots:
            shard.texts[slot.agent] = slot.text
            try:
                steps = self.request.encoding.parse(slot.text, self.request.registry)
            except ParseError as error:
                shard.invalid[slot.agent] = str(error)
            else:
                self.keep(shard, slot.agent, steps)

    def keep(self, shard: _Shard, agent: int, steps: tuple[ActionStep, ...]) -> None:
        """Keep one parsed plan and tell whoever listens."""
        shard.plans[agent] = steps
        if self.on_plan is not None:
            self.on_plan(AgentId(agent), steps)

    def finish(self, shard: _Shard) -> None:
        """Say why agents are still without a plan, and read a whole reply that has no slots or ids at all."""
        self.closed(shard, shard.scanner.close())
        if shard.failure is not None:
            return
        if shard.scanner.cut is not None:
            shard.failure = Outcome.CUT, shard.scanner.cut
        elif shard.finish == "length":
            shard.failure = Outcome.CUT, "the reply was cut off at its token limit"
        elif shard.finish != "stop":
            shard.failure = Outcome.CUT, f"the reply ended with {shard.finish!r} instead of 'stop'"
        elif not shard.texts:
            try:
                reply = self.request.encoding.read(shard.scanner.text, shard.slots, self.request.registry)
            except ParseError:
                return  # nothing to read: every plan is missing, as each would be in a shard of its own
            shard.texts, shard.invalid = reply.texts, reply.errors
            for agent, steps in reply.plans.items():
                self.keep(shard, agent, steps)


async def _read(run: _Run, shard: _Shard) -> None:
    """Read one shard's reply into it, until the reply ends, the scan is cut, or the deadline has passed."""
    async with run.gate:
        if run.late(shard):
            return
        shard.called = True
        stream = run.client.stream(run.call(shard))
        try:
            async for chunk in stream:
                if run.late(shard):
                    return
                run.take(shard, chunk)
                if shard.scanner.cut is not None:
                    break
        except ClientError as error:
            shard.failure = Outcome.of(error.outcome), str(error)
        finally:
            await _close(stream)
    if not shard.stopped:
        run.finish(shard)


async def _close(stream: AsyncIterator[LlmChunk]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


def _merge(request: BatchRequest, shards: list[_Shard]) -> BatchResponse:
    """Put the shards together by agent, in key order."""
    response = BatchResponse({}, np.zeros(len(request.batch), np.int8), {}, {}, [], LlmUsage())
    row = 0
    for shard in shards:
        for key in map(int, shard.batch.keys):
            outcome, error = _verdict(shard, key)
            response.outcome[row] = outcome
            row += 1
            if key in shard.texts:
                response.texts[key] = shard.texts[key]
            if outcome is Outcome.OK:
                response.plans[key] = shard.plans[key]
            else:
                response.errors[key] = error
                response.usage.errors[outcome.label] = response.usage.errors.get(outcome.label, 0) + 1
        response.shards.append(_record(request, shard))
        if shard.called:
            usage = shard.usage or {}
            response.usage.add(
                LlmUsage(1, len(shard.batch), usage.get("prompt_tokens"), usage.get("completion_tokens"))
            )
    return response


def _verdict(shard: _Shard, key: int) -> tuple[Outcome, str]:
    if key in shard.plans:
        return Outcome.OK, ""
    if key in shard.invalid:
        return Outcome.INVALID, shard.invalid[key]
    if shard.timed_out:
        return Outcome.TIMEOUT, "the deadline passed before this plan was complete"
    return shard.failure or (Outcome.MISSING, "the reply holds no plan for this agent")


def _record(request: BatchRequest, shard: _Shard) -> dict[str, Any]:
    """Return what a replay keeps of one call; nothing in it is a duration."""
    if shard.timed_out:
        finish = Outcome.TIMEOUT.label
    elif shard.failure is not None and shard.finish is None:
        finish = shard.failure[0].label
    else:
        finish = shard.finish or Outcome.CUT.label
    record: dict[str, Any] = {
        "tier": request.tier,
        "agents": [int(shard.batch.keys[0]), int(shard.batch.keys[-1])],
        "k": len(shard.batch),
        "finish": finish,
        "prompt_version": PROMPT_VERSION,
        "encoding": request.encoding.name,
        "usage": shard.usage,
    }
    if shard.scanner.duplicates:
        record["duplicates"] = sorted(shard.scanner.duplicates)
    if shard.scanner.unknown:
        record["unknown"] = shard.scanner.unknown
    return record
