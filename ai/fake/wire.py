"""The interfaces that the fake server speaks, as bytes: OpenAI's as llama-server has it, and Ollama's own two.

Pure: a question out of a request's JSON, and answers out of tokens, streamed or whole. A feature that an interface has
and this server does not is refused in one sentence, unless a server may ignore it without changing its answer. Shapes
are those of llama-server 11434 (recorded streams) and of Ollama 0.33 (its documentation and source).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ai.errors import ParseError
from ai.fake.model import Question
from ai.llm_types import STAND_IN

MESSAGES_MAX: Final = 10_000
"""Messages that one call may have."""
STOPS_MAX: Final = 16
"""Texts at which one reply may be asked to stop."""


@dataclass(frozen=True, slots=True)
class Spent:
    """The usage of one call: tokens, and milliseconds of waiting for a slot, of reading the prompt, of writing."""

    prompt: int
    cached: int
    written: int
    queue_ms: float
    prompt_ms: float
    write_ms: float


class Wire(ABC):
    """One call over one interface: how it is read and how its answer is written.

    Attributes:
        stream: whether the reply is streamed, as the call says.
        keeps: whether the connection is kept after a streamed reply.
        streams_unasked: whether a reply is streamed where the call does not say.
    """

    content_type: ClassVar[str]
    keeps: ClassVar[bool]
    streams_unasked: ClassVar[bool]

    def __init__(self, model: str, number: int) -> None:
        self.model = model
        self.number = number
        self.stream = True

    def read(self, body: Mapping[str, Any]) -> Question:
        """Return the question of a request.

        Raises:
            ParseError: it is not a request of this interface, or asks for something that this server does not do.
        """
        stream = body.get("stream")
        if stream not in (None, True, False):
            raise ParseError('"stream" must be true or false')
        self.stream = self.streams_unasked if stream is None else stream
        return self.question(body)

    @abstractmethod
    def question(self, body: Mapping[str, Any]) -> Question:
        """Return the question of a request.

        Raises:
            ParseError: as `read`.
        """

    def first(self) -> bytes:
        """Return the bytes before the first token."""
        return b""

    @abstractmethod
    def token(self, text: str) -> bytes:
        """Return the event of one token."""

    @abstractmethod
    def last(self, finish: str, spent: Spent) -> bytes:
        """Return the bytes that end a stream."""

    @abstractmethod
    def whole(self, text: str, finish: str, spent: Spent) -> bytes:
        """Return a reply that is not streamed."""

    @abstractmethod
    def error(self, message: str) -> bytes:
        """Return the event of an error in the middle of a stream."""

    @abstractmethod
    def refusal(self, status: int, message: str, **more: Any) -> bytes:
        """Return the body of an answer other than 200."""

    @abstractmethod
    def unknown_model(self, asked: object) -> bytes:
        """Return the body of the answer to a call for a model that is not there."""


class OpenAIWire(Wire):
    """`/v1/chat/completions`, as llama-server answers it."""

    content_type = "text/event-stream"
    keeps = False
    streams_unasked = False

    def __init__(self, model: str, number: int) -> None:
        super().__init__(model, number)
        self._usage = False
        self._tail = f'"created":0,"id":"chatcmpl-{number}","model":{json.dumps(model)},"object":"chat.completion'

    def question(self, body: Mapping[str, Any]) -> Question:
        """Return the question of a chat completion; the schema stands in `response_format`, a grammar in `grammar`."""
        _refuse_openai(body)
        form, schema = body.get("response_format"), None
        kind = form.get("type") if isinstance(form, dict) else None
        if kind not in (None, "text", "json_object", "json_schema"):
            raise ParseError('the type of "response_format" must be text, json_object or json_schema')
        if isinstance(form, dict) and kind == "json_schema":
            # A schema that stands beside `json_schema` instead of inside it is not seen by real servers either.
            inner = form.get("json_schema")
            schema = inner.get("schema") if isinstance(inner, dict) else None
        options = body.get("stream_options")
        self._usage = isinstance(options, dict) and options.get("include_usage") is True
        limit = body.get("max_completion_tokens")
        limit = body.get("max_tokens") if limit is None else limit
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ParseError("the limit of reply tokens must be a positive whole number")
        return _question(
            body, schema, limit, grammar=body.get("grammar"), as_json=kind == "json_object", stop=body.get("stop")
        )

    def first(self) -> bytes:
        """Return the event that names the role."""
        return self._event('{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}')

    def token(self, text: str) -> bytes:
        """Return one `data:` event."""
        return self._event(f'{{"finish_reason":null,"index":0,"delta":{{"content":{json.dumps(text)}}}}}')

    def last(self, finish: str, spent: Spent) -> bytes:
        """Return the finish, timings, usage where the call asks for it, and `[DONE]`."""
        end = f'{{"finish_reason":{json.dumps(finish)},"index":0,"delta":{{}}}}'
        timings = f'"timings":{json.dumps(_timings(spent))},'
        if not self._usage:
            return self._event(end, timings) + b"data: [DONE]\n\n"
        usage = f'"usage":{json.dumps(_usage(spent))},{timings}'
        return self._event(end) + self._event("", usage) + b"data: [DONE]\n\n"

    def whole(self, text: str, finish: str, spent: Spent) -> bytes:
        """Return one completion."""
        message = {"role": "assistant", "content": text}
        choice = json.dumps({"finish_reason": finish, "index": 0, "message": message})
        extra = f'"usage":{json.dumps(_usage(spent))},"timings":{json.dumps(_timings(spent))}'
        return f'{{"choices":[{choice}],{extra},{self._tail}"}}'.encode()

    def error(self, message: str) -> bytes:
        """Return an error event; real servers then close without `[DONE]`."""
        return b"data: " + self.refusal(500, message) + b"\n\n"

    def refusal(self, status: int, message: str, **more: Any) -> bytes:
        """Return the error object with its kind."""
        return openai_refusal(status, message, **more)

    def unknown_model(self, asked: object) -> bytes:
        """Return the error that says so."""
        message = f"the model {str(asked)[:80]!r} does not exist; this server has {self.model!r}"
        return self.refusal(404, message, code="model_not_found", param="model")

    def _event(self, choice: str, extra: str = "") -> bytes:
        return f'data: {{"choices":[{choice}],{extra}{self._tail}.chunk"}}\n\n'.encode()


def openai_refusal(status: int, message: str, **more: Any) -> bytes:
    """Return an error as OpenAI's interface has it."""
    kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
    kind = "unavailable_error" if status == 503 else kinds.get(status, "server_error")
    return json.dumps({"error": {"code": status, "message": message, "type": kind, **more}}).encode()


