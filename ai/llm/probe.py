"""The start-up probe: it asks one server for its abilities with one model and says them in a sentence.

Servers answer 200 and ignore a schema they cannot enforce, so the probe does not ask whether they can: it asks for one
tiny reply that only an enforced schema can bring about, and the same for a grammar. The tiny schema has the words that
the schemas of a run have, so that a server that refuses one of them does so here. A server's account of itself is taken
as a hint; only the tiny calls decide.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any, Final, Literal, Protocol, runtime_checkable

from ai.errors import ClientError
from ai.llm_types import SCHEMA, Endpoint, LlmChunk, LlmClient, LlmRequest, Message

LOOK_S: Final = 10.0
"""Longest time that a server may take to tell about itself, for each question, seconds."""
TRY_S: Final = 180.0
"""Longest time that a tiny reply may take, seconds: the server may have to load the model first."""
TOKENS_MAX: Final = 32
"""Reply tokens of a tiny request."""
THOUGHT_TOKENS_MAX: Final = 512
"""Reply tokens of a tiny request to a model that does not come to its answer with fewer."""

_QUESTION: Final = (Message("user", "Write one word about the sea."),)
_MARK: Final = "k7"
_TEXT: Final[dict[str, Any]] = {"type": "string", "enum": [_MARK], "minLength": 2, "maxLength": 2}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {_MARK: {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1}]}},
    "required": [_MARK],
    "additionalProperties": False,
}
_GRAMMAR: Final = f'root ::= "{_MARK}"'

logger = logging.getLogger(f"tickweave.{__name__}")


@runtime_checkable
class Probed(Protocol):
    """A client of a server that can be asked about itself."""

    label: str
    endpoint: Endpoint | None

    @property
    def takes_grammar(self) -> bool:
        """Whether this kind of server takes a grammar at all."""
        ...

    async def look(self, *, timeout_s: float) -> Endpoint:
        """Return the server's account of itself and the model; nothing is generated."""
        ...


async def probe(client: LlmClient) -> Endpoint | None:
    """Find out about the server behind a client and leave it in `client.endpoint`; None where there is no server.

    A server that is down, has no such model or refuses is a finding and no error: `detail` says so.
    """
    if not isinstance(client, Probed):
        return None
    try:
        client.endpoint = await client.look(timeout_s=LOOK_S)
    except ClientError as error:
        client.endpoint = Endpoint(error.status is not None, detail=str(error))
    else:
        client.endpoint = await _tried(client, client.endpoint)
    logger.info("%s", sentence(client.label, client.endpoint))
    return client.endpoint


async def _tried(client: Any, endpoint: Endpoint) -> Endpoint:
    """Ask for the tiny replies."""
    try:
        schema = await _schema(client)
        grammar = client.takes_grammar and await _grammar(client)
    except ClientError as error:
        if error.status != 404:
            return replace(endpoint, detail=str(error))
        return replace(endpoint, model_present=False, detail=endpoint.detail or str(error))
    endpoint = replace(endpoint, model_present=True, detail="", schema=schema, grammar=grammar)
    shown = getattr(client, "shown", None)  # with the parts that the server refused in the tiny calls
    return endpoint if shown is None else shown(endpoint)


async def _schema(client: LlmClient) -> Literal["enforced", "ignored", "unknown"]:
    text, finish = await _reply(client, schema=_SCHEMA)
    try:
        if json.loads(text) in ({_MARK: _MARK}, {_MARK: [_MARK]}):
            return "enforced"
    except (ValueError, RecursionError):
        pass
    # A reply cut inside an object may have been under way to the right one.
    return "unknown" if finish == "length" and text.lstrip()[:1] in ("", "{") else "ignored"


async def _grammar(client: LlmClient) -> bool:
    try:
        return (await _reply(client, grammar=_GRAMMAR))[0].strip() == _MARK
    except ClientError as error:
        if error.status in (400, 422, 500, 501):
            return False
        raise


async def _reply(client: LlmClient, **constraint: Any) -> tuple[str, str | None]:
    for tokens in (TOKENS_MAX, THOUGHT_TOKENS_MAX):
        request = LlmRequest(_QUESTION, tokens_max=tokens, timeout_s=TRY_S, left_s=TRY_S, **constraint)
        text, finish = "", None
        async for chunk in client.stream(request):
            text, finish = _joined(text, chunk), chunk.finish
        # A model that writes on and on may think before it answers: the whole reply shows how its thoughts end.
        if finish != "length" or text.lstrip().startswith("{"):
            break
    return text, finish


def _joined(text: str, chunk: LlmChunk) -> str:
    return chunk.text if chunk.voids else text + chunk.text


def sentence(label: str, endpoint: Endpoint) -> str:
    """Return the facts that a person wants to know before a run, on one line."""
    if not endpoint.reachable:
        return f"{endpoint.detail or f'{label}: no answer'}"
    found = [endpoint.flavour] if endpoint.flavour != "generic" else []
    if endpoint.model_present is False:
        return f"{label}: the server has no such model ({endpoint.detail})"
    if endpoint.slots is not None:
        found.append(f"{endpoint.slots} calls at once")
    if endpoint.context is not None:
        found.append(f"{endpoint.context:,} tokens of context")
    schema = "refused" if SCHEMA in endpoint.left_out else endpoint.schema
    found.append(
        {
            "enforced": "schemas are enforced",
            "ignored": "schemas are IGNORED: expect malformed plans",
            "refused": "schemas are REFUSED and left out: expect malformed plans",
            "unknown": "whether schemas are enforced is not known",
        }[schema]
    )
    if endpoint.grammar:
        found.append("grammars are taken")
    if others := ", ".join(name for name in endpoint.left_out if name != SCHEMA):
        found.append(f"the server refuses {others}, so calls are made without")
    return f"{label}: {', '.join(found)}" + (f" ({endpoint.detail})" if endpoint.detail else "")
