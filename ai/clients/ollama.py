"""Ollama by its own interface, `/api/chat`: the only one that sets the context and reports where time went.

Its `/v1` interface knows neither the context nor how long a model stays loaded. A prompt that does not fit is refused
(`truncate`, `shift` false) instead of being cut without a word. Options that make Ollama load the model again, the
context above all, are the same in every call.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import httpx

from ai.clients.base import SEED_MASK, Endpoint, LlmChunk, LlmRequest
from ai.clients.wire.reader import EventReader
from ai.clients.wire.repeats import Repeats
from ai.clients.wire.reply import Reply
from ai.clients.wire.transport import SHARED_KEY, Transport, checked_url, model_and_url, public_name
from ai.errors import ClientError, ContractError

SCHEME: Final = "ollama"
URL: Final = "http://127.0.0.1:11434"
"""Where a local Ollama listens."""
KEY_NAMES: Final = (SHARED_KEY, "OLLAMA_API_KEY")
"""Environment variables that may hold the key; the first that is set counts."""
CONTEXT: Final = 8192
"""Tokens of prompt and reply together that a call has room for (`num_ctx`)."""
KEEP_ALIVE: Final = "30m"
"""How long the model stays loaded after a call: ticks may be far apart."""

_NS_PER_MS: Final = 1e6
_DURATIONS: Final = {"prompt_eval_duration": "prompt_ms", "eval_duration": "predicted_ms", "load_duration": "load_ms"}
_COUNTS: Final = {
    "prompt_eval_count": "prompt_tokens",
    "eval_count": "completion_tokens",
    "prompt_eval_cached_count": "cached_tokens",
}


def from_spec(rest: str) -> OllamaClient:
    """Return the client of `MODEL[@URL]`.

    Raises:
        ContractError: no model, or a URL that is not one.
    """
    return OllamaClient(*model_and_url(rest, SCHEME, URL))


class OllamaClient:
    """Streams chats from the Ollama at `url`, the server's root, with `context` tokens for prompt and reply.

    Raises:
        ContractError: no model name, a URL that is not plain http or https, or no context.
    """

    def __init__(
        self,
        model: str,
        url: str = URL,
        *,
        context: int = CONTEXT,
        key_names: tuple[str, ...] = KEY_NAMES,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not model.strip() or context < 1:
            raise ContractError("an ollama: model needs a name and a context of at least one token")
        self.model = model
        self.label = f"{SCHEME}:{public_name(model)}"
        self.endpoint: Endpoint | None = None
        self.context = context
        self.takes_grammar = False
        self._wire = Transport(self.label, checked_url(url, SCHEME), key_names=key_names, transport=transport)
        self._clock = clock
        self._unopened = False
        self._repeats = Repeats(NdjsonReader.text_alone)

    def __repr__(self) -> str:
        return f"OllamaClient({self.label!r})"

    async def aclose(self) -> None:
        """Close what is open; a later call opens it again."""
        await self._wire.aclose()

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives; the last chunk has `finish`, and usage and timings where the server told them.

        Raises:
            ClientError: the transport or the server failed, or the request needs a grammar, which Ollama takes none of.
            ContractError: the key in the environment cannot be sent.
        """
        reply = Reply(request, secret=self._wire.key(), inside=self._unopened, clock=self._clock)
        reader = NdjsonReader(reply, self._wire.reported, self._repeats)
        async with self._wire.stream("/api/chat", self._body(request), request) as answer:
            while not reader.done and (data := await answer.read()) is not None:
                yield reader.feed(data)
            last = reader.close()
        self._unopened = reply.unopened
        yield last

    def _body(self, request: LlmRequest) -> dict[str, Any]:
        if request.grammar is not None:
            raise ClientError(f"{self.label}: Ollama takes no grammar; use another encoding", outcome="unavailable")
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "stream": True,
            "think": False,
            "keep_alive": KEEP_ALIVE,
            "truncate": False,
            "shift": False,
            "options": {
                "num_ctx": self.context,
                "num_predict": request.tokens_max,
                "temperature": request.temperature,
                "seed": request.seed & SEED_MASK,
            },
        }
        if request.schema is not None:
            body["format"] = request.schema
        return body

    async def look(self, *, timeout_s: float) -> Endpoint:
        """Return what the server tells about itself and the model; nothing is generated.

        Raises:
            ClientError: it cannot be reached, or refuses.
        """
        try:
            told = await self._wire.ask("POST", "/api/show", {"model": self.model}, timeout_s=timeout_s)
        except ClientError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            tags = await self._wire.ask("GET", "/api/tags", timeout_s=timeout_s)
            models = tags.get("models") if isinstance(tags, dict) else None
            names = [str(model.get("name")) for model in models or () if isinstance(model, dict)]
            detail = f"it has {', '.join(names[:5]) or 'no models'}; try: ollama pull MODEL"
            return Endpoint(True, model_present=False, flavour=SCHEME, detail=detail)
        info = told.get("model_info") if isinstance(told, dict) else None
        longest = [value for name, value in (info or {}).items() if name.endswith(".context_length")]
        room = min([self.context, *(value for value in longest if type(value) is int and value > 0)])
        # How many calls run at once (OLLAMA_NUM_PARALLEL, 1 unless set) is told nowhere.
        return Endpoint(True, model_present=True, grammar=False, context=room, flavour=SCHEME)


