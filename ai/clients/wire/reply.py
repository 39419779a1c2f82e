"""One reply, put together from the pieces a server sends, whichever interface it speaks."""

from __future__ import annotations

import codecs
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ai.clients.base import LlmChunk, LlmRequest
from ai.clients.wire.redaction import Striker
from ai.clients.wire.thinking import ThoughtFilter

WAY_MS: Final = 20.0
"""Time besides that of reading the prompt and writing the reply that is the way there and back, and no queue."""


class Reply:
    """Gathers answer and thoughts; `take` gives what has come since, `end` the last chunk.

    `secret` is struck out of the text. `inside` says that this model's replies begin inside a block of thoughts;
    afterwards `unopened` tells whether this one did. Halves of one UTF-16 pair, which a server may write as escapes in
    two events, are put together; a half that stays alone becomes U+FFFD, so that the text can always be written.
    """

    def __init__(
        self,
        request: LlmRequest,
        *,
        secret: str | None = None,
        inside: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schema = request.schema
        self._clock = clock
        self._begun = clock()
        self._first_ms: float | None = None
        self._pairs = codecs.getincrementaldecoder("utf-16-le")("replace")
        self._half = False
        self._thoughts = ThoughtFilter(inside=inside)
        self._striker = Striker(secret)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._whole: list[str] = []

    @property
    def unopened(self) -> bool:
        """Say whether thoughts came without their opening mark."""
        return self._thoughts.unopened

    def add(self, content: str = "", thinking: str = "") -> None:
        """Add one event's piece of the answer, and of the thoughts that the server keeps apart itself."""
        if self._first_ms is None and (content or thinking):
            self._first_ms = 1000 * (self._clock() - self._begun)
        if thinking:
            self._thinking.append(thinking.encode("utf-8", "replace").decode())
        if content:
            self._add(*self._thoughts.feed(self._joined(content)))

    def take(self) -> LlmChunk:
        """Return what has come since the last call, possibly nothing."""
        chunk = LlmChunk("".join(self._text), thinking="".join(self._thinking))
        self._text.clear()
        self._thinking.clear()
        return chunk

    def end(
        self, finish: str, usage: Mapping[str, int] | None = None, timings: Mapping[str, float] | None = None
    ) -> LlmChunk:
        """Return the last chunk; what a server did not report stays unknown."""
        self._add(*self._thoughts.feed(self._pairs.decode(b"", final=True)))
        self._add(*self._thoughts.rest())
        self._append(self._striker.rest())
        last = self.take()
        unconstrained = finish == "stop" and self._schema is not None and not fits("".join(self._whole), self._schema)
        return LlmChunk(last.text, finish, usage or None, self._timings(timings), last.thinking, unconstrained)

    def _timings(self, reported: Mapping[str, float] | None) -> Mapping[str, float] | None:
        """Return the timings with the time spent waiting for a slot, where it follows from what was reported."""
        if not reported or "queue_ms" in reported or "prompt_ms" not in reported or self._first_ms is None:
            return reported or None
        # Both are too long where a reply was looked at late, but never too short.
        waited = self._first_ms - reported["prompt_ms"]
        if "predicted_ms" in reported:
            total_ms = 1000 * (self._clock() - self._begun)
            waited = min(waited, total_ms - reported["prompt_ms"] - reported["predicted_ms"])
        return {**reported, "queue_ms": waited if waited > WAY_MS else 0.0}

    def _joined(self, content: str) -> str:
        if content.isascii() and not self._half:
            return content
        text = self._pairs.decode(content.encode("utf-16-le", "surrogatepass"))
        self._half = bool(self._pairs.getstate()[0])
        return text

    def _add(self, text: str, thinking: str) -> None:
        if text:
            self._append(self._striker.feed(text))
        if thinking:
            self._thinking.append(thinking)

    def _append(self, text: str) -> None:
        self._text.append(text)
        if self._schema is not None:
            self._whole.append(text)


def fits(text: str, schema: Mapping[str, Any]) -> bool:
    """Say whether a whole reply can have been written under a schema, judged by its outermost level.

    Meant to notice servers that ignore schemas, not to validate: it looks at the outer type, required and unknown keys.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if schema.get("type") != "object":
        return True
    if not isinstance(value, dict) or not set(schema.get("required", ())) <= set(value):
        return False
    return schema.get("additionalProperties") is not False or set(value) <= set(schema.get("properties", ()))
