"""Any server with the OpenAI chat interface: llama-server, vLLM, Ollama's `/v1`, hosted ones. Always streams.

Lines are framed here on the newline byte: a text line reader also splits at U+2028 and its like, which JSON strings
may hold. Every call asks for its connection to be closed, because llama-server closes it after a streamed reply without
saying so, and the next call would race with that.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ai.clients.base import LlmChunk, LlmRequest
from ai.errors import ClientError, ContractError

SCHEME: Final = "openai"
URL: Final = "http://127.0.0.1:8080/v1"
"""Where a local llama-server listens."""
REPLY_BYTES_MAX: Final = 8 * 2**20
"""Bytes that one streamed reply may have."""
ERROR_BYTES_MAX: Final = 65_536
"""Bytes of an error answer that are read."""
ERROR_CHARS_MAX: Final = 200
"""Characters of a server's error message that are kept."""
CONNECT_S: Final = 5.0
"""Longest wait for a connection, seconds."""

_USAGE: Final = ("prompt_tokens", "completion_tokens")
_SEED_MASK: Final = 2**31 - 1
_SECRET_CHARS_MIN: Final = 4


def from_spec(rest: str) -> OpenAIClient:
    """Return the client of `MODEL[@URL]`.

    Raises:
        ContractError: no model, or a URL that is not one.
    """
    model, at, url = rest.rpartition("@")
    return OpenAIClient(model, url) if at and model else OpenAIClient(rest)


