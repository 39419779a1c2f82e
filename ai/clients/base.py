"""The one face of a language model: a request in, a stream of text chunks out.

Real, scripted, recorded and faulty clients all have it, so they stack. Only this package speaks HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """Everything one call may depend on.

    `schema` is a JSON schema the server should enforce, `slots` are the agents asked, by the slot name the reply uses
    (scripted clients and tests read it; servers never see it). `tokens_max` bounds the reply; `timeout_s` is the
    longest silence between two chunks.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    tokens_max: int = 1024
    temperature: float = 0.0
    seed: int = 0
    tier: str = ""
    slots: Mapping[str, int] = field(default_factory=dict)
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class LlmChunk:
    """A piece of a reply. The last one carries `finish` (`stop`, `length` or the server's word), usage and timings.

    `usage` and `timings` are what the server reported, None where it did not; unknown is not zero.
    """

    text: str = ""
    finish: str | None = None
    usage: Mapping[str, int] | None = None
    timings: Mapping[str, float] | None = None


@runtime_checkable
class LlmClient(Protocol):
    """A language model. `label` names it in summaries and replays and holds no secret, host or path."""

    label: str

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives; the last chunk has `finish`.

        Raises:
            ClientError: the transport or the server failed; chunks already yielded stay good.
        """
        ...
