"""HTTP/1.1 without I/O, as much as one streamed call needs: a request, the head of its answer, the body's framing.

Heads are written and read by h11. Bodies are not: of what a streamed call costs, h11's events were the largest part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

import h11

HEAD_BYTES_MAX: Final = 65_536
"""Bytes that the head of an answer may have."""
SIZE_BYTES_MAX: Final = 1024
"""Bytes that the line with a chunk's size may have, extensions included."""

Headers = Sequence[tuple[bytes, bytes]]

_LINE_END: Final = b"\r\n"
_SIZE: Final = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")
_BODILESS: Final = (204, 304)


class Body(Protocol):
    """Takes the framing off a body, whatever the pieces it arrives in.

    `done` says that it is over, `broken` that it ended because what came next is no such framing.
    """

    done: bool
    broken: bool

    def feed(self, data: bytes) -> bytes:
        """Return the part of the body that these bytes hold; no bytes say that the connection has ended."""
        ...


class Exchange:
    """One call: `sent` is the request as bytes, `feed` reads the answer up to its body.

    Afterwards `status`, `headers` and `body` are the answer's; until its head is whole, `body` is None.

    Raises:
        h11.LocalProtocolError: the request is none.
    """

    def __init__(self, method: str, target: bytes, headers: Headers, content: bytes) -> None:
        self.status = 0
        self.headers: Headers = ()
        self.body: Body | None = None
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        request = h11.Request(method=method, target=target, headers=list(headers))
        events = (request, h11.Data(data=content), h11.EndOfMessage())
        self.sent = b"".join(self._h11.send(event) or b"" for event in events)

    def feed(self, data: bytes) -> bytes:
        """Read bytes of the head and return what they hold of the body.

        Raises:
            h11.RemoteProtocolError: the answer is no HTTP, or its head is too long.
        """
        self._h11.receive_data(data)
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                return b""
            if isinstance(event, h11.Response):
                break
        self.status, self.headers = event.status_code, event.headers.raw_items()
        self.body = _body(event)
        return self.body.feed(self._h11.trailing_data[0])


class Chunked:
    """A body in chunks, each after its size. Extensions are passed over, and trailers, since nothing follows them."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._left = 0
        # A line end stands after each chunk; with one before the first, a size always stands between two.
        self._rest = _LINE_END

    def feed(self, data: bytes) -> bytes:
        """Return the part of the body that these bytes hold."""
        parts: list[bytes] = []
        place = min(self._left, len(data))
        if place:
            parts.append(data[:place])
            self._left -= place
        else:
            data = self._rest + data
        while not self._left and not self.done:
            size = _SIZE.match(data, place)
            if size is None:
                break
            self._left = int(size[1], 16)
            self.done = not self._left
            start = size.end()
            place = min(start + self._left, len(data))
            parts.append(data[start:place])
            self._left -= place - start
        self._rest = data[place:]
        if not self.done and not _may_be_size(self._rest):
            self.done = self.broken = True
        return b"".join(parts)


class Measured:
    """A body of a length that the head told."""

    def __init__(self, length: int) -> None:
        self.done = not length
        self.broken = False
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """Return the part of the body that these bytes hold."""
        part = data[: self._left]
        self._left -= len(part)
        self.done = not self._left
        return part


class Unmeasured:
    """A body that ends with its connection."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False

    def feed(self, data: bytes) -> bytes:
        """Return the bytes."""
        self.done = not data
        return data


def _body(head: h11.Response) -> Body:
    """Return how the body is framed (RFC 9112, 6.3); h11 has checked the two headers."""
    headers = dict(head.headers)
    if head.status_code in _BODILESS:
        return Measured(0)
    if b"transfer-encoding" in headers:
        return Chunked()
    return Measured(int(headers[b"content-length"])) if b"content-length" in headers else Unmeasured()


def _may_be_size(rest: bytes) -> bool:
    """Say whether bytes that are no size yet may become one."""
    line = rest[: SIZE_BYTES_MAX + 1]
    return len(line) <= SIZE_BYTES_MAX and line[:2] == _LINE_END[: len(line)] and b"\n" not in line[2:]