class OpenAIClient:
    """Streams chat completions from `url`, which is what stands before `/chat/completions`.

    The key is read from the environment variable `api_key_env` at each call; it is kept nowhere and shown nowhere.

    Raises:
        ContractError: no model name, or a URL that is not plain http or https.
    """

    def __init__(
        self,
        model: str,
        url: str = URL,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if not model.strip():
            raise ContractError("the model's name is missing; write openai:MODEL or openai:MODEL@URL")
        self.model = model
        self.label = f"openai:{_public_name(model)}"
        self.api_key_env = api_key_env
        self._url = f"{_checked_url(url)}/chat/completions"
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"OpenAIClient({self.label!r})"

    async def aclose(self) -> None:
        """Close what is open; a later call opens it again."""
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives; the last chunk has `finish`, and usage and timings where the server told them.

        Raises:
            ClientError: the transport or the server failed; `outcome` says how.
            ContractError: the key in the environment cannot be sent.
        """
        key = self._key()
        try:
            response = await self._send(request, key)
            try:
                if response.status_code != httpx.codes.OK:
                    raise _refused(response.status_code, await _error_text(response), self.api_key_env, key)
                reader = SseReader(key)
                try:
                    async for data in response.aiter_bytes():
                        for chunk in reader.feed(data):
                            yield chunk
                        if reader.done:
                            break
                except httpx.RemoteProtocolError:
                    pass  # the server hung up; whether the reply was complete by then is for the reader to say
                yield reader.close()
            finally:
                await response.aclose()
        except ClientError as error:
            raise ClientError(f"{self.label}: {error}", outcome=error.outcome) from None
        except httpx.TimeoutException as error:
            message = f"{self.label}: no answer within the time allowed ({type(error).__name__})"
            raise ClientError(message, outcome="timeout") from None
        except httpx.HTTPError as error:
            # Only the kind of fault: the library's own text may name the host, and errors go into replay files.
            raise ClientError(f"{self.label}: {type(error).__name__}; is the server running at that URL?") from None

    async def _send(self, request: LlmRequest, key: str | None) -> httpx.Response:
        if self._http is None:
            # No limit on connections: the executor bounds the calls, and a slot lost in a pool would block later ones.
            limits = httpx.Limits(max_connections=None)
            self._http = httpx.AsyncClient(transport=self._transport, limits=limits)
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Connection": "close"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        timeout = httpx.Timeout(request.timeout_s, connect=min(CONNECT_S, request.timeout_s))
        for attempt in range(2):
            call = self._http.build_request(
                "POST", self._url, headers=headers, json=_body(self.model, request), timeout=timeout
            )
            try:
                return await self._http.send(call, stream=True)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                # Before any byte of an answer this is a connection that the server had already given up: once more.
                if attempt:
                    raise
        raise AssertionError("the loop above returns or raises")

    def _key(self) -> str | None:
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            return None
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ContractError(f"the key in the environment variable {self.api_key_env} holds characters no key has")
        return key


class SseReader:
    """Turns the bytes of a streamed reply into chunks; `feed` takes any split of the bytes.

    `done` is set by the server's `[DONE]`. Reasoning text is left out; `secret` is struck out of the server's messages.
    """

    def __init__(self, secret: str | None = None) -> None:
        self.done = False
        self._secret = secret
        self._buffer = bytearray()
        self._size = 0
        self._events = 0
        self._finish: str | None = None
        self._usage: dict[str, int] | None = None
        self._timings: dict[str, float] | None = None
        # A server may write the two halves of one UTF-16 pair as escapes in two events; this puts them together.
        self._pairs = codecs.getincrementaldecoder("utf-16-le")("replace")

    def feed(self, data: bytes) -> list[LlmChunk]:
        """Read the next bytes and return the text in the lines they complete.

        Raises:
            ClientError: the server reports an error, sends no event stream, or sends too much.
        """
        self._size += len(data)
        if self._size > REPLY_BYTES_MAX:
            raise ClientError(f"the reply is longer than {REPLY_BYTES_MAX} bytes", outcome="cut")
        scanned = len(self._buffer)
        self._buffer += data
        chunks: list[LlmChunk] = []
        start = 0
        while not self.done and (end := self._buffer.find(b"\n", max(start, scanned))) >= 0:
            line = bytes(self._buffer[start:end]).rstrip(b"\r")
            start = end + 1
            text = self._line(line)
            if text:
                chunks.append(LlmChunk(text))
        del self._buffer[:start]
        return chunks

    def close(self) -> LlmChunk:
        """Return the last chunk, after the last byte.

        Raises:
            ClientError: the stream ended before the reply did.
        """
        if not self.done and self._buffer:
            self._line(bytes(self._buffer).rstrip(b"\r"))
        if self._size and not self._events:
            raise ClientError("the answer is not an event stream; is this the URL before /chat/completions?")
        if not self.done and self._finish is None:
            raise ClientError("the stream ended before the reply was complete", outcome="cut")
        return LlmChunk(self._pairs.decode(b"", final=True), self._finish or "stop", self._usage, self._timings)

    def _line(self, line: bytes) -> str:
        if not line.startswith(b"data:"):
            return ""
        payload = line[len(b"data:") :].strip()
        self._events += 1
        if payload == b"[DONE]":
            self.done = True
            return ""
        try:
            event = json.loads(payload)
        except (ValueError, RecursionError):
            raise ClientError("the server sent an event that is not JSON") from None
        return self._event(event) if isinstance(event, dict) else ""

    def _event(self, event: dict[str, Any]) -> str:
        if event.get("error"):
            raise _reported(event["error"], self._secret)
        usage, timings = event.get("usage"), event.get("timings")
        if isinstance(usage, dict):
            self._usage = _usage(usage)
        if isinstance(timings, dict):
            self._timings = {str(k): float(v) for k, v in timings.items() if isinstance(v, int | float)}
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return ""
        if isinstance(choice.get("finish_reason"), str):
            self._finish = choice["finish_reason"]
        delta = choice.get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        if not isinstance(content, str):
            return ""
        return self._pairs.decode(content.encode("utf-16-le", "surrogatepass"))


def _body(model: str, request: LlmRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": request.tokens_max,
        "temperature": request.temperature,
        "seed": request.seed & _SEED_MASK,
    }
    if request.schema is not None:
        schema = {"name": "plans", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _usage(reported: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the counts a server reported; what it left out stays unknown."""
    counts = {name: reported[name] for name in _USAGE if type(reported.get(name)) is int}
    details = reported.get("prompt_tokens_details")
    if isinstance(details, dict) and type(details.get("cached_tokens")) is int:
        counts["cached_tokens"] = details["cached_tokens"]
    return counts or None


async def _error_text(response: httpx.Response) -> str:
    """Return the server's own words from an error answer, bounded."""
    body = b""
    async for data in response.aiter_bytes():
        body += data[: ERROR_BYTES_MAX - len(body)]
        if len(body) >= ERROR_BYTES_MAX:
            break
    try:
        return _message(json.loads(body))
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace").strip()


def _message(data: object) -> str:
    """Find the message in the shapes that servers use: `{"error": {"message": ...}}`, `{"error": ...}`, or a text."""
    for name in ("error", "message"):
        if isinstance(data, dict) and name in data:
            data = data[name]
    return data if isinstance(data, str) else json.dumps(data)


def _refused(status: int, text: str, api_key_env: str, secret: str | None) -> ClientError:
    """Return the error of an answer other than 200, with what to do about it."""
    advice = {
        400: "ask for fewer agents in one call, or give the server a longer context",
        401: f"put a valid key into the environment variable {api_key_env}",
        403: f"put a valid key into the environment variable {api_key_env}",
        404: "check the model's name and the URL before /chat/completions",
    }.get(status, "wait, or ask for fewer calls at once" if status in (429, 503) else "see the server's log")
    outcome = {408: "timeout", 429: "rate_limited", 504: "timeout"}.get(status, "transport")
    return ClientError(f"HTTP {status}: {_short(text, secret)} ({advice})", outcome=outcome)


def _reported(error: object, secret: str | None) -> ClientError:
    """Return the error that a server reports inside a stream."""
    code = error.get("code") if isinstance(error, dict) else None
    outcome = "rate_limited" if str(code) in ("429", "rate_limit_exceeded") else "transport"
    return ClientError(f"the server reports: {_short(_message(error), secret)}", outcome=outcome)


def _short(text: str, secret: str | None) -> str:
    """Return a server's words on one line, bounded, without the key that it may have echoed."""
    if secret and len(secret) >= _SECRET_CHARS_MIN:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:ERROR_CHARS_MAX] or "no message"


def _public_name(model: str) -> str:
    """Return the model's name without a path; a name like `org/model` is not a path and stays."""
    looks_like_path = model.lower().endswith(".gguf") or re.match(r"[/\\~.]|[A-Za-z]:[/\\]", model)
    return re.split(r"[/\\]", model)[-1] if looks_like_path else model


def _checked_url(url: str) -> str:
    """Return the URL without a trailing slash; one that could carry a secret or is none is refused, unnamed."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ContractError("the URL of an openai: model must start with http:// or https:// and name a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ContractError("the URL of an openai: model takes no user, key, query or fragment; keys come from the env")
    return url.rstrip("/")
