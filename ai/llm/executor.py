"""One batch for a model tier: cut into shards, several in flight, each plan kept or refused on its own.

Agents are in key order and shards are contiguous. Each shard is one call of the client, read by its own task through
its encoding's scanner; every plan is parsed as it closes. Results are merged by agent, never by arrival. How many
agents a call has and how many calls run at once is decided in `ai.llm.sharding`.

The deadline is cooperative. A reader looks at the clock between chunks; at the deadline the executor stops waiting, and
a reader that still hangs in the network closes its stream at its next chunk or read timeout, because cancelling a read
inside an HTTP client leaks its connection. Until then it holds its place among the calls in flight: the server is still
busy with it. Late readers are kept referenced until they end; `aclose` waits for them.

Clients and listeners may be foreign code. An exception of a client ends its call with an outcome that names it, and
one of a listener is logged; numbers that a client reports are checked before they are counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai.actions import EncodedStep, ToolRegistry
from ai.errors import ClientError, ContractError, ParseError
from ai.llm.context_window import TOKENS_MAX, calls, fits, max_agents
from ai.llm.encodings import NAMED
from ai.llm.encodings.base import Encoding
from ai.llm.parse import ReplyScanner, SlotText, find_plans
from ai.llm.prompt import Detail, PromptRequest, slots_of
from ai.llm.sharding import CallSignal, Gate, Prefer, ShardSizes
from ai.llm_types import (
    SILENCE_MIN_S,
    Endpoint,
    LlmChunk,
    LlmClient,
    LlmRequest,
    Message,
    count_of,
    milliseconds_of,
    reading,
)
from ai.observation import ObservationBatch
from ai.planners.base import Asking, Deadline, OnPlan, PlanCall, Planner
from ai.plans import LlmUsage, Outcome
from ai.telemetry import shard_span

SILENCE_S: Final = 60.0
"""Longest silence between two chunks where no deadline is nearer, seconds."""
DRAIN_S: Final = 5.0
"""How long `aclose` waits for late readers before it cancels them, seconds."""
FINISH_CHARS_MAX: Final = 40
"""Characters that are kept of the word with which a reply ended."""
ERROR_CHARS_MAX: Final = 200
"""Characters that are kept of an error that a foreign client raised."""

logger = logging.getLogger(f"tickweave.{__name__}")


class CallBegun(NamedTuple):
    """One call goes out: its tier, and the agents that it asks for, ascending."""

    tier: str
    agents: tuple[int, ...]


class CallEnd(NamedTuple):
    """How one call ended: its record, the agents whose plans it gave, and seconds until its first chunk and its end.

    Both times are None for a call that was never made.
    """

    record: Mapping[str, Any]
    planned: tuple[int, ...]
    first_s: float | None
    total_s: float | None


OnCall = Callable[[CallBegun | CallEnd], None]
"""Called as each call of a model begins and ends, from the client's thread; for progress, never for state."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """The request of a tier: the agents, the verbs it offers, and how it asks. Slots follow the batch's key order.

    `reasons` says, by agent, why its last plan was not taken, when it is asked again. `rules` are asked for the reply
    of a stand-in that wants theirs.
    """

    batch: ObservationBatch[Any]
    registry: ToolRegistry
    tier: str
    detail: Detail = Detail.COMPACT
    seed: int = 0
    encoding: Encoding = NAMED
    reasons: Mapping[int, str] = field(default_factory=dict)
    rules: Planner | None = None


@dataclass(slots=True)
class BatchResponse:
    """The plans and errors that came back, in key order.

    Attributes:
        plans: the steps, as integers, of the agents whose outcome is `OK`.
        outcome: `[n] int8`, an `Outcome` for each agent asked.
        errors: a reason for each agent without a plan.
        texts: the raw text of every plan that closed, by agent.
        shards: how the batch was cut and how each call ended.
        usage: the usage of the calls; its `errors` count agents by outcome.
        first_plan_s: seconds from the start of the batch until its first good plan was read, None if there was none.
    """

    plans: dict[int, tuple[EncodedStep, ...]]
    outcome: NDArray[np.int8]
    errors: dict[int, str]
    texts: dict[int, str]
    shards: list[dict[str, Any]]
    usage: LlmUsage
    first_plan_s: float | None = None


@dataclass(slots=True, eq=False)
class _Shard:
    """One call and its results so far. Once `stopped`, its reader may write nothing more."""

    asked: PromptRequest
    slots: dict[str, int]
    scanner: ReplyScanner
    plans: dict[int, tuple[EncodedStep, ...]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    invalid: dict[int, str] = field(default_factory=dict)
    called: bool = False
    stopped: bool = False
    timed_out: bool = False
    finish: str | None = None
    usage: dict[str, int] | None = None
    failure: tuple[Outcome, str] | None = None
    context: int | None = None
    begun: float = 0.0
    first_s: float | None = None
    ended: float = 0.0
    queue_ms: float | None = None
    unconstrained: bool = False
    reported: bool = False

    @property
    def keys(self) -> list[int]:
        return self.asked.keys

    @property
    def cut(self) -> bool:
        """Whether the reply, or the room for it, was too short."""
        return self.finish == "length" or self.context is not None or (self.failure or (None,))[0] is Outcome.CUT

    def restart(self) -> None:
        """Forget the text that was read: it was a thought, not an answer."""
        self.scanner = self.asked.encoding.scanner(self.slots)
        for found in (self.plans, self.texts, self.invalid):
            found.clear()

    def signal(self) -> CallSignal | None:
        """Return the evidence of the call about its size, None where it did not come to its own end."""
        if not self.called or self.timed_out or (self.failure is not None and not self.cut):
            return None
        # Only the server knows: any other wait of a call may be for our own calls of another round.
        queue_s = None if self.queue_ms is None else self.queue_ms / 1000
        return CallSignal(len(self.keys), len(self.plans), self.cut, queue_s, self.ended - self.begun)


class Signals(NamedTuple):
    """The evidence of the calls of one batch about the sizes of later ones."""

    tier: str
    calls: Sequence[CallSignal]
    contexts: Sequence[int]


class BatchInferenceExecutor:
    """Runs batches against one endpoint and model: shards of k agents, at most m calls at once.

    One executor may serve several tiers and batches at the same time: calls in flight are counted over all of them.

    Args:
        shard_size: pins k; where it is None, k follows the server (`sizes`).
        in_flight: pins m likewise.
        prefer: the aim by which batches are cut.

    Raises:
        ContractError: a size is not positive.
    """

    def __init__(
        self,
        shard_size: int | None = None,
        in_flight: int | None = None,
        *,
        prefer: Prefer = "balanced",
    ) -> None:
        self.sizes = ShardSizes(shard_size, in_flight, prefer)
        self._gate = Gate(self.sizes.m)
        self._late: set[asyncio.Task[None]] = set()

    async def execute(
        self,
        client: LlmClient,
        request: BatchRequest,
        *,
        on_plan: OnPlan | None = None,
        clock: Callable[[], float] = time.monotonic,
        asking: Asking | None = None,
    ) -> BatchResponse:
        """Ask the client for every agent's plan and return the results when all shards ended or the deadline came.

        The deadline in `asking` is a reading of `clock`, in seconds. `on_plan` is called as each plan closes, in order
        of arrival.
        """
        asking = Asking() if asking is None else asking
        run = _Run(client, request, self._gate, on_plan, asking.on_call, asking.deadline, clock, clock())
        shards = self._shards(client, request, asking.together)
        readers = [asyncio.create_task(_read(run, shard)) for shard in shards]
        try:
            await asking.deadline.wait(readers, clock)
            faults = [fault for reader in readers if reader.done() and (fault := reader.exception()) is not None]
            if faults:
                raise faults[0]
        finally:
            for shard, reader in zip(shards, readers, strict=True):
                shard.stopped = True
                if not reader.done():
                    shard.timed_out = True
                    if shard.called:
                        shard.ended = clock()
                        run.report(shard)
                    logger.info("%s: a call was left behind at the deadline", request.tier)
                    self._leave_behind(shard, reader)
        signals = _signals(request, shards)
        if asking.signals is None:
            self.settle([signals])
        else:
            asking.signals.append(signals)
        return _merge(run, shards)

    async def aclose(self) -> None:
        """Wait for readers that were still in the network at their deadline; cancel those that do not end."""
        if self._late:
            await asyncio.wait(self._late, timeout=DRAIN_S)
        for reader in list(self._late):
            reader.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def _leave_behind(self, shard: _Shard, reader: asyncio.Task[None]) -> None:
        self._late.add(reader)
        reader.add_done_callback(self._forget)
        if not shard.called:
            reader.cancel()  # it waits for its turn and has nothing open

    def settle(self, signals: Sequence[Signals]) -> None:
        """Adapt the sizes to the evidence of calls."""
        for each in signals:
            for context in each.contexts:
                self.sizes.learn(context=context)
            self.sizes.observe(each.tier, each.calls)
        self._gate.resize(self.sizes.m)

    def _forget(self, reader: asyncio.Task[None]) -> None:
        self._late.discard(reader)
        if not reader.cancelled():
            reader.exception()  # a late reader has no caller left to report to

    def _shards(self, client: LlmClient, request: BatchRequest, together: int) -> list[_Shard]:
        if not len(request.batch):
            return []
        endpoint: Endpoint | None = getattr(client, "endpoint", None)
        if endpoint is not None:
            self.sizes.learn(slots=endpoint.slots, context=endpoint.context)
            self._gate.resize(self.sizes.m)
        whole = PromptRequest(request.batch, request.registry, request.encoding, request.detail, request.reasons)
        able = np.array([bool(own) for own in whole.offers.each], np.bool_)
        if not able.all():
            # A schema or grammar without any verb would spoil the call for the others.
            shards = [_failed(whole.take(np.flatnonzero(~able)), "none of the verbs offered is possible for it")]
            return shards + (
                self._cut_to_fit(whole.take(np.flatnonzero(able)), request.tier, together) if able.any() else []
            )
        return self._cut_to_fit(whole, request.tier, together)

    def _cut_to_fit(self, whole: PromptRequest, tier: str, together: int) -> list[_Shard]:
        """Cut a batch into calls that fit; one for an agent whose prompt does not fit has failed already."""
        context = self.sizes.context
        parts = self._cut(whole, tier, None, together)
        if context is None or all(fits(part, context) for part in parts):
            return [_shard(part) for part in parts]
        parts = [call for part in self._cut(whole, tier, context, together) for call in calls(part, context)]
        reason = f"its prompt does not fit into the {context:,} tokens of a call"
        return [_shard(part) if fits(part, context) else _failed(part, reason) for part in parts]

    def _cut(self, whole: PromptRequest, tier: str, context: int | None, together: int) -> list[PromptRequest]:
        """Cut a batch into calls that have about as many agents as there is room for in the context, None for any."""
        room, free = max_agents(whole, context), self._gate.free
        return [whole.take(rows) for rows in self.sizes.cut(tier, whole.batch, room, together=together, free=free)]


def _signals(request: BatchRequest, shards: Sequence[_Shard]) -> Signals:
    """Return the evidence of a batch's calls; agents asked again are the hard ones and show nothing."""
    calls = [signal for shard in shards if (signal := shard.signal()) is not None] if not request.reasons else []
    return Signals(request.tier, calls, [shard.context for shard in shards if shard.context is not None])


