"""Whatever goes wrong on the way to a model: everyone gets a legal plan in time, nothing leaks, and it recovers."""

import asyncio
import gc
import types
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import ToolRegistry, pick
from ai.clients.faulty import Fault, FaultyClient
from ai.clients.resilience import RECOVERY_S, ResilientClient
from ai.clients.scripted import ScriptedClient
from ai.errors import ClientError
from ai.legality import refusals
from ai.llm.executor import BatchInferenceExecutor
from ai.llm.tiers import FullLlm, SimplifiedLlm
from ai.llm_types import SILENCE_MIN_S, LlmChunk, LlmRequest, reading
from ai.observation import Observation
from ai.orchestrator import FallbackOrchestrator
from ai.planners.heuristic import Heuristic
from ai.planners.playbook import Playbook
from ai.plans import FallbackResult, Outcome, PlanBatch
from ai.rules import Rule
from ai.testing import MockBatchLlm
from scenarios.tactics.actions import default_registry
from scenarios.tactics.playbook import PLAYBOOK
from sim.replay import read, rerecord, verify
from sim.run.planning_service import ModelOptions
from sim.testing import fault_scripts, faults
from sim.testing.replies import HOSTILE_TEXTS, INJECTION
from tests.ai import strategies as game
from tests.ai.llm.village import MARKET, PEOPLE, VILLAGERS, Sleep, Talk, villager
from tests.ai.virtual_time import clock, run
from tests.sim.replay.recordings import SCRIPT, record, scenario

OVERSHOOT_S = 0.05
"""How long after its deadline a call may return."""


GAME = default_registry()
RULES = Playbook(rules=(Rule("mood < 30", Sleep(3)), Rule("people", Talk(pick("first"), "Good day!"))))
"""What villagers do where no model answers."""

Asked = Sequence[tuple[int, Observation]]


def agents(n: int, **fields: Any) -> list[tuple[int, Observation]]:
    """Return villagers 1 to n, who know somebody."""
    return [(key, villager(people=(PEOPLE[9],), **fields)) for key in range(1, n + 1)]


class Paced:
    """A client whose chunks are some time apart."""

    def __init__(self, pace_s: float, registry: ToolRegistry) -> None:
        self.client = MockBatchLlm.for_agents(10**6, registry.first_tier)
        self.label = self.client.label
        self.pace_s = pace_s
        self.open = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.open += 1
        try:
            async with reading(self.client.stream(request)) as stream:
                async for chunk in stream:
                    await asyncio.sleep(min(self.pace_s, request.timeout_s))
                    if self.pace_s >= request.timeout_s:
                        raise ClientError("no byte within the time allowed", outcome="timeout")
                    yield chunk
        finally:
            self.open -= 1


class Rig:
    """The whole planning path around a faulty client, in the running loop's time."""

    def __init__(
        self,
        script: list[Fault],
        pace_s: float = 0.0,
        k: int | None = None,
        m: int | None = None,
        *,
        registry: ToolRegistry = MARKET,
        rules: Playbook = RULES,
    ) -> None:
        self.registry = registry
        self.paced = Paced(pace_s, registry)
        self.faulty = FaultyClient(self.paced, script)
        self.client = ResilientClient(self.faulty, clock=clock, draw=lambda: 0.5)
        self.executor = BatchInferenceExecutor(k, m)
        tiers = [SimplifiedLlm(self.executor), FullLlm(self.executor), Heuristic.of(rules)]
        self.orchestrator = FallbackOrchestrator(tiers, clock=clock)

    async def plan(self, who: Asked, budget_s: float | None) -> dict[int, FallbackResult]:
        deadline = None if budget_s is None else clock() + budget_s
        return await self.orchestrator.plan_batch_with_fallback(self.client, who, self.registry, deadline=deadline)


def assert_served(who: Asked, results: dict[int, FallbackResult], registry: ToolRegistry = MARKET) -> None:
    """Check that each agent asked has one legal plan, and a history that leads to its tier."""
    batch = type(who[0][1]).from_objects(who, tables=registry.tables)
    assert list(results) == batch.keys.tolist()
    plans = PlanBatch.from_steps(batch.keys, [result.plan.steps for result in results.values()], registry)
    assert not refusals(batch, plans, registry).any()
    order = ["simplified_llm", "full_llm", "heuristic", "emergency"]
    for result in results.values():
        assert [attempt.tier for attempt in result.attempts] == order[: order.index(result.tier) + 1]
        assert result.attempts[-1].outcome is Outcome.OK
        for attempt in result.attempts[:-1]:
            assert attempt.outcome is not Outcome.OK
            assert attempt.error


def others() -> int:
    return len(asyncio.all_tasks()) - 1


