"""The fake server: asyncio, on loopback, over real sockets, in this process.

It behaves like a llama-server or an Ollama with a model: a number of slots and calls that queue for them, a time to the
first token and a rate of tokens, a prefix cache in each slot, a context that a prompt may not fit. As with the real
ones, `/v1/chat/completions` closes its connection at once after a streamed reply and `/api/chat` keeps it. Its answer
depends on the prompt and the seed alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from ai.errors import ContractError, ParseError
from ai.fake.connection import HEAD_BYTES_MAX, BadRequestError, Connection, Request
from ai.fake.faults import Fault, drawn
from ai.fake.model import TOKEN_CHARS, Plans, Question, answer
from ai.fake.wire import GenerateWire, OllamaWire, OpenAIWire, Spent, Wire, openai_refusal
from ai.llm_types import STAND_IN

HOST: Final = "127.0.0.1"
"""The server listens here only."""
NUMBER_MAX: Final = 1_000_000
"""Longest latency, seconds, and highest rate, tokens a second, that can be set."""
STALL_S: Final = 3600.0
"""How long a stalled reply stays silent, seconds: until the caller leaves."""
PROMISE: Final = "timeout=5, max=100"
"""How long llama-server's headers say that it keeps a connection."""

_CHATS: Final[dict[str, type[Wire]]] = {
    "/v1/chat/completions": OpenAIWire,
    "/api/chat": OllamaWire,
    "/api/generate": GenerateWire,
}
_HALF: Final = frozenset({Fault.CUT, Fault.RESET, Fault.ERROR, Fault.STALL})
_ENDS_WELL: Final = frozenset({None, Fault.WRONG, Fault.LAPSE})


