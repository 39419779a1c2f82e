"""HTTP to one model server by httpx: the only file that knows the library.

- Every call has a bound on its total time. Each read, write and connect of a call gets the time that is left of it, in
  the network backend below the library. Nothing is ever cancelled: a cancelled httpx call leaks its place in the pool.
- Connections are kept, for less time than common servers keep idle ones. A call whose connection closes before any
  byte of an answer is made once more on a new connection.
- The library's client belongs to an event loop and ends with it: an asynchronous generator holds it, and `asyncio.run`
  closes those. Another loop gets a client of its own.
- Every error in a proxy, a key or an authority of the environment is one `ClientError` that names the variable.
  Errors name no host and no key.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
import os
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from ai.clients.redaction import INSECURE_KEY, shown
from ai.clients.refusals import ERROR_BYTES_MAX, refusal
from ai.errors import ClientError
from ai.urls import is_private, origin_of

CONNECT_S: Final = 5.0  # longest wait for a connection, seconds
KEEP_S: Final = 3.0
"""How long an idle connection is kept, seconds; uvicorn, Node and llama-server close theirs after five."""
DRAIN_S: Final = 0.1
"""How long the end of a body may take after the end of its reply for the connection to be kept, seconds."""
HEAD_BYTES_MAX: Final = 2**20
"""The most bytes before an answer begins: a server may send interim answers without end."""
HEAD_S: Final = 30.0
"""How long the head of an answer may take after its first byte, seconds, however long the call may take."""
ANSWER_BYTES_MAX: Final = 4 * 2**20  # bytes of an answer that is not streamed
SHARED_KEY: Final = "TICKWEAVE_API_KEY"
"""The environment variable whose key takes precedence over the one of a kind of server."""

_LATE: Final = "no answer within the time allowed"
_ENDS: ContextVar[float] = ContextVar("ends", default=math.inf)
"""The loop's time at which the running call must be over."""
_HEAD: ContextVar[list[int] | None] = ContextVar("head", default=None)
"""The bytes that may still come before the running call's answer begins."""
logger = logging.getLogger(f"tickweave.{__name__}")


