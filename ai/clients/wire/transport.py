"""HTTP to one model server: streamed calls and small questions, bounded, with errors that name no host and no key.

Every call asks for its connection to be closed: llama-server closes it after a streamed reply while its header
promises to keep it, and the next call on it would race with that (measured: 11 of 150 calls failed). A call that the
server hung up on before any byte of an answer is marked as such (`ClientError.hung_up`), for the retry loop.

Calls are made by ourselves (`gather`), or by the HTTP library (`proxied`) where a proxy may be in between. Nothing here
is ever cancelled from inside: in the library, cancelling a read leaks its connection. Calls are bounded by a gate of
this module.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from ai.clients.base import LlmRequest
from ai.clients.wire.call import Answer, Call, Caller
from ai.clients.wire.gather import GatherCaller
from ai.clients.wire.proxied import ProxiedCaller
from ai.clients.wire.redaction import shown
from ai.clients.wire.retry_after import retry_after_s
from ai.clients.wire.room import room_told
from ai.errors import ClientError, ContractError
from ai.written import written

CALLS_MAX: Final = 256
"""Calls that one client has open at once; others wait for one to end."""
ANSWER_BYTES_MAX: Final = 4 * 2**20
"""Bytes of an answer that is not streamed."""
ERROR_BYTES_MAX: Final = 65_536
"""Bytes of an error answer that are read."""
SHARED_KEY: Final = "TICKWEAVE_API_KEY"
"""The environment variable whose key goes before those of a kind of server."""


class RefusedError(ClientError):
    """An answer other than 200; `param` is the option of the request that the server names as the reason."""

    param: str | None = None


class Transport:
    """Speaks to the server at `url`.

    The key is read from the first of the environment variables `key_names` that is set, at each call; it is kept
    nowhere and shown nowhere. `transport` takes the place of the network.
    """

    def __init__(
        self, label: str, url: str, *, key_names: tuple[str, ...], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.label = label
        self.key_names = key_names
        self._url = url
        self._transport = transport
        self._caller: Caller | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate = asyncio.Semaphore(CALLS_MAX)

    def key(self) -> str | None:
        """Return the key in the environment, None without one.

        Raises:
            ContractError: it holds characters that no header takes; the message names the variable.
        """
        for name in self.key_names:
            key = os.environ.get(name, "").strip()
            if key and (not key.isascii() or not key.isprintable() or " " in key):
                raise ContractError(f"the key in the environment variable {name} holds characters no key has")
            if key:
                return key
        return None

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any], request: LlmRequest) -> AsyncIterator[Answer]:
        """Post a body and give the answer, to be read as it arrives; the end of the block ends the call.

        Raises:
            ClientError: no connection, silence, a broken connection, or an answer other than 200.
        """
        content = written(body).encode()
        call = Call("POST", path, content, self.key(), request.timeout_s, request.left_s, request.hurried)
        try:
            caller = self._opened()
            await self._enter(request)
            try:
                answer = await self._answered(caller, call)
                try:
                    yield answer
                finally:
                    await answer.aclose()
            finally:
                self._gate.release()
        except ClientError as error:
            raise self._named(error) from None

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float) -> Any:
        """Return the JSON of a small answer; for the probe.

        Raises:
            ClientError: as `stream`, or the answer is no JSON.
        """
        call = Call(method, path, b"" if body is None else written(body).encode(), self.key(), timeout_s)
        try:
            answer = await self._answered(self._opened(), call)
            try:
                return json.loads(await _read(answer, ANSWER_BYTES_MAX))
            except (ValueError, RecursionError):
                raise ClientError("the answer is no JSON; is this the server's URL?") from None
            finally:
                await answer.aclose()
        except ClientError as error:
            raise self._named(error) from None

    async def aclose(self) -> None:
        """Close what is open; a later call opens it again, on whichever loop it runs."""
        if self._caller is not None:
            caller, self._caller = self._caller, None
            await caller.aclose()

    def reported(self, error: object) -> ClientError:
        """Return the error that a server reports inside a stream."""
        code = error.get("code") if isinstance(error, dict) else None
        limited = str(code) in ("429", "rate_limit_exceeded")
        words = shown(message_of(error), self.key())
        return ClientError(f"the server reports: {words}", outcome="rate_limited" if limited else "transport")

    def _named(self, error: ClientError) -> ClientError:
        error.args = (f"{self.label}: {error}",)
        return error

    def _opened(self) -> Caller:
        loop = asyncio.get_running_loop()
        if self._caller is None or self._loop is not loop:
            # On another loop everything begins anew; of an earlier one nothing is open, since no connection is kept.
            self._loop, self._gate = loop, asyncio.Semaphore(CALLS_MAX)
            tls = _tls(self._url)
            by_library = self._transport is not None or _proxied(self._url)
            try:
                self._caller = (
                    ProxiedCaller(self._url, tls, self._transport) if by_library else GatherCaller(self._url, tls)
                )
            except httpx.InvalidURL:
                raise ClientError("no host can have this name") from None
        return self._caller

    async def _enter(self, request: LlmRequest) -> None:
        """Wait for one of the open calls to end, no longer than the request may be silent."""
        if not self._gate.locked():
            await self._gate.acquire()
            return
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._gate.acquire()
        except TimeoutError:
            raise ClientError(f"{CALLS_MAX} calls are open and none has ended in time", outcome="timeout") from None

    async def _answered(self, caller: Caller, call: Call) -> Answer:
        """Return the answer to a call, if it is 200."""
        answer = await caller.send(call)
        if answer.status == httpx.codes.OK:
            return answer
        try:
            raise await self._refused(answer, call.key)
        finally:
            await answer.aclose()

    async def _refused(self, answer: Answer, key: str | None) -> RefusedError:
        """Return the error of an answer other than 200, with what to do about it."""
        status = answer.status
        body = await _read(answer, ERROR_BYTES_MAX)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = body.decode("utf-8", "replace").strip()
        variable = self.key_names[-1] if self.key_names else SHARED_KEY
        advice = {
            400: "ask for fewer agents in one call, or give the server a longer context",
            401: f"put a valid key into the environment variable {variable}",
            403: f"put a valid key into the environment variable {variable}",
            404: "check the model's name and the URL",
        }.get(status, "wait, or ask for fewer calls at once" if status in (429, 503) else "see the server's log")
        outcome = {408: "timeout", 429: "rate_limited", 504: "timeout"}.get(status, "transport")
        details = data.get("error") if isinstance(data, dict) else None
        error = RefusedError(
            f"HTTP {status}: {shown(message_of(data), key)} ({advice})",
            outcome=outcome,
            status=status,
            retry_after_s=retry_after_s(answer.retry_after, datetime.now(UTC)),
            context=room_told(data, message_of(data)) if status == httpx.codes.BAD_REQUEST else None,
        )
        param = details.get("param") if isinstance(details, dict) else None
        error.param = param if isinstance(param, str) else None
        return error


async def _read(answer: Answer, most: int) -> bytes:
    """Read an answer up to so many bytes."""
    body = b""
    while len(body) < most and (data := await answer.read()) is not None:
        body += b"".join(data)[: most - len(body)]
    return body


def message_of(data: object) -> str:
    """Find the message in the shapes that servers use: `{"error": {"message": ...}}`, `{"error": ...}`, or a text."""
    for name in ("error", "message"):
        if isinstance(data, dict) and name in data:
            data = data[name]
    return data if isinstance(data, str) else json.dumps(data)


def checked_url(url: str, scheme: str) -> str:
    """Return the URL without a trailing slash.

    Raises:
        ContractError: it is no plain http or https URL, or could carry a secret; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ContractError(f"the URL of an {scheme}: model must start with http:// or https:// and name a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ContractError(
            f"the URL of an {scheme}: model takes no user, key, query or fragment; keys come from the environment"
        )
    return url.rstrip("/")


