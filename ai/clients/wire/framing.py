"""Lines out of bytes: the framing of server-sent events and of newline-delimited JSON alike.

Lines end at the newline byte and nowhere else: a text line reader also splits at U+0085, U+2028 and U+2029, which JSON
strings may hold.
"""

from __future__ import annotations

from typing import Final

from ai.errors import ClientError

LINE_BYTES_MAX: Final = 256 * 1024
"""Bytes that one line may have; the longest that servers send, the usage at the end, are a few kilobytes."""


class LineFramer:
    """Gathers bytes until lines are whole, whatever the pieces; time is linear and memory bounded by one line."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def empty(self) -> bool:
        """Say whether the next byte begins a line."""
        return not self._buffer

    def feed(self, data: bytes) -> bytes:
        """Return the lines that these bytes complete, as one text with their line ends.

        Raises:
            ClientError: a line is too long.
        """
        end = data.rfind(b"\n") + 1
        lines = b""
        if end:
            lines = bytes(self._buffer) + data[:end]
            self._buffer.clear()
        self._buffer += data[end:]
        if len(self._buffer) > LINE_BYTES_MAX or _longest(lines) > LINE_BYTES_MAX:
            raise ClientError(f"a line of the reply is longer than {LINE_BYTES_MAX} bytes", outcome="cut")
        return lines

    def rest(self) -> bytes:
        """Return what stands after the last newline: the last line of a server that does not end it."""
        return bytes(self._buffer).removesuffix(b"\r")


def _longest(lines: bytes) -> int:
    """Return the length of the longest line, or that of all of them where it is no matter."""
    return len(lines) if len(lines) <= LINE_BYTES_MAX else max(map(len, lines.split(b"\n")))
