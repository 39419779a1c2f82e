"""The bytes of a streamed reply to chunks: what all interfaces share that write one JSON event a line."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ai.clients.base import LlmChunk
from ai.clients.wire.framing import LINE_BYTES_MAX, LineFramer
from ai.clients.wire.repeats import Repeats
from ai.clients.wire.reply import Reply
from ai.errors import ClientError

REPLY_BYTES_MAX: Final = 8 * 2**20
"""Bytes that one streamed reply may have."""


class EventReader(ABC):
    """Turns bytes into chunks; `feed` takes any split of them, and is fast with one in which each event is a piece.

    `done` says that nothing more is to be read: after the event that ends the reply, and after a fault, which `close`
    raises. `reported` makes the error of what a server reports inside the stream. `repeats` is what was learnt of the
    server's events from earlier replies.
    """

    def __init__(self, reply: Reply, reported: Callable[[object], ClientError], repeats: Repeats | None = None) -> None:
        self.done = False
        self.reply = reply
        self._reported = reported
        self._framer = LineFramer()
        self._repeats = Repeats(self.text_alone) if repeats is None else repeats
        self._fault: ClientError | None = None
        self._size = 0
        self._idle = 0

    def feed(self, pieces: Sequence[bytes]) -> LlmChunk:
        """Read the next bytes and return what they hold, possibly nothing."""
        try:
            self._size += sum(map(len, pieces))
            if self._size > REPLY_BYTES_MAX:
                raise ClientError(f"the reply is longer than {REPLY_BYTES_MAX} bytes", outcome="cut")
            place = 0
            while place < len(pieces) and not self.done:
                place = self._read(pieces, place)
        except ClientError as error:
            # What came before it is good and is handed on first.
            self.done, self._fault = True, error
        return self.reply.take()

    def _read(self, pieces: Sequence[bytes], place: int) -> int:
        """Read on from a piece and return up to which."""
        text, alike = self._repeats.alike(pieces, place) if self._framer.empty else ("", 0)
        if alike > 1:
            self._add(text)
            return place + alike
        # Where events differ in more than their text, or are not a piece each, all that is left is read together.
        stop = place + 1 if not alike and pieces[place].endswith(b"\n") else len(pieces)
        for text, line in self._repeats.runs(self._framer.feed(b"".join(pieces[place:stop]))):
            if self.done:
                break
            if text:
                self._add(text)
            if line:
                self._line(line)
        return stop

    def _add(self, repeated: str) -> None:
        self._idle = 0
        self.reply.add(repeated)

    def close(self) -> LlmChunk:
        """Return the last chunk, after the last byte.

        Raises:
            ClientError: the server reported an error, sent no such events or too much, or the stream ended before the
                reply did.
        """
        if self._fault is not None:
            raise self._fault
        if not self.done:
            self._line(self._framer.rest())
        finish, usage, timings = self.ended()
        return self.reply.end(finish, usage, timings)

    def _line(self, line: bytes) -> None:
        start = self.place_of_event(line)
        if start is None:
            self._idle += len(line)
            if self._idle > LINE_BYTES_MAX:
                raise ClientError("the stream goes on and on without an event", outcome="cut")
            return
        self._idle = 0
        event = decoded(line[start:])
        if event is NO_JSON:
            raise self.not_an_event()
        if isinstance(event, dict):
            if event.get("error"):
                raise self._reported(event["error"])
            self.take(event)
            self._repeats.learn(line, start, event)

    @abstractmethod
    def place_of_event(self, line: bytes) -> int | None:
        """Return where in a line an event's JSON begins, None where it holds none.

        Raises:
            ClientError: there is no such stream.
        """

    @abstractmethod
    def not_an_event(self) -> ClientError:
        """Return the error of an event that is no JSON."""

    @abstractmethod
    def take(self, event: dict[str, Any]) -> None:
        """Take in one decoded event, and say in `done` whether it is the last."""

    @abstractmethod
    def ended(self) -> tuple[str, Mapping[str, int], Mapping[str, float]]:
        """Return how the reply ended (`stop`, `length` or the server's word), its usage and its timings.

        Raises:
            ClientError: it did not end, or the model declined to answer.
        """

    @staticmethod
    @abstractmethod
    def text_alone(event: Any) -> str | None:
        """Return the piece of the answer in a decoded event that holds nothing else of interest, else None."""


NO_JSON: Final = object()
"""What `decoded` returns where there is no JSON."""


def decoded(data: bytes) -> object:
    """Return decoded JSON, `NO_JSON` where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return NO_JSON