def model_and_url(rest: str, scheme: str, default: str) -> tuple[str, str]:
    """Split `MODEL[@URL]`, the part of a spec after its scheme.

    Raises:
        ContractError: no model, or a URL that is none; the message does not repeat it, since it may hold a secret.
    """
    model, at, url = rest.partition("@http")
    if not model.strip():
        raise ContractError(f"the model's name is missing; write {scheme}:MODEL or {scheme}:MODEL@URL")
    if not at and "@" in model:
        raise ContractError(f"the URL of an {scheme}: model must start with http:// or https:// and name a host")
    return model, checked_url(f"http{url}" if at else default, scheme)


def public_name(model: str) -> str:
    """Return the model's name without a path; a name like `org/model` is not a path and stays."""
    looks_like_path = model.lower().endswith(".gguf") or re.match(r"[/\\~.]|[A-Za-z]:[/\\]", model)
    return re.split(r"[/\\]", model)[-1] if looks_like_path else model


def _tls(url: str) -> ssl.SSLContext:
    """Return the context for TLS; for plain HTTP an empty one, as reading all authorities takes a tenth of a second."""
    return httpx.create_ssl_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _proxied(url: str) -> bool:
    """Say whether a proxy may stand before the server; the HTTP library then finds out, by its own rules.

    A proxy in the environment is for the network, not for a server on this machine.
    """
    return not _local(url) and bool(getproxies().keys() & {"http", "https", "all"})


def _local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
