"""Test tools for authors of planners and clients: checkers that name the error, and clients that need no server.

Nothing here needs a test framework: a checker raises `AssertionError` with one sentence.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import numpy as np

from ai.actions import Action, ArgSpec, Kind, ListShape, RecordShape, Shape, TextShape, ToolRegistry, ToolSpec, nested
from ai.brought import packed
from ai.errors import ParseError, PlannerError
from ai.guard import NondeterminismError, watched
from ai.interpreters import interpreter
from ai.legality import refusals
from ai.llm.encodings import NAMED, encoding_of
from ai.llm_types import LlmChunk, LlmClient, LlmRequest, Message, reading
from ai.observation import AgentId, Observation, ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.plans import Outcome, PlanBatch, Refusal
from ai.samples import sample_observations

CHUNKS: Final = 3
"""Pieces that the clients here stream a reply in."""
TOKEN_CHARS_MAX: Final = 64
"""Characters that one token has at most, for judging whether a reply keeps to its limit."""
CELLS_SIDE: Final = 8
"""The cells along each side of a space for sample steps, unless it is known."""
CELL_STEP: Final = 7919
"""The cells from one sample to the next; a prime number, so that samples spread over the whole space."""
HASH_SEEDS: Final = ("0", "1", "4242")
"""Of other processes: a set of few members often has the same order under two of them."""
LOOP_TURNS: Final = 10
"""Turns of the event loop that a closed client has for ending its tasks."""


async def _stream(text: str, request: LlmRequest) -> AsyncIterator[LlmChunk]:
    """Yield a text in pieces; the counts stand in for those that a server would report, four characters a token."""
    size = -(-len(text) // CHUNKS)
    for start in range(0, len(text), size):
        yield LlmChunk(text[start : start + size])
    asked = sum(len(message.content) for message in request.messages)
    yield LlmChunk(finish="stop", usage={"prompt_tokens": asked // 4, "completion_tokens": len(text) // 4})


class Known(NamedTuple):
    """The things that a step of one agent may name: ids by their sources, and the sides of spaces by name.

    Ids of other sources need not exist; other spaces are small.
    """

    ids: Mapping[tuple[str, ...], Sequence[int]] = {}
    sides: Mapping[str, tuple[int, int]] = {}


def sample_step(registry: ToolRegistry, spec: ToolSpec, number: int = 0, known: Known | None = None) -> Action | None:
    """Return a step of a verb; its arguments follow from `number` and stay in their ranges.

    Args:
        registry: the registry that offers the verb.
        spec: the verb.
        number: which step.
        known: the things that the agent may name. Without it only verbs that need neither a target nor a cell have
            steps.

    Returns:
        The step; None if the verb needs a target or cell that is not to be had, or the values break a rule of its own.
    """
    fields: dict[str, Any] = {}
    for arg in spec.args:
        if not (arg.required or arg.kind in _FREE or known is not None):
            continue
        fields[arg.name] = _sample_value(arg, number, known)
        if fields[arg.name] is None:
            return None
    for field in spec.payload:
        fields[field.name] = _sample_value(field.shape, number, known)
        if fields[field.name] is None:
            return None
    try:
        return registry.parse_step(nested({"act": spec.name, **fields}))
    except ParseError:
        return None  # a verb with a rule of its own that the sample values do not meet


_FREE: Final = (Kind.NUMBER, Kind.CHOICE, Kind.NAME)
"""Kinds of arguments that need nothing that an agent knows."""


def _sample_value(shape: Shape, number: int, known: Known | None) -> Any:
    """Return a value, None where there is none."""
    match shape:
        case TextShape():
            return "why"[: shape.chars_max].ljust(shape.chars_min, ".")
        case ListShape():
            item = _sample_value(shape.item, number, known)
            return None if item is None else [item] * max(shape.low, 1)
        case RecordShape():
            values = {field.name: _sample_value(field.shape, number, known) for field in shape.fields if field.required}
            return None if None in values.values() else values
        case ArgSpec():
            return _sample_argument(shape, number, known)


def _sample_argument(arg: ArgSpec, number: int, known: Known | None) -> Any:
    if known is None:
        if arg.kind not in _FREE:
            return None
    elif arg.kind is Kind.TARGET:
        ids = known.ids.get(arg.sources, ())
        return ids[number % len(ids)] if ids else number
    elif arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
        width, height = known.sides.get(arg.sources[0], (CELLS_SIDE, CELLS_SIDE))
        y, x = divmod(number * CELL_STEP % (width * height), width)
        return {"x": x, "y": y} if arg.kind is Kind.CELL else x if arg.kind is Kind.CELL_X else y
    if arg.choices:
        return arg.choices[number % len(arg.choices)]
    if arg.kind is not Kind.NUMBER:
        return None
    stored = arg.low + number * arg.scale % (arg.high - arg.low + 1)
    return stored if arg.scale == 1 else stored / arg.scale


class MockBatchLlm:
    """A model that answers every slot of every request with a legal plan of the registry's verbs that needs no target.

    The plan depends on the agent alone, not on its slot, so it is the same however a batch is cut. `calls` counts
    requests. A request for more agents than it was made for gets an error text instead of plans.
    """

    label: str = "mock-batch"

    def __init__(self, agents_max: int, registry: ToolRegistry) -> None:
        self.agents_max = agents_max
        self.registry = registry
        self.calls = 0
        self._served: set[int] = set()

    @classmethod
    def for_agents(cls, n: int, registry: ToolRegistry) -> MockBatchLlm:
        """Return a client that is prepared for `n` different agents, and answers with verbs that a registry offers."""
        return cls(n, registry)

    def steps_for(self, agent: int) -> list[Action]:
        """Return the steps that an agent is answered with: up to two verbs, which ones depends on the agent."""
        known = self.registry.first_tier if len(self.registry.first_tier) else self.registry
        free = [step for spec in known if (step := sample_step(known, spec, agent)) is not None]
        if not free:
            return [self.registry.idle]
        first = agent % len(free)
        return [free[first], free[(first + 1) % len(free)]][: len(free)]

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply in several chunks."""
        self.calls += 1
        self._served |= set(request.slots.values())
        if len(self._served) > self.agents_max:
            reply = f"error: prepared for {self.agents_max} agents, asked for {len(self._served)}"
        else:
            encoding = encoding_of(request.encoding)
            plans = {slot: self.steps_for(agent) for slot, agent in request.slots.items()}
            reply = encoding.frame({slot: encoding.write(plan, self.registry) for slot, plan in plans.items()})
        return _stream(reply, request)


