r"""A client around another that goes wrong as a script says: for tests, and to see what a run does then.

A script is a list of faults, one a call; calls beyond its end go right. A fault lets the first `after` characters of
the real reply through, is silent for `wait_s`, writes `text`, and then goes on with the rest of the reply, unless it
fails with `outcome` or ends the reply with `finish`. So a reset, a stall, a slow start, garbage, a doubled or foreign
plan, a cut reply and a polite refusal are all the same four fields. In a file a fault is one JSON object a line:

    {}                                                     nothing goes wrong
    {"outcome": "transport", "after": 40}                  the line breaks after 40 characters
    {"outcome": "rate_limited", "retry_after_s": 2}        the server asks for two seconds of peace
    {"wait_s": 30}                                         silence before the first byte
    {"text": "{\"a1\":{\"steps\":[NaN]}}"}                  a bad plan before the good ones
    {"after": 60, "finish": "length"}                      cut at a token limit

A silence as long as the request allows ends the call as a client's read timeout does.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from ai.clients import client_from_spec
from ai.clients.scripts import script_lines, unknown_field
from ai.errors import ClientError, ContractError
from ai.llm_types import Endpoint, LlmChunk, LlmClient, LlmRequest, reading

SCHEME: Final = "faulty"
WAIT_MAX_S: Final = 3600.0  # longest silence that a script may ask for, seconds
OUTCOMES: Final = ("timeout", "transport", "rate_limited", "cut", "refused", "invalid", "unavailable")
"""Ways in which a scripted call may fail."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call (see the module's text). `after` counts characters, times are seconds.

    Raises:
        ContractError: a number is out of its range, or the outcome is none that a call can have.
    """

    outcome: str | None = None
    after: int = 0
    wait_s: float = 0.0
    text: str = ""
    finish: str | None = None
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        if self.outcome not in (None, *OUTCOMES):
            raise ContractError(f"a fault's outcome must be one of {', '.join(OUTCOMES)}, not {self.outcome!r:.60}")
        if self.after < 0 or not 0 <= self.wait_s <= WAIT_MAX_S:
            raise ContractError(f"a fault's after must be 0 or more and its wait_s from 0 to {WAIT_MAX_S:.0f}")
        if self.retry_after_s is not None and not (self.retry_after_s >= 0 and math.isfinite(self.retry_after_s)):
            raise ContractError("a fault's retry_after_s must be 0 or more")


_OF: Final = {"str": (str,), "int": (int,), "float": (int, float)}
_TYPES: Final = {declared.name: _OF[str(declared.type).split(" ")[0]] for declared in fields(Fault)}


def from_spec(rest: str) -> FaultyClient:
    """Return the client of `FILE:SPEC`: faults from a file around the client that the spec names."""
    path, _, spec = rest.partition(":")
    if not path or not spec:
        raise ContractError("write faulty:FILE:SPEC, a file of faults and the model to spoil")
    return FaultyClient(client_from_spec(spec), load_faults(Path(path)))


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Read a script of faults; the `ContractError` of a bad one names file and line."""
    return tuple(_fault(data, where) for where, data in script_lines(path))


def dump_faults(script: Iterable[Fault]) -> str:
    r"""Return a script of faults as `load_faults` reads it, one JSON object a line.

    >>> dump_faults([Fault(), Fault(outcome="cut", after=3)])
    '{}\n{"outcome": "cut", "after": 3}\n'
    """
    plain = Fault()
    values = ({name: getattr(fault, name) for name in _TYPES} for fault in script)
    texts = (
        json.dumps({name: value for name, value in each.items() if value != getattr(plain, name)}) for each in values
    )
    return "".join(f"{text}\n" for text in texts)


def _fault(data: dict[str, Any], where: str) -> Fault:
    unknown_field(where, data, tuple(_TYPES))
    for name, value in data.items():
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise ContractError(f"{where}: {name!r} must be of type {_TYPES[name][-1].__name__}")
    try:
        return Fault(**data)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None


class FaultyClient:
    """Spoils the calls of `client` by a script, in the order in which they are made. `calls` counts them."""

    def __init__(
        self, client: LlmClient, script: Iterable[Fault], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.client = client
        self.label = client.label
        self.endpoint: Endpoint | None = getattr(client, "endpoint", None)
        self.calls = 0
        self._script = tuple(script)
        self._sleep = sleep

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply, spoilt.

        Raises:
            ClientError: the script says so, or the client itself failed.
        """
        fault = self._script[self.calls] if self.calls < len(self._script) else Fault()
        self.calls += 1
        room, spoilt = fault.after, False
        async with reading(self.client.stream(request)) as stream:
            async for chunk in stream:
                if spoilt or (len(chunk.text) <= room and chunk.finish is None):
                    room -= len(chunk.text)
                    yield chunk
                    continue
                spoilt = True
                if room:
                    yield LlmChunk(chunk.text[:room])
                await self._sleep(min(fault.wait_s, request.timeout_s))
                if fault.wait_s >= request.timeout_s:
                    raise ClientError(f"{self.label}: scripted silence", outcome="timeout")
                if fault.text:
                    yield LlmChunk(fault.text)
                if fault.outcome is not None:
                    message = f"{self.label}: scripted fault"
                    raise ClientError(message, outcome=fault.outcome, retry_after_s=fault.retry_after_s)
                if fault.finish is not None:
                    yield LlmChunk(finish=fault.finish)
                    return
                yield replace(chunk, text=chunk.text[room:])

    async def aclose(self) -> None:
        """Close the client inside."""
        if hasattr(self.client, "aclose"):
            await self.client.aclose()
