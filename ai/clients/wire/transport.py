"""HTTP to one model server: streamed calls and small questions, bounded, with errors that name no host and no key.

Every streamed call asks for its connection to be closed: llama-server closes it after a streamed reply while its header
promises to keep it, and the next call on it would race with that (measured: 11 of 150 calls failed). A call that the
server hung up on before any byte of an answer is marked as such (`ClientError.hung_up`), for the retry loop.

Calls are made by a transport of ours (`gather`), or by the HTTP library's own where a proxy may be in between. Nothing
here is ever cancelled from inside: there, cancelling a read leaks its connection. The pool has no limit of its own,
because a slot lost in it would block later calls; calls are bounded by a gate of this module.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from ai.clients.base import LlmRequest
from ai.clients.wire.gather import LEFT, GatherTransport
from ai.clients.wire.redaction import shown
from ai.clients.wire.retry_after import retry_after_s
from ai.clients.wire.room import room_told
from ai.errors import ClientError, ContractError

CALLS_MAX: Final = 256
"""Calls that one client has open at once; others wait for one to end."""
ANSWER_BYTES_MAX: Final = 4 * 2**20
"""Bytes of an answer that is not streamed."""
ERROR_BYTES_MAX: Final = 65_536
"""Bytes of an error answer that are read."""
CONNECT_S: Final = 5.0
"""Longest wait for a connection, seconds."""
SHARED_KEY: Final = "TICKWEAVE_API_KEY"
"""The environment variable whose key goes before those of a kind of server."""


class RefusedError(ClientError):
    """An answer other than 200; `param` is the option of the request that the server names as the reason."""

    param: str | None = None


class Transport:
    """Speaks to the server at `url`.

    The key is read from the first of the environment variables `key_names` that is set, at each call; it is kept
    nowhere and shown nowhere.
    """

    def __init__(
        self, label: str, url: str, *, key_names: tuple[str, ...], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.label = label
        self.key_names = key_names
        self._url = url
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
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
    async def stream(
        self, path: str, body: Mapping[str, Any], request: LlmRequest
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Post a body and give the bytes of the answer as they arrive; the end of the block ends the call.

        Raises:
            ClientError: no connection, silence, a broken connection, or an answer other than 200.
        """
        key = self.key()
        http = self._opened()
        headers = {**_headers(key), "Connection": "close"}
        timeout = httpx.Timeout(request.timeout_s, connect=min(CONNECT_S, request.timeout_s))
        with self._told():
            await self._enter(request)
            try:
                call = http.build_request(
                    "POST",
                    self._url + path,
                    headers=headers,
                    json=body,
                    timeout=timeout,
                    extensions={LEFT: request.left_s},
                )
                try:
                    response = await http.send(call, stream=True)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    raise ClientError("the server hung up before it answered", hung_up=True) from None
                try:
                    if response.status_code != httpx.codes.OK:
                        raise await self._refused(response, key)
                    async with aclosing(_pieces(response)) as pieces:
                        yield pieces
                finally:
                    await response.aclose()
            finally:
                self._gate.release()

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float) -> Any:
        """Return the JSON of a small answer; for the probe.

        Raises:
            ClientError: as `stream`, or the answer is no JSON.
        """
        key = self.key()
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        headers = {**_headers(key), "Connection": "close"}
        with self._told():
            http = self._opened()
            call = http.build_request(method, self._url + path, headers=headers, json=body, timeout=timeout)
            response = await http.send(call, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    raise await self._refused(response, key)
                return json.loads(await _read(response, ANSWER_BYTES_MAX))
            except (ValueError, RecursionError):
                raise ClientError("the answer is no JSON; is this the server's URL?") from None
            finally:
                await response.aclose()

    async def aclose(self) -> None:
        """Close what is open; a later call opens it again, on whichever loop it runs."""
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    def reported(self, error: object) -> ClientError:
        """Return the error that a server reports inside a stream."""
        code = error.get("code") if isinstance(error, dict) else None
        limited = str(code) in ("429", "rate_limit_exceeded")
        words = shown(message_of(error), self.key())
        return ClientError(f"the server reports: {words}", outcome="rate_limited" if limited else "transport")

    def _opened(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            # On another loop everything begins anew; of an earlier one nothing is open, since no connection is kept.
            self._loop, self._gate = loop, asyncio.Semaphore(CALLS_MAX)
            tls = _tls(self._url)
            if self._transport is None and _proxied(self._url):
                self._http = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), verify=tls)
            else:
                self._http = httpx.AsyncClient(transport=self._transport or GatherTransport(tls), trust_env=False)
        return self._http

    async def _enter(self, request: LlmRequest) -> None:
        """Wait for one of the open calls to end, no longer than the request may be silent."""
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._gate.acquire()
        except TimeoutError:
            raise ClientError(f"{CALLS_MAX} calls are open and none has ended in time", outcome="timeout") from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn every fault into a `ClientError` that begins with the client's label and names no host."""
        try:
            yield
        except ClientError as error:
            error.args = (f"{self.label}: {error}",)
            raise
        except httpx.TimeoutException as error:
            message = f"{self.label}: no answer within the time allowed ({type(error).__name__})"
            raise ClientError(message, outcome="timeout") from None
        except httpx.HTTPError as error:
            # Only the kind of fault: the library's own text may name the host, and errors go into replay files.
            raise ClientError(f"{self.label}: {type(error).__name__}; is the server running at that URL?") from None

    async def _refused(self, response: httpx.Response, key: str | None) -> RefusedError:
        """Return the error of an answer other than 200, with what to do about it."""
        status = response.status_code
        body = await _read(response, ERROR_BYTES_MAX)
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
            retry_after_s=retry_after_s(response.headers.get("retry-after"), datetime.now(UTC)),
            context=room_told(data, message_of(data)) if status == httpx.codes.BAD_REQUEST else None,
        )
        param = details.get("param") if isinstance(details, dict) else None
        error.param = param if isinstance(param, str) else None
        return error


async def _pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield the bytes as they arrive; a server that hangs up in the middle just ends them, and the reader judges."""
    try:
        async with aclosing(_raw(response)) as raw:
            async for data in raw:
                yield data
    except httpx.RemoteProtocolError:
        return


def _raw(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Return the body's bytes as they come; the library's type hides that the iterator can be closed."""
    return cast("AsyncGenerator[bytes, None]", response.aiter_raw())


async def _read(response: httpx.Response, most: int) -> bytes:
    """Read an answer up to so many bytes."""
    body = b""
    async with aclosing(_raw(response)) as raw:
        async for data in raw:
            body += data[: most - len(body)]
            if len(body) >= most:
                break
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


def _headers(key: str | None) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return headers


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