@settings(max_examples=settings.default.max_examples // 2)
@given(
    st.lists(VILLAGERS, min_size=1, max_size=8).map(lambda all_of: list(enumerate(all_of, 1))),
    fault_scripts(),
    st.sampled_from([0.0, 0.01, 0.3]),
    st.sampled_from([None, 0.02, 0.5, 7.0]),
    st.sampled_from([(None, None), (1, 1), (2, 4)]),
)
def test_whatever_a_client_does_everyone_is_served_in_time_and_it_recovers(
    who: list[tuple[int, Observation]],
    script: list[Fault],
    pace_s: float,
    budget_s: float | None,
    sizes: tuple[int | None, int | None],
) -> None:
    """One legal plan each, no later than the deadline; readers end within a read timeout; the first tier comes back."""

    async def story() -> None:
        rig = Rig(script, pace_s, *sizes)
        for _ in range(3):
            begun = clock()
            results = await rig.plan(who, budget_s)
            assert_served(who, results)
            if budget_s is not None:
                assert clock() - begun <= budget_s + OVERSHOOT_S
        if budget_s is not None:
            # A scripted silence is as long as a read timeout, on top of the pause of the client inside.
            await asyncio.sleep(max(budget_s, SILENCE_MIN_S) + pace_s + 0.001)
        assert (others(), rig.paced.open) == (0, 0)
        while rig.faulty.calls < len(script):
            await rig.plan(who, budget_s)
            await asyncio.sleep(RECOVERY_S + 1)
        await asyncio.sleep(RECOVERY_S + 1)
        await rig.plan(who, None)
        results = await rig.plan(who, None)
        assert {result.tier for result in results.values()} == {"simplified_llm"}
        assert rig.client.breaker.state == "closed"
        await rig.executor.aclose()

    run(story())


@settings(max_examples=settings.default.max_examples // 2)
@given(faults(), st.integers(1, 6))
def test_text_in_names_and_orders_does_not_reach_another_agent(fault: Fault, n: int) -> None:
    """Objectives, orders and names that give orders to the model: plans stay legal whatever it makes of them."""
    place = {"k": INJECTION[:64], "pos": {"x": 1, "y": 1}}
    who = game.agents(n, objective=INJECTION, orders=[INJECTION], pois=[place], enemies=[game.enemy(9, 6, 5)])

    async def story() -> None:
        rig = Rig([fault, Fault(text=INJECTION), fault], registry=GAME, rules=PLAYBOOK)
        assert_served(who, await rig.plan(who, 2.0), GAME)
        await rig.executor.aclose()

    run(story())


@settings(max_examples=settings.default.max_examples // 2)
@given(faults(), st.integers(1, 6))
def test_text_that_an_agent_knows_does_not_reach_another_agent(fault: Fault, n: int) -> None:
    """Texts that give orders to the model: plans stay legal whatever it makes of them."""
    who = agents(n, wish=INJECTION, heard=(INJECTION, INJECTION))

    async def story() -> None:
        rig = Rig([fault, Fault(text=INJECTION), fault])
        assert_served(who, await rig.plan(who, 2.0))
        await rig.executor.aclose()

    run(story())


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_each_hostile_text_costs_no_more_than_its_own_call(text: str) -> None:
    """A text before, inside or in place of the reply leaves every agent with a legal plan from some tier."""
    who = agents(6)

    async def story() -> None:
        for fault in (Fault(text=text), Fault(text=text, after=30), Fault(text=text, finish="stop")):
            rig = Rig([fault], k=3)
            results = await rig.plan(who, None)
            assert_served(who, results)
            assert [results[key].tier for key in (4, 5, 6)] == ["simplified_llm"] * 3

    run(story())


@pytest.mark.slow
def test_ten_thousand_spoilt_calls_leave_nothing_behind() -> None:
    """After 10,000 calls with every kind of fault no task, stream or file is left."""
    kinds = [
        Fault(),
        Fault(outcome="transport"),
        Fault(outcome="transport", after=12),
        Fault(outcome="cut", after=30),
        Fault(outcome="rate_limited", retry_after_s=0.001),
        Fault(wait_s=3600.0, after=5),
        Fault(wait_s=0.01),
        Fault(finish="length", after=20),
        *(Fault(text=text) for text in HOSTILE_TEXTS),
    ]
    calls = 10_000
    who = agents(100)
    files, streams = _files(), _streams()

    async def story() -> None:
        rig = Rig([kinds[number % len(kinds)] for number in range(calls)], k=1, m=8)
        while rig.faulty.calls < calls:
            results = await rig.plan(who, 0.5)
            assert len(results) == len(who)
            await asyncio.sleep(RECOVERY_S)
            assert (others(), rig.paced.open) == (0, 0)

    run(story())
    assert _streams() <= streams
    assert _files() == files


def _streams() -> int:
    """Count the open streams of this process; other tests may have left some behind."""
    gc.collect()
    return sum(isinstance(thing, types.AsyncGeneratorType) for thing in gc.get_objects())


def _files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@settings(max_examples=max(10, settings.default.max_examples // 10))
@given(fault_scripts(20), st.sampled_from([None, 0.02]))
def test_a_run_with_faults_replays_to_the_byte(script: list[Fault], deadline_s: float | None) -> None:
    """What a faulty client left in a run (outcomes, sizes, retries, breaker) matches and is written back."""
    short = [f.model_copy(update={"wait_s": min(f.wait_s, 0.03), "retry_after_s": None}) for f in script]
    client = FaultyClient(ScriptedClient(SCRIPT), short)
    replay = record(scenario(), client=client, model=ModelOptions(deadline_s=deadline_s, retries=1))
    assert verify(replay).verdict == "match"
    assert rerecord(read(replay)) == replay
