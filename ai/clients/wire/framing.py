"""Lines out of bytes: the framing of server-sent events and of newline-delimited JSON alike.

Lines end at the newline byte and nowhere else: a text line reader also splits at U+0085, U+2028 and U+2029, which JSON
strings may hold.
"""

from __future__ import annotations

from typing import Final

from ai.errors import ClientError

LINE_BYTES_MAX: Final = 256 * 1024
"""Bytes that one line may have; the longest that servers send, the usage at the end, are a few kilobytes."""
REPLY_BYTES_MAX: Final = 8 * 2**20
"""Bytes that one streamed reply may have."""


class LineFramer:
    """Cuts bytes into lines, whatever the pieces they arrive in; time is linear and memory bounded by one line."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, without their line ends.

        Raises:
            ClientError: a line or the whole reply is too long.
        """
        self._size += len(data)
        if self._size > REPLY_BYTES_MAX:
            raise ClientError(f"the reply is longer than {REPLY_BYTES_MAX} bytes", outcome="cut")
        lines: list[bytes] = []
        if b"\n" in data:
            *lines, data = (bytes(self._buffer) + data).split(b"\n")
            self._buffer.clear()
        self._buffer += data
        if max(len(self._buffer), *map(len, lines), 0) > LINE_BYTES_MAX:
            raise ClientError(f"a line of the reply is longer than {LINE_BYTES_MAX} bytes", outcome="cut")
        return [line.removesuffix(b"\r") for line in lines]

    def rest(self) -> bytes:
        """Return what stands after the last newline: the last line of a server that does not end it."""
        return bytes(self._buffer).removesuffix(b"\r")
