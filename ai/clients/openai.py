"""Any server with the OpenAI chat interface: llama-server, vLLM, Ollama's `/v1`, hosted ones. Always streams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ai.clients.base import Endpoint, LlmChunk, LlmRequest
from ai.clients.wire.flavours import GENERIC, LLAMA_SERVER, OPENAI, OPTIONAL, VLLM, Flavour, body
from ai.clients.wire.reader import EventReader, decoded
from ai.clients.wire.redaction import shown
from ai.clients.wire.repeats import Repeats
from ai.clients.wire.reply import Reply
from ai.clients.wire.transport import (
    SHARED_KEY,
    RefusedError,
    Transport,
    checked_url,
    model_and_url,
    public_name,
)
from ai.errors import ClientError, ContractError

SCHEME: Final = "openai"
URL: Final = "http://127.0.0.1:8080/v1"
"""Where a local llama-server listens."""
KEY_NAMES: Final = (SHARED_KEY, "OPENAI_API_KEY")
"""Environment variables that may hold the key; the first that is set counts."""

_USAGE: Final = ("prompt_tokens", "completion_tokens")
_DATA: Final = b"data:"
_FIELDS: Final = (_DATA, b"event:", b"id:", b"retry:", b":")
_HOSTED: Final = "api.openai.com"


def from_spec(rest: str) -> OpenAIClient:
    """Return the client of `MODEL[@URL]`.

    Raises:
        ContractError: no model, or a URL that is not one.
    """
    return OpenAIClient(*model_and_url(rest, SCHEME, URL))


class OpenAIClient:
    """Streams chat completions from `url`, which is what stands before `/chat/completions`.

    `label` replaces `openai:MODEL`. `flavour` is the kind of server; the probe finds it out where it is not given. The
    key is read from the environment at each call; it is kept nowhere and shown nowhere.

    Raises:
        ContractError: no model name, or a URL that is not plain http or https.
    """

    def __init__(
        self,
        model: str,
        url: str = URL,
        *,
        label: str | None = None,
        flavour: Flavour | None = None,
        key_names: tuple[str, ...] = KEY_NAMES,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not model.strip():
            raise ContractError("the model's name is missing; write openai:MODEL or openai:MODEL@URL")
        url = checked_url(url, SCHEME)
        self.model = model
        self.label = label or f"{SCHEME}:{public_name(model)}"
        self.endpoint: Endpoint | None = None
        self.flavour = flavour or (OPENAI if urlsplit(url).hostname == _HOSTED else GENERIC)
        self._given = flavour is not None
        self._wire = Transport(self.label, url, key_names=key_names, transport=transport)
        self._root = Transport(self.label, url.removesuffix("/v1"), key_names=key_names, transport=transport)
        self._clock = clock
        self._refused: set[str] = set()
        self._unopened = False
        self._repeats = Repeats(SseReader.text_alone)

    def __repr__(self) -> str:
        return f"OpenAIClient({self.label!r})"

    async def aclose(self) -> None:
        """Close what is open; a later call opens it again."""
        await self._wire.aclose()
        await self._root.aclose()

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives; the last chunk has `finish`, and usage and timings where the server told them.

        An option that the server refuses by name is left out from then on, and the call is made again without it.

        Raises:
            ClientError: the transport or the server failed; `outcome` says how.
            ContractError: the key in the environment cannot be sent.
        """
        if request.grammar is not None and not self.takes_grammar:
            message = f"{self.label}: a {self.flavour.name} server takes no grammar; use another encoding"
            raise ClientError(message, outcome="unavailable")
        while True:
            reader = SseReader(self._reply(request), self._wire.reported, self._repeats)
            asked = body(self.flavour, self.model, request, self._refused)
            try:
                async with self._wire.stream("/chat/completions", asked, request) as answer:
                    while not reader.done and (data := await answer.read()) is not None:
                        yield reader.feed(data)
                    last = reader.close()
            except RefusedError as error:
                if error.param not in OPTIONAL - self._refused or error.param not in asked:
                    raise
                self._refused.add(error.param)
                continue
            self._unopened = reader.reply.unopened
            yield last
            return

    def _reply(self, request: LlmRequest) -> Reply:
        return Reply(request, secret=self._wire.key(), inside=self._unopened, clock=self._clock)

    async def look(self, *, timeout_s: float) -> Endpoint:
        """Return what the server tells about itself and the model; nothing is generated.

        Raises:
            ClientError: it cannot be reached, or refuses.
        """
        try:
            listed = await self._wire.ask("GET", "/models", timeout_s=timeout_s)
        except ClientError as error:
            if error.status not in (404, 405):
                raise
            listed = {}
        models = [model for model in _list(listed, "data") if isinstance(model, dict)]
        own = next((model for model in models if model.get("id") == self.model), None)
        owners = {str(model.get("owned_by")) for model in models}
        present: bool | None = own is not None if models else None
        slots, context = None, _whole((own or {}).get("max_model_len"))
        props = await self._props(timeout_s) if self.flavour in (GENERIC, LLAMA_SERVER) else {}
        if not self._given:
            self.flavour = LLAMA_SERVER if props else VLLM if "vllm" in owners else self.flavour
        if props:
            # It serves its one model under any name.
            present, slots = True, _whole(props.get("total_slots"))
            settings = props.get("default_generation_settings")
            context = _whole(settings.get("n_ctx")) if isinstance(settings, dict) else context
        slots = slots or self.flavour.slots
        names = ", ".join(sorted(public_name(str(model.get("id"))) for model in models)[:5])
        detail = f"it has {names}" if present is False else ""
        return Endpoint(True, present, slots=slots, context=context, flavour=self.flavour.name, detail=detail)

    @property
    def takes_grammar(self) -> bool:
        """Say whether this kind of server takes a grammar at all."""
        return bool(self.flavour.grammar)

    async def _props(self, timeout_s: float) -> Mapping[str, Any]:
        """Return what a llama-server tells about its slots; empty where there is none."""
        try:
            props = await self._root.ask("GET", "/props", timeout_s=timeout_s)
        except ClientError:
            return {}
        return props if isinstance(props, dict) and "total_slots" in props else {}