def _shard(asked: PromptRequest) -> _Shard:
    slots = slots_of(asked.keys)
    return _Shard(asked, slots, asked.encoding.scanner(slots))


def _failed(asked: PromptRequest, reason: str) -> _Shard:
    """Return a call that is never made."""
    shard = _shard(asked)
    shard.failure = Outcome.REFUSED, reason
    return shard


@dataclass(slots=True)
class _Run:
    """The common state of the readers of one `execute`."""

    client: LlmClient
    request: BatchRequest
    gate: Gate
    on_plan: OnPlan | None
    on_call: OnCall | None
    deadline: Deadline
    clock: Callable[[], float]
    begun: float
    first_plan_s: float | None = None

    def left_s(self) -> float | None:
        return None if self.deadline.at is None else max(self.deadline.at - self.clock(), 0.0)

    def late(self, shard: _Shard) -> bool:
        """Return whether the shard's time is over, and stop it if so."""
        if not shard.stopped and self.left_s() == 0:
            shard.stopped = shard.timed_out = True
        return shard.stopped

    async def call(self, shard: _Shard) -> LlmRequest:
        """Return the shard's model call; made when its turn comes, so that a late one costs nothing."""
        prompt = shard.asked.prompt()
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
            timeout_s=SILENCE_S if left is None else min(max(left, SILENCE_MIN_S), SILENCE_S),
            left_s=left,
            by_rules=await self._by_rules(shard.asked),
        )

    async def _by_rules(self, asked: PromptRequest) -> str | None:
        """Return the reply of the rules, for a stand-in; agents that they leave out do nothing."""
        endpoint, rules = getattr(self.client, "endpoint", None), self.request.rules
        if rules is None or endpoint is None or not endpoint.wants_rules:
            return None
        given = await rules.plan(asked.batch, asked.registry, PlanCall(None, self.clock, begun=self.begun))
        every = asked.registry.whole
        plans = [given.plans.steps(row, every) or (every.idle,) for row in range(len(asked.keys))]
        texts = (asked.encoding.write(plan, every) for plan in plans)
        return asked.encoding.frame(dict(zip(slots_of(asked.keys), texts, strict=True)))

    def take(self, shard: _Shard, chunk: LlmChunk) -> None:
        """Add one chunk to the shard and keep the plans that closed in it."""
        if chunk.voids:
            shard.restart()
        shard.finish = str(chunk.finish)[:FINISH_CHARS_MAX] if chunk.finish else shard.finish
        shard.usage = _counts(chunk.usage) if chunk.usage is not None else shard.usage
        shard.unconstrained |= chunk.unconstrained
        if shard.first_s is None:
            shard.first_s = self.clock() - shard.begun
        if chunk.timings is not None:
            told = milliseconds_of(chunk.timings.get("queue_ms"))
            shard.queue_ms = shard.queue_ms if told is None else told
        self.closed(shard, shard.scanner.feed(chunk.text))

    def closed(self, shard: _Shard, slots: list[SlotText]) -> None:
        """Read the plans that have closed, keep those that can be read, and report them."""
        encoding, registry = self.request.encoding, shard.asked.registry
        for slot in slots:
            shard.texts[slot.agent] = slot.text
            try:
                steps = encoding.parse(slot.text, registry)
            except ParseError as error:
                shard.invalid[slot.agent] = str(error)
                continue
            shard.plans[slot.agent] = tuple(map(registry.encode, steps))
            if self.first_plan_s is None:
                self.first_plan_s = self.clock() - self.begun
            if self.on_plan is not None:
                try:
                    self.on_plan(slot.agent, steps)
                except (Exception, SystemExit):
                    logger.warning("the listener %r raised; the run continues", self.on_plan, exc_info=True)

    def finish(self, shard: _Shard) -> None:
        """Note why agents are still without a plan, and read a whole reply that has no slots or ids at all."""
        self.closed(shard, shard.scanner.close(whole=shard.failure is None and shard.finish == "stop"))
        if shard.failure is not None:
            return
        if shard.scanner.cut is not None:
            shard.failure = Outcome.CUT, shard.scanner.cut
        elif shard.finish == "length":
            shard.failure = Outcome.CUT, "the reply was cut off at its token limit"
        elif shard.finish != "stop":
            shard.failure = Outcome.CUT, f"the reply ended with {shard.finish!r} instead of 'stop'"
        elif not shard.texts:
            # Where nothing can be read either, every plan is missing, as each would be in a shard of its own.
            with suppress(ParseError):
                self.closed(shard, find_plans(shard.scanner.text, shard.slots))

    def begin(self, shard: _Shard) -> None:
        """Note that a call goes out."""
        shard.called, shard.begun = True, self.clock()
        self._tell(CallBegun(self.request.tier, tuple(shard.keys)))

    def report(self, shard: _Shard) -> None:
        """Tell the listener that a call has ended, once."""
        if shard.reported or self.on_call is None:
            return
        shard.reported = True
        total_s = shard.ended - shard.begun if shard.called else None
        self._tell(CallEnd(_record(self.request, shard), tuple(shard.plans), shard.first_s, total_s))

    def _tell(self, event: CallBegun | CallEnd) -> None:
        if self.on_call is None:
            return
        try:
            self.on_call(event)
        except (Exception, SystemExit):
            logger.warning("the listener %r raised; the run continues", self.on_call, exc_info=True)


