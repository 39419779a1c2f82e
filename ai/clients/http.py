"""HTTP to one model server by httpx: the only file that knows the library.

- Every call has a bound on its total time. Each read, write and connect of a call gets the time that is left of it, so
  a server that trickles a byte now and then holds nobody longer. The bound lies in the network backend, below the
  library: a cancelled httpx call leaks its place in the pool, so nothing here is ever cancelled.
- Connections stay open where the server keeps them, for a time shorter than the one after which common servers close
  idle connections. A call whose connection closes before any byte of an answer is made once more on a new connection.
- The client belongs to an event loop and ends with it: an asynchronous generator holds it, and `asyncio.run` closes
  those. Another loop gets a client of its own.
- A proxy and a private authority come from the environment. Whatever is wrong with them is one `ClientError` that names
  the variable. Errors name no host and no key.
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
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from ai.clients.redaction import shown
from ai.clients.refusals import ERROR_BYTES_MAX, refusal
from ai.errors import ClientError, ContractError

CONNECT_S: Final = 5.0
"""Longest wait for a connection, seconds."""
KEEP_S: Final = 3.0
"""How long an idle connection is kept, seconds; uvicorn, Node and llama-server close theirs after five."""
DRAIN_S: Final = 0.05
"""How long the end of a body may take after the end of its reply for the connection to be kept, seconds."""
ANSWER_BYTES_MAX: Final = 4 * 2**20
"""Bytes of an answer that is not streamed."""
SHARED_KEY: Final = "TICKWEAVE_API_KEY"
"""The environment variable whose key takes precedence over the one of a kind of server."""

_NO_CONNECTION: Final = "no connection; is the server running at that URL?"
_HUNG_UP: Final = "the server hung up before it answered"
_BROKEN: Final = "the connection broke in the middle of the answer"
_LATE: Final = "no answer within the time allowed"
_UNTRUSTED: Final = "the server's certificate is not trusted ({}); SSL_CERT_FILE may name a file with its authority"
_NO_TLS: Final = "the server does not speak TLS here ({}); try a URL with http://"

_ENDS: ContextVar[float] = ContextVar("ends", default=math.inf)
"""The loop's time at which the running call must be over."""
log = logging.getLogger(__name__)


class Http:
    """Calls the server at `url`; `label` begins each error, `hint` is added where no connection comes about.

    The key is read from the first of the environment variables `key_names` that is set, at each call; it is kept
    nowhere and shown nowhere.
    """

    def __init__(self, label: str, url: str, *, key_names: tuple[str, ...] = (), hint: str = "") -> None:
        self.label = label
        self.url = url
        self.key_names = key_names
        self._hint = hint
        self._session: _Session | None = None

    def key(self) -> str | None:
        """Return the key in the environment, None without one.

        Raises:
            ClientError: no header can carry it; the message names the variable.
        """
        for name in self.key_names:
            key = os.environ.get(name, "").strip()
            if key and (not key.isascii() or not key.isprintable() or " " in key):
                message = f"{self.label}: the key in the environment variable {name} holds characters no key has"
                raise ClientError(message, outcome="unavailable")
            if key:
                return key
        return None

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any], *, silence_s: float, ends: float
    ) -> AsyncIterator[Answer]:
        """Post a body and give the answer, to be read as it arrives; the end of the block ends the call.

        `silence_s` is how long nothing may come; `ends` is the loop's time at which the call must be over.

        Raises:
            ClientError: no connection, silence, a broken connection, or an answer that is not a 200 (`RefusedError`).
        """
        try:
            answer = await self._answered("POST", path, body, silence_s, ends)
            try:
                yield answer
            finally:
                await answer.aclose()
        except ClientError as error:
            raise self._named(error) from None

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, total_s: float) -> Any:
        """Return the JSON of a small answer.

        Raises:
            ClientError: as `stream`; with status 200 where the answer is not JSON.
        """
        try:
            answer = await self._answered(method, path, body, total_s, _now() + total_s)
            try:
                return json.loads(await answer.whole(ANSWER_BYTES_MAX))
            except (ValueError, RecursionError):
                raise ClientError("the answer is no JSON; is this the server's URL?", status=answer.status) from None
            finally:
                await answer.aclose()
        except ClientError as error:
            raise self._named(error) from None

    async def aclose(self) -> None:
        """Close what is open; a later call opens it again, on whichever loop it runs."""
        session, self._session = self._session, None
        if session is not None and session.loop is asyncio.get_running_loop():
            await session.aclose()

    def _named(self, error: ClientError) -> ClientError:
        message = str(error)
        if not message.startswith(self.label):
            error.args = (f"{self.label}: {message}",)
        return error

    async def _answered(
        self, method: str, path: str, body: Mapping[str, Any] | None, silence_s: float, ends: float
    ) -> Answer:
        """Send a call and return its answer, if it is a good one."""
        key = self.key()
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "tickweave"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        timeout = httpx.Timeout(silence_s, connect=min(CONNECT_S, silence_s))
        with _told():
            request = httpx.Request(
                method, self.url + path, headers=headers, content=content, extensions={"timeout": timeout.as_dict()}
            )
        answer = await self._sent(request, ends)
        if httpx.codes.is_success(answer.status):
            return answer
        try:
            body_bytes = await answer.whole(ERROR_BYTES_MAX)
            location = answer.header("location")
            raise refusal(
                answer.status,
                body_bytes,
                key=key,
                variable=self.key_names[-1] if self.key_names else SHARED_KEY,
                retry_after=answer.header("retry-after"),
                location=str(httpx.URL(self.url + path).join(location)) if location else None,
            )
        except httpx.InvalidURL:
            raise ClientError(f"HTTP {answer.status}: it redirects to no URL", status=answer.status) from None
        finally:
            await answer.aclose()

    async def _sent(self, request: httpx.Request, ends: float) -> Answer:
        session = await self._opened()
        token = _ENDS.set(ends)
        try:
            with _told(self._hint or session.hint):
                try:
                    return Answer(await session.kept.send(request, stream=True), ends)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                    if not _hung_up(error):
                        raise
                    log.debug("%s: the connection closed before an answer; one more try", self.label)
                return Answer(await session.fresh.send(request, stream=True), ends)
        except httpx.PoolTimeout:
            self._session = None  # its places are lost: the next call gets a new client
            raise ClientError(_LATE, outcome="timeout") from None
        finally:
            _ENDS.reset(token)

    async def _opened(self) -> _Session:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.loop is not loop:
            self._session = _Session(loop, self.url)
        await self._session.enter()
        return self._session