class Http:
    """Calls the server at `url`; `label` begins each error, `hint` is added where no connection comes about.

    The key is read at each call from the first of the environment variables `key_names` that is set, and kept nowhere.
    """

    def __init__(self, label: str, url: str, *, key_names: tuple[str, ...] = (), hint: str = "") -> None:
        self.label = label
        self.url = url
        self.key_names = key_names
        self._hint = hint
        self._session: _Session | None = None

    def key(self) -> str | None:
        """Return the key in the environment, None without one for this server.

        A variable holds a key, or an origin and the key that is for it alone: `https://api.example.com KEY`.

        Raises:
            ClientError: the key is malformed, or would go over the network in clear; the sentence names the variable.
        """
        name, key = next(
            ((name, key) for name in self.key_names if (key := os.environ.get(name, "").strip())), ("", "")
        )
        origin, space, bound = key.partition(" ")
        if space and "://" in origin:
            if origin_of(origin) != origin_of(self.url):
                return None
            key = bound.strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            message = f"{self.label}: the key in the environment variable {name} holds characters no key has"
            raise ClientError(message, outcome="unavailable")
        if key and not is_private(self.url) and os.environ.get(INSECURE_KEY) != "1":
            message = (
                f"{self.label}: the key in the environment variable {name} would go over the network in clear; use "
                f"https://, or allow it with --insecure-key ({INSECURE_KEY}=1)"
            )
            raise ClientError(message, outcome="unavailable")
        return key or None

    @asynccontextmanager
    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, silence_s: float, ends: float
    ) -> AsyncIterator[Answer]:
        """Make a call and give its answer, to be read as it arrives; the end of the block ends the call.

        `silence_s` is how long nothing may come; `ends` is the loop's time at which the call must be over.

        Raises:
            ClientError: no connection, silence, a broken connection, or an answer other than 200 (`RefusedError`).
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "tickweave"}
        key = self.key()
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        limits = {"timeout": httpx.Timeout(silence_s, connect=min(CONNECT_S, silence_s)).as_dict()}
        try:
            with _told():
                request = httpx.Request(method, self.url + path, headers=headers, content=content, extensions=limits)
            answer = await self._sent(request, ends)
            try:
                if not httpx.codes.is_success(answer.status):
                    variable = self.key_names[-1] if self.key_names else SHARED_KEY
                    said = await answer.whole(ERROR_BYTES_MAX)
                    raise refusal(answer.status, said, key=key, variable=variable, headers=answer.headers)
                yield answer
                logger.debug("%s: %s %s: %d", self.label, method, path, answer.status)
            finally:
                await answer.aclose()
        except ClientError as error:
            if not str(error).startswith(self.label):
                error.args = (f"{self.label}: {error}",)
            logger.debug("%s (%s %s)", error, method, path)
            raise

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, total_s: float, lenient: bool = False
    ) -> Any:
        """Return the JSON of a small answer; None, where `lenient`, for one that is refused or cannot be read.

        Raises:
            ClientError: as `call`, or the answer is not JSON.
        """
        try:
            async with self.call(method, path, body, silence_s=total_s, ends=_now() + total_s) as answer:
                said = await answer.whole(ANSWER_BYTES_MAX)
                try:
                    return json.loads(said)
                except (ValueError, RecursionError):
                    raise ClientError(
                        "the answer is not JSON; is this the server's URL?", status=answer.status
                    ) from None
        except ClientError as error:
            if not lenient or error.status is None:
                raise
            return None

    async def aclose(self) -> None:
        """Close open connections; a later call opens it again, on whichever loop it runs."""
        session, self._session = self._session, None
        if session is not None and session.loop is asyncio.get_running_loop():
            await session.guard.aclose()

    async def _sent(self, request: httpx.Request, ends: float) -> Answer:
        loop = asyncio.get_running_loop()
        session = self._session
        if session is None or session.loop is not loop:
            session = self._session = _Session(loop, self.url)
        if not session.entered:
            session.entered = True
            await anext(session.guard)
        token, head = _ENDS.set(ends), _HEAD.set([HEAD_BYTES_MAX])
        try:
            with _told(self._hint or session.hint):
                try:
                    return Answer(await session.kept.send(request, stream=True), ends)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                    if not _is_hang_up(error):
                        raise
                    logger.debug("%s: the connection closed before an answer; one more try", self.label)
                _ENDS.set(ends)
                _HEAD.set([HEAD_BYTES_MAX])
                return Answer(await session.fresh.send(request, stream=True), ends)
        except httpx.PoolTimeout:
            self._session = None  # its places are lost: the next call gets a new client
            raise ClientError(_LATE, outcome="timeout") from None
        finally:
            _ENDS.reset(token)
            _HEAD.reset(head)


class Answer:
    """One answer, once its head has come."""

    def __init__(self, response: httpx.Response, ends: float) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._ends = ends
        self._pieces: AsyncGenerator[bytes] = response.aiter_bytes()  # type: ignore[assignment] # it is a generator

    async def read(self, within_s: float = math.inf) -> bytes | None:
        """Return the next part of the body, unpacked, no later than `within_s` seconds from now; None after its end.

        A server that hangs up in the middle just ends it: the reader of a body knows whether it was whole. Silence for
        too long, the end of the call's time and a broken connection are `ClientError`s.
        """
        token = _ENDS.set(min(self._ends, _now() + within_s))
        try:
            with _told():
                try:
                    return await anext(self._pieces, None)
                except httpx.RemoteProtocolError as error:
                    if not _is_hang_up(error):
                        raise
                    return None
                except httpx.ReadError:
                    raise ClientError("the connection broke in the middle of the answer") from None
        finally:
            _ENDS.reset(token)

    async def whole(self, most: int) -> bytes:
        """Return the body, cut at a number of bytes."""
        body = b""
        while len(body) < most and (data := await self.read()) is not None:
            body += data
        return body[:most]

    async def settle(self) -> None:
        """Read to the end of the body if that comes at once, so that the connection can be used again."""
        until = _now() + DRAIN_S
        with suppress(ClientError):
            while await self.read(until - _now()) is not None:
                pass

    async def aclose(self) -> None:
        """End the call; a second time does nothing."""
        await self._pieces.aclose()
        await self._response.aclose()


class _Session:
    """The clients of one event loop: one that keeps connections, and one whose every connection is new.

    Once entered, the clients end with the loop: it closes the generator that holds them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, url: str) -> None:
        self.loop = loop
        tls, (proxy, variable) = _tls(url), _proxy_of(url)
        self.hint = f" Calls go through the proxy that {variable} names" if proxy else ""
        transports = (_transport(tls, proxy, variable, keep) for keep in (None, 0))
        self.kept, self.fresh = (httpx.AsyncClient(transport=each, trust_env=False) for each in transports)
        self.guard = self._held()
        self.entered = False

    async def _held(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.kept.aclose()
            await self.fresh.aclose()


class _Bounded:
    """The library's network, or a connection of it, with no more time for each step than the running call has left."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **more: Any) -> _Bounded:  # noqa: ASYNC109
        return _Bounded(await self._inner.connect_tcp(host, port, timeout=_left(timeout), **more))

    async def start_tls(self, ssl_context: Any, server_hostname: Any = None, timeout: float | None = None) -> _Bounded:  # noqa: ASYNC109
        return _Bounded(await self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data: bytes = await self._inner.read(max_bytes, _left(timeout))
        head = _HEAD.get()
        if head is not None:
            if head[0] == HEAD_BYTES_MAX:
                _ENDS.set(min(_ENDS.get(), _now() + HEAD_S))
            head[0] -= len(data)
            if head[0] < 0:
                raise ClientError(f"no answer within {HEAD_BYTES_MAX} bytes")
        return data

    async def write(self, data: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(data, _left(timeout))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _left(timeout: float | None) -> float:
    left = max(_ENDS.get() - _now(), 0.0)
    return left if timeout is None else min(timeout, left)


def _transport(tls: ssl.SSLContext, proxy: str | None, variable: str, keep: int | None) -> httpx.AsyncHTTPTransport:
    """Return a transport without a limit of connections, which a lost place in the pool could use up."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep, keepalive_expiry=KEEP_S)
    try:
        transport = httpx.AsyncHTTPTransport(verify=tls, limits=limits, trust_env=False, proxy=proxy)
    except ImportError:
        message = f"{variable} names a SOCKS proxy, for which a package is missing: pip install 'tickweave[socks]'"
        raise ClientError(f"{message}; or list the server's host in NO_PROXY", outcome="unavailable") from None
    except (ValueError, httpx.InvalidURL):
        message = f"the environment variable {variable} names no usable proxy; write http://HOST:PORT"
        raise ClientError(message, outcome="unavailable") from None
    # The library takes a backend for its pool, but offers no argument for it one level up.
    pool: Any = transport._pool  # noqa: SLF001
    pool._network_backend = _Bounded(pool._network_backend)  # noqa: SLF001
    return transport


def _proxy_of(url: str) -> tuple[str | None, str]:
    """Return the proxy in front of the server, None for none, and the environment variable that names it.

    A proxy is for the network, not for a server on this machine.
    """
    parts = urlsplit(url)
    host, proxies = parts.hostname or "", getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    if not proxies.get(scheme) or host == "localhost" or _excepted(host, f"{proxies.get('no', '')},127.0.0.0/8,::1"):
        return None, ""
    proxy = re.sub(r"^socks://", "socks5://", proxies[scheme].strip(), flags=re.IGNORECASE)  # as GNOME writes it
    variable = f"{scheme}_proxy" if os.environ.get(f"{scheme}_proxy") else f"{scheme}_proxy".upper()
    return proxy if "://" in proxy else f"http://{proxy}", variable


def _excepted(host: str, rules: str) -> bool:
    """Return whether NO_PROXY covers a host: by name, as `urllib` reads it, or by a network like `10.0.0.0/8`."""
    for rule in rules.split(","):
        with suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(rule.strip().strip("[]"), strict=False):
                return True
    with suppress(ValueError, OSError):
        return bool(proxy_bypass(host))
    return False


def _tls(url: str) -> ssl.SSLContext:
    """Return the context for TLS; for plain HTTP an empty one, as reading all authorities takes a tenth of a second."""
    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        variable = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "SSL_CERT_FILE")
        reason = error.strerror if type(error) is not ssl.SSLError and error.strerror else "it holds no certificate"
        message = f"the authorities that the environment variable {variable} names cannot be read: {reason}"
        raise ClientError(message, outcome="unavailable") from None


