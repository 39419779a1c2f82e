"""HTTP/1.1 from the server's side, as far as clients of model servers use it: requests in, answers out.

Hand-written, because faults on the wire (a reset, a cut body, a hang-up at an odd moment) need the raw connection.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

HEAD_BYTES_MAX: Final = 65_536
"""Bytes that a request's head may have."""
BODY_BYTES_MAX: Final = 16 * 2**20
"""Bytes that a request's body may have."""
_LENGTH: Final = re.compile(r"[0-9]{1,12}")
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?\r\n", re.DOTALL)


class BadRequestError(Exception):
    """Bytes that are no request; the connection is of no use after it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Names of headers are in small letters; the path has no query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any] | None:
        """Return the object that the body holds, None where it holds none."""
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) else None

    @property
    def last(self) -> bool:
        """Whether the caller wants the connection closed after the answer."""
        return self.headers.get("connection", "").lower() == "close"


class Connection:
    """One connection: requests are read one after another, and each is answered before the next is read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, promise: str = "") -> None:
        self._reader = reader
        self._writer = writer
        self._ahead = b""
        self._headless = False
        self._promise = promise

    async def request(self) -> Request:
        """Read the next request.

        Raises:
            BadRequestError: it is none, or too long.
            asyncio.IncompleteReadError: the caller has gone.
        """
        try:
            head = (self._ahead + await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.LimitOverrunError:
            raise BadRequestError(431, "the head of the request is too long") from None
        self._ahead = b""
        words = head[0].split(" ")
        if len(words) != 3:
            raise BadRequestError(400, "this is not an HTTP request")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._headless = words[0] == "HEAD"
        return Request(words[0], words[1].partition("?")[0], headers, await self._body(headers))

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await self._chunks()
        length = headers.get("content-length") or "0"
        if not _LENGTH.fullmatch(length):
            raise BadRequestError(400, "Content-Length must be a number")
        _check_size(int(length))
        return await self._reader.readexactly(int(length))

    async def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = _CHUNK.fullmatch(await self._reader.readuntil(b"\r\n"))
            if line is None:
                raise BadRequestError(400, "a chunk of the body has no size")
            size = int(line[1], 16)
            _check_size(len(body) + size)
            body += await self._reader.readexactly(size)
            if size == 0:
                while (await self._reader.readuntil(b"\r\n")).strip():
                    pass  # trailers
                return bytes(body)
            await self._reader.readexactly(2)

    async def gone(self) -> None:
        """Wait until the caller hangs up; the beginning of another request, which may come early, is kept."""
        while not self._ahead:
            data = await self._reader.read(1)
            if not data:
                return
            self._ahead = data
        await asyncio.Event().wait()

    async def another(self) -> None:
        """Wait for the first byte of the next request, or for the caller to hang up."""
        if not self._ahead:
            self._ahead = await self._reader.read(1)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Write the head of an answer."""
        phrase = HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}", *([f"Keep-Alive: {self._promise}"] if self._promise else [])]
        self._writer.write("\r\n".join([*lines, *(f"{n}: {v}" for n, v in headers.items()), "", ""]).encode())

    def answer(self, status: int, body: object, *, kind: str = "application/json", retry_after_s: int = 0) -> None:
        """Write a whole answer; anything but bytes is written as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Content-Length": str(len(data))}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["Retry-After"] = str(retry_after_s)
        self.head(status, headers)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Write a part of a body; the answer to HEAD has none."""
        if not self._headless:
            self._writer.write(data)

    def chunk(self, data: bytes) -> None:
        """Write a part of a streamed body."""
        if data:
            self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self, last: bytes = b"", *, close: bool = False) -> None:
        """Write the last part of a streamed body and its end, and the end of the connection where it closes.

        That comes in one piece with the last bytes where the system can do so: a caller that reads them knows at once
        that the connection is of no use for another call.
        """
        if close and (cork := getattr(socket, "TCP_CORK", None)) is not None:
            self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, cork, 1)
        self.chunk(last)
        self.write(b"0\r\n\r\n")
        if close:
            self._writer.write_eof()

    async def drain(self) -> None:
        """Wait until the caller has taken most of the bytes written."""
        await self._writer.drain()

    def reset(self) -> None:
        """Close so that the other side reads a reset instead of an end."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection after all writes are sent."""
        with suppress(OSError):
            self._writer.close()


def _check_size(size: int) -> None:
    if size > BODY_BYTES_MAX:
        raise BadRequestError(413, f"the body is longer than {BODY_BYTES_MAX:,} bytes")
