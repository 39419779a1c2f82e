"""The fake server: asyncio, on loopback, over real sockets, in this process.

It behaves like a llama-server or an Ollama with a model: a number of slots and calls that queue for them, a time to the
first token and a rate of tokens, a prefix cache in each slot, a context that a prompt may not fit, and the way
llama-server has of closing a connection after each streamed reply that its header promised to keep. What it answers
depends on the prompt and the seed alone.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from ai.errors import ContractError, ParseError
from ai.fake.faults import Fault, drawn
from ai.fake.model import TOKEN_CHARS, Question, answer
from ai.fake.wire import OllamaWire, OpenAIWire, Spent, Wire

HOST: Final = "127.0.0.1"
"""The server listens here only."""
HEAD_BYTES_MAX: Final = 65_536
"""Bytes that a request's head may have."""
BODY_BYTES_MAX: Final = 16 * 2**20
"""Bytes that a request's body may have."""
NUMBER_MAX: Final = 1_000_000
"""Longest latency, seconds, and highest rate, tokens a second, that can be set."""
STALL_S: Final = 3600.0
"""How long a stalled reply stays silent, seconds: until the caller leaves."""


@dataclass(frozen=True, slots=True)
class FakeSettings:
    """How the server behaves.

    `latency_s` passes before the first token, once a call has a slot; `tokens_per_s` is each slot's rate (0: as fast as
    it goes). `context` is each slot's room in tokens. `plan_tokens` is the length of a plan. `enforce` false ignores
    schemas and grammars, as some servers silently do. `faults` is the share of calls spoiled in each way.
    """

    model: str = "fake"
    latency_s: float = 0.0
    tokens_per_s: float = 0.0
    slots: int = 4
    context: int = 8192
    plan_tokens: int = 22
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
    """What the server has seen: calls, tokens (of prompts, of those found in a slot's cache, written), faults."""

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
        counts: what has happened so far.
        url: the server's root, as Ollama's spec wants it; `openai_url` is what the OpenAI spec wants.
    """

    def __init__(self, settings: FakeSettings | None = None, *, port: int = 0) -> None:
        self.settings = FakeSettings() if settings is None else settings
        self.counts = FakeCounts()
        self.port = port
        self._wires: dict[str, Wire] = {
            "/v1/chat/completions": OpenAIWire(self.settings.model),
            "/api/chat": OllamaWire(self.settings.model),
        }
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
        """What stands before `/chat/completions`."""
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
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the caller has gone, or the server stops
        except (ValueError, asyncio.LimitOverrunError):
            _answer(writer, 400, {"error": "this is not an HTTP request"})
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after another."""
        streamed = False
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(min(int(headers.get("content-length") or 0), BODY_BYTES_MAX))
            if streamed:
                return  # as llama-server: gone after a streamed reply, whatever the header promised
            path = path.partition("?")[0]
            if method == "POST" and path in self._wires:
                streamed = await self._chat(reader, writer, self._wires[path], body, headers)
            else:
                _answer(writer, *self._told(method, path, body))
            await writer.drain()
            if headers.get("connection", "").lower() == "close":
                return

    def _told(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and object of the routes that tell about the server."""
        own = self.settings
        model = {"id": own.model, "object": "model", "owned_by": "llamacpp"}
        slots = [{"id": n, "n_ctx": own.context, "is_processing": False} for n in range(own.slots)]
        routes: dict[tuple[str, str], Any] = {
            ("GET", "/health"): {"status": "ok"},
            ("GET", "/props"): {"total_slots": own.slots, "default_generation_settings": {"n_ctx": own.context}},
            ("GET", "/slots"): slots,
            ("GET", "/v1/models"): {"object": "list", "data": [model]},
            ("GET", "/api/version"): {"version": "0.33.0"},
            ("GET", "/api/tags"): {"models": [{"name": f"{own.model}:latest", "model": f"{own.model}:latest"}]},
        }
        if (method, path) in routes:
            return 200, routes[method, path]
        if (method, path) == ("POST", "/api/show"):
            if not self._has(_json(body)):
                return 404, {"error": "model not found"}
            return 200, {"model_info": {"fake.context_length": own.context}, "capabilities": ["completion"]}
        return 404, {"error": {"code": 404, "message": f"no route {path[:80]}", "type": "not_found_error"}}

    def _has(self, asked: Mapping[str, Any]) -> bool:
        return str(asked.get("model", "")).removesuffix(":latest") == self.settings.model

    async def _chat(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        wire: Wire,
        body: bytes,
        headers: Mapping[str, str],
    ) -> bool:
        """Answer one chat; says whether the reply was streamed."""
        self.counts.calls += 1
        fault = drawn(self.settings.faults, self.settings.seed, self.counts.calls)
        if fault is not None:
            self.counts.faults[fault.value] += 1
        try:
            question = self._question(wire, _json(body), fault, headers)
            reply = self._reply(question, fault)
        except _RefusedError as error:
            _answer(writer, error.status, error.body, retry_after_s=self.settings.retry_after_s)
            return False
        except ParseError as error:
            _answer(writer, 400, wire.refusal(400, f"Failed to initialize samplers: {error}"))
            return False
        if fault is Fault.HANGUP:
            raise ConnectionResetError
        called = _now()
        async with self._gate:
            slot = self._take_slot(question.prompt)
            leaving = asyncio.ensure_future(reader.read(1))  # a caller that hangs up frees the slot at once
            writing = asyncio.ensure_future(self._stream(writer, wire, question, reply, slot, fault, _now() - called))
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
        return True

    def _question(
        self, wire: Wire, asked: Mapping[str, Any], fault: Fault | None, headers: Mapping[str, str]
    ) -> Question:
        """Return what a call asks.

        Raises:
            _RefusedError: it gets an answer other than 200.
        """
        if fault is Fault.RATE_LIMIT:
            raise _RefusedError(429, wire.refusal(429, "too many requests"))
        if fault is Fault.BUSY:
            raise _RefusedError(503, wire.refusal(503, "Loading model"))
        if fault is Fault.KEY:
            told = f"Incorrect API key provided: {headers.get('authorization', 'none')}"
            raise _RefusedError(401, wire.refusal(401, told))
        if isinstance(wire, OllamaWire) and not self._has(asked):
            told = f'model "{asked.get("model")}" not found, try pulling it first'
            raise _RefusedError(404, wire.refusal(404, told))
        try:
            question = wire.question(asked)
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

    async def _stream(
        self,
        writer: asyncio.StreamWriter,
        wire: Wire,
        question: Question,
        reply: tuple[list[str], str],
        slot: _Slot,
        fault: Fault | None,
        queued_s: float,
    ) -> None:
        own = self.settings
        asked = question.prompt_tokens
        cached = min(_common(slot.prompt, question.prompt) // TOKEN_CHARS, asked - 1)
        slot.prompt = question.prompt
        self.counts.prompt_tokens += asked
        self.counts.cached_tokens += cached
        tokens, finish = reply
        begun = _now()
        await _until(begun + own.latency_s)
        writer.write(_head(200, {"Content-Type": wire.content_type, "Transfer-Encoding": "chunked"}))
        if fault is Fault.GARBAGE:
            _chunk(writer, b"\x00\xff<html>not a stream\n" * 64)
            tokens = []
        stop = len(tokens) // 2 if fault in (Fault.CUT, Fault.RESET, Fault.ERROR, Fault.STALL) else len(tokens)
        _chunk(writer, wire.first())
        for place, token in enumerate(tokens[:stop], 1):
            if own.tokens_per_s:
                await _until(begun + own.latency_s + place / own.tokens_per_s)
            _chunk(writer, wire.token(token))
            await writer.drain()
        # Counted before the end is sent: whoever has read it finds the call counted.
        self.counts.completion_tokens += stop
        self.counts.answered += fault is None
        if fault is Fault.RESET:
            _reset(writer)
        elif fault is Fault.ERROR:
            _chunk(writer, wire.error("the slot was lost"))
        elif fault is Fault.STALL:
            await asyncio.sleep(STALL_S)
        elif fault is None or fault is Fault.WRONG:
            written_ms = (_now() - begun - own.latency_s) * 1000
            spent = Spent(asked, cached, stop, queued_s * 1000, own.latency_s * 1000, max(written_ms, 0.0))
            _chunk(writer, wire.last(finish, spent))
        if fault is not Fault.RESET:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _reply(self, question: Question, fault: Fault | None) -> tuple[list[str], str]:
        """Return the tokens of the reply and how it ends.

        Raises:
            ParseError: the grammar cannot be read.
        """
        own = self.settings
        if fault is Fault.WRONG:
            return ["Of ", "course! ", "I ", "would ", "move ", "to ", "the ", "left."], "stop"
        tokens = answer(question, seed=own.seed, plan_tokens=own.plan_tokens)
        room = min(question.tokens_max, own.context - question.prompt_tokens)
        return tokens[:room], "length" if len(tokens) > room else "stop"


@contextmanager
def serving(settings: FakeSettings | None = None) -> Iterator[FakeServer]:
    """Run a server in a thread of its own, for code that is not asynchronous."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake-llm", daemon=True)
    thread.start()
    server = FakeServer(settings)
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


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    # The promise that llama-server gives and does not keep after a stream.
    lines = [f"HTTP/1.1 {status} Fake", "Keep-Alive: timeout=5, max=100"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def _answer(writer: asyncio.StreamWriter, status: int, body: object, *, retry_after_s: int = 0) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    if status == 429:
        headers["Retry-After"] = str(retry_after_s)
    writer.write(_head(status, headers) + data)


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side reads a reset instead of an end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
