"""Kinds of servers behind the OpenAI chat interface, and what each of them wants to be asked with.

Facts from the servers' sources and documentation: llama-server 11434, vLLM 0.12 and 0.32, OpenAI's reference of 2026.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ai.clients.base import SEED_MASK, LlmRequest

_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})
OPTIONAL: Final = frozenset({"temperature", "seed", "stream_options"}) | _LIMITS
"""Options that are left out for good once a server has refused them by name; some limit is always sent."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of server.

    `limits` are the names under which it reads the limit of reply tokens, `grammar` where it takes a GBNF grammar (a
    path of keys; empty: nowhere), `extra` what else each call says. `slots` are the calls that it runs at the same time
    as it is started by default, or as many of them as are worth making; None where that is not known.
    """

    name: str
    limits: tuple[str, ...] = ("max_tokens",)
    grammar: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    slots: int | None = None


GENERIC: Final = Flavour("generic")
"""What every compatible server understands."""
LLAMA_SERVER: Final = Flavour(
    "llama-server",
    grammar=("grammar",),
    # Under a schema a thinking model stops in the middle of an object there, so it is asked not to think.
    extra={"cache_prompt": True, "chat_template_kwargs": {"enable_thinking": False}},
)
"""llama.cpp's server. A grammar beside a `response_format` would be ignored; only one of them is sent."""
VLLM: Final = Flavour(
    "vllm",
    # The older name is deprecated, the newer unknown to old versions, and unknown names are ignored.
    limits=("max_tokens", "max_completion_tokens"),
    grammar=("structured_outputs", "grammar"),
    extra={"chat_template_kwargs": {"enable_thinking": False}},
    # It runs a hundred and more, and what their prompts share is read once for all of them.
    slots=32,
)
"""vLLM. `response_format` works in all versions, its older `guided_json` is ignored since 0.12."""
OPENAI: Final = Flavour("openai", limits=("max_completion_tokens",))
"""OpenAI itself, which refuses `max_tokens` for models that reason."""


def body(flavour: Flavour, model: str, request: LlmRequest, refused: Collection[str]) -> dict[str, Any]:
    """Return the body of a chat completion, without the options that this server has refused."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": request.temperature,
        "seed": request.seed & SEED_MASK,
        **dict.fromkeys(flavour.limits, request.tokens_max),
        **flavour.extra,
    }
    if request.grammar is not None and flavour.grammar:
        *path, last = flavour.grammar
        place = asked
        for name in path:
            place = place.setdefault(name, {})
        place[last] = request.grammar
    elif request.schema is not None:
        schema = {"name": "plans", "strict": True, "schema": request.schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    for name in refused:
        asked.pop(name, None)
    if not asked.keys() & _LIMITS:
        # Some limit is always sent, by the name that was not refused.
        asked.update(dict.fromkeys(_LIMITS - set(refused), request.tokens_max))
    return asked
