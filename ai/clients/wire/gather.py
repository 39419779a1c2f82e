"""Calls whose replies come token by token: a look at them now and then takes what has gathered.

A server that writes fifty tokens a second wakes an ordinary reader fifty times a second, for each of its calls. This
one looks again after a share of the time that the call has taken so far, and at once when the reply has ended: what has
come is known a little later than it was sent, the whole no later. Where nobody waits for parts of a reply, it is looked
at once it has ended, has filled the buffer or been silent for too long, and shortly before its deadline; so only with a
server that ends the connection after its reply, as it is asked to, which its first answers show. Looks fall on
multiples of the wait, on the loop's clock, so that all calls of a batch are looked at in one turn of the loop.

Each call has a connection of its own, closed with it. Nothing here is ever cancelled from inside. Proxies are not known
here.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import httpx

from ai.clients.wire.call import BROKEN, HUNG_UP, NO_CONNECTION, NOTHING_IN_TIME, UNTRUSTED, Call
from ai.clients.wire.connection import Connection
from ai.clients.wire.http1 import AnswerHead, Body, request_head
from ai.errors import ClientError

GATHER_S: Final = 1.0
"""Longest wait between two looks at a reply, seconds; a power of two."""
GATHER_MIN_S: Final = 2.0**-9
"""Shortest wait between two looks, seconds; a power of two."""
GATHER_SHARE: Final = 1 / 2
"""The longest wait as a share of the time that the call has taken so far."""
CLOSE_S: Final = 0.25
"""How long after a server's first whole answer its connection may stay open, seconds, for it to count as closing."""
LEFT_SHARE: Final = 1 / 8
"""What is left of the time before a deadline at the next look, as a share of what is left now."""

_PORTS: Final = {"http": 80, "https": 443}
_HEADS_KEPT: Final = 8
"""Heads of requests that are kept: they are the same but for the path and the key."""


@dataclass(slots=True)
class ServerHabits:
    """What answers have shown of a server: whether it ends a connection after its answer, None as long as unknown."""

    closes: bool | None = None


