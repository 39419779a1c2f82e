"""A llama.cpp server of our own: `llama-server:FILE.gguf` starts one on loopback and stops it at the end."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from ai.clients.base import Endpoint, LlmChunk, LlmRequest, reading
from ai.clients.http import Http
from ai.clients.openai import LLAMA_SERVER, OpenAIClient
from ai.clients.process import ServerProcess, free_port
from ai.clients.redaction import shown
from ai.errors import ClientError, ContractError

SCHEME: Final = "llama-server"
BINARIES: Final = ("llama-server", "llama-cpp-server")
"""Programs looked for on PATH, in this order; the second is a wrapper of the first that Python packages bring."""
HOST: Final = "127.0.0.1"
"""Where the server listens."""
SLOTS: Final = 4
"""Calls at once, unless the spec says otherwise."""
CONTEXT: Final = 4096
"""Tokens of prompt and reply together that a call has room for, unless the spec says otherwise."""
HEALTHY_S: Final = 300.0
"""Longest wait for the model to be loaded, seconds."""

_OPTIONS: Final = {"slots": 256, "context": 2**20, "threads": 1024, "gpu_layers": 10_000}
_MAGIC: Final = b"GGUF"
_POLL_S: Final = 0.1
_ASK_S: Final = 2.0


def from_spec(rest: str) -> LlamaServerClient:
    """Return the client of `FILE.gguf[?slots=N&context=N&threads=N&gpu_layers=N]`.

    Raises:
        ContractError: no such file, not a model, an unknown option, or no server on PATH.
    """
    file, _, written = rest.partition("?")
    options: dict[str, int] = {}
    for name, value in parse_qsl(written, keep_blank_values=True, max_num_fields=len(_OPTIONS)) if written else ():
        most = _OPTIONS.get(name)
        if most is None:
            raise ContractError(f"{SCHEME}: has no option {name[:40]!r}; known: {', '.join(_OPTIONS)}")
        least = 0 if name == "gpu_layers" else 1
        if not (value.isascii() and value.isdigit() and least <= int(value[:9]) <= most):
            raise ContractError(f"{SCHEME}: option {name} must be a whole number from {least} to {most}")
        options[name] = int(value)
    return LlamaServerClient(
        file,
        slots=options.get("slots", SLOTS),
        context=options.get("context", CONTEXT),
        threads=options.get("threads"),
        gpu_layers=options.get("gpu_layers"),
    )


class LlamaServerClient:
    """Starts a server for the model `file` with its first call and streams from it; `aclose` or `stop` ends it.

    `slots` calls run at once, each with `context` tokens for prompt and reply; `threads` and `gpu_layers` are the
    server's own choice where they are not given. The server ends with this process, whatever becomes of it.

    Raises:
        ContractError: no such file, not a model, or no server on PATH.
    """

    def __init__(
        self,
        file: str,
        *,
        slots: int = SLOTS,
        context: int = CONTEXT,
        threads: int | None = None,
        gpu_layers: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        path = _checked(file)
        self.label = f"{SCHEME}:{path.name}"
        self.endpoint: Endpoint | None = None
        self.takes_grammar = True
        self._program = _found()
        self._options = {"--ctx-size": slots * context, "--n-gpu-layers": gpu_layers}
        self._more = {"--parallel": slots, "--threads": threads}
        self._path = path
        self._clock = clock
        self._starting = asyncio.Lock()
        self._process: ServerProcess | None = None
        self._client: OpenAIClient | None = None
        self._failure: ClientError | None = None

    def __repr__(self) -> str:
        return f"LlamaServerClient({self.label!r})"

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives; see `OpenAIClient.stream`.

        Raises:
            ClientError: the server does not start, has ended, or fails.
        """
        client = await self._started()
        async with reading(client.stream(request)) as stream:
            async for chunk in stream:
                yield chunk

    async def look(self, *, timeout_s: float) -> Endpoint:
        """Return what the server tells about itself, once it is up.

        Raises:
            ClientError: it does not start; the message has its last words.
        """
        return await (await self._started()).look(timeout_s=timeout_s)

    async def aclose(self) -> None:
        """Close what is open and stop the server; a later call starts it again."""
        if self._client is not None:
            await self._client.aclose()
        await asyncio.to_thread(self.stop)

    def stop(self) -> None:
        """Stop the server, wherever its event loop is; a second call does nothing."""
        process, self._process, self._client = self._process, None, None
        if process is not None:
            process.stop()

    async def _started(self) -> OpenAIClient:
        """Return the client of the running server; a start that failed is not tried again at every call."""
        if self._failure is not None:
            raise self._failure
        if self._client is None:
            async with self._starting:
                if self._client is None:
                    try:
                        self._client = await self._start()
                    except ClientError as error:
                        self._failure = error
                        await asyncio.to_thread(self.stop)
                        raise
        if self._process is not None and self._process.ended:
            raise self._ended("has ended")
        return self._client

    async def _start(self) -> OpenAIClient:
        port = free_port(HOST)
        try:
            self._process = ServerProcess(self._command(port))
        except OSError as error:
            raise ClientError(f"{self.label}: cannot be started: {error.strerror}", outcome="unavailable") from None
        url = f"http://{HOST}:{port}"
        health = Http(self.label, url)
        until = self._clock() + HEALTHY_S
        try:
            while True:
                if self._process.ended:
                    raise self._ended("ended at its start")
                try:
                    await health.ask("GET", "/health", total_s=_ASK_S)
                    break
                except ClientError:
                    if self._clock() > until:
                        raise self._ended(f"was not ready after {HEALTHY_S:.0f} seconds") from None
                await asyncio.sleep(_POLL_S)
        finally:
            await health.aclose()
        # No key of the environment is for this server.
        return OpenAIClient(
            self._path.name, f"{url}/v1", label=self.label, flavour=LLAMA_SERVER, key_names=(), clock=self._clock
        )

    def _command(self, port: int) -> list[str]:
        written = [self._program, "--model", str(self._path), "--host", HOST, "--port", str(port)]
        written += _arguments(self._options)
        if Path(self._program).name == BINARIES[1]:
            written.append("--")  # the wrapper hands on what follows
        return written + _arguments(self._more)

    def _ended(self, how: str) -> ClientError:
        words = "" if self._process is None else self._process.last_words()
        told = shown(words.replace(str(self._path), self._path.name), None) if words else "it said nothing"
        return ClientError(f"{self.label}: the server {how}: {told}", outcome="unavailable")


def _arguments(options: dict[str, int | None]) -> list[str]:
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]


def _checked(file: str) -> Path:
    """Return the model's path, if it is one."""
    path = Path(file)
    try:
        if not file.strip():
            raise ContractError(f"the model file is missing; write {SCHEME}:FILE.gguf")
        with path.open("rb") as model:
            if model.read(len(_MAGIC)) != _MAGIC:
                raise ContractError(f"{SCHEME}: {path.name} is not a GGUF model file")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name can exist"
        raise ContractError(f"{SCHEME}: {file[-200:]!r} cannot be read: {reason}") from None
    return path.resolve()


def _found() -> str:
    for name in BINARIES:
        program = shutil.which(name)
        if program is not None:
            return program
    raise ContractError(f"{SCHEME}: neither {' nor '.join(BINARIES)} is on PATH; install llama.cpp, or start a server")
