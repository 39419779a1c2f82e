"""HTTP/1.1 without I/O, as much as one streamed call needs: the head of a request, that of an answer, a body's framing.

Written here because of what a call costs: a model writes token by token, each in a chunk of its own, and a general
library makes an object of each. What is accepted is less than such a library accepts, and never more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Protocol

from ai.errors import ClientError

HEAD_BYTES_MAX: Final = 65_536
"""Bytes that the heads of an answer may have, those that only announce it included."""
SIZE_BYTES_MAX: Final = 1024
"""Bytes that the line with a chunk's size may have, extensions included."""

_HEADS_KEPT: Final = 8
"""Heads that are kept as they were read."""
_LINE_END: Final = b"\r\n"
_SIZE: Final = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")
_BODILESS: Final = (204, 304)
"""Statuses of answers that have no body, whatever their headers say (RFC 9112, 6.3)."""
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_START: Final = b"HTTP/1."
_STATUS: Final = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})(?: [^\x00\r\n\v\f]*)?")
_FIELD: Final = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*((?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?)[ \t]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,20}")
_SENT: Final = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")


class Body(Protocol):
    """Takes the framing off a body, whatever the pieces it arrives in.

    `done` says that it is over, `broken` that it ended because what came next is no such framing.
    """

    done: bool
    broken: bool

    def feed(self, data: bytes) -> list[bytes]:
        """Return the part of the body that these bytes hold, in the pieces in which the server wrote it.

        No bytes say that the connection has ended.
        """
        ...


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request without its end, so that the length of its content can follow.

    Raises:
        ValueError: a part holds what no head may, a line end above all.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if not all(map(_SENT.fullmatch, lines)):
        raise ValueError("a head takes visible ASCII characters only")
    return "\r\n".join(lines).encode()


class AnswerHead:
    """Reads the head of an answer, whatever the pieces it arrives in, up to its body.

    `status`, `headers` (names in lower case) and `body` are the answer's; until its head is whole, `body` is None.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body: Body | None = None
        self._read = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Read bytes of the head and return what they hold of the body.

        Raises:
            ClientError: the answer is no HTTP, or its head is too long.
        """
        seen = max(len(self._read) - 2, 0)
        self._read += data
        self._size += len(data)
        while self.body is None:
            end = _HEAD_END.search(self._read, seen)
            size = self._size - len(self._read) + (len(self._read) if end is None else end.end())
            if size > HEAD_BYTES_MAX or self._read[: len(_START)] != _START[: len(self._read)]:
                raise _no_http()
            if end is None:
                return []
            self._take(bytes(self._read[: end.start()]))
            del self._read[: end.end()]
            seen = 0
        return self.body.feed(bytes(self._read)) if self._read else []

    def _take(self, head: bytes) -> None:
        """Read one whole head; one that only announces the answer is passed over."""
        self.status, fields = _parsed(head)
        if self.status >= 200:
            self.body = self._body(fields)
        elif self.status < 100 or self.status == 101:
            raise _no_http()

    def _body(self, fields: tuple[tuple[bytes, bytes], ...]) -> Body:
        """Return how the body is framed (RFC 9112, 6.3)."""
        self.headers = dict(fields)
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        lengths = {
            part.strip(b" \t") for name, value in fields if name == b"content-length" for part in value.split(b",")
        }
        if len(codings) > 1 or len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise _no_http()
        if codings and codings[0].lower() != b"chunked":
            raise _no_http()
        if self.status in _BODILESS:
            return Measured(0)
        if codings:
            return Chunked()
        return Measured(int(lengths.pop())) if lengths else Unmeasured()


@lru_cache(maxsize=_HEADS_KEPT)
def _parsed(head: bytes) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
    """Return status and fields of a head, names in lower case. A server's answers have the same one for a second.

    Raises:
        ClientError: it is no head of HTTP.
    """
    first, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    status = _STATUS.fullmatch(first)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if status is None or None in fields:
        raise _no_http()
    return int(status[1]), tuple((field[1].lower(), field[2]) for field in fields if field is not None)


def _no_http() -> ClientError:
    return ClientError("what answers there speaks no HTTP; check the URL")


class Chunked:
    """A body in chunks, each after its size. Extensions are passed over, and trailers, since nothing follows them."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._left = 0
        # A line end stands after each chunk; with one before the first, a size always stands between two.
        self._rest = _LINE_END

    def feed(self, data: bytes) -> list[bytes]:
        """Return the chunks that these bytes hold; the first and the last may be parts of one."""
        chunks: list[bytes] = []
        place = min(self._left, len(data))
        if place:
            chunks.append(data[:place])
            self._left -= place
        else:
            data = self._rest + data
        if not self._left:
            whole, place = _plain_chunks(data, place)
            chunks += whole
        while not self._left and not self.done:
            size = _SIZE.match(data, place)
            if size is None:
                break
            self._left = int(size[1], 16)
            self.done = not self._left
            start = size.end()
            place = min(start + self._left, len(data))
            if place > start:
                chunks.append(data[start:place])
            self._left -= place - start
        self._rest = data[place:]
        if not self.done and not _may_be_size(self._rest):
            self.done = self.broken = True
        return chunks


def _plain_chunks(data: bytes, place: int) -> tuple[list[bytes], int]:
    """Return the chunks that begin at a place, and where they end, if they are as nearly all servers write them.

    That is: whole, short, with their size in lower case, and without a line end of HTTP inside. Where the text between
    every two line ends has just the length that stands before it, it is what reading size by size gives.
    """
    lines = data[place:].split(_LINE_END)
    # An empty text, then size and chunk by turns; the last line may not be whole.
    chunks = lines[2:-1:2]
    if chunks and not chunks[-1]:
        chunks.pop()  # the end of the body
    lengths = list(map(len, chunks))
    rest = lines[2 * len(chunks) + 1 :]
    if lines[0] or not chunks or lines[1 : 2 * len(chunks) : 2] != list(map(_SIZES.get, lengths)):
        return [], place
    return chunks, len(data) - sum(map(len, rest)) - len(rest) * len(_LINE_END)


_SIZES: Final = {n: b"%x" % n for n in range(1, 1024)}
"""Sizes of plain chunks as they are written; those of nearly all events are among them."""


class Measured:
    """A body of a length that the head told."""

    def __init__(self, length: int) -> None:
        self.done = not length
        self.broken = False
        self._left = length

    def feed(self, data: bytes) -> list[bytes]:
        """Return the part of the body that these bytes hold."""
        part = data[: self._left]
        self._left -= len(part)
        self.done = not self._left
        return [part] if part else []


class Unmeasured:
    """A body that ends with its connection."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bytes."""
        self.done = not data
        return [data] if data else []


def _may_be_size(rest: bytes) -> bool:
    """Say whether bytes that are no size yet may become one."""
    line = rest[: SIZE_BYTES_MAX + 1]
    return len(line) <= SIZE_BYTES_MAX and line[:2] == _LINE_END[: len(line)] and b"\n" not in line[2:]
