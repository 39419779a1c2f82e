"""An httpx transport for replies that come token by token: it looks at them now and then and takes what has gathered.

A server that writes fifty tokens a second wakes an ordinary reader fifty times a second, for each of its calls. This
one waits before it looks again for about a tenth of the time that the call has taken so far, at most `GATHER_S`: what
has come is known hardly later than it was sent, and quick replies are read at once. Looks fall on multiples of the
wait, on the loop's clock, so that all calls of a batch are looked at in one turn of the loop.

Each call has a connection of its own, closed with it. Proxies are not known here.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import h11
import httpx

from ai.clients.wire.connection import TAKE_BYTES, Connection
from ai.clients.wire.http1 import Body, Exchange
from ai.errors import ClientError

GATHER_S: Final = 0.25
"""Longest wait between two looks at a reply, seconds; a power of two."""
GATHER_SHARE: Final = 1 / 8
"""The wait between two looks, as a share of the time that the call has taken so far."""
GATHER_MIN_S: Final = 2.0**-9
"""Waits shorter than this are none: the next byte is awaited instead, seconds."""
LEFT: Final = "left_s"
"""The extension of a request that says how many seconds are left until nobody waits for it any more."""

_PORTS: Final = {"http": 80, "https": 443}


class GatherTransport(httpx.AsyncBaseTransport):
    """Makes every call on a connection of its own; `tls` is the context for https."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._tls.set_alpn_protocols(["http/1.1"])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer once the head has come.

        Raises:
            httpx.TransportError: no connection, no answer in time, or the server hung up before it answered.
            ClientError: what answers speaks no HTTP.
        """
        timeouts = request.extensions["timeout"]
        left_s = request.extensions.get(LEFT)
        begun = asyncio.get_running_loop().time()
        pace = _Pace(begun, math.inf if left_s is None else begun + left_s, timeouts["read"])
        url = request.url
        exchange = Exchange(request.method, url.raw_path, request.headers.raw, await request.aread())
        with _told(httpx.ConnectTimeout, httpx.ConnectError):
            tls = self._tls if url.scheme == "https" else None
            port = url.port or _PORTS[url.scheme]
            connection = await Connection.to(url.raw_host.decode(), port, tls, timeout_s=timeouts["connect"])
        try:
            with _told(httpx.WriteTimeout, httpx.WriteError):
                async with asyncio.timeout(timeouts["write"]):
                    await connection.send(exchange.sent)
            first = b""
            while exchange.body is None:
                with _told(httpx.ReadTimeout, httpx.ReadError):
                    data = await connection.wait(timeouts["read"])
                if not data:
                    raise httpx.RemoteProtocolError("the server hung up before it answered")
                first = exchange.feed(data)
        except h11.RemoteProtocolError:
            connection.close()
            raise ClientError("what answers there speaks no HTTP; check the URL") from None
        except BaseException:
            connection.close()
            raise
        stream = _Stream(connection, exchange.body, first, pace)
        return httpx.Response(exchange.status, headers=list(exchange.headers), stream=stream)


class _Pace:
    """When a reply is looked at next: `ends` is when nobody waits for it any more, on the loop's clock."""

    def __init__(self, begun: float, ends: float, silence_s: float | None) -> None:
        self._begun = begun
        self._ends = ends
        self._silence_s = math.inf if silence_s is None else silence_s

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next look, 0 to await the next byte.

        Towards the end of its time a reply is looked at more and more often, so that nothing of it comes too late.
        """
        longest = min(GATHER_S, GATHER_SHARE * (now - self._begun), (self._ends - now) / 2, self._silence_s / 2)
        if longest < GATHER_MIN_S:
            return 0.0
        interval = 2.0 ** math.floor(math.log2(longest))
        return interval - now % interval

    def silence_left_s(self, since: float, now: float) -> float | None:
        """Return how long a reply may go on being silent, which it is since a time."""
        return None if self._silence_s == math.inf else max(self._silence_s - (now - since), 0.0)


class _Stream(httpx.AsyncByteStream):
    """The body of one answer, in the pieces in which it was taken."""

    def __init__(self, connection: Connection, body: Body, first: bytes, pace: _Pace) -> None:
        self._connection = connection
        self._body = body
        self._first = first
        self._pace = pace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop, connection, body, pace = asyncio.get_running_loop(), self._connection, self._body, self._pace
        heard = loop.time()
        if self._first:
            yield self._first
        full = False
        while not body.done:
            # After a full look there is more, and no wait for it, but other calls have their turn.
            if (wait_s := 0.0 if full else pace.wait_s(loop.time())) or full:
                await asyncio.sleep(wait_s)
            with _told(httpx.ReadTimeout, httpx.ReadError):
                data = connection.look()
                if data is None:
                    data = await connection.wait(pace.silence_left_s(heard, loop.time()))
            heard, full = loop.time(), len(data) >= TAKE_BYTES
            part = body.feed(data)
            if not data and not body.done:
                raise httpx.RemoteProtocolError("the server hung up in the middle of its answer")
            yield part
        if body.broken:
            raise ClientError("the server broke the framing of its answer")

    async def aclose(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def _told(timeout: type[httpx.TimeoutException], fault: type[httpx.NetworkError]) -> Iterator[None]:
    """Turn faults of the network into those of httpx."""
    try:
        yield
    except TimeoutError:
        raise timeout("nothing in time") from None
    except OSError:
        raise fault("the connection failed") from None
