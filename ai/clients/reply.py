"""One reply, assembled from the pieces that a server sends, for every interface."""

from __future__ import annotations

import codecs
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from ai.clients.redaction import Striker, shown
from ai.clients.refusals import reported
from ai.clients.thinking import Parts, ThoughtFilter
from ai.errors import ClientError
from ai.llm_types import LlmChunk, LlmRequest

REPLY_BYTES_MAX: Final = 8 * 2**20  # bytes that one streamed reply may have
WHOLE_BYTES_MAX: Final = 2**20
"""Bytes of a reply kept at most before its first event: they may be one JSON object, or an error page."""
TRANSIT_MS: Final = 20.0  # milliseconds between client and server that do not count as waiting for a slot

T = TypeVar("T")
_FINISH_CHARS_MAX: Final = 40
_STOP: Final = ("eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "end", "finished")
_LENGTH: Final = ("max_tokens", "max_output_tokens", "max_new_tokens", "model_length", "token_limit", "context_length")
_FINISH: Final = {**dict.fromkeys(_STOP, "stop"), **dict.fromkeys(_LENGTH, "length")}


def finish_word(word: str) -> str:
    """Return the finish reason of a reply in the terms of `LlmChunk`: `stop`, `length`, or the server's own.

    >>> finish_word("MAX_TOKENS")
    'length'
    """
    plain = word.lower()
    return _FINISH.get(plain, plain)[:_FINISH_CHARS_MAX]


def known(values: Mapping[str, T | None]) -> dict[str, T]:
    """Return the values that a server reported; unknown values are left out, because unknown is not zero."""
    return {name: value for name, value in values.items() if value is not None}


class Reply:
    """Gathers answer and thoughts; `take` returns the text since the last call, `end` the last chunk.

    `secret` is removed from the text. `inside` means that this model's replies begin inside a block of thoughts;
    afterwards `thoughts.unopened` is True if this reply did. `answered` and `thought` are True if any text of that kind
    has come. Halves of one UTF-16 pair, which a server may write as escapes in two events, are joined; a single half
    becomes U+FFFD, so that the text can always be written.
    """

    def __init__(
        self,
        request: LlmRequest,
        *,
        secret: str | None = None,
        inside: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.answered = self.thought = False
        self._schema = request.schema
        self._clock = clock
        self._begun = clock()
        self._first_ms: float | None = None
        self._pairs = codecs.getincrementaldecoder("utf-16-le")("replace")
        self._half = False
        self.thoughts = ThoughtFilter(inside=inside)
        self._striker = Striker(secret)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._voids = False
        self._whole: list[str] = []

    def add(self, content: str = "", thinking: str = "") -> None:
        """Add one event's piece of the answer, and of the thoughts that the server itself separates."""
        if self._first_ms is None and (content or thinking):
            self._first_ms = 1000 * (self._clock() - self._begun)
        if thinking:
            self._add(Parts(thinking=thinking.encode("utf-8", "replace").decode()))
        if content:
            self._add(self.thoughts.feed(self._joined(content)))

    def take(self) -> LlmChunk:
        """Return the text since the last call, possibly empty."""
        chunk = LlmChunk("".join(self._text), thinking="".join(self._thinking), voids=self._voids)
        self._text, self._thinking, self._voids = [], [], False
        return chunk

    def end(
        self, finish: str, usage: Mapping[str, int] | None = None, timings: Mapping[str, float] | None = None
    ) -> LlmChunk:
        """Return the last chunk; values that a server did not report stay unknown."""
        self._add(self.thoughts.feed(self._pairs.decode(b"", final=True)))
        self._add(self.thoughts.rest(whole=finish == "stop"))
        self._append(self._striker.rest())
        free = finish == "stop" and self._schema is not None and not fits("".join(self._whole), self._schema)
        told = self._timings(timings)
        return replace(self.take(), finish=finish, usage=usage or None, timings=told, unconstrained=free)

    def _timings(self, told: Mapping[str, float] | None) -> Mapping[str, float] | None:
        """Return the timings with the time spent waiting for a slot, if it follows from the reported times."""
        if not told or "queue_ms" in told or "prompt_ms" not in told or self._first_ms is None:
            return told or None
        # Both are too long if a reply was read late, but never too short.
        waited = self._first_ms - told["prompt_ms"]
        if "predicted_ms" in told:
            total_ms = 1000 * (self._clock() - self._begun)
            waited = min(waited, total_ms - told["prompt_ms"] - told["predicted_ms"])
        return {**told, "queue_ms": waited if waited > TRANSIT_MS else 0.0}

    def _joined(self, content: str) -> str:
        if content.isascii() and not self._half:
            return content
        text = self._pairs.decode(content.encode("utf-16-le", "surrogatepass"))
        self._half = bool(self._pairs.getstate()[0])
        return text

    def _add(self, parts: Parts) -> None:
        if parts.voids:
            self._striker.rest()
            self._text, self._whole = [], []
            self._voids, self.answered, self.thought = True, False, True
        if parts.text:
            self.answered |= not parts.text.isspace()
            self._append(self._striker.feed(parts.text))
        self.thought |= bool(parts.thinking.strip())
        self._thinking.append(parts.thinking)

    def _append(self, text: str) -> None:
        self._text.append(text)
        if self._schema is not None:
            self._whole.append(text)


class ReplyReader(ABC):
    """Turns the bytes of one streamed reply into chunks; any split of the bytes gives the same reply.

    `done` is True when nothing more must be read: after the event that ends the reply, and after an error, which
    `close` raises. `finish` is the finish reason as soon as the server reports it; `heard` counts events of the reply.
    An event that cannot be read is skipped.
    """

    def __init__(self, reply: Reply, secret: str | None = None) -> None:
        self.done = False
        self.finish: str | None = None
        self.heard = 0
        self.reply = reply
        self._secret = secret
        self._usage: dict[str, int] = {}
        self._timings: dict[str, float] = {}
        self._unread = bytearray()
        self._refusal = ""
        self._fault: ClientError | None = None
        self._size = 0

    def feed(self, data: bytes) -> LlmChunk:
        """Read the next bytes and return their text, possibly empty."""
        self._size += len(data)
        if not self.heard and len(self._unread) < WHOLE_BYTES_MAX:
            self._unread += data
        try:
            if self._size > REPLY_BYTES_MAX:
                raise ClientError(f"the reply is longer than {REPLY_BYTES_MAX} bytes", outcome="cut")
            self._read(data)
        except ClientError as error:
            # The text before it is good and is returned first.
            self.done, self._fault = True, error
        return self.reply.take()

    def close(self) -> LlmChunk:
        """Return the last chunk, after the last byte.

        Raises:
            ClientError: the server reported an error, sent no events of a reply or too many bytes, the model declined
                to answer or called a tool, or the stream ended before the reply did.
        """
        if self._fault is None and not self.done:
            self._read(None)
        if self._fault is not None:
            raise self._fault
        if not self.heard:
            self._read_whole()
        if self._refusal:
            raise ClientError(f"the model declines: {shown(self._refusal, self._secret)}", outcome="refused")
        if not self.done and self.finish is None:
            raise ClientError("the stream ended before the reply was complete", outcome="cut")
        finish = self.finish or "stop"
        last = self.reply.end(finish, self._usage, self._timings)
        if finish in ("tool_calls", "function_call") and not self.reply.answered:
            raise ClientError("the reply came as the call of a tool, and none was offered", outcome="invalid")
        if finish == "error":
            raise ClientError("the server broke off the reply with an error")
        return last

    def _read(self, data: bytes | None) -> None:
        for event in self._split(data):
            if not self.done:
                self._one(event)

    def _read_whole(self) -> None:
        """Read a stream without any event: it is one JSON object, or not a reply."""
        data = decoded(bytes(self._unread))
        self._event(data[0] if isinstance(data, list) and data else data)
        words = self._unread[:400].decode("utf-8", "replace").strip()
        if words and not (self.heard or self.done or self.is_stream):
            raise ClientError(f"{self.expected}; it says: {shown(words, self._secret)}")

    def _event(self, event: object) -> None:
        """Process one decoded event.

        Raises:
            RefusedError: the event reports an error.
        """
        if not isinstance(event, dict):
            return
        if event.get("error") or event.get("object") == "error":
            raise reported(event, self._secret)
        self.heard += self.take(event)

    is_stream = False  # whether the answer has the form of a stream, even of a broken one
    expected: str  # the message for people if an answer has no event

    @abstractmethod
    def _split(self, data: bytes | None) -> Iterable[Any]:
        """Return the events that these bytes complete, not yet decoded; None means the end of the body."""

    @abstractmethod
    def _one(self, event: Any) -> None:
        """Read one event."""

    @abstractmethod
    def take(self, event: dict[str, Any]) -> bool:
        """Process one event, and return whether it is an event of a reply."""


NO_JSON: Final = object()  # the result of `decoded` for text that is not JSON


def decoded(data: bytes | str) -> object:
    """Return decoded JSON, or `NO_JSON` if it is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return NO_JSON


def fits(text: str, schema: Mapping[str, Any]) -> bool:
    """Return whether a whole reply may have been written under a schema, judged by its outermost level.

    This detects servers that ignore schemas and is not a validation: it checks the outer type, required and unknown
        keys.
    """
    value = decoded(text)
    if value is NO_JSON or schema.get("type") != "object":
        return value is not NO_JSON
    if not isinstance(value, dict) or not set(schema.get("required", ())) <= set(value):
        return False
    return schema.get("additionalProperties") is not False or set(value) <= set(schema.get("properties", ()))
