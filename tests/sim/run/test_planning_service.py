"""How a run calls its model: its deadline holds, and its end leaves no call open."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from ai.clients import client_from_spec
from ai.errors import ClientError
from ai.fake.model import Plans
from ai.fake.server import FakeSettings, serving
from ai.llm.encodings import ENCODINGS
from ai.llm.probe import probe
from ai.llm_types import LlmChunk, LlmRequest
from ai.orchestrator import drive
from ai.planners.base import PlanCall
from ai.planners.heuristic import Heuristic
from scenarios.tactics.actions import default_registry
from scenarios.tactics.snapshot import WorldSnapshot
from sim.run.planning_service import LivePlanner, ModelOptions
from sim.run.scenario_file import load

BATCH = WorldSnapshot.from_objects(
    [(key, WorldSnapshot.model_validate({"me": {"pos": {"x": key, "y": 0}}})) for key in range(6)]
)


class Silent:
    """A server that accepts calls and says nothing; tells the order in which calls and itself are closed."""

    label = "silent"

    def __init__(self) -> None:
        self.told: list[str] = []

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.told.append("call")
        try:
            await asyncio.sleep(request.timeout_s)
            raise ClientError("nothing heard", outcome="timeout")
            yield LlmChunk()
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        finally:
            self.told.append("closed")

    async def aclose(self) -> None:
        self.told.append("client closed")


def test_a_silent_server_costs_a_tick_its_deadline_and_a_run_nothing_at_its_end() -> None:
    """Rules plan when the time is over; at the end of the run late calls end by themselves, then the client closes."""
    client = Silent()
    options = ModelOptions(deadline_s=0.05, retries=0)
    live = LivePlanner(load("skirmish"), default_registry(), client, time.perf_counter, options=options)
    before = threading.active_count()
    plans = live.plan(BATCH)
    assert plans.counts() == {"heuristic": 6}
    assert plans.usage.errors == {"timeout": 6}
    live.close()
    calls = client.told.count("call")
    assert calls > 0
    assert sorted(client.told) == sorted(["call", "closed"] * calls + ["client closed"])
    assert client.told[-1] == "client closed"
    assert threading.active_count() == before


def test_what_changed_is_told_once() -> None:
    """How many calls run at once is told with the first tick; the breaker's states when it enters them."""

    class Broken(Silent):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            raise ClientError("broken")
            yield LlmChunk()

    options = ModelOptions(retries=0, shard_size=1, in_flight=2)
    live = LivePlanner(load("skirmish"), default_registry(), Broken(), time.perf_counter, options=options)
    assert live.plan(BATCH).model == {"in_flight": 2, "breaker": ["open"]}
    assert live.plan(BATCH).model == {}
    live.close()


def test_retries_are_counted_in_the_tick_that_made_them() -> None:
    """A second try stands in that tick's usage."""

    class Shy(Silent):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            self.told.append("call")
            if len(self.told) == 1:
                raise ClientError("not yet")
            yield LlmChunk("{}", "stop")

    live = LivePlanner(
        load("skirmish"), default_registry(), Shy(), time.perf_counter, options=ModelOptions(in_flight=1)
    )
    assert [live.plan(BATCH).usage.retries for _ in range(2)] == [1, 0]
    live.close()


@pytest.mark.parametrize("encoding", [encoding.name for encoding in ENCODINGS])
@pytest.mark.parametrize("scheme", ["openai", "ollama"])
def test_a_stand_in_gives_the_plans_of_the_rules(scheme: str, encoding: str) -> None:
    """A fake server that wants plans by rules answers each agent with what the scenario's rules would plan for it."""
    if (scheme, encoding) == ("ollama", "line"):
        pytest.skip("Ollama takes no grammar")
    scenario, registry = load("skirmish"), default_registry()
    with serving(FakeSettings(plans=Plans.RULES)) as server:
        client = client_from_spec(f"{scheme}:fake@{server.openai_url if scheme == 'openai' else server.url}")
        asyncio.run(probe(client))
        options = ModelOptions(encoding=encoding)
        live = LivePlanner(scenario, registry, client, time.perf_counter, options=options)
        given = live.plan(BATCH)
        live.close()
    rules = Heuristic.of(scenario.playbook()).plan(BATCH, registry.first_tier, PlanCall(None, time.perf_counter))
    wanted = drive(rules).plans
    assert given.counts() == {"simplified_llm": len(BATCH)}
    assert [given.plans.steps(row, registry) for row in range(6)] == [wanted.steps(row, registry) for row in range(6)]