def _is_hang_up(error: Exception) -> bool:
    """Return whether a connection was closed before an answer was whole; other protocol errors have reasons."""
    return type(error) is not httpx.RemoteProtocolError or bool(re.search("disconnected|closed connection", str(error)))


@contextmanager
def _told(hint: str = "") -> Iterator[None]:
    """Turn the library's faults into ours, without its own text where that may name the host."""
    try:
        yield
    except (httpx.PoolTimeout, ClientError):
        raise
    except httpx.TimeoutException:
        raise ClientError(_LATE, outcome="timeout") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        raise ClientError("no host can have this name", outcome="unavailable") from None
    except (httpx.HTTPError, OSError) as error:
        own, reason = shown(str(error), None), f"no connection; is the server running at that URL?{hint}"
        if isinstance(error, httpx.ProxyError):
            reason = f"the proxy refuses: {own}"
        elif isinstance(error, httpx.DecodingError):
            reason = "the answer is packed in a form that cannot be read"
        elif isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError):
            reason = "the server hung up before it answered" if _is_hang_up(error) else f"the answer is not HTTP: {own}"
        raise ClientError(_tls_fault(error) or reason) from None


def _tls_fault(error: BaseException) -> str | None:
    """Name the fault of TLS, the reason at the end of a chain of causes; None where it is something else."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            told = f"the server's certificate is not trusted ({shown(cause.verify_message, None)})"
            return f"{told}; SSL_CERT_FILE may name a file with its authority"
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "no reason").replace("_", " ").lower()
            return f"the server does not speak TLS here ({reason}); try a URL with http://"
        cause = cause.__cause__ or cause.__context__
    return None
