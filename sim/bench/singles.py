"""Single agents, one call after another, for comparison with batches.

Both ways ask in named JSON, under the schema that restricts the reply to legal plans. A careful caller (the baseline)
sends the observation as minified JSON without defaults, shows one example, and puts the fixed part of the prompt first,
so that the server has it in its cache. A naive caller pretty-prints the whole observation, shows no example, and begins
every prompt differently, so that no part of it can be in a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ai.actions import EncodedStep, ToolRegistry
from ai.errors import ClientError, ParseError
from ai.llm.encodings import NAMED
from ai.llm.encodings.base import Encoding
from ai.llm.encodings.offers import Offers
from ai.llm.prompt import REPLY_TOKENS, slots_of, system_message
from ai.llm_types import LlmClient, LlmRequest, Message, reading
from ai.observation import ObservationBatch


@dataclass(slots=True)
class SinglesAnswer:
    """The result: times in seconds, the usage of each call as reported by the server, and plans by agent."""

    total_s: float = 0.0
    first_s: float | None = None
    usages: list[dict[str, int] | None] = field(default_factory=list)
    plans: dict[int, tuple[EncodedStep, ...]] = field(default_factory=dict)


async def ask_singles(
    client: LlmClient,
    batch: ObservationBatch[Any],
    registry: ToolRegistry,
    *,
    naive: bool,
    salt: str,
    encoding: Encoding = NAMED,
    clock: Callable[[], float],
) -> SinglesAnswer:
    """Ask for one plan after another; with `salt`, the naive prompts of two batches begin differently.

    `encoding` is named JSON, or named JSON under another schema.
    """
    answer = SinglesAnswer()
    begun = clock()
    for row in range(len(batch)):
        one = batch.take(slice(row, row + 1))
        messages = naive_messages(one, registry, f"{salt}.{row}") if naive else careful_messages(one, registry)
        request = LlmRequest(
            messages,
            schema=encoding.schema(Offers.of(one, registry)),
            tokens_max=NAMED.plan_tokens + REPLY_TOKENS,
            slots=slots_of(one.keys),
        )
        usage, texts = await _ask(client, request)
        answer.usages.append(usage)
        for agent, text in texts.items():
            try:
                answer.plans[agent] = NAMED.encode(text, registry)
            except ParseError:
                continue
            if answer.first_s is None:
                answer.first_s = clock() - begun
    answer.total_s = clock() - begun
    return answer


def careful_messages(one: ObservationBatch[Any], registry: ToolRegistry) -> tuple[Message, ...]:
    """Return the prompt for one agent: the rules first, then its observation, without the values that prompts omit."""
    unsaid = {leaf.name for leaf in one.layout.fields if leaf.fact.say == ""}
    known = one.to_object(0).model_dump_json(exclude_defaults=True, exclude=unsaid)
    user = f"Agent a1 is id {one.keys[0]}.\n{known}\n{NAMED.closing(1)}"
    return Message("system", system_message(registry, encoding=NAMED)), Message("user", user)


def naive_messages(one: ObservationBatch[Any], registry: ToolRegistry, number: str) -> tuple[Message, ...]:
    """Return the prompt for one agent: a unique beginning, the whole observation pretty-printed, no example."""
    rules = system_message(registry, encoding=NAMED).partition("\nExample:\n")[0]
    known = one.to_object(0).model_dump_json(indent=2)
    user = f"Agent a1 is id {one.keys[0]}.\n{known}\n{NAMED.closing(1)}"
    return Message("system", f"Request {number}.\n{rules}"), Message("user", user)


async def _ask(client: LlmClient, request: LlmRequest) -> tuple[dict[str, int] | None, dict[int, str]]:
    """Make one call; return the server's count of tokens and the plans that closed, none if the call failed."""
    scanner, texts, usage = NAMED.scanner(request.slots), {}, None
    try:
        async with reading(client.stream(request)) as stream:
            async for chunk in stream:
                usage = usage if chunk.usage is None else dict(chunk.usage)
                texts.update({slot.agent: slot.text for slot in scanner.feed(chunk.text)})
    except ClientError:
        pass
    else:
        texts.update({slot.agent: slot.text for slot in scanner.close()})
    return usage, texts
