"""The plan cache: the same knowledge gives the same plan without a call, and nothing else does."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import ToolRegistry
from ai.errors import ContractError
from ai.fallback import FallbackOrchestrator
from ai.plan import BatchPlans
from ai.plan_cache import PLANS_MAX, AskedFor, PlanCache, keys_of
from ai.planners.heuristic import Heuristic
from ai.planners.llm import SimplifiedLlm
from ai.snapshot import AgentId, SnapshotBatch, WorldSnapshot
from ai.testing import MockBatchLlm
from scenarios.tactics.testing.planning import batches
from tests.ai.strategies import agents, enemy, snapshot

ASKED = AskedFor(ToolRegistry(), "named", "model-a", (0,))


def key(world: WorldSnapshot, agent: int = 1, asked_for: AskedFor = ASKED) -> bytes:
    return keys_of(SnapshotBatch.from_snapshots([(AgentId(agent), world)]), asked_for)[0]


def test_positions_that_differ_by_one_digit_never_share_a_plan() -> None:
    """The source's cache dropped short numbers, so agents at 5,5 and 6,5 got each other's plan; this one does not."""
    keys = {key(snapshot(x=x, y=y)) for x in range(10) for y in range(10)}
    assert len(keys) == 100
    assert key(snapshot(enemies=[enemy(7, 3, 3)])) != key(snapshot(enemies=[enemy(7, 3, 4)]))


@given(batches(upto=4), batches(upto=4))
@settings(deadline=None, max_examples=100)
def test_keys_are_equal_exactly_when_the_knowledge_is(
    one: list[tuple[AgentId, WorldSnapshot]], other: list[tuple[AgentId, WorldSnapshot]]
) -> None:
    """Whoever stands beside an agent in the batch, its key says what it is and knows, no more and no less."""
    for agent, world in one:
        for second, known in other:
            assert (key(world, agent) == key(known, second)) == ((agent, world) == (second, known))


@given(batches(upto=4))
@settings(deadline=None, max_examples=50)
def test_the_time_is_no_part_of_a_key(batch: list[tuple[AgentId, WorldSnapshot]]) -> None:
    """The same knowledge at another time is the same knowledge."""
    later = [(agent, world.model_copy(update={"t": world.t + 7.5})) for agent, world in batch]
    known, again = SnapshotBatch.from_snapshots(batch), SnapshotBatch.from_snapshots(later)
    assert keys_of(known, ASKED) == keys_of(replace(again, tick=99), ASKED)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, registry=ToolRegistry().offering(["Wait"])),
        replace(ASKED, encoding="line"),
        replace(ASKED, model="model-b"),
        replace(ASKED, parameters=(1,)),
    ],
    ids=["verbs", "encoding", "model", "parameters"],
)
def test_whatever_else_a_plan_depends_on_is_part_of_its_key(other: AskedFor) -> None:
    """Another offer of verbs, encoding, model or parameter is another plan."""
    assert key(snapshot(), asked_for=other) != key(snapshot())


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_the_cache_keeps_what_was_used_last(uses: list[int], bound: int) -> None:
    """Never more than the bound; what goes is what was used longest ago."""
    cache, recent = PlanCache(bound), list[int]()
    for use in uses:
        name = bytes([use])
        assert (cache.get(name) is not None) == (use in recent)
        cache.put(name, str(use))
        recent = [*(n for n in recent if n != use), use][-bound:]
        assert len(cache) == len(recent)
    assert cache.hits + cache.misses == len(uses)


@pytest.mark.parametrize("bound", [0, -1, PLANS_MAX + 1])
def test_a_bound_that_makes_no_sense_is_refused(bound: int) -> None:
    """A cache keeps at least one plan and no more than memory has room for."""
    with pytest.raises(ContractError, match="a plan cache keeps"):
        PlanCache(bound)


def planned(cache: PlanCache | None) -> Callable[[list[tuple[AgentId, WorldSnapshot]]], tuple[BatchPlans, int]]:
    client = MockBatchLlm.for_agents(100)
    orchestrator = FallbackOrchestrator([SimplifiedLlm(cache=cache), Heuristic()])

    def plan(who: list[tuple[AgentId, WorldSnapshot]]) -> tuple[BatchPlans, int]:
        before = client.calls
        batch = SnapshotBatch.from_snapshots(who)
        result = asyncio.run(orchestrator.plan_batch_with_fallback(client, batch, ToolRegistry()))
        return result, client.calls - before

    return plan


def test_a_hit_is_the_same_plan_without_a_call_and_is_recorded_as_such() -> None:
    """Asked again, agents get their plans and texts from the cache; attempts and the record of calls say so."""
    plan = planned(PlanCache(100))
    first, calls = plan(agents(4))
    assert calls > 0
    again, calls = plan(agents(4))
    assert calls == 0
    assert again.plans.digest(again.tiers) == first.plans.digest(first.tiers)
    assert again.texts == first.texts
    assert again.attempts[0].cached == {1, 2, 3, 4}
    assert [(shard["finish"], shard["cached"]) for shard in again.shards] == [("cached", [1, 2, 3, 4])]
    results = again.results(ToolRegistry(), run="r", tick=0)
    assert all(result.attempts[0].cached and result.tier == "simplified_llm" for result in results.values())


def test_only_those_who_know_something_new_are_asked() -> None:
    """One agent that moved costs one call for itself alone; everyone ends with a plan in key order."""
    plan = planned(PlanCache(100))
    plan(agents(4))
    moved = agents(4)
    moved[2] = (moved[2][0], snapshot(x=9, y=9))
    result, calls = plan(moved)
    assert calls == 1
    assert result.attempts[0].cached == {1, 2, 4}
    assert result.usage.agents == 1
    assert result.plans.length.tolist() == [2, 2, 2, 2]


def test_without_a_cache_every_agent_is_asked_every_time() -> None:
    """The cache is off by default."""
    plan = planned(None)
    assert plan(agents(3))[1] == plan(agents(3))[1] > 0