class Answer:
    """One answer, once its head has come."""

    def __init__(self, response: httpx.Response, ends: float) -> None:
        self.status = response.status_code
        self._response = response
        self._ends = ends
        self._pieces: AsyncGenerator[bytes] = response.aiter_bytes()  # type: ignore[assignment] # it is a generator

    def header(self, name: str) -> str | None:
        """Return a header's value, None without one."""
        value: str | None = self._response.headers.get(name)
        return value

    async def read(self, within_s: float = math.inf) -> bytes | None:
        """Return what comes next of the body, unpacked, no later than `within_s` seconds from now; None after its end.

        A server that hangs up in the middle just ends it: the reader of a body knows whether it was whole.

        Raises:
            ClientError: silence for too long, the call's time is over, or the connection broke.
        """
        token = _ENDS.set(min(self._ends, _now() + within_s))
        try:
            with _told():
                try:
                    return await anext(self._pieces, None)
                except httpx.RemoteProtocolError:
                    return None
                except httpx.ReadError:
                    raise ClientError(_BROKEN) from None
        finally:
            _ENDS.reset(token)

    async def whole(self, most: int) -> bytes:
        """Return the body up to so many bytes."""
        body = b""
        while len(body) < most and (data := await self.read()) is not None:
            body += data[: most - len(body)]
        return body

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
    """The clients of one event loop: one that keeps connections, and one whose every connection is new."""

    def __init__(self, loop: asyncio.AbstractEventLoop, url: str) -> None:
        self.loop = loop
        with _told():
            tls, proxy = _tls(url), _proxy_of(url)
            self.hint = f" Calls go through the proxy that {proxy.variable} names" if proxy is not None else ""
            self.kept, self.fresh = (
                httpx.AsyncClient(transport=_transport(tls, proxy, keep), trust_env=False) for keep in (True, False)
            )
        self._entered = False
        self._guard = self._ends_with_loop()

    async def enter(self) -> None:
        """Leave the clients with the loop, which closes them at its end."""
        if not self._entered:
            self._entered = True
            await anext(self._guard)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._guard.aclose()

    async def _ends_with_loop(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.kept.aclose()
            await self.fresh.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects as the library does, with no more time for each step than the running call has left."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.connect_tcp(host, port, _left(timeout), local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection whose every step ends with the running call."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._inner.read(max_bytes, _left(timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, _left(timeout))

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _left(timeout: float | None) -> float:
    left = max(_ENDS.get() - _now(), 0.0)
    return left if timeout is None else min(timeout, left)


def _transport(tls: ssl.SSLContext, proxy: _Proxy | None, keep: bool) -> httpx.AsyncHTTPTransport:  # noqa: FBT001
    """Return a transport without a limit of connections, which a lost place in the pool could use up."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None if keep else 0, keepalive_expiry=KEEP_S)
    try:
        transport = httpx.AsyncHTTPTransport(
            verify=tls, limits=limits, trust_env=False, proxy=None if proxy is None else proxy.url
        )
    except ImportError:
        assert proxy is not None
        message = f"{proxy.variable} names a SOCKS proxy, for which a package is missing: pip install 'httpx[socks]'"
        raise ClientError(f"{message}; or list the server's host in NO_PROXY", outcome="unavailable") from None
    except (ValueError, httpx.InvalidURL):
        if proxy is None:
            raise
        message = f"the environment variable {proxy.variable} names no usable proxy; write http://HOST:PORT"
        raise ClientError(message, outcome="unavailable") from None
    # The library takes a backend for its pool, but offers no argument for it one level up.
    transport._pool._network_backend = _Backend()  # noqa: SLF001
    return transport


class _Proxy:
    """A proxy's URL, and the environment variable that names it."""

    def __init__(self, url: str, scheme: str) -> None:
        url = url.strip()
        url = url if "://" in url else f"http://{url}"
        self.url = re.sub(r"^socks://", "socks5://", url, flags=re.IGNORECASE)  # as GNOME writes it
        names = f"{scheme}_proxy".upper(), f"{scheme}_proxy"
        self.variable = next((name for name in names if os.environ.get(name)), names[0])


def _proxy_of(url: str) -> _Proxy | None:
    """Return the proxy in front of the server; a proxy is for the network, not for a server on this machine."""
    parts = urlsplit(url)
    host, proxies = parts.hostname or "", getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    if not proxies.get(scheme) or _local(host) or _excepted(host, proxies.get("no", "")):
        return None
    return _Proxy(proxies[scheme], scheme)


def _excepted(host: str, rules: str) -> bool:
    """Say whether NO_PROXY covers a host: by name, as `urllib` reads it, or by a network like `10.0.0.0/8`."""
    with suppress(ValueError, OSError):
        if proxy_bypass(host):
            return True
    for rule in rules.split(","):
        with suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(rule.strip().strip("[]"), strict=False):
                return True
    return False


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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


def _hung_up(error: httpx.HTTPError) -> bool:
    """Say whether a connection was closed before any byte of an answer: what a protocol error says else is its own."""
    return not isinstance(error, httpx.RemoteProtocolError) or "disconnected" in str(error)


@contextmanager
def _told(hint: str = "") -> Iterator[None]:
    """Turn the library's faults into ours, without its own text: that may name the host."""
    try:
        yield
    except (httpx.PoolTimeout, ClientError):
        raise
    except httpx.TimeoutException:
        raise ClientError(_LATE, outcome="timeout") from None
    except httpx.ProxyError as error:
        raise ClientError(f"the proxy refuses: {shown(str(error), None)}") from None
    except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
        raise _broken(error) from None
    except httpx.DecodingError:
        raise ClientError("the answer is packed in a form that cannot be read") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        raise ClientError("no host can have this name", outcome="unavailable") from None
    except (httpx.HTTPError, OSError) as error:
        raise ClientError(_unconnected(error, hint)) from None


def _broken(error: httpx.HTTPError) -> ClientError:
    if isinstance(error, httpx.RemoteProtocolError) and not _hung_up(error):
        return ClientError(f"the answer is not HTTP: {shown(str(error), None)}")
    return ClientError(_HUNG_UP)


def _unconnected(error: BaseException, hint: str) -> str:
    """Say why no connection came about; the reason stands at the end of a chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _UNTRUSTED.format(shown(cause.verify_message, None))
        if isinstance(cause, ssl.SSLError):
            return _NO_TLS.format((cause.reason or "no reason").replace("_", " ").lower())
        cause = cause.__cause__ or cause.__context__
    return _NO_CONNECTION + hint


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


_WITH_URL: Final = re.compile(r"(.*?)@(https?)(:.*)", re.IGNORECASE | re.DOTALL)
_LIKE_A_HOST: Final = re.compile(
    r"(localhost|\[.*|[\w-]+(\.[\w-]+)+|[\w.-]+:\d+)(:\d+)?(/.*)?|\w+://.*|(?!default$|latest$)[a-z][\w-]*",
    re.IGNORECASE,
)


def model_and_url(rest: str, scheme: str) -> tuple[str, str | None]:
    """Split `MODEL[@URL]`, the part of a spec after its scheme; a model's name may hold an @ itself.

    Raises:
        ContractError: no model, or a URL that is none; the message does not repeat it, since it may hold a secret.
    """
    match = _WITH_URL.fullmatch(rest)
    model = match[1] if match else rest
    if not model.strip():
        raise ContractError(f"the model's name is missing; write {scheme}:MODEL or {scheme}:MODEL@URL")
    if match:
        return model, checked_url(match[2].lower() + match[3], scheme)
    if _LIKE_A_HOST.fullmatch(model.rpartition("@")[2]) and "@" in model:
        raise ContractError(f"the URL of an {scheme}: model must start with http:// or https:// and name a host")
    return model, None


def public_name(model: str) -> str:
    """Return the model's name without a path; a name like `org/model` is not a path and stays."""
    looks_like_path = model.lower().endswith(".gguf") or re.match(r"[/\\~.]|[A-Za-z]:[/\\]", model)
    return re.split(r"[/\\]", model)[-1] if looks_like_path else model
