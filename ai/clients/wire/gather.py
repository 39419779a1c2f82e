"""An httpx transport for replies that come token by token: it looks at them now and then and takes what has gathered.

A server that writes fifty tokens a second wakes an ordinary reader fifty times a second, for each of its calls. This
one looks again after a share of the time that the call has taken so far, and at once when the reply has ended: what has
come is known a little later than it was sent, the whole no later. Looks fall on multiples of the wait, on the loop's
clock, so that all calls of a batch are looked at in one turn of the loop.

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

from ai.clients.wire.connection import Connection
from ai.clients.wire.http1 import Body, Exchange
from ai.errors import ClientError

GATHER_S: Final = 0.5
"""Longest wait between two looks at a reply, seconds; a power of two."""
GATHER_MIN_S: Final = 2.0**-9
"""Shortest wait between two looks, seconds; a power of two."""
GATHER_SHARE: Final = 1 / 4
"""The longest wait as a share of the time that the call has taken so far."""
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
        ends = math.inf if left_s is None else begun + left_s
        silence_s = math.inf if timeouts["read"] is None else timeouts["read"]
        stream = _Stream(connection, exchange.body, first, begun=begun, ends=ends, silence_s=silence_s)
        return httpx.Response(exchange.status, headers=list(exchange.headers), stream=stream)


def next_look(now: float, begun: float, ends: float) -> float:
    """Return when a reply is looked at next.

    All times are on one clock, seconds; `begun` is when the call began, `ends` when nobody waits for it any more.
    Towards that, looks come closer and closer, so that nothing comes too late.
    """
    left = ends - now if ends > now else math.inf
    longest = min(GATHER_S, GATHER_SHARE * (now - begun), left / 2)
    interval = 2.0 ** math.floor(math.log2(max(longest, GATHER_MIN_S)))
    return now - now % interval + interval


class _Stream(httpx.AsyncByteStream):
    """The body of one answer, in the pieces in which it was taken; an empty one for a look that found nothing.

    `silence_s` is how long nothing may come.
    """

    def __init__(
        self, connection: Connection, body: Body, first: bytes, *, begun: float, ends: float, silence_s: float
    ) -> None:
        self._connection = connection
        self._body = body
        self._first = first
        self._begun = begun
        self._ends = ends
        self._silence_s = silence_s
        self._ended = False
        self._turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.watch(self._at_end)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop, body = asyncio.get_running_loop(), self._body
        heard, begun = loop.time(), bool(self._first)
        if begun:
            yield self._first
        while not body.done:
            await self._wait(heard + self._silence_s)
            try:
                data = self._connection.look()
            except OSError:
                raise httpx.ReadError("the connection failed") from None
            if data is None:
                if self._ended:
                    # It was much, and not the end.
                    self._ended = False
                    self._connection.watch(self._at_end)
                if loop.time() - heard >= self._silence_s:
                    raise httpx.ReadTimeout("nothing in time")
                if begun:
                    yield b""
                continue
            part = body.feed(data)
            if not data and not body.done:
                raise httpx.RemoteProtocolError("the server hung up in the middle of its answer")
            heard, begun = loop.time(), True
            yield part
        if body.broken:
            raise ClientError("the server broke the framing of its answer")

    async def _wait(self, silent: float) -> None:
        """Wait for the next look; at the time `silent` the reply has been so for too long."""
        loop = asyncio.get_running_loop()
        if self._ended:
            # There is more, and no need to wait for it; but other calls have their turn.
            await asyncio.sleep(0)
            return
        self._turn = loop.create_future()
        timer = loop.call_at(next_look(loop.time(), self._begun, min(self._ends, silent)), self._wake)
        try:
            await self._turn
        finally:
            timer.cancel()

    def _wake(self) -> None:
        if not self._turn.done():
            self._turn.set_result(None)

    def _at_end(self) -> None:
        self._ended = True
        self._wake()

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
