"""Ollama by its own interface, `/api/chat`: the only one that sets the context and reports where time went.

Its `/v1` interface knows neither the context nor how long a model stays loaded. A prompt that does not fit is refused
(`truncate`, `shift` false) instead of being cut without a word. Options that make Ollama load the model again, the
context above all, are the same in every call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from ai.clients.chat import ChatClient, schema_within
from ai.clients.http import SHARED_KEY, Http
from ai.clients.reply import Reply, ReplyReader, decoded, finish_word, known
from ai.clients.sse import Lines
from ai.errors import ContractError
from ai.llm_types import SEED_MASK, STAND_IN, Endpoint, LlmRequest, count_of, milliseconds_of
from ai.urls import checked_url, model_and_url, public_name

SCHEME: Final = "ollama"
URL: Final = "http://127.0.0.1:11434"  # where a local Ollama listens
KEY_NAMES: Final = (SHARED_KEY, "OLLAMA_API_KEY")
"""Environment variables that may hold the key; the first that is set counts."""
CONTEXT: Final = 8192  # tokens of prompt and reply together that a call has room for (`num_ctx`)
KEEP_ALIVE: Final = "30m"  # how long the model stays loaded after a call: ticks may be far apart

_MS: Final = 1e-6
_DURATIONS: Final = {"prompt_eval_duration": "prompt_ms", "eval_duration": "predicted_ms", "load_duration": "load_ms"}
_COUNTS: Final = {
    "prompt_eval_count": "prompt_tokens",
    "eval_count": "completion_tokens",
    "prompt_eval_cached_count": "cached_tokens",
}


class NdjsonReader(ReplyReader):
    """Reads one JSON object a line, up to the one that ends the reply.

    A stream that ends without such a line was cut: Ollama ends one so when a model repeats itself.
    """

    expected = "the server sent a line that is not JSON; is this the root of an Ollama?"

    def __init__(self, reply: Reply, secret: str | None = None) -> None:
        super().__init__(reply, secret)
        self._lines = Lines()

    def _split(self, data: bytes | None) -> list[bytes]:
        return [bytes(self._lines.rest)] if data is None else self._lines.feed(data)

    def _one(self, event: bytes) -> None:
        self._event(decoded(event))

    def take(self, event: dict[str, Any]) -> bool:
        """Take in one line: text and thoughts, and whether it is the last."""
        message = event.get("message")
        if isinstance(message, dict):
            content, thinking = message.get("content"), message.get("thinking")
            self.reply.add(content if isinstance(content, str) else "", thinking if isinstance(thinking, str) else "")
        # Either sign of the end will do: some versions leave one of them out.
        if event.get("done") is True or event.get("done_reason"):
            self.done, self.finish = True, finish_word(str(event.get("done_reason") or "stop"))
            self._usage = known({name: count_of(event.get(key)) for key, name in _COUNTS.items()})
            self._timings = _timings(event)
        return isinstance(message, dict) or self.done


def _timings(last: Mapping[str, Any]) -> dict[str, float]:
    """Return durations in milliseconds; the rest of the total is the wait for a slot."""
    spent = known({name: milliseconds_of(last.get(key), _MS) for key, name in _DURATIONS.items()})
    total = milliseconds_of(last.get("total_duration"), _MS)
    if total is not None and len(spent) == len(_DURATIONS):
        spent["queue_ms"] = max(total - sum(spent.values()), 0.0)
    return spent


def from_spec(rest: str) -> OllamaClient:
    """Return the client of `MODEL[@URL]`."""
    model, url = model_and_url(rest, SCHEME)
    return OllamaClient(model, url or URL)


class OllamaClient(ChatClient):
    """Streams chats from the Ollama at `url`, the server's root, with `context` tokens for prompt and reply.

    Raises:
        ContractError: no model name, a URL that is not plain http or https, or no context.
    """

    reader = NdjsonReader
    options = ("think", "keep_alive", "truncate", "shift")

    def __init__(
        self,
        model: str,
        url: str = URL,
        *,
        context: int = CONTEXT,
        key_names: tuple[str, ...] = KEY_NAMES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not model.strip() or context < 1:
            raise ContractError("an ollama: model needs a name and a context of at least one token")
        label = f"{SCHEME}:{public_name(model)}"
        super().__init__(Http(label, checked_url(url, SCHEME), key_names=key_names), "/api/chat", clock)
        self.model = model
        self.context = context

    def body(self, request: LlmRequest, left_out: Collection[str]) -> dict[str, Any]:
        """Return the body of a chat without some of its parts."""
        asked: dict[str, Any] = {
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
        if request.by_rules is not None:
            asked[STAND_IN] = request.by_rules
        if request.schema is not None and (schema := schema_within(request.schema, left_out)) is not None:
            asked["format"] = schema
        return {name: value for name, value in asked.items() if name not in left_out}

    async def look(self, *, timeout_s: float) -> Endpoint:
        """Return the server's account of itself and the model; nothing is generated.

        Raises:
            ClientError: the server cannot be reached.
        """
        told = await self._http.ask("POST", "/api/show", {"model": self.model}, total_s=timeout_s, lenient=True)
        detail = await self._models(timeout_s) if told is None else ""
        info = told.get("model_info") if isinstance(told, dict) else None
        facts = info.items() if isinstance(info, dict) else ()
        longest = [value for name, value in facts if name.endswith(".context_length")]
        room = min([self.context, *(value for value in longest if type(value) is int and value > 0)])
        # No reply says how many calls run at once (OLLAMA_NUM_PARALLEL, 1 unless set).
        present = None if detail else True
        by_rules = isinstance(told, dict) and told.get(STAND_IN) == "rules"
        return Endpoint(True, present, grammar=False, context=room, flavour=SCHEME, detail=detail, wants_rules=by_rules)

    async def _models(self, timeout_s: float) -> str:
        """Return the names of its models, for a model that the server does not know."""
        tags = await self._http.ask("GET", "/api/tags", total_s=timeout_s, lenient=True)
        models = tags.get("models") if isinstance(tags, dict) else None
        names = [str(model.get("name"))[:80] for model in models or () if isinstance(model, Mapping)]
        return f"it has {', '.join(names[:5]) or 'no models'}; try: ollama pull MODEL"
