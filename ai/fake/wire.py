"""The two interfaces that the fake server speaks, as bytes: OpenAI's as llama-server has it, and Ollama's own.

Pure: a question out of a request's JSON, and events out of tokens. Shapes are those of llama-server 11434 (recorded
streams) and of Ollama 0.33 (its documentation and source).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ai.errors import ParseError
from ai.fake.model import Question

TOKENS_MAX: Final = 1024
"""Reply tokens of a call that asks for no limit."""
MESSAGES_MAX: Final = 64
"""Messages that one call may have."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one call came to: tokens, and milliseconds of waiting for a slot, of reading the prompt, of writing."""

    prompt: int
    cached: int
    written: int
    queue_ms: float
    prompt_ms: float
    write_ms: float


class Wire(Protocol):
    """One interface: how a call is read and how its events are written."""

    content_type: str

    def question(self, body: Mapping[str, Any]) -> Question:
        """Return what a request asks.

        Raises:
            ParseError: it is not a request of this interface.
        """
        ...

    def first(self) -> bytes:
        """Return what comes before the first token."""
        ...

    def token(self, text: str) -> bytes:
        """Return the event of one token."""
        ...

    def last(self, finish: str, spent: Spent) -> bytes:
        """Return what ends a stream."""
        ...

    def error(self, message: str) -> bytes:
        """Return the event of an error in the middle of a stream."""
        ...

    def refusal(self, status: int, message: str, **more: Any) -> bytes:
        """Return the body of an answer other than 200."""
        ...


class OpenAIWire:
    """`/v1/chat/completions`, as llama-server streams it."""

    content_type = "text/event-stream"

    def __init__(self, model: str) -> None:
        self._tail = f'"created":0,"id":"chatcmpl-fake","model":{json.dumps(model)},"object":"chat.completion.chunk"}}'

    def question(self, body: Mapping[str, Any]) -> Question:
        """Return what a chat completion asks; the schema stands in `response_format`, a grammar in `grammar`."""
        form = body.get("response_format")
        schema = None
        if isinstance(form, dict) and form.get("type") == "json_schema":
            # A schema that stands beside `json_schema` instead of inside it is not seen by real servers either.
            inner = form.get("json_schema")
            schema = inner.get("schema") if isinstance(inner, dict) else None
        limit = body.get("max_completion_tokens", body.get("max_tokens", TOKENS_MAX))
        return _question(body, schema, body.get("grammar"), limit)

    def first(self) -> bytes:
        """Return the event that names the role."""
        return self._event('{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}')

    def token(self, text: str) -> bytes:
        """Return one `data:` event."""
        return self._event(f'{{"finish_reason":null,"index":0,"delta":{{"content":{json.dumps(text)}}}}}')

    def last(self, finish: str, spent: Spent) -> bytes:
        """Return the finish, usage and timings, and `[DONE]`."""
        usage = {
            "completion_tokens": spent.written,
            "prompt_tokens": spent.prompt,
            "total_tokens": spent.prompt + spent.written,
            "prompt_tokens_details": {"cached_tokens": spent.cached},
        }
        timings = {
            "cache_n": spent.cached,
            "prompt_n": spent.prompt - spent.cached,
            "prompt_ms": spent.prompt_ms,
            "predicted_n": spent.written,
            "predicted_ms": spent.write_ms,
        }
        end = self._event(f'{{"finish_reason":{json.dumps(finish)},"index":0,"delta":{{}}}}')
        extra = f'"usage":{json.dumps(usage)},"timings":{json.dumps(timings)},'
        return end + self._event("", extra) + b"data: [DONE]\n\n"

    def error(self, message: str) -> bytes:
        """Return an error event; real servers then close without `[DONE]`."""
        return b"data: " + self.refusal(500, message) + b"\n\n"

    def refusal(self, status: int, message: str, **more: Any) -> bytes:
        """Return the error object with its kind."""
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
        kind = "unavailable_error" if status == 503 else kinds.get(status, "server_error")
        return json.dumps({"error": {"code": status, "message": message, "type": kind, **more}}).encode()

    def _event(self, choice: str, extra: str = "") -> bytes:
        return f'data: {{"choices":[{choice}],{extra}{self._tail}\n\n'.encode()


class OllamaWire:
    """`/api/chat`, one JSON object a line."""

    content_type = "application/x-ndjson"

    def __init__(self, model: str) -> None:
        self._model = json.dumps(model)

    def question(self, body: Mapping[str, Any]) -> Question:
        """Return what a chat asks; the schema stands in `format`."""
        options = body.get("options")
        limit = options.get("num_predict", TOKENS_MAX) if isinstance(options, dict) else TOKENS_MAX
        return _question(body, body.get("format"), None, limit)

    def first(self) -> bytes:
        """Return nothing: the first line is the first token's."""
        return b""

    def token(self, text: str) -> bytes:
        """Return one line."""
        return self._line(text, '"done":false')

    def last(self, finish: str, spent: Spent) -> bytes:
        """Return the line with `done`, counts and durations in nanoseconds."""
        total_ms = spent.queue_ms + spent.prompt_ms + spent.write_ms
        counts = {
            "done_reason": finish,
            "total_duration": int(total_ms * 1e6),
            "load_duration": 0,
            "prompt_eval_count": spent.prompt,
            "prompt_eval_cached_count": spent.cached,
            "prompt_eval_duration": int(spent.prompt_ms * 1e6),
            "eval_count": spent.written,
            "eval_duration": int(spent.write_ms * 1e6),
        }
        return self._line("", f'"done":true,{json.dumps(counts)[1:-1]}')

    def error(self, message: str) -> bytes:
        """Return the line that Ollama writes when something breaks after 200."""
        return self.refusal(500, message) + b"\n"

    def refusal(self, status: int, message: str, **more: Any) -> bytes:  # noqa: ARG002 - the other interface tells it
        """Return the error object; Ollama's has no status in it."""
        return json.dumps({"error": message, **more}).encode()

    def _line(self, text: str, rest: str) -> bytes:
        message = f'{{"role":"assistant","content":{json.dumps(text)}}}'
        return f'{{"model":{self._model},"created_at":"1970-01-01T00:00:00Z","message":{message},{rest}}}\n'.encode()


def _question(body: Mapping[str, Any], schema: object, grammar: object, limit: object) -> Question:
    messages = body.get("messages")
    if not isinstance(messages, list) or len(messages) > MESSAGES_MAX:
        raise ParseError(f'"messages" must be a list of at most {MESSAGES_MAX}')
    said = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise ParseError("a message must be an object with a text as content")
        said.append((str(message.get("role")), message["content"]))
    if type(limit) is not int or limit < 1:
        raise ParseError("the limit of reply tokens must be a positive whole number")
    return Question(
        tuple(said),
        schema if isinstance(schema, Mapping) else None,
        grammar if isinstance(grammar, str) else None,
        limit,
    )