def _timings(spent: Spent) -> dict[str, float]:
    return {
        "cache_n": spent.cached,
        "prompt_n": spent.prompt - spent.cached,
        "prompt_ms": spent.prompt_ms,
        "predicted_n": spent.written,
        "predicted_ms": spent.write_ms,
    }


def _usage(spent: Spent) -> dict[str, Any]:
    return {
        "completion_tokens": spent.written,
        "prompt_tokens": spent.prompt,
        "total_tokens": spent.prompt + spent.written,
        "prompt_tokens_details": {"cached_tokens": spent.cached},
    }


def _refuse_openai(body: Mapping[str, Any]) -> None:
    """Refuse features that would change the answer and are not supported here.

    Raises:
        ParseError: the call asks for one.
    """
    if body.get("n") not in (None, 1):
        raise ParseError('this server writes one reply a call; leave "n" out')
    if body.get("logprobs") or body.get("top_logprobs"):
        raise ParseError('this server knows no probabilities; leave "logprobs" out')
    if body.get("tool_choice") not in (None, "none", "auto") or body.get("function_call") not in (None, "none", "auto"):
        raise ParseError('this server calls no tools; leave "tool_choice" out, or say "auto" or "none"')
    if body.get("modalities") not in (None, ["text"]) or body.get("audio") is not None:
        raise ParseError('this server writes text only; leave "modalities" and "audio" out')


