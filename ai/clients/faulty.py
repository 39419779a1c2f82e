r"""A client around another that goes wrong as a script says: for tests, and to see how a run reacts.

A script is a list of faults, one per call; calls beyond its end succeed. A fault lets the first `after` characters of
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
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from ai.clients import client_from_spec
from ai.clients.scripts import script_lines
from ai.errors import ClientError, ContractError
from ai.llm_types import ClientAround, LlmChunk, LlmClient, LlmRequest, reading

logger = logging.getLogger(f"tickweave.{__name__}")
SCHEME: Final = "faulty"
WAIT_MAX_S: Final = 3600.0  # longest silence that a script may ask for, seconds
Outcome = Literal["timeout", "transport", "rate_limited", "cut", "refused", "invalid", "unavailable"]
OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
"""Ways in which a scripted call may fail."""


class Fault(BaseModel):
    """The fault of one call (see the module's text). `after` counts characters, times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    outcome: Outcome | None = None
    after: int = Field(0, ge=0)
    wait_s: float = Field(0.0, ge=0, le=WAIT_MAX_S)
    text: str = ""
    finish: str | None = None
    retry_after_s: float | None = Field(None, ge=0, allow_inf_nan=False)


def from_spec(rest: str) -> FaultyClient:
    """Return the client of `FILE:SPEC`: faults from a file around the client that the spec names."""
    path, _, spec = rest.partition(":")
    if not path or not spec:
        raise ContractError("write faulty:FILE:SPEC, a file of faults and the model to spoil")
    return FaultyClient(client_from_spec(spec), load_faults(Path(path)))


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Read a script of faults; the `ContractError` of a bad one names file and line."""
    return tuple(script_lines(path, Fault))


def dump_faults(script: Iterable[Fault]) -> str:
    r"""Return a script of faults as `load_faults` reads it, one JSON object a line.

    >>> dump_faults([Fault(), Fault(outcome="cut", after=3)])
    '{}\n{"outcome":"cut","after":3}\n'
    """
    return "".join(f"{fault.model_dump_json(exclude_defaults=True)}\n" for fault in script)


class FaultyClient(ClientAround):
    """Spoils the calls of `client` by a script, in the order in which they are made. `calls` counts them."""

    def __init__(
        self, client: LlmClient, script: Iterable[Fault], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        super().__init__(client)
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
                logger.debug("%s: call %d is spoilt: %s", self.label, self.calls, fault)
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
