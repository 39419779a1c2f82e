"""Any server with the OpenAI chat interface: llama-server, vLLM, Ollama's `/v1`, hosted ones. Always streams.

Facts about kinds of servers are from their sources and documentation: llama-server 11434, vLLM 0.12 and 0.32, OpenAI's
reference of 2026.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

from ai.clients.chat import ChatClient, schema_within
from ai.clients.http import SHARED_KEY, Http
from ai.clients.refusals import CONTEXT_MAX, reported
from ai.clients.reply import NO_JSON, Reply, ReplyReader, decoded, finish_word, known
from ai.clients.sse import DONE, Event, Events
from ai.errors import ClientError, ContractError
from ai.llm_types import SEED_MASK, STAND_IN, Endpoint, LlmRequest, count_of, milliseconds_of
from ai.urls import checked_url, model_and_url, public_name

SCHEME: Final = "openai"
URL: Final = "http://127.0.0.1:8080/v1"  # where a local llama-server listens
HOSTED_URL: Final = "https://api.openai.com/v1"  # where OpenAI itself listens
KEY_NAMES: Final = (SHARED_KEY, "OPENAI_API_KEY")
"""Environment variables that may hold the key; the first that is set counts."""
SLOTS_MAX: Final = 4096  # most calls at once that a server is believed to run
MODELS_MAX: Final = 10_000  # entries of a list of models that are read

_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})
_USAGE: Final = ("prompt_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of server.

    `limits` are the names under which it reads the limit of reply tokens, `grammar` where it takes a GBNF grammar (a
    path of keys; empty: nowhere), `extra` the further fields of each call. `slots` are the calls that it runs at the
    same time as it is started by default, or as many of them as are worth making; None where that is not known.
    """

    name: str
    limits: tuple[str, ...] = ("max_tokens",)
    grammar: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    slots: int | None = None


# Under a schema a thinking model stops in the middle of an object, so local servers are asked for replies without.
_NO_THOUGHTS: Final = {"chat_template_kwargs": {"enable_thinking": False}}
GENERIC: Final = Flavour("generic")  # every compatible server understands it
LLAMA_SERVER: Final = Flavour("llama-server", grammar=("grammar",), extra={"cache_prompt": True, **_NO_THOUGHTS})
"""llama.cpp's server. A grammar beside a `response_format` would be ignored; only one of them is sent."""
VLLM: Final = Flavour(
    "vllm",
    # The older name is deprecated, the newer unknown to old versions, and unknown names are ignored.
    limits=("max_tokens", "max_completion_tokens"),
    grammar=("structured_outputs", "grammar"),
    extra=_NO_THOUGHTS,
    slots=32,  # it runs a hundred and more, and reads the common part of their prompts once for all of them
)
"""vLLM. `response_format` works in all versions, its older `guided_json` is ignored since 0.12."""
OPENAI: Final = Flavour("openai", limits=("max_completion_tokens",))
"""OpenAI itself, which refuses `max_tokens` for models that reason."""