async def _read(run: _Run, shard: _Shard) -> None:
    """Read one shard's reply into it, until the reply ends, the scan is cut, or the deadline has passed."""
    if shard.failure is not None:
        return
    with shard_span(run.request.tier, len(shard.keys)) as outcome:
        await _call(run, shard)
        outcome.update(plans=len(shard.plans), finish=_finish(shard))


async def _call(run: _Run, shard: _Shard) -> None:
    """Make the shard's call when its turn comes."""
    async with run.gate:
        if run.late(shard):
            return
        run.begin(shard)
        try:
            async with reading(run.client.stream(await run.call(shard))) as stream:
                async for chunk in stream:
                    if run.late(shard):
                        break
                    run.take(shard, chunk)
                    if shard.scanner.cut is not None:
                        break
        except ClientError as error:
            shard.called = error.sent
            shard.context = error.context
            shard.failure = _outcome_of(error), str(error)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # no caller waits for this reader any more
            said = f"the client {getattr(run.client, 'label', run.client)!s} raised {type(error).__name__}: {error}"
            shard.failure = Outcome.TRANSPORT, said[:ERROR_CHARS_MAX]
            logger.warning("%s", said[:ERROR_CHARS_MAX], exc_info=True)
        shard.ended = run.clock()
    if not shard.stopped:
        run.finish(shard)
        logger.info("%s", _told(run, shard))
    run.report(shard)


