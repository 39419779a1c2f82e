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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from ai.clients import client_from_spec
from ai.clients.base import Endpoint, LlmChunk, LlmClient, LlmRequest, reading
from ai.errors import ClientError, ContractError

SCHEME: Final = "faulty"
SCRIPT_BYTES_MAX: Final = 16 * 2**20
"""Bytes that a script of faults may have."""
SCRIPT_FAULTS_MAX: Final = 100_000
"""Faults in one script."""
WAIT_MAX_S: Final = 3600.0
"""Longest silence that a script may ask for, seconds."""
OUTCOMES: Final = ("timeout", "transport", "rate_limited", "cut", "refused", "unavailable")
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
        """Check the values."""
        if self.outcome not in (None, *OUTCOMES):
            raise ContractError(f"a fault's outcome must be one of {', '.join(OUTCOMES)}, not {self.outcome!r:.60}")
        if self.after < 0 or not 0 <= self.wait_s <= WAIT_MAX_S:
            raise ContractError(f"a fault's after must be 0 or more and its wait_s from 0 to {WAIT_MAX_S:.0f}")
        if self.retry_after_s is not None and not (self.retry_after_s >= 0 and math.isfinite(self.retry_after_s)):
            raise ContractError("a fault's retry_after_s must be 0 or more")


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "outcome": (str,),
    "after": (int,),
    "wait_s": (int, float),
    "text": (str,),
    "finish": (str,),
    "retry_after_s": (int, float),
}
assert set(_TYPES) == {declared.name for declared in fields(Fault)}


def from_spec(rest: str) -> FaultyClient:
    """Return the client of `FILE:SPEC`: faults from a file around the client that the spec names.

    Raises:
        ContractError: no file or spec named, or a bad one.
    """
    path, colon, spec = rest.partition(":")
    if not path or not colon:
        raise ContractError("write faulty:FILE:SPEC, a file of faults and the model to spoil")
    return FaultyClient(client_from_spec(spec), load_faults(Path(path)))


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Read a script of faults.

    Raises:
        ContractError: it cannot be read, is too large, or a line is malformed; the message names file and line.
    """
    try:
        if path.stat().st_size > SCRIPT_BYTES_MAX:
            raise ContractError(f"{path}: a script of faults has at most {SCRIPT_BYTES_MAX} bytes")
        lines = path.read_text("utf-8").split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a UTF-8 text file"
        raise ContractError(f"{path}: the script of faults cannot be read: {reason}") from None
    if len(lines) > SCRIPT_FAULTS_MAX:
        raise ContractError(f"{path}: a script has at most {SCRIPT_FAULTS_MAX} lines, not {len(lines)}")
    return tuple(_fault(text, f"{path}, line {number}") for number, text in enumerate(lines, 1) if text.strip())


def dump_faults(script: Iterable[Fault]) -> str:
    r"""Return a script of faults as `load_faults` reads it, one JSON object a line.

    >>> dump_faults([Fault(), Fault(outcome="cut", after=3)])
    '{}\n{"outcome": "cut", "after": 3}\n'
    """
    plain = Fault()
    names = [declared.name for declared in fields(Fault)]
    return "".join(
        json.dumps({name: getattr(fault, name) for name in names if getattr(fault, name) != getattr(plain, name)})
        + "\n"
        for fault in script
    )


def _fault(text: str, where: str) -> Fault:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ContractError(f"{where}: not JSON") from None
    if not isinstance(data, dict):
        raise ContractError(f"{where}: a fault must be an object")
    for name, value in data.items():
        if name not in _TYPES:
            raise ContractError(f"{where}: unknown field {name[:40]!r}; known: {', '.join(_TYPES)}")
        if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and bool not in _TYPES[name]):
            raise ContractError(f"{where}: {name!r} must be of type {_TYPES[name][-1].__name__}")
    try:
        return Fault(**data)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None


class FaultyClient:
    """Spoils the calls of `client` by a script, in the order in which they are made. `calls` counts them."""

    def __init__(
        self,
        client: LlmClient,
        script: Iterable[Fault],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
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
                await self._silence(fault.wait_s, request.timeout_s)
                if fault.text:
                    yield LlmChunk(fault.text)
                self._fail(fault)
                if fault.finish is not None:
                    yield LlmChunk(finish=fault.finish)
                    return
                yield LlmChunk(chunk.text[room:], chunk.finish, chunk.usage, chunk.timings)

    async def _silence(self, wait_s: float, timeout_s: float) -> None:
        if wait_s >= timeout_s:
            await self._sleep(timeout_s)
            raise ClientError(f"{self.label}: scripted silence", outcome="timeout")
        if wait_s:
            await self._sleep(wait_s)

    def _fail(self, fault: Fault) -> None:
        if fault.outcome is not None:
            raise ClientError(
                f"{self.label}: scripted fault",
                outcome=fault.outcome,
                retry_after_s=fault.retry_after_s,
            )

    async def aclose(self) -> None:
        """Close the client inside."""
        closing = getattr(self.client, "aclose", None)
        if closing is not None:
            await closing()
