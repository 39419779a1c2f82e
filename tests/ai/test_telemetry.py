"""Spans of planning by a model: a round holds its shards, a shard its calls, with the names that conventions have."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ai.telemetry
from ai.clients import client_from_spec
from ai.clients.scripted import ScriptedClient
from ai.fake.faults import Fault
from ai.fake.server import FakeSettings, serving
from ai.telemetry import traced
from sim.run.planning_service import ModelOptions
from sim.run.scenario_file import load
from sim.run.simulation import Simulation


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported in one test; the process has one provider only, so it is put in its place."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def run(settings: FakeSettings, **options: Any) -> None:
    with serving(settings) as server:
        client = client_from_spec(f"openai:fake@{server.openai_url}")
        with Simulation(load("market"), client=client, model=ModelOptions(in_flight=2, **options)) as simulation:
            simulation.run(6)


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def test_a_round_holds_its_shards_and_a_shard_its_calls(spans: InMemorySpanExporter) -> None:
    """Parents are right, counts are there, and nothing of prompt, reply, address or key is."""
    run(FakeSettings())
    rounds, shards, calls = (named(spans, name) for name in ("plan round", "plan shard", "chat fake"))
    assert len(rounds) >= 2
    assert len(calls) == len(shards) > 2
    ids = {span.context.span_id: span for span in (*rounds, *shards)}
    for shard, call in zip(shards, calls, strict=False):
        assert shard.parent is not None
        assert ids[shard.parent.span_id].name == "plan round"
        assert call.parent is not None
        assert ids[call.parent.span_id].name == "plan shard"
    asked = [span.attributes["tickweave.agents"] for span in rounds]  # type: ignore[index]
    given = sum(span.attributes["tickweave.plans"] for span in shards)  # type: ignore[index,misc]
    assert sum(asked) == given >= 12  # type: ignore[arg-type]
    attributes = dict(calls[0].attributes or {})
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.provider.name"]) == ("chat", "openai")
    assert attributes["gen_ai.request.model"] == "fake"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.usage.output_tokens"] > 0  # type: ignore[operator]
    assert "127.0.0.1" not in str([dict(span.attributes or {}) for span in spans.get_finished_spans()])


def test_each_try_of_a_call_has_a_span_of_its_own(spans: InMemorySpanExporter) -> None:
    """A call that is made again shows both tries in one shard; the one that failed says how."""
    run(FakeSettings(faults={Fault.BUSY: 1.0}), retries=1, shard_size=12)
    first = named(spans, "plan shard")[0]
    tries = [span for span in named(spans, "chat fake") if span.parent and span.parent.span_id == first.context.span_id]
    assert [span.attributes["error.type"] for span in tries] == ["transport"] * 2  # type: ignore[index]
    assert all(span.status.status_code is trace.StatusCode.ERROR for span in tries)
    assert first.attributes["tickweave.finish"] == "transport"  # type: ignore[index]


def test_without_the_package_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients are what they were, and a run is made."""
    monkeypatch.setattr(ai.telemetry, "trace", None)
    client = ScriptedClient([])
    assert traced(client) is client
    run(FakeSettings())
