"""The interface of a language model: a request in, a stream of text chunks out.

Real, scripted and faulty clients share it, so one can wrap another. Only this package speaks HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, runtime_checkable

SEED_MASK: Final = 2**31 - 1
"""Bits of a seed that are sent: every server takes as many."""
SILENCE_MIN_S: Final = 0.05
"""Shortest `timeout_s` of a request, however little time is left: below it no server is ever heard, seconds."""
CALL_S: Final = 300.0
"""Longest time that one call may take where its caller sets no other bound, seconds."""
COUNT_MAX: Final = 10**9
"""Largest count of tokens that is believed."""
TIME_MAX_MS: Final = 1e8
"""Longest time that is believed, milliseconds: about a day."""
STAND_IN: Final = "stand_in"
"""Where a stand-in says that it wants the plans of the caller's rules, and a call's body then holds them."""
SCHEMA: Final = "schemas"
"""The name of a call's schema in `Endpoint.left_out`."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """Everything one call may depend on.

    `schema` is a JSON schema the server should enforce; `grammar` is one in GBNF, for servers whose `Endpoint` says
    that they take it, and stands in place of a schema. `slots` are the agents asked, by the slot name the reply uses,
    and `encoding` names how it writes plans (scripted clients and tests read these; servers never see them).
    `tokens_max` bounds the answer; `timeout_s` is the longest silence between two chunks; `left_s` bounds the whole
    call, seconds, `CALL_S` where it is None. `by_rules` is the reply that the caller's rules would give, for a stand-in
    that wants it (`Endpoint.wants_rules`).
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    tokens_max: int = 1024
    temperature: float = 0.0
    seed: int = 0
    tier: str = ""
    slots: Mapping[str, int] = field(default_factory=dict)
    encoding: str = "named"
    timeout_s: float = 60.0
    left_s: float | None = None
    by_rules: str | None = None


@dataclass(frozen=True, slots=True)
class LlmChunk:
    """A piece of a reply. The last one carries `finish` (`stop`, `length` or the server's word), usage and timings.

    `thinking` is the model's thought before its answer, never part of the answer. Where `voids`, all text of the pieces
    before this one was thought too, and all that was read in it must be forgotten. A piece may be empty: one comes
    after every read, so that its reader can look at the clock. `usage` and `timings` (milliseconds) are the server's
    own, None where it reported none; unknown is not zero. Of the timings, `queue_ms` (waiting for a slot) steers how
    many calls run at once. `unconstrained` on the last piece says that a schema was asked for and that this whole reply
    cannot have been written under it: the server ignored it.
    """

    text: str = ""
    finish: str | None = None
    usage: Mapping[str, int] | None = None
    timings: Mapping[str, float] | None = None
    thinking: str = ""
    unconstrained: bool = False
    voids: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The abilities of one server with one model, found by asking it at the start (`ai.llm.probe`) and in later calls.

    `model_present` is False only where a call for the model was refused. `schema` is `enforced` (a reply came out in a
    form that only the schema could have forced), `ignored` or `unknown`. `grammar` says whether GBNF is taken. `slots`
    are the calls that run at the same time, `context` the tokens of prompt and reply together that one call has room
    for; both bound how a batch is cut. None is unknown. `flavour` names the kind of server, `detail` says in words what
    is wrong or worth knowing, without host or secret. `left_out` are the parts of a call that the server refuses, so
    that calls are made without them, in name order. `wants_rules` marks a stand-in that answers with the plans of the
    caller's own rules, which calls then bring along.
    """

    reachable: bool
    model_present: bool | None = None
    schema: Literal["enforced", "ignored", "unknown"] = "unknown"
    grammar: bool | None = None
    slots: int | None = None
    context: int | None = None
    flavour: str = "generic"
    detail: str = ""
    left_out: tuple[str, ...] = ()
    wants_rules: bool = False


@runtime_checkable
class LlmClient(Protocol):
    """A language model. `label` names it in summaries and replays and holds no secret, host or path.

    A client of a server may also have `endpoint: Endpoint | None`, the findings of the probe, and `aclose()`.
    """

    label: str

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives; exactly the last chunk has `finish`. Closing the iterator ends the call.

        Raises:
            ClientError: the transport or the server failed; chunks already yielded stay good.
        """
        ...


class ClientAround:
    """The base of a client around another one, which has the label, the endpoint and the open connections."""

    def __init__(self, client: LlmClient) -> None:
        self.client = client
        self.label = client.label

    @property
    def endpoint(self) -> Endpoint | None:
        """Return the facts known about the server by now."""
        return getattr(self.client, "endpoint", None)

    async def aclose(self) -> None:
        """Close the client inside."""
        if hasattr(self.client, "aclose"):
            await self.client.aclose()


def count_of(value: object) -> int | None:
    """Return a count that a server tells, None where it is none that can be believed."""
    return value if type(value) is int and 0 <= value <= COUNT_MAX else None


def milliseconds_of(value: object, unit: float = 1.0) -> float | None:
    """Return a time that a server reports, given the milliseconds in its unit; None where it is not plausible."""
    if type(value) not in (int, float) or not 0 <= value <= TIME_MAX_MS / unit:  # type: ignore[operator] # a number
        return None
    return float(value) * unit  # type: ignore[arg-type] # a number


class reading:  # noqa: N801 - used like a function
    """Close a stream at the end of the block where it can be closed, whether or not it was read to its end."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncIterator[LlmChunk]) -> None:
        self._stream = stream

    async def __aenter__(self) -> AsyncIterator[LlmChunk]:
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()
