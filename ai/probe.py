"""The start-up probe: what one server does for one model, found out by asking it, and said in a sentence.

Servers answer 200 and ignore a schema they cannot enforce, so the probe does not ask whether they can: it asks for one
tiny reply that only an enforced schema can bring about, and the same for a grammar.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final, Literal, Protocol, runtime_checkable

from ai.clients.base import Endpoint, LlmClient, LlmRequest, Message
from ai.errors import ClientError

LOOK_S: Final = 10.0
"""Longest silence of a server that is asked about itself, seconds."""
TRY_S: Final = 180.0
"""Longest silence of a server that is asked for a tiny reply, seconds: it may have to load the model first."""
TOKENS_MAX: Final = 32
"""Reply tokens of a tiny request."""

_QUESTION: Final = (Message("user", "Write one word about the sea."),)
_MARK: Final = "k7"
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {_MARK: {"type": "string", "enum": [_MARK]}},
    "required": [_MARK],
    "additionalProperties": False,
}
_GRAMMAR: Final = f'root ::= "{_MARK}"'


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
        """Return what the server tells about itself and the model; nothing is generated."""
        ...


async def probe(client: LlmClient) -> Endpoint | None:
    """Find out about the server behind a client and leave it in `client.endpoint`; None where there is no server.

    A server that is down, has no such model or refuses is a finding and no error: `detail` says so.
    """
    if not isinstance(client, Probed):
        return None
    try:
        endpoint = await client.look(timeout_s=LOOK_S)
    except ClientError as error:
        missing = False if error.status == 404 else None
        endpoint = Endpoint(error.status is not None, missing, detail=str(error))
    else:
        if endpoint.model_present is not False:
            endpoint = await _tried(client, endpoint)
    client.endpoint = endpoint
    return endpoint


async def _tried(client: Any, endpoint: Endpoint) -> Endpoint:
    """Ask for the tiny replies."""
    try:
        endpoint = replace(endpoint, schema=await _schema(client))
        grammar = client.takes_grammar and (await _reply(client, grammar=_GRAMMAR))[0].strip() == _MARK
    except ClientError as error:
        missing = False if error.status == 404 else endpoint.model_present
        return replace(endpoint, model_present=missing, detail=str(error))
    return replace(endpoint, grammar=grammar)


async def _schema(client: LlmClient) -> Literal["enforced", "ignored", "unknown"]:
    try:
        text, finish = await _reply(client, schema=_SCHEMA)
    except ClientError as error:
        if error.status != 400:
            raise
        return "unknown"
    try:
        if json.loads(text) == {_MARK: _MARK}:
            return "enforced"
    except (ValueError, RecursionError):
        pass
    # A reply cut inside an object may have been under way to the right one.
    return "unknown" if finish == "length" and text.lstrip()[:1] in ("", "{") else "ignored"


async def _reply(client: LlmClient, **constraint: Any) -> tuple[str, str | None]:
    request = LlmRequest(_QUESTION, tokens_max=TOKENS_MAX, timeout_s=TRY_S, **constraint)
    chunks = [chunk async for chunk in client.stream(request)]
    return "".join(chunk.text for chunk in chunks), chunks[-1].finish


def sentence(label: str, endpoint: Endpoint) -> str:
    """Return what a person wants to know before a run, on one line."""
    if not endpoint.reachable:
        return f"{endpoint.detail or f'{label}: no answer'}"
    found = [endpoint.flavour] if endpoint.flavour != "generic" else []
    if endpoint.model_present is False:
        return f"{label}: the server has no such model ({endpoint.detail})"
    if endpoint.slots is not None:
        found.append(f"{endpoint.slots} calls at once")
    if endpoint.context is not None:
        found.append(f"{endpoint.context:,} tokens of context")
    found.append(
        {
            "enforced": "schemas are enforced",
            "ignored": "schemas are IGNORED: expect malformed plans",
            "unknown": "whether schemas are enforced is not known",
        }[endpoint.schema]
    )
    if endpoint.grammar:
        found.append("grammars are taken")
    return f"{label}: {', '.join(found)}" + (f" ({endpoint.detail})" if endpoint.detail else "")