def _told(run: _Run, shard: _Shard) -> str:
    """Return how a call ended, for a log."""
    keys, usage = shard.keys, shard.usage or {}
    asked = f"agent {keys[0]}" if len(keys) == 1 else f"{len(keys)} agents from {keys[0]} to {keys[-1]}"
    if not shard.called:
        return f"{run.request.tier}: no call for {asked}: {(shard.failure or (None, ''))[1]}"
    first = "" if shard.first_s is None else f", the first word after {shard.first_s:.2f} s"
    tokens = f"{usage.get('prompt_tokens', '?')} tokens read, {usage.get('completion_tokens', '?')} written"
    end = shard.finish or "failed" if shard.failure is None else shard.failure[1]
    return (
        f"{run.request.tier}: a call for {asked} gave {len(shard.plans)} plans in {shard.ended - shard.begun:.2f} s"
        f"{first}: {tokens}; {end}"
    )


def _outcome_of(error: ClientError) -> Outcome:
    if error.context is not None:
        return Outcome.CUT
    try:
        outcome = Outcome.of(error.outcome)
    except ContractError:
        return Outcome.TRANSPORT  # a word of a foreign client's own
    return Outcome.TRANSPORT if outcome is Outcome.OK else outcome


def _counts(usage: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of a reply that can be believed."""
    return {str(name): n for name, n in usage.items() if count_of(n) is not None}


def _merge(run: _Run, shards: list[_Shard]) -> BatchResponse:
    """Put the shards together by agent, in key order."""
    request = run.request
    response = BatchResponse({}, np.zeros(len(request.batch), np.int8), {}, {}, [], LlmUsage(), run.first_plan_s)
    rows = {key: row for row, key in enumerate(request.batch.keys.tolist())}
    for shard in shards:
        for key in shard.keys:
            outcome, error = _verdict(shard, key)
            response.outcome[rows[key]] = outcome
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
            response.usage.add(LlmUsage(1, len(shard.keys), usage.get("prompt_tokens"), usage.get("completion_tokens")))
    response.errors = dict(sorted(response.errors.items()))
    return response


def _verdict(shard: _Shard, key: int) -> tuple[Outcome, str]:
    if key in shard.plans:
        return Outcome.OK, ""
    if key in shard.invalid:
        return Outcome.INVALID, shard.invalid[key]
    if shard.timed_out:
        return Outcome.TIMEOUT, "the deadline passed before this plan was complete"
    return shard.failure or (Outcome.MISSING, "the reply holds no plan for this agent")


def _finish(shard: _Shard) -> str:
    """Return how a call ended: the server's word, or the outcome of one that came to none."""
    if shard.timed_out:
        return Outcome.TIMEOUT.label
    if shard.failure is not None and shard.finish is None:
        return shard.failure[0].label
    return shard.finish or Outcome.CUT.label


def _record(request: BatchRequest, shard: _Shard) -> dict[str, Any]:
    """Return the record of one call in a replay; nothing in it is a duration."""
    record: dict[str, Any] = {
        "tier": request.tier,
        "agents": [shard.keys[0], shard.keys[-1]],
        "k": len(shard.keys),
        "finish": _finish(shard),
        "prompt_version": shard.asked.version,
        "encoding": request.encoding.name,
        "usage": shard.usage,
    }
    if not shard.called:
        record["unsent"] = True
    if request.reasons:
        record["again"] = True
    if shard.asked.left_out:
        record["left_out"] = shard.asked.left_out
    if shard.unconstrained:
        record["unconstrained"] = True
    if shard.scanner.duplicates:
        record["duplicates"] = sorted(shard.scanner.duplicates)
    if shard.scanner.unknown:
        record["unknown"] = shard.scanner.unknown
    return record