class GatherCaller:
    """Makes every call to the server at `url` on a connection of its own; `tls` is the context for https.

    A URL's host and path are put together here as the HTTP library writes them.
    """

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._url = httpx.URL(url)
        self._host = self._url.raw_host.decode()
        self._port = self._url.port or _PORTS[self._url.scheme]
        self._tls = tls if self._url.scheme == "https" else None
        self._habits = ServerHabits()
        tls.set_alpn_protocols(["http/1.1"])
        self._head = lru_cache(maxsize=_HEADS_KEPT)(self._written)

    async def send(self, call: Call) -> GatheredAnswer:
        """Send a call and return its answer once the head has come.

        Raises:
            ClientError: as `Caller.send`.
        """
        begun = asyncio.get_running_loop().time()
        sent = b"%b\r\nContent-Length: %d\r\n\r\n%b" % (
            self._head(call.method, call.path, tuple(call.headers.items())),
            len(call.content),
            call.content,
        )
        try:
            connection = await Connection.to(self._host, self._port, self._tls, timeout_s=call.connect_s)
        except TimeoutError:
            raise ClientError(NOTHING_IN_TIME, outcome="timeout") from None
        except ssl.SSLCertVerificationError as error:
            raise ClientError(UNTRUSTED.format(error.verify_message)) from None
        except OSError:
            raise ClientError(NO_CONNECTION) from None
        answer = GatheredAnswer(connection, call, begun, self._habits)
        try:
            await answer.open(sent)
        except BaseException:
            await answer.aclose()
            raise
        return answer

    async def aclose(self) -> None:
        """Do nothing: no connection outlives its call."""

    def _written(self, method: str, path: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        target = self._url.raw_path.decode().rstrip("/") + path
        return request_head(method, target, {"Host": self._url.netloc.decode(), **dict(headers)})


def next_look(now: float, longest: float, ends: float) -> float:
    """Return when a reply is looked at next.

    All times are on one clock, seconds; `longest` is the longest wait, `ends` when nobody waits for the reply any more.
    Towards that, looks come closer and closer, so that nothing comes too late.
    """
    at = (
        _multiple_after(now, 2.0 ** math.floor(math.log2(max(longest, GATHER_MIN_S))))
        if longest < math.inf
        else longest
    )
    if now < ends < math.inf:
        soon = _multiple_after(now, GATHER_MIN_S)
        last = ends - LEFT_SHARE * (ends - now)
        at = min(at, max(soon, last - last % GATHER_MIN_S))
    return at


def _multiple_after(now: float, step: float) -> float:
    return now - now % step + step


class GatheredAnswer:
    """One answer; a look that found nothing gives no pieces."""

    def __init__(self, connection: Connection, call: Call, begun: float, habits: ServerHabits) -> None:
        self.status = 0
        self.retry_after: str | None = None
        self._connection = connection
        self._silence_s = call.silence_s
        self._hurried = call.hurried
        self._habits = habits
        self._begun = begun
        self._ends = math.inf if call.left_s is None else begun + call.left_s
        self._heard = begun
        self._body: Body | None = None
        self._first: list[bytes] = []
        self._given = False
        self._told = False
        self._gathers = False
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._turn: asyncio.Future[None] = self._loop.create_future()

    async def open(self, sent: bytes) -> None:
        """Send the request and read the head of the answer.

        Raises:
            ClientError: the server hung up, is silent for too long, or speaks no HTTP.
        """
        head = AnswerHead()
        try:
            await self._connection.send(sent, timeout_s=self._silence_s)
        except TimeoutError:
            raise ClientError(NOTHING_IN_TIME, outcome="timeout") from None
        except OSError:
            raise ClientError(HUNG_UP, hung_up=True) from None
        self._heard = self._loop.time()
        if self._patient():
            self._gather()
        else:
            # The first part is told at once: when it came says how long the call stood in the server's queue.
            self._told = self._connection.watch(self._wake)
        while head.body is None:
            try:
                data = await self._look()
            except OSError:
                data = b""
            if data:
                self._first = head.feed(data)
            elif data is not None:
                raise ClientError(HUNG_UP, hung_up=True)
            elif self._loop.time() >= self._heard + self._silence_s:
                raise ClientError(NOTHING_IN_TIME, outcome="timeout")
        self._body = head.body
        self.status = head.status
        retry_after = head.headers.get(b"retry-after")
        self.retry_after = None if retry_after is None else retry_after.decode("latin-1")

    async def read(self) -> list[bytes] | None:
        """Return what has come of the body since the last time, possibly nothing; None after its end.

        Raises:
            ClientError: as `Answer.read`.
        """
        body = self._body
        assert body is not None
        if self._first:
            first, self._first = self._first, []
            self._give()
            return first
        while not body.done:
            try:
                data = await self._look()
            except OSError:
                raise ClientError(BROKEN) from None
            if data is not None:
                pieces = body.feed(data)
                self._give()
                return pieces if data or body.done else None
            if self._loop.time() - self._heard >= self._silence_s:
                raise ClientError(NOTHING_IN_TIME, outcome="timeout")
            if self._given:
                return []
        if body.broken:
            raise ClientError("the server broke the framing of its answer")
        return None

    async def aclose(self) -> None:
        """Close the connection; after the first whole answer of a server, once it has closed it, or could have."""
        if self._habits.closes is None and self._body is not None and self._body.done:
            self._habits.closes = await self._closed()
        self._connection.close()

    async def _closed(self) -> bool:
        """Say whether the server closes the connection about now."""
        ends = self._loop.time() + CLOSE_S
        while self._loop.time() < ends:
            try:
                data = self._connection.look()
            except OSError:
                return True
            if data is not None:
                return not data
            await asyncio.sleep(CLOSE_S / 32)
        return False

    def _patient(self) -> bool:
        """Say whether nobody waits for parts, and the end will be told."""
        return bool(self._habits.closes) and not self._hurried()

    def _give(self) -> None:
        """Note that a part has come; from the first on, what follows is gathered."""
        self._given = True
        if not self._gathers:
            self._gather()

    def _gather(self) -> None:
        """From now on let the kernel gather what comes."""
        self._gathers = True
        self._told = self._connection.gather(self._at_end)

    async def _look(self) -> bytes | None:
        """Wait for the time of the next look, and look.

        Raises:
            OSError: the connection broke.
        """
        if self._ended:
            # There is more, and no need to wait for it; but other calls have their turn.
            await asyncio.sleep(0)
        else:
            await self._woken(self._next_look())
        data = self._connection.look()
        self._hear(data)
        if data is None and self._ended:
            # It was much, and not the end.
            self._ended = False
            self._gather()
        return data

    def _hear(self, data: bytes | None) -> None:
        """Note when the last byte came: as the system tells, or else at the look that found it."""
        now = self._loop.time()
        quiet_s = self._connection.quiet_s()
        if quiet_s is not None:
            self._heard = max(self._heard, now - quiet_s)
        elif data is not None:
            self._heard = now

    def _next_look(self) -> float:
        now = self._loop.time()
        silent = max(self._heard + self._silence_s, now)
        if self._told and not self._gathers:
            return silent
        if self._told and now < self._ends and self._patient():
            longest = math.inf
        else:
            longest = min(GATHER_S, GATHER_SHARE * (now - self._begun))
        return min(next_look(now, longest, self._ends), silent)

    async def _woken(self, at: float) -> None:
        """Wait until the connection has something to tell, or a time has come."""
        self._turn = self._loop.create_future()
        timer = self._loop.call_at(at, self._wake)
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