@dataclass(frozen=True, slots=True)
class FakeSettings:
    """How the server behaves.

    `latency_s` passes before the first token, once a call has a slot; `tokens_per_s` is each slot's rate (0: as fast as
    it goes). `context` is each slot's room in tokens. `plan_tokens` is the length of a plan, `plans` says where plans
    come from. `enforce` false ignores schemas and grammars, as some servers silently do. `faults` is the share of calls
    spoiled in each way.
    """

    model: str = "fake"
    latency_s: float = 0.0
    tokens_per_s: float = 0.0
    slots: int = 4
    context: int = 8192
    plan_tokens: int = 22
    plans: Plans = Plans.DRAWN
    seed: int = 0
    enforce: bool = True
    faults: Mapping[Fault, float] = field(default_factory=dict)
    retry_after_s: int = 1

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ContractError: one of them is out of range.
        """
        if not all(0 <= number <= NUMBER_MAX for number in (self.latency_s, self.tokens_per_s, self.retry_after_s)):
            raise ContractError(f"latency, tokens a second and the time to wait must lie between 0 and {NUMBER_MAX:,}")
        if min(self.slots, self.context, self.plan_tokens) < 1:
            raise ContractError("slots, context and tokens of a plan must be at least 1")


@dataclass(slots=True)
class FakeCounts:
    """Counts of the server: calls, tokens (of prompts, of those found in a slot's cache, written), faults."""

    connections: int = 0
    calls: int = 0
    answered: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    running_max: int = 0
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class _Slot:
    """One place in which a call runs; it keeps the prompt it read last."""

    prompt: str = ""


class _RefusedError(Exception):
    """Carries the answer other than 200 that a call gets."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class FakeServer:
    """A language-model server on loopback; `async with FakeServer(...) as server` starts and stops it.

    Attributes:
        counts: calls, tokens and faults so far.
        url: the server's root, as Ollama's spec wants it; `openai_url` is the one that the OpenAI spec wants.
    """

    def __init__(self, settings: FakeSettings | None = None, *, port: int = 0) -> None:
        self.settings = FakeSettings() if settings is None else settings
        self.counts = FakeCounts()
        self.port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = [_Slot() for _ in range(self.settings.slots)]
        self._gate = asyncio.Semaphore(self.settings.slots)

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def openai_url(self) -> str:
        """The part of the address before `/chat/completions`."""
        return f"{self.url}/v1"

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self.port, limit=HEAD_BYTES_MAX)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.counts.connections += 1
        connection = Connection(reader, writer, PROMISE)
        try:
            while await self._serve(connection):
                await connection.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the caller has gone, or the server stops
        except (BadRequestError, ValueError, asyncio.LimitOverrunError) as error:
            status = error.status if isinstance(error, BadRequestError) else 400
            connection.answer(status, {"error": str(error) or "this is not an HTTP request"})
        finally:
            self._tasks.discard(task)
            connection.close()

    async def _serve(self, connection: Connection) -> bool:
        """Answer one request; says whether the connection is kept for another."""
        request = await connection.request()
        if request.method == "POST" and request.path in _CHATS:
            return await self._chat(connection, request) and not request.last
        self._tell(connection, request)
        return not request.last

    def _tell(self, connection: Connection, request: Request) -> None:
        """Answer on the routes that tell about the server."""
        own, path = self.settings, request.path
        method = "GET" if request.method == "HEAD" else request.method
        model = {"id": own.model, "object": "model", "created": 0, "owned_by": "llamacpp"}
        tag = {"name": f"{own.model}:latest", "model": f"{own.model}:latest", "size": 0, "digest": "0" * 64}
        routes: dict[tuple[str, str], Any] = {
            ("GET", "/health"): {"status": "ok"},
            ("GET", "/props"): {
                "total_slots": own.slots,
                "default_generation_settings": {"n_ctx": own.context},
                STAND_IN: own.plans.value,
            },
            ("GET", "/slots"): [{"id": n, "n_ctx": own.context, "is_processing": False} for n in range(own.slots)],
            ("GET", "/v1/models"): {"object": "list", "data": [model]},
            ("GET", f"/v1/models/{own.model}"): model,
            ("GET", "/api/version"): {"version": "0.33.0"},
            ("GET", "/api/tags"): {"models": [tag]},
            ("GET", "/api/ps"): {"models": [{**tag, "size_vram": 0, "context_length": own.context}]},
        }
        asked = request.json() or {}
        if (method, path) in routes:
            connection.answer(200, routes[method, path])
        elif (method, path) == ("GET", "/"):
            connection.answer(200, b"tickweave fake-llm is running", kind="text/plain")
        elif (method, path) == ("POST", "/api/show") and self._has(asked.get("model") or asked.get("name")):
            info = {"general.architecture": "fake", "fake.context_length": own.context}
            more = {STAND_IN: own.plans.value, "capabilities": ["completion"], "details": {"family": "fake"}}
            connection.answer(200, {"model_info": info, **more})
        elif path.startswith("/api/"):
            missing = "model not found" if path == "/api/show" else f"this server has no {path[:80]}"
            connection.answer(404, {"error": missing})
        elif path.startswith("/v1/models/"):
            connection.answer(404, OpenAIWire(own.model, 0).unknown_model(path.removeprefix("/v1/models/")))
        else:
            connection.answer(404, openai_refusal(404, f"this server has no {request.method} {path[:80]}"))

    def _has(self, model: object) -> bool:
        return str(model).removesuffix(":latest") == self.settings.model

    async def _chat(self, connection: Connection, request: Request) -> bool:
        """Answer one chat; says whether the connection is kept."""
        self.counts.calls += 1
        fault = drawn(self.settings.faults, self.settings.seed, self.counts.calls)
        if fault is not None:
            self.counts.faults[fault.value] += 1
        wire = _CHATS[request.path](self.settings.model, self.counts.calls)
        try:
            question = self._question(wire, request, fault)
            reply = self._reply(question, fault)
        except _RefusedError as error:
            connection.answer(error.status, error.body, retry_after_s=self.settings.retry_after_s)
            return True
        except ParseError as error:
            connection.answer(400, wire.refusal(400, f"Failed to initialize samplers: {error}"))
            return True
        if fault is Fault.HANGUP:
            raise ConnectionResetError
        called = _now()
        async with self._gate:
            slot = self._take_slot(question.prompt)
            leaving = asyncio.ensure_future(connection.gone())  # a caller that hangs up frees the slot at once
            writing = asyncio.ensure_future(
                self._write(connection, wire, question, reply, slot, fault, _now() - called)
            )
            try:
                await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
                if not writing.done():
                    raise ConnectionResetError
                await writing
            finally:
                self._free.append(slot)
                writing.cancel()
                leaving.cancel()
                await asyncio.gather(writing, leaving, return_exceptions=True)
        if fault is Fault.LAPSE:
            await connection.another()
        return fault in (None, Fault.WRONG) and (wire.keeps or not wire.stream)

    def _question(self, wire: Wire, request: Request, fault: Fault | None) -> Question:
        """Return the question of a call.

        Raises:
            _RefusedError: it gets an answer other than 200.
        """
        if fault is Fault.RATE_LIMIT:
            raise _RefusedError(429, wire.refusal(429, "too many requests"))
        if fault is Fault.BUSY:
            raise _RefusedError(503, wire.refusal(503, "Loading model"))
        if fault is Fault.KEY:
            told = f"Incorrect API key provided: {request.headers.get('authorization', 'none')}"
            raise _RefusedError(401, wire.refusal(401, told))
        asked = request.json()
        if asked is None:
            raise _RefusedError(400, wire.refusal(400, "the body of the request is not a JSON object"))
        if not self._has(asked.get("model", self.settings.model)):
            raise _RefusedError(404, wire.unknown_model(asked["model"]))
        try:
            question = wire.read(asked)
        except ParseError as error:
            raise _RefusedError(400, wire.refusal(400, str(error))) from None
        tokens, room = question.prompt_tokens, self.settings.context
        if tokens >= room:
            told = f"request ({tokens} tokens) exceeds the available context size ({room} tokens), try increasing it"
            more = {"type": "exceed_context_size_error", "n_prompt_tokens": tokens, "n_ctx": room}
            raise _RefusedError(400, wire.refusal(400, told, **more))
        return question if self.settings.enforce else replace(question, schema=None, grammar=None)

    def _take_slot(self, prompt: str) -> _Slot:
        """Take the free slot whose cache has most of the prompt, and count the hit."""
        best = max(self._free, key=lambda slot: _common(slot.prompt, prompt))
        self._free.remove(best)
        self.counts.running_max = max(self.counts.running_max, self.settings.slots - len(self._free))
        return best

    async def _write(
        self,
        connection: Connection,
        wire: Wire,
        question: Question,
        reply: tuple[list[str], str],
        slot: _Slot,
        fault: Fault | None,
        queued_s: float,
    ) -> None:
        """Write the reply in its time, up to the point where its fault ends it."""
        own, asked = self.settings, question.prompt_tokens
        cached = max(min(_common(slot.prompt, question.prompt) // TOKEN_CHARS, asked - 1), 0)
        slot.prompt = question.prompt
        self.counts.prompt_tokens += asked
        self.counts.cached_tokens += cached
        tokens, finish = reply
        tokens = tokens[: len(tokens) // 2] if fault in _HALF else [] if fault is Fault.GARBAGE else tokens
        begun = _now()
        await _until(begun + own.latency_s)
        if wire.stream:
            connection.head(200, {"Content-Type": wire.content_type, "Transfer-Encoding": "chunked"})
            connection.chunk(_GARBAGE if fault is Fault.GARBAGE else wire.first())
        for place, token in enumerate(tokens, 1):
            if own.tokens_per_s:
                await _until(begun + own.latency_s + place / own.tokens_per_s)
            if wire.stream:
                connection.chunk(wire.token(token))
                await connection.drain()
        # Counted before the end is sent: a client that has read it finds the call counted.
        self.counts.completion_tokens += len(tokens)
        self.counts.answered += fault in (None, Fault.LAPSE)
        written_ms = max((_now() - begun - own.latency_s) * 1000, 0.0)
        spent = Spent(asked, cached, len(tokens), queued_s * 1000, own.latency_s * 1000, written_ms)
        if wire.stream:
            await self._end_stream(connection, wire, fault, wire.last(finish, spent))
        else:
            await self._whole(connection, wire, fault, wire.whole("".join(tokens), finish, spent))
        await connection.drain()

    async def _end_stream(self, connection: Connection, wire: Wire, fault: Fault | None, last: bytes) -> None:
        if fault is Fault.RESET:
            connection.reset()
            return
        if fault is Fault.STALL:
            await asyncio.sleep(STALL_S)
        end = wire.error(_LOST) if fault is Fault.ERROR else last if fault in _ENDS_WELL else b""
        connection.end_chunks(end, close=not wire.keeps and fault is not Fault.LAPSE)

    async def _whole(self, connection: Connection, wire: Wire, fault: Fault | None, body: bytes) -> None:
        """Write a reply that is not streamed."""
        if fault is Fault.STALL:
            await asyncio.sleep(STALL_S)
        if fault is Fault.ERROR:
            connection.answer(500, wire.refusal(500, _LOST))
        elif fault in (Fault.CUT, Fault.RESET):
            connection.head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
            connection.write(body[: len(body) // 2])
            if fault is Fault.RESET:
                await connection.drain()
                connection.reset()
        else:
            connection.answer(200, _GARBAGE if fault is Fault.GARBAGE else body)

    def _reply(self, question: Question, fault: Fault | None) -> tuple[list[str], str]:
        """Return the tokens of the reply and how it ends.

        Raises:
            ParseError: the grammar cannot be read.
        """
        own = self.settings
        if fault is Fault.WRONG:
            return ["Of ", "course! ", "I ", "would ", "rather ", "talk ", "about ", "it."], "stop"
        if not question.messages:
            return [], "load"  # as Ollama, which loads the model then
        tokens = answer(question, seed=own.seed, plan_tokens=own.plan_tokens, plans=own.plans)
        room = own.context - question.prompt_tokens
        room = room if question.tokens_max is None else min(question.tokens_max, room)
        return tokens[:room], "length" if len(tokens) > room else "stop"


_GARBAGE: Final = b"\x00\xff<html>not a stream\n" * 64
_LOST: Final = "the slot was lost"


@contextmanager
def serving(settings: FakeSettings | None = None, *, port: int = 0) -> Iterator[FakeServer]:
    """Run a server in a thread of its own, for code that is not asynchronous."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake-llm", daemon=True)
    thread.start()
    server = FakeServer(settings, port=port)
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _until(moment: float) -> None:
    left = moment - _now()
    if left > 0:
        await asyncio.sleep(left)


def _common(one: str, other: str) -> int:
    """Return how many characters two prompts share from their start on."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