class SseReader(ReplyReader):
    """Reads server-sent events, up to the server's `[DONE]`, or one whole completion from a server that only has that.

    A stream may also end after an event with a finish reason.
    """

    expected = "the answer is not an event stream; is this the URL before /chat/completions?"

    def __init__(self, reply: Reply, secret: str | None = None) -> None:
        super().__init__(reply, secret)
        self._events = Events()

    def _split(self, data: bytes | None) -> Iterator[Event]:
        return self._events.close() if data is None else self._events.feed(data)

    def _one(self, event: Event) -> None:
        self.is_stream = True
        if event.data.strip() == DONE:
            self.done = True
            return
        data = decoded(event.data)
        if event.kind == "error" and event.data.strip():
            raise reported(event.data if data is NO_JSON else data, self._secret)
        self._event(data)

    def take(self, event: dict[str, Any]) -> bool:
        """Take in one event: text, thoughts, a refusal, how it ended, usage, timings."""
        usage, timings, choices = event.get("usage"), event.get("timings"), event.get("choices")
        if isinstance(usage, dict):
            details = usage.get("prompt_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else None
            told = {**{name: usage.get(name) for name in _USAGE}, "cached_tokens": cached}
            self._usage = known({name: count_of(value) for name, value in told.items()})
        if isinstance(timings, dict):
            self._timings = known({name[:40]: milliseconds_of(value) for name, value in list(timings.items())[:40]})
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return "choices" in event or bool(self._usage)
        if isinstance(choice.get("finish_reason"), str):
            self.finish = finish_word(choice["finish_reason"])
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            content, refusal = delta.get("content"), delta.get("refusal")
            thinking = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(content, list):  # in parts, as some servers answer a question that was asked in parts
                parts = [part.get("text") for part in content if isinstance(part, dict)]
                content = "".join(part for part in parts if isinstance(part, str))
            self.reply.add(content if isinstance(content, str) else "", thinking if isinstance(thinking, str) else "")
            self._refusal += refusal if isinstance(refusal, str) else ""
        return True


def from_spec(rest: str) -> OpenAIClient:
    """Return the client of `MODEL[@URL]`."""
    model, url = model_and_url(rest, SCHEME)
    if url is not None:
        return OpenAIClient(model, url)
    keyed = any(os.environ.get(name) for name in KEY_NAMES)
    more = f"; for OpenAI itself write {SCHEME}:{public_name(model)}@{HOSTED_URL}" if keyed else ""
    return OpenAIClient(model, URL, hint=f" No URL was given, so it is {URL}{more}")


class OpenAIClient(ChatClient):
    """Streams chat completions from `url`, the part of the address before `/chat/completions`.

    `label` replaces `openai:MODEL`. `flavour` is the kind of server; the probe finds it out where it is not given. The
    key is read from the environment at each call; it is kept nowhere and shown nowhere.

    Raises:
        ContractError: no model name, or a URL that is not plain http or https.
    """

    reader = SseReader

    def __init__(
        self,
        model: str,
        url: str = URL,
        *,
        label: str | None = None,
        flavour: Flavour | None = None,
        key_names: tuple[str, ...] = KEY_NAMES,
        hint: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not model.strip():
            raise ContractError("the model's name is missing; write openai:MODEL or openai:MODEL@URL")
        url = checked_url(url, SCHEME)
        label = label or f"{SCHEME}:{public_name(model)}"
        super().__init__(Http(label, url, key_names=key_names, hint=hint), "/chat/completions", clock)
        self.model = model
        self._become(flavour or (OPENAI if urlsplit(url).hostname == urlsplit(HOSTED_URL).hostname else GENERIC))
        self._given = flavour is not None
        self._root = Http(label, url.removesuffix("/v1"), key_names=key_names)

    async def aclose(self) -> None:
        """Close open connections; a later call opens it again."""
        await super().aclose()
        await self._root.aclose()

    def _become(self, flavour: Flavour) -> None:
        self.flavour, self.takes_grammar = flavour, bool(flavour.grammar)
        self.options = {"temperature", "seed", "stream_options", *_LIMITS, *flavour.extra}

    def body(self, request: LlmRequest, left_out: Collection[str]) -> dict[str, Any]:
        """Return the body of a chat completion without some of its parts."""
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": request.temperature,
            "seed": request.seed & SEED_MASK,
            **dict.fromkeys(self.flavour.limits, request.tokens_max),
            **self.flavour.extra,
        }
        if request.grammar is not None and self.flavour.grammar:
            *path, last = self.flavour.grammar
            place = asked
            for name in path:
                place = place.setdefault(name, {})
            place[last] = request.grammar
        elif request.schema is not None and (schema := schema_within(request.schema, left_out)) is not None:
            named = {"name": "plans", "strict": True, "schema": schema}
            asked["response_format"] = {"type": "json_schema", "json_schema": named}
        for name in left_out:
            asked.pop(name, None)
        if request.by_rules is not None:
            asked[STAND_IN] = request.by_rules
        if not asked.keys() & _LIMITS:
            # Some limit is always sent, by the name that was not refused.
            asked.update(dict.fromkeys(_LIMITS - set(left_out), request.tokens_max))
        return asked

    async def look(self, *, timeout_s: float) -> Endpoint:
        """Return the server's account of itself and the model; nothing is generated.

        A list of models proves that a model is there, and never that it is not: servers list other names than they
        take. Where the list is refused or cannot be read, a call will tell.

        Raises:
            ClientError: the server cannot be reached.
        """
        listed = await self._http.ask("GET", "/models", total_s=timeout_s, lenient=True)
        found = listed.get("data") or listed.get("models") if isinstance(listed, dict) else listed
        found = found[:MODELS_MAX] if isinstance(found, list) else []
        models = [model for model in found if isinstance(model, Mapping)]
        own = next((model for model in models if _names(str(model.get("id")), self.model)), None)
        owners = {str(model.get("owned_by")) for model in models}
        present = None if own is None else True
        slots, context = None, _within((own or {}).get("max_model_len"), CONTEXT_MAX)
        props = await self._props(timeout_s) if self.flavour in (GENERIC, LLAMA_SERVER) else {}
        if not self._given:
            self._become(LLAMA_SERVER if props else VLLM if "vllm" in owners else self.flavour)
        if props:
            # It serves its one model under any name.
            present, slots = True, _within(props.get("total_slots"), SLOTS_MAX)
            settings = props.get("default_generation_settings")
            context = _within(settings.get("n_ctx"), CONTEXT_MAX) if isinstance(settings, dict) else context
        slots = slots or self.flavour.slots
        names = ", ".join(sorted(public_name(str(model.get("id")))[:80] for model in models)[:5])
        detail = f"its list of models has {names}" if names and not present else ""
        endpoint = Endpoint(True, present, slots=slots, context=context, flavour=self.flavour.name, detail=detail)
        return replace(endpoint, wants_rules=props.get(STAND_IN) == "rules")

    async def _props(self, timeout_s: float) -> Mapping[str, Any]:
        """Return a llama-server's account of its slots; empty where there is none."""
        with suppress(ClientError):
            props = await self._root.ask("GET", "/props", total_s=timeout_s)
            if isinstance(props, dict) and "total_slots" in props:
                return props
        return {}


def _names(listed: str, model: str) -> bool:
    """Return whether an entry of a list of models means this model: servers prefix, tag and abbreviate names."""
    same = (model, f"models/{model}", f"{model}:latest", model.rpartition(":")[0])
    return listed in same or ("*" in listed and fnmatchcase(model, listed))


def _within(value: object, most: int) -> int | None:
    return value if type(value) is int and 0 < value <= most else None