class FailingLlm:
    """A model whose replies are never JSON; `calls` counts requests."""

    label: str = "failing"

    def __init__(self) -> None:
        self.calls = 0

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield a text that holds no plan."""
        self.calls += 1
        return _stream("I cannot answer that { as JSON", request)


def check_planner(
    planner: Planner,
    registry: ToolRegistry,
    asked: type[Observation] | ObservationBatch[Any],
    *,
    client: LlmClient | None = None,
) -> None:
    """Check that a planner keeps the rules of `ai.planners.base`.

    It is asked with `registry`, with one that offers only the idle verb, and with one that offers nothing, for the
    agents of a batch, or for samples of an observation, whole and, where it is deterministic, in parts. A deterministic
    planner that can be pickled is also asked in other processes with other hash seeds, about other situations of the
    same agents first: it may neither learn nor go through sets. `client` defaults to a mock. Call it where no event
    loop runs.

    Raises:
        AssertionError: it broke a rule; the sentence says which and for whom.
    """
    name = getattr(planner, "name", None)
    _ensure(isinstance(name, str) and name != "", f"{planner!r} has no text `name`")
    _ensure(isinstance(planner, Planner), f"planner {name!r} needs `name`, `deterministic` and `async plan(...)`")
    _ensure(isinstance(planner.deterministic, bool), f"planner {name!r}: `deterministic` must be true or false")
    batch = asked
    if not isinstance(batch, ObservationBatch):
        batch = batch.from_objects(sample_observations(batch, registry.tables), tables=registry.tables)
    for tools in (registry, registry.offering([registry.idle.act]), registry.offering(())):
        _check_with(planner, tools, client, batch)
    if planner.deterministic and len(batch) and not getattr(planner, "needs_client", False):
        _check_elsewhere(planner, registry, batch)


def _check_with(
    planner: Planner, registry: ToolRegistry, client: LlmClient | None, batch: ObservationBatch[Any]
) -> None:
    where = f"planner {planner.name!r} with {len(registry)} verbs offered"
    before = batch.digest()
    whole = _plan(planner, batch, registry, client)
    _ensure(batch.digest() == before, f"{where} changed the batch it was asked about")
    if whole is None:
        return
    _check_answer(where, planner, whole, batch, registry)
    if not planner.deterministic:
        return
    again = _plan(planner, batch, registry, client)
    _ensure(again is not None and _same(whole.plans, again.plans), f"{where} is not deterministic: two calls differ")
    for part_name, rows in _parts(len(batch)):
        part = _plan(planner, batch.take(rows), registry, client)
        _ensure(
            part is not None and _same(whole.plans.take(rows), part.plans),
            f"{where} plans differently when asked for {part_name} alone; a plan may depend on its own agent only",
        )


def _check_elsewhere(planner: Planner, registry: ToolRegistry, batch: ObservationBatch[Any]) -> None:
    """Compare plans with those of another process that was asked about the situations in another order."""
    seen = batch.to_objects()
    keys = [AgentId(key) for key in batch.keys.tolist()]
    others = type(seen[0]).from_objects(list(zip(keys, [*seen[1:], *seen[:1]], strict=True)), tables=registry.tables)
    try:
        asked = packed((planner, registry, [others, batch]))
    except ValueError:
        return  # a class of a test function, say: nothing can bring it into another process
    found: list[str | None] = []
    for situations in (batch, others):
        answer = _plan(planner, situations, registry, None)
        found.insert(0, None if answer is None else answer.plans.digest(()))
    where = f"planner {planner.name!r}"
    for seed in HASH_SEEDS:
        with interpreter("ai.testing_elsewhere", asked, {"PYTHONHASHSEED": seed}, stderr=subprocess.PIPE) as process:
            told, complaint = process.communicate()
        _ensure(
            process.returncode == 0, f"{where} fails in another process: {complaint.strip().rpartition(chr(10))[2]}"
        )
        _ensure(
            json.loads(told) == found,
            f"{where} plans differently in another process that was asked about other situations first: it learns from "
            "what it was asked before, or rests on an order of sets, on hash(), or on the environment",
        )


def _parts(n: int) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[np.intp]]]]:
    yield "every second agent", np.arange(0, n, 2)
    yield "the last half", np.arange(n // 2, n)
    for row in range(n):
        yield f"row {row}", np.array([row])


def _plan(
    planner: Planner, batch: ObservationBatch[Any], registry: ToolRegistry, client: LlmClient | None
) -> TierPlans | None:
    """Return the planner's answer, None where it failed in an orderly way."""
    if client is None and getattr(planner, "needs_client", False):
        client = MockBatchLlm.for_agents(len(batch), registry)
    planned = planner.plan(batch, registry, PlanCall(client, time.perf_counter))
    if planner.deterministic:
        planned = watched(planned, f"planner {planner.name!r}")
    try:
        return asyncio.run(planned)
    except NondeterminismError as error:
        raise AssertionError(str(error)) from None
    except PlannerError as error:
        Outcome.of(error.outcome)
        return None


