"""OpenTelemetry spans of planning by a model: a round, its shards, and in each shard its calls.

The only file that knows OpenTelemetry and the names of its conventions for generative models. Without the package
(extra `otel`) nothing happens; with it, spans go wherever the process has set up its tracer provider, for which
`opentelemetry-instrument tickweave run ...` is enough. Spans hold counts and names, never prompts, replies or keys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

from ai.errors import ClientError
from ai.llm_types import ClientAround, LlmChunk, LlmClient, LlmRequest, reading

trace: Any = None
with suppress(ImportError):  # the extra may not be installed
    trace = import_module("opentelemetry.trace")

INSTRUMENTS: Final = "tickweave"
"""The name of the tracer."""


@contextmanager
def round_span(tick: int, agents: int) -> Iterator[None]:
    """Mark the time in which one logical batch is planned for."""
    with _current("plan round", {"tickweave.tick": tick, "tickweave.agents": agents}):
        yield


@contextmanager
def shard_span(tier: str, agents: int) -> Iterator[dict[str, Any]]:
    """Mark the time of one shard; the entries that the block puts into the dictionary are shown as its outcome."""
    outcome: dict[str, Any] = {}
    with _current("plan shard", {"tickweave.tier": tier, "tickweave.agents": agents}) as span:
        try:
            yield outcome
        finally:
            if span is not None:
                span.set_attributes({f"tickweave.{name}": value for name, value in outcome.items()})


@contextmanager
def _current(name: str, attributes: Mapping[str, Any]) -> Iterator[Any]:
    if trace is None:
        yield None
        return
    with trace.get_tracer(INSTRUMENTS).start_as_current_span(name, attributes=dict(attributes)) as span:
        yield span


class TracedClient(ClientAround):
    """A client around another that marks the time of each call, with what OpenTelemetry calls a model's operation."""

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives.

        Raises:
            ClientError: the client failed.
        """
        provider, _, model = self.label.partition(":")
        asked = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model or provider,
            "gen_ai.request.max_tokens": request.tokens_max,
            "gen_ai.request.temperature": request.temperature,
            "gen_ai.request.seed": request.seed,
        }
        # Not the current span: a generator may be closed in another context than it was begun in.
        tracer = trace.get_tracer(INSTRUMENTS)
        span = tracer.start_span(f"chat {model or provider}", kind=trace.SpanKind.CLIENT, attributes=asked)
        try:
            async with reading(self.client.stream(request)) as stream:
                async for chunk in stream:
                    if span.is_recording():
                        span.set_attributes(_told(chunk))
                    yield chunk
        except ClientError as error:
            span.set_attribute("error.type", error.outcome)
            span.set_status(trace.StatusCode.ERROR, str(error))
            raise
        finally:
            span.end()


def traced(client: LlmClient) -> LlmClient:
    """Return a client whose calls are marked, where OpenTelemetry is installed."""
    return client if trace is None else TracedClient(client)


def _told(chunk: LlmChunk) -> dict[str, Any]:
    """Return the attributes that a piece of a reply gives for the whole of it."""
    usage = chunk.usage or {}
    names = {
        "prompt_tokens": "gen_ai.usage.input_tokens",
        "completion_tokens": "gen_ai.usage.output_tokens",
        "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    }
    told: dict[str, Any] = {other: usage[name] for name, other in names.items() if name in usage}
    return told if chunk.finish is None else {**told, "gen_ai.response.finish_reasons": [chunk.finish]}