class OllamaWire(Wire):
    """`/api/chat`, one JSON object a line."""

    content_type = "application/x-ndjson"
    keeps = True
    streams_unasked = True

    def question(self, body: Mapping[str, Any]) -> Question:
        """Return the question of a chat; the schema stands in `format`."""
        return self._ollama(body, body)

    def _ollama(self, body: Mapping[str, Any], asked: Mapping[str, Any]) -> Question:
        form = body.get("format") or None
        if not (form in (None, "json") or isinstance(form, dict)):
            raise ParseError('"format" must be "json" or a JSON schema')
        options = body.get("options")
        options = options if isinstance(options, dict) else {}
        limit = options.get("num_predict")
        if limit is not None and type(limit) is not int:
            raise ParseError('"num_predict" must be a whole number')
        limit = limit if limit is not None and limit > 0 else None  # -1: no limit, -2: until the context is full
        schema = form if isinstance(form, dict) else None
        return _question(
            asked, schema, limit, as_json=form == "json", stop=options.get("stop"), reply=body.get(STAND_IN)
        )

    def token(self, text: str) -> bytes:
        """Return one line."""
        return self._line(text, '"done":false') + b"\n"

    def last(self, finish: str, spent: Spent) -> bytes:
        """Return the line with `done`, counts and durations in nanoseconds."""
        return self._ended("", finish, spent) + b"\n"

    def whole(self, text: str, finish: str, spent: Spent) -> bytes:
        """Return the one object of a reply."""
        return self._ended(text, finish, spent)

    def _ended(self, text: str, finish: str, spent: Spent) -> bytes:
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
        return self._line(text, f'"done":true,{json.dumps(counts)[1:-1]}')

    def error(self, message: str) -> bytes:
        """Return the line that Ollama writes when something breaks after 200."""
        return self.refusal(500, message) + b"\n"

    def refusal(self, status: int, message: str, **more: Any) -> bytes:  # noqa: ARG002 - the other interface tells it
        """Return the error object; Ollama's has no status in it."""
        return json.dumps({"error": message, **more}).encode()

    def unknown_model(self, asked: object) -> bytes:
        """Return the error that says so."""
        return self.refusal(404, f'model "{str(asked)[:80]}" not found, try pulling it first')

    def _said(self, text: str) -> str:
        return f'"message":{{"role":"assistant","content":{json.dumps(text)}}}'

    def _line(self, text: str, rest: str) -> bytes:
        model = json.dumps(self.model)
        return f'{{"model":{model},"created_at":"1970-01-01T00:00:00Z",{self._said(text)},{rest}}}'.encode()


class GenerateWire(OllamaWire):
    """`/api/generate`: one prompt instead of a chat."""

    def question(self, body: Mapping[str, Any]) -> Question:
        """Return the question of a prompt.

        Raises:
            ParseError: the prompt is not a text, or something is to be put into it.
        """
        if body.get("suffix"):
            raise ParseError('this model inserts nothing; leave "suffix" out')
        prompt, system = body.get("prompt", ""), body.get("system") or ""
        if not isinstance(prompt, str) or not isinstance(system, str):
            raise ParseError('"prompt" and "system" must be texts')
        messages = [{"role": "system", "content": system}] if system else []
        asked = [*messages, {"role": "user", "content": prompt}] if prompt else []
        return self._ollama(body, {"messages": asked, "images": body.get("images")})

    def _said(self, text: str) -> str:
        return f'"response":{json.dumps(text)}'


def _question(
    body: Mapping[str, Any],
    schema: object,
    limit: int | None,
    *,
    grammar: object = None,
    as_json: bool = False,
    stop: object = None,
    reply: object = None,
) -> Question:
    messages = body.get("messages")
    if not isinstance(messages, list) or len(messages) > MESSAGES_MAX:
        raise ParseError(f'"messages" must be a list of at most {MESSAGES_MAX:,}')
    stops = [stop] if isinstance(stop, str) else [] if stop is None else stop
    if not isinstance(stops, list) or len(stops) > STOPS_MAX or not all(isinstance(one, str) and one for one in stops):
        raise ParseError(f'"stop" must be a text, or a list of at most {STOPS_MAX} texts')
    reply = body.get(STAND_IN) if reply is None else reply
    if body.get("images"):
        raise ParseError("this model sees no images")
    return Question(
        tuple(map(_message, messages)),
        schema if isinstance(schema, Mapping) else None,
        grammar if isinstance(grammar, str) else None,
        limit,
        as_json=as_json,
        stops=tuple(stops),
        reply=reply if isinstance(reply, str) else None,
    )


def _message(message: object) -> tuple[str, str]:
    """Return role and text of a message; a call of a tool has no text.

    Raises:
        ParseError: it is none, or holds more than text.
    """
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise ParseError("a message must be an object with a role")
    content = message.get("content")
    if isinstance(content, list):
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            raise ParseError("this model reads text only; a part of a message is something else")
        content = "".join(part["text"] for part in content)
    if message.get("images"):
        raise ParseError("this model sees no images")
    if not (content is None or isinstance(content, str)):
        raise ParseError("the content of a message must be a text, or a list of parts with texts")
    return message["role"], content or ""