class SseReader(EventReader):
    """Reads server-sent events, up to the server's `[DONE]`."""

    def __init__(self, reply: Reply, reported: Callable[[object], ClientError], repeats: Repeats | None = None) -> None:
        super().__init__(reply, reported, repeats)
        self._seen = False
        self._finish: str | None = None
        self._refusal: list[str] = []
        self._usage: dict[str, int] = {}
        self._timings: dict[str, float] = {}

    def place_of_event(self, line: bytes) -> int | None:
        """Return where the JSON of a `data:` line begins; other fields and comments hold none.

        Raises:
            ClientError: this is no event stream.
        """
        if line.startswith(_DATA):
            self._seen = True
            self.done = line[len(_DATA) :].strip() == b"[DONE]"
            return None if self.done else len(_DATA)
        if line and not self._seen and not line.startswith(_FIELDS):
            data = decoded(line)
            if isinstance(data, dict) and data.get("error"):
                raise self._reported(data["error"])
            raise ClientError("the answer is not an event stream; is this the URL before /chat/completions?")
        return None

    def not_an_event(self) -> ClientError:
        """Return the error of an event that is no JSON."""
        return ClientError("the server sent an event that is not JSON")

    def take(self, event: dict[str, Any]) -> None:
        """Take in one event: text, thoughts, a refusal, how it ended, usage, timings."""
        usage, timings = event.get("usage"), event.get("timings")
        if isinstance(usage, dict):
            self._usage = _usage(usage)
        if isinstance(timings, dict):
            self._timings = {str(k): float(v) for k, v in timings.items() if isinstance(v, int | float)}
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        if isinstance(choice.get("finish_reason"), str):
            self._finish = choice["finish_reason"]
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        content, refusal = delta.get("content"), delta.get("refusal")
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        self.reply.add(content if isinstance(content, str) else "", thinking if isinstance(thinking, str) else "")
        if isinstance(refusal, str):
            self._refusal.append(refusal)

    def ended(self) -> tuple[str, Mapping[str, int], Mapping[str, float]]:
        """Return finish, usage and timings.

        Raises:
            ClientError: the stream ended before the reply did, or the model declined to answer.
        """
        if self._refusal:
            raise ClientError(f"the model declines: {shown(''.join(self._refusal), None)}", outcome="refused")
        if not self.done and self._finish is None:
            raise ClientError("the stream ended before the reply was complete", outcome="cut")
        return self._finish or "stop", self._usage, self._timings

    @staticmethod
    def text_alone(event: Any) -> str | None:
        """Return the piece of the answer in an event that holds nothing else of interest, else None."""
        match event:
            case {"choices": [{"delta": {"content": str(text), **delta}, **choice}, *_], **more}:
                other = delta.get("reasoning_content"), delta.get("reasoning"), delta.get("refusal"), more.get("error")
                known = (choice.get("finish_reason"), more.get("usage"), more.get("timings"), *other)
                return None if any(known) else text
        return None


def _usage(reported: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts a server reported; what it left out stays unknown."""
    counts = {name: reported[name] for name in _USAGE if type(reported.get(name)) is int}
    details = reported.get("prompt_tokens_details")
    if isinstance(details, dict) and type(details.get("cached_tokens")) is int:
        counts["cached_tokens"] = details["cached_tokens"]
    return counts


def _list(data: object, name: str) -> list[Any]:
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, list) else []


def _whole(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