def _check_answer(
    where: str, planner: Planner, answer: TierPlans, batch: ObservationBatch[Any], registry: ToolRegistry
) -> None:
    n, plans = len(batch), answer.plans
    _ensure(isinstance(answer, TierPlans), f"{where} must answer with TierPlans, not {type(answer).__name__}")
    _ensure(np.array_equal(plans.keys, batch.keys), f"{where} must answer for the agents asked, in their order")
    _ensure(
        len(plans.length) == n and plans.kind.shape[1:] == (n,) and len(answer.outcome) == n,
        f"{where} was asked for {n} agents and its arrays have other sizes",
    )
    verdict = refusals(batch, plans, _checked(planner, registry))
    for row, key in enumerate(batch.keys.tolist()):
        outcome = Outcome(int(answer.outcome[row]))
        length = int(plans.length[row])
        _ensure(
            (outcome is Outcome.OK) == (length > 0),
            f"{where}: agent {key} has {length} steps and outcome {outcome.label}; only an offered plan is ok",
        )
        if length:
            reason = Refusal(int(verdict[row]))
            _ensure(reason is Refusal.ACCEPTED, f"{where}: the plan of agent {key} is not legal: {reason.sentence}")
        if length and not planner.deterministic:
            _ensure(
                answer.texts.get(key),
                f"{where}: agent {key} has a plan and no text; a replay reads the plans of a tier that is not "
                "deterministic from `texts`, so a run with it could not be verified",
            )
            _ensure(
                _read_again(answer, key, registry) == plans.steps(row, registry),
                f"{where}: the text of agent {key} does not read as its plan, so a run with it could not be verified",
            )
        spare = plans.kind[length:, row].any() or plans.args[length:, :, row].any()
        _ensure(not spare, f"{where}: places beyond the plan of agent {key} must hold zeros")
    strangers = sorted((set(answer.texts) | set(answer.errors)) - set(batch.keys.tolist()))
    _ensure(not strangers, f"{where} has texts or errors for agents that were not asked: {strangers}")