class NdjsonReader(EventReader):
    """Reads one JSON object a line, up to the one that ends the reply.

    A stream that ends without such a line was cut: Ollama ends one so when a model repeats itself.
    """

    def __init__(self, reply: Reply, reported: Callable[[object], ClientError], repeats: Repeats | None = None) -> None:
        super().__init__(reply, reported, repeats)
        self._last: Mapping[str, Any] = {}

    def place_of_event(self, line: bytes) -> int | None:
        """Return the beginning of a line that is not blank."""
        return 0 if line.strip() else None

    def not_an_event(self) -> ClientError:
        """Return the error of a line that is no JSON."""
        return ClientError("the server sent a line that is not JSON; is this the root of an Ollama?")

    def take(self, event: dict[str, Any]) -> None:
        """Take in one line: text and thoughts, and whether it is the last."""
        message = event.get("message")
        if isinstance(message, dict):
            content, thinking = message.get("content"), message.get("thinking")
            self.reply.add(content if isinstance(content, str) else "", thinking if isinstance(thinking, str) else "")
        # Either sign of the end will do: some versions leave one of them out.
        if event.get("done") is True or event.get("done_reason"):
            self.done, self._last = True, event

    def ended(self) -> tuple[str, Mapping[str, int], Mapping[str, float]]:
        """Return finish, usage and timings.

        Raises:
            ClientError: the stream ended before the reply did.
        """
        if not self.done:
            raise ClientError("the stream ended before the reply was complete", outcome="cut")
        counts = {name: self._last[key] for key, name in _COUNTS.items() if type(self._last.get(key)) is int}
        return str(self._last.get("done_reason") or "stop"), counts, _timings(self._last)

    @staticmethod
    def text_alone(event: Any) -> str | None:
        """Return the piece of the answer in a line that holds nothing else of interest, else None."""
        match event:
            case {"message": {"content": str(text), **message}, **more}:
                known = (message.get("thinking"), more.get("error"), more.get("done"), more.get("done_reason"))
                return None if any(known) else text
        return None


def _timings(last: Mapping[str, Any]) -> dict[str, float]:
    """Return durations in milliseconds; what is left of the total is the wait for a slot."""
    spent = {name: last[key] / _NS_PER_MS for key, name in _DURATIONS.items() if type(last.get(key)) is int}
    total = last.get("total_duration")
    if type(total) is int and len(spent) == len(_DURATIONS):
        spent["queue_ms"] = max(total / _NS_PER_MS - sum(spent.values()), 0.0)
    return spent
