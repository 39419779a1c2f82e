"""Event streams: bytes to lines, and lines to events, by the rules of the WHATWG standard (HTML, 9.2.6).

Only CR, LF and CRLF end a line: a text reader would also split at U+0085, U+2028 and U+2029, which JSON strings may
contain. A byte order mark at the start, comments, unknown fields and fields without a colon are ignored; the data lines
of one event are joined.

There are two exceptions, for servers that omit line ends and send JSON in every event: an event with complete JSON data
also ends at the next data line, and the last event needs no blank line after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ai.errors import ClientError

LINE_BYTES_MAX: Final = 256 * 1024
"""The most bytes of one line and of the data of one event; the longest that servers send are a few kilobytes."""
DONE: Final = "[DONE]"  # the data that ends a stream of chat completions

_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class Lines:
    """Gathers bytes to complete lines in linear time; `rest` holds the bytes after the last line end."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self._after_cr = False
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, without their ends.

        Raises:
            ClientError: a line is too long.
        """
        if self._after_cr and data:
            # The CR before these bytes has already ended its line.
            self._after_cr = False
            data = data.removeprefix(b"\n")
        lines: list[bytes] = []
        if b"\n" in data or b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            *lines, data = _END.split(bytes(self.rest) + data)
            self.rest.clear()
        self.rest += data
        if len(self.rest) > LINE_BYTES_MAX or any(len(line) > LINE_BYTES_MAX for line in lines):
            raise ClientError(f"a line of the reply is longer than {LINE_BYTES_MAX} bytes", outcome="cut")
        if lines and not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(_BOM)
        return lines


class Event(NamedTuple):
    """One event: its type (`message` by default) and its data."""

    kind: str
    data: str


class Events:
    """Turns the bytes of an event stream into events; any split of the bytes gives the same events."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that these bytes complete.

        Raises:
            ClientError: a line or an event is too long.
        """
        for line in self._lines.feed(data):
            yield from self._line(line)

    def close(self) -> Iterator[Event]:
        """Yield the last event at the end of the stream, if any."""
        yield from self._line(bytes(self._lines.rest))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[Event]:
        if not line:
            yield from self._event()
            return
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            if self._data and _is_json("\n".join(self._data)):
                yield from self._event()
            self._data.append(value)
            self._size += len(line)
            if self._size > LINE_BYTES_MAX:
                raise ClientError(f"an event of the reply is longer than {LINE_BYTES_MAX} bytes", outcome="cut")
            if value.strip() == DONE:
                yield from self._event()

    def _event(self) -> Iterator[Event]:
        kind, data = self._kind or "message", self._data
        self._kind, self._data, self._size = "", [], 0
        if data:
            yield Event(kind, "\n".join(data))


def _is_json(text: str) -> bool:
    try:
        return text.rstrip().endswith("}") and json.loads(text) is not None
    except (ValueError, RecursionError):
        return False