def _read_again(answer: TierPlans, key: int, registry: ToolRegistry) -> tuple[Action, ...] | None:
    """Read an agent's text as a replay does: in the encoding of the tier's calls, named JSON where it made none."""
    names = [shard["encoding"] for shard in answer.shards if "encoding" in shard]
    encoding = encoding_of(str(names[0])) if names else NAMED
    try:
        return encoding.parse(answer.texts[key], registry)
    except ParseError:
        return None


def _checked(planner: Planner, registry: ToolRegistry) -> ToolRegistry:
    """The emergency tier alone may use verbs that are not offered."""
    return registry.whole if planner.name == "emergency" else registry


def _same(one: PlanBatch, other: PlanBatch) -> bool:
    # The digest looks at agents, lengths and steps, independent of the spare room of the arrays.
    return one.digest(()) == other.digest(())


def check_client(client: LlmClient) -> None:
    """Check that a client keeps the rules of `ai.llm_types`, with a few small requests.

    It is read to its end, read to its end again, and left in the middle: by closing its stream, and by an exception.
    Call it where no event loop runs.

    Raises:
        AssertionError: it broke a rule; the sentence says which.
        ClientError: it could not be asked, so nothing was found out.
    """
    _ensure(isinstance(client, LlmClient), f"{client!r} needs `label` and `stream(request)`")
    label = client.label
    _ensure(str(label) == label and label, f"{client!r}: `label` must be a text that is not empty")
    for mark in ("://", "\\", "@", "\n"):
        _ensure(mark not in label, f"client label {label!r} contains {mark!r}; it must hold no host, path or secret")
    _ensure(not re.search(r"(^|:)[/~.]", label), f"client label {label!r} holds a path; keep the file's name only")
    asyncio.run(_check_streams(client))


async def _check_streams(client: LlmClient) -> None:
    label = client.label
    request = LlmRequest((Message("user", 'Reply with {"a1": {"steps": []}}.'),), tokens_max=64, slots={"a1": 1})
    before = asyncio.all_tasks()
    try:
        for _ in range(2):
            async with reading(client.stream(request)) as stream:
                _check_chunks(label, [chunk async for chunk in stream], request)
        for error in (None, RuntimeError("the reader gives up")):
            await _leave(client, request, error)
    finally:
        closing = getattr(client, "aclose", None)
        if closing is not None:
            await closing()
            await closing()
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    _ensure(not left, f"client {label!r} leaves {len(left)} tasks running when its streams are closed")


def _check_chunks(label: str, chunks: list[LlmChunk], request: LlmRequest) -> None:
    _ensure(chunks, f"client {label!r} ended without a chunk")
    for chunk in chunks:
        _ensure(isinstance(chunk, LlmChunk), f"client {label!r} must yield LlmChunk, not {type(chunk).__name__}")
        texts = all(isinstance(text, str) for text in (chunk.text, chunk.thinking))
        _ensure(texts, f"client {label!r} yielded a chunk whose text or thinking is not text")
    finished = [place for place, chunk in enumerate(chunks) if chunk.finish is not None]
    _ensure(
        finished == [len(chunks) - 1],
        f"client {label!r}: exactly the last of {len(chunks)} chunks must have `finish`, not those at {finished}",
    )
    *pieces, last = chunks
    _ensure(last.finish, f"client {label!r}: `finish` must say how the reply ended")
    early = any(piece.usage is not None or piece.timings is not None or piece.unconstrained for piece in pieces)
    _ensure(not early, f"client {label!r}: usage, timings and `unconstrained` belong on the last chunk only")
    text = "".join(chunk.text for chunk in chunks)
    bound = request.tokens_max * TOKEN_CHARS_MAX
    _ensure(
        len(text) <= bound, f"client {label!r}: {request.tokens_max} tokens were asked for, {len(text)} letters came"
    )
    try:
        text.encode()
    except UnicodeEncodeError:
        _ensure(holds=False, sentence=f"client {label!r}: the text holds half a character")
    for name, count in (last.usage or {}).items():
        known = type(count) is int and count >= 0
        _ensure(known, f"client {label!r}: usage {name!r} is {count!r}; a count that is not known is left out")


async def _leave(client: LlmClient, request: LlmRequest, error: Exception | None) -> None:
    """Leave a stream after its first chunk, by closing it or by an exception at the place where it waits."""
    stream = client.stream(request)
    await anext(stream)
    if error is not None and isinstance(stream, AsyncGenerator):
        with suppress(type(error)):
            await stream.athrow(error)
    async with reading(stream):
        pass
    rest = [chunk async for chunk in stream]
    _ensure(not rest, f"client {client.label!r} continues after its stream was closed")


def _ensure(holds: object, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
