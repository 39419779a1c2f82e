"""One TCP connection, with TLS or without, whose reader decides when to look at it.

Between two looks nothing runs: what arrives waits in the kernel. asyncio's own transports wake up for every packet, and
a server that writes token by token sends a packet for each. Only the end of a connection is told at once.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

TAKE_BYTES: Final = 65_536
"""Bytes that are taken at one look at most."""

_LAST_RECEIVED: Final = slice(52, 56)
"""Where `struct tcp_info` of Linux has `tcpi_last_data_recv`, milliseconds (linux/tcp.h; part of its stable ABI)."""

Addresses = list[tuple[Any, ...]]
"""What the resolver gives: family, kind, protocol, name, address."""


class Connection:
    """An open connection; `close` frees it at once. Every fault of the network is an `OSError`."""

    def __init__(self, raw: socket.socket) -> None:
        self._socket = raw
        self._tls: _Tls | None = None
        self._watched = False

    @classmethod
    async def to(cls, host: str, port: int, tls: ssl.SSLContext | None, *, timeout_s: float) -> Connection:
        """Return a connection to a host.

        Raises:
            TimeoutError: there is none in time.
            OSError: nobody listens there, or the certificate is not to be trusted.
        """
        ends = asyncio.get_running_loop().time() + timeout_s
        connection = cls(await _connected(host, port, ends))
        if tls is not None:
            try:
                async with asyncio.timeout_at(ends):
                    await connection._secure(tls, host)
            except BaseException:
                connection.close()
                raise
        return connection

    async def send(self, data: bytes, *, timeout_s: float) -> None:
        """Send bytes.

        Raises:
            TimeoutError: the other side does not take them in time.
            OSError: it has gone.
        """
        sealed = data if self._tls is None else self._tls.sealed(data)
        try:
            sent = self._socket.send(sealed)
        except BlockingIOError:
            sent = 0
        if sent < len(sealed):
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_sendall(self._socket, sealed[sent:])

    def look(self) -> bytes | None:
        """Return what has come, up to `TAKE_BYTES`; None where nothing has, no bytes at the end.

        Raises:
            OSError: the connection broke.
        """
        try:
            data = self._socket.recv(TAKE_BYTES)
        except BlockingIOError:
            return None
        return data if self._tls is None else self._tls.opened(data)

    def quiet_s(self) -> float | None:
        """Return how long ago the last byte came, looked at or not, seconds; None where the system does not tell."""
        if sys.platform != "linux":
            return None
        told = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_RECEIVED.stop)
        return int.from_bytes(told[_LAST_RECEIVED], sys.byteorder) / 1000

    def watch(self, woken: Callable[[], None]) -> bool:
        """Call back whenever there is something to look at; False where the system cannot tell."""
        try:
            # By its number: for a socket that it does not know yet, the selector would make a text with both addresses.
            asyncio.get_running_loop().add_reader(self._socket.fileno(), woken)
        except NotImplementedError:
            return False
        self._watched = True
        return True

    def gather(self, ended: Callable[[], None]) -> bool:
        """From now on call back once only: when the other side has closed, or as much has come as one look takes.

        False where the system cannot tell; looks alone find out then.
        """

        def woken() -> None:
            self._unwatch()
            ended()

        try:
            # Below its low-water mark a socket counts as readable only when it has ended.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, TAKE_BYTES)
        except OSError:
            self._unwatch()
            return False
        return self.watch(woken)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._socket.fileno() >= 0:
            self._unwatch()
            self._socket.close()

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    async def _secure(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS."""
        loop = asyncio.get_running_loop()
        tls = _Tls(context, host)
        while not tls.shaken():
            await loop.sock_sendall(self._socket, tls.outgoing.read())
            tls.receive(await loop.sock_recv(self._socket, TAKE_BYTES))
        await loop.sock_sendall(self._socket, tls.outgoing.read())
        self._tls = tls


class _Tls:
    """TLS between two stores of bytes: what is to be sent, and what has come."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.outgoing = ssl.MemoryBIO()
        self._incoming = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self.outgoing, server_hostname=host)

    def shaken(self) -> bool:
        """Go on with the handshake; say whether it is over."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def receive(self, data: bytes) -> None:
        """Take in bytes that have come; none at the end."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def sealed(self, data: bytes) -> bytes:
        """Return data as it is sent."""
        self._object.write(data)
        return self.outgoing.read()

    def opened(self, data: bytes) -> bytes | None:
        """Return the data in bytes that have come: None where it is not whole yet, no bytes at the end."""
        self.receive(data)
        parts: list[bytes] = []
        try:
            while part := self._object.read(TAKE_BYTES):
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts) or None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            pass  # the framing of the answer tells whether it was whole
        return b"".join(parts)


async def _connected(host: str, port: int, ends: float) -> socket.socket:
    """Return a socket connected to the first address of a host that answers; each has its share of the time."""
    loop = asyncio.get_running_loop()
    found = _numeric(host, port)
    if not found:
        async with asyncio.timeout_at(ends):
            found = await _resolved(host, port)
    fault: OSError = OSError("the host has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        raw = socket.socket(family, kind, protocol)
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not _connects_at_once(raw, address):
                async with asyncio.timeout((ends - loop.time()) / (len(found) - number)):
                    await loop.sock_connect(raw, address)
        except OSError as error:
            raw.close()
            fault = error
        except BaseException:
            raw.close()
            raise
        else:
            return raw
    raise fault


def _connects_at_once(raw: socket.socket, address: Any) -> bool:
    """Begin to connect; on one machine that is all, and a second try says so."""
    for _ in range(2):
        try:
            raw.connect(address)
        except BlockingIOError:
            continue
        return True
    return False


@lru_cache(maxsize=64)
def _numeric(host: str, port: int) -> Addresses:
    """Return the address that a host's name itself is, none where it needs a resolver, and so a thread."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        return []


async def _resolved(host: str, port: int) -> Addresses:
    try:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("no host can have this name") from None
