"""Servers on loopback that answer by a list of steps, for the tests of clients, and what real servers write."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from ai.clients.ollama import OllamaClient
from ai.clients.openai import OpenAIClient
from ai.errors import ClientError
from ai.llm_types import LlmChunk, LlmClient, LlmRequest, Message

REQUEST: Final = LlmRequest((Message("user", "a1: id 7"),), tokens_max=64, timeout_s=5.0)
HEAD: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"
DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Call:
    """One request as the server saw it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class Reset:
    """A step: the connection is reset."""


class Keep:
    """The last step: the connection stays open for another request."""


Step = bytes | float | type[Reset] | type[Keep]
Answer = Callable[[Call], Iterable[Step] | bytes]


def event(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Return one event of a chat completion."""
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}, ensure_ascii=False).encode() + b"\n\n"


def line(content: str | None = "", **more: Any) -> bytes:
    """Return one line of an Ollama's chat."""
    message = {} if content is None else {"message": {"role": "assistant", "content": content}}
    return json.dumps({"model": "m", "done": False, **message, **more}, ensure_ascii=False).encode() + b"\n"


def chunk(data: bytes) -> bytes:
    """Return bytes as a chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(*pieces: bytes) -> bytes:
    """Return a whole streamed answer of these pieces."""
    return HEAD + b"".join(map(chunk, pieces)) + END


def whole(status: int, body: object = b"", *headers: str) -> bytes:
    """Return an answer that is not streamed; anything but bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "".join(f"{name}\r\n" for name in (f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *headers))
    return f"{head}\r\n".encode() + content


GOOD: Final = stream(event("{}"), event(finish="stop"), DONE)


@dataclass
class Server:
    """Answers each call by the steps that `answer` returns: bytes are written, numbers are seconds to wait.

    The connection closes after the last step, unless that is `Keep`. `calls` are the requests in order, `dialled`
    counts connections, `open` those that are open now.
    """

    answer: Answer
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list)
    dialled: int = 0
    open: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls, limit=2**24)
        self.port = self._server.sockets[0].getsockname()[1]
        self.root = f"http{'s' if self.tls else ''}://localhost:{self.port}"
        self.url = f"{self.root}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for _ in range(200):
            if self.open:
                await asyncio.sleep(0.01)
        assert not self.open, "a connection was left open"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        self.open += 1
        try:
            while await self._serve(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (part.partition(":") for part in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length") or 0))
        call = Call(method, path, headers, json.loads(body) if body else {})
        self.calls.append(call)
        steps = self.answer(call)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            for step in [steps] if isinstance(steps, bytes) else steps:
                if gone.done() or step is Reset:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                    return False
                if step is Keep:
                    return True
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await asyncio.wait([gone], timeout=step)  # type: ignore[arg-type] # seconds
        finally:
            gone.cancel()
            await asyncio.wait([gone])
        return False


def openai(server: Server) -> OpenAIClient:
    """Return a client of the server."""
    return OpenAIClient("m", server.url, key_names=())


def ollama(server: Server) -> OllamaClient:
    """Return a client of the server."""
    return OllamaClient("m", server.root, key_names=())


async def chunks_of(client: LlmClient, request: LlmRequest = REQUEST) -> list[LlmChunk]:
    """Read one reply."""
    return [piece async for piece in client.stream(request)]


def text_of(chunks: Iterable[LlmChunk]) -> str:
    """Return the answer in a reply, without what was voided."""
    text = ""
    for piece in chunks:
        text = piece.text if piece.voids else text + piece.text
    return text


def asked(
    *answers: Answer | bytes,
    request: LlmRequest = REQUEST,
    client_of: Callable[[Server], OpenAIClient | OllamaClient] = openai,
    tls: ssl.SSLContext | None = None,
) -> tuple[list[LlmChunk], ClientError | None, Server]:
    """Ask a server once for each answer; returns the chunks of the last call, its error, and the server."""

    async def run() -> tuple[list[LlmChunk], ClientError | None, Server]:
        async with Server(lambda call: b"", tls) as server:
            client = client_of(server)
            chunks: list[LlmChunk] = []
            error: ClientError | None = None
            for turn in answers:
                server.answer = turn if callable(turn) else lambda call, steps=turn: steps  # type: ignore[misc]
                chunks, error = [], None
                try:
                    async for piece in client.stream(request):
                        chunks.append(piece)
                except ClientError as raised:
                    error = raised
            await client.aclose()
            return chunks, error, server

    return asyncio.run(asyncio.wait_for(run(), 60))


def refused(*answers: Answer | bytes, request: LlmRequest = REQUEST, client_of: Any = openai) -> ClientError:
    """Return how the last call failed."""
    _, error, _ = asked(*answers, request=request, client_of=client_of)
    assert error is not None
    return error
