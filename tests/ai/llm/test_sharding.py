"""How a batch is cut and how many calls run at once: bounds, labels, and what the sizes learn."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.errors import ContractError
from ai.llm.sharding import (
    CLEAN_BATCHES,
    IN_FLIGHT,
    IN_FLIGHT_MAX,
    SHARD_SIZE_MIN,
    CallSignal,
    Gate,
    ShardSizes,
    cut_between_labels,
    labels_of,
)
from ai.observation import ObservationBatch
from tests.ai.llm.village import Forager, forager, foragers, market, villager
from tests.ai.virtual_time import run

ROOM = 1000


def batch(n: int, camp: int = 1) -> ObservationBatch[Forager]:
    """Return n foragers, so many in each camp."""
    return Forager.batch(
        np.arange(n, dtype=np.int64),
        pos=(0, 0),
        energy=5,
        camp=(np.arange(n) // camp).astype(np.int32),
        field=forager().field,
    )


@given(
    st.integers(1, 200),
    st.integers(1, 12),
    st.integers(1, 40),
    st.none() | st.integers(1, 50),
    st.none() | st.integers(1, 12),
)
def test_shards_cover_the_batch_within_their_bounds(
    n: int, camp: int, room: int, shard_size: int | None, in_flight: int | None
) -> None:
    """Any cut is ceil(n / k) runs that follow each other, none empty and none longer than there is room."""
    sizes = ShardSizes(shard_size, in_flight)
    k = sizes.k("tier", n, room)
    shards = sizes.cut("tier", batch(n, camp), room)
    assert len(shards) == -(-n // k)
    assert [row for shard in shards for row in range(shard.start, shard.stop)] == list(range(n))
    lengths = [shard.stop - shard.start for shard in shards]
    assert min(lengths) >= 1
    assert max(lengths) <= min(room, shard_size if shard_size is not None else k + k // 8)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 6), st.integers(9, 20))
def test_a_label_is_cut_only_where_none_ends_within_reach(members: list[int], calls: int, longest: int) -> None:
    """Where a shard ends among the agents of one label, no label ended within the bounds of that shard."""
    labels = np.repeat(np.arange(len(members)), members).astype(np.int64)
    n = len(labels)
    calls = max(min(calls, n), -(-n // longest))
    shards = cut_between_labels(labels, calls, longest)
    ends = set(np.cumsum(members).tolist())
    for number, shard in enumerate(shards[:-1], 1):
        reach = range(
            max(shard.start + 1, n - (calls - number) * longest),
            min(shard.start + longest, n - calls + number) + 1,
        )
        assert shard.stop in reach
        assert shard.stop in ends or not ends & set(reach)


def test_labels_are_what_facts_are_declared_by() -> None:
    """Foragers share what is said by camp, those without one share nothing; a market has no labels at all."""
    known = foragers(forager(camp=4), forager(camp=4), forager(), forager())
    labels = labels_of(known)
    assert labels is not None
    assert labels[0] == labels[1] == 4
    assert len(set(labels.tolist())) == 3
    assert labels_of(market(villager())) is None


@given(st.integers(1, 60), st.integers(1, 20))
def test_a_batch_without_labels_is_cut_evenly(n: int, room: int) -> None:
    """Shards of agents that share nothing differ by one agent at most."""
    lengths = [shard.stop - shard.start for shard in ShardSizes().cut("tier", market(*[villager()] * n), room)]
    assert sum(lengths) == n
    assert max(lengths) - min(lengths) <= 1


def test_k_follows_from_the_slots() -> None:
    """100 agents on 8 slots are 8 calls of 13 or 12."""
    sizes = ShardSizes()
    sizes.learn(slots=8)
    shards = sizes.cut("tier", batch(100), ROOM)
    assert sorted({shard.stop - shard.start for shard in shards}) == [12, 13]
    assert len(shards) == 8


def test_few_agents_are_one_call_where_slots_are_unknown() -> None:
    """Nobody knows that small calls would run side by side; where slots are known they do."""
    sizes = ShardSizes(prefer="speed")
    assert len(sizes.cut("tier", batch(SHARD_SIZE_MIN), ROOM)) == 1
    sizes.learn(slots=4)
    assert len(sizes.cut("tier", batch(SHARD_SIZE_MIN), ROOM)) == 4


@given(st.integers(1, 200), st.integers(1, 40))
def test_balanced_calls_hold_three_agents_or_are_one(n: int, slots: int) -> None:
    """A batch is cut into as many calls as there are slots, and never into more than a third of its agents."""
    sizes = ShardSizes()
    sizes.learn(slots=slots)
    calls = sizes.cut("tier", batch(n), ROOM)
    assert len(calls) <= max(1, n // 3)
    assert len(calls) <= slots
    assert min(shard.stop - shard.start for shard in calls) >= min(n, 3)


@given(st.integers(1, 200), st.integers(1, 40))
def test_speed_uses_every_slot_and_cost_as_few_calls_as_there_is_room(n: int, slots: int) -> None:
    """`speed` puts ceil(n / slots) agents into a call, `cost` as many as a call has room for."""
    quick, cheap = ShardSizes(prefer="speed"), ShardSizes(prefer="cost")
    for sizes in (quick, cheap):
        sizes.learn(slots=slots)
    assert quick.k("tier", n, ROOM) == -(-n // slots)
    assert len(cheap.cut("tier", batch(n), 30)) == -(-n // 30)


def test_calls_that_take_too_long_are_cut_smaller_but_for_cost() -> None:
    """Ten agents that take ten seconds become five; balanced calls keep three; a quick call lets k grow again."""
    slow = CallSignal(asked=10, good=10, cut=False, total_s=10.0)
    slower = CallSignal(asked=10, good=10, cut=False, total_s=100.0)
    for prefer, after, at_least in (("balanced", 5, 3), ("speed", 5, 1), ("cost", 40, 40)):
        sizes = ShardSizes(prefer=prefer)  # type: ignore[arg-type]
        sizes.learn(slots=4)
        sizes.observe("tier", [slow])
        assert sizes.k("tier", 40, ROOM) == after
        sizes.observe("tier", [slower])
        assert sizes.k("tier", 40, ROOM) == at_least
        sizes.observe("tier", [CallSignal(asked=3, good=3, cut=False, total_s=1.0)])
        assert sizes.k("tier", 40, ROOM) == max(at_least, 2)


GOOD = CallSignal(asked=8, good=8, cut=False)


@pytest.mark.parametrize("bad", [CallSignal(8, 8, cut=True), CallSignal(8, 7, cut=False)])
def test_cut_or_bad_replies_halve_the_shards_and_clean_ones_let_them_grow(bad: CallSignal) -> None:
    """k is halved at once, for that tier only, and grows by one after some clean batches."""
    sizes = ShardSizes()
    sizes.observe("tier", [bad])
    assert (sizes.k("tier", 100, ROOM), sizes.k("other", 100, ROOM)) == (4, 25)
    for _ in range(CLEAN_BATCHES):
        sizes.observe("tier", [GOOD])
    assert sizes.k("tier", 100, ROOM) == 5


def test_k_never_falls_below_one() -> None:
    """However bad the replies, a call asks for one agent."""
    sizes = ShardSizes()
    for _ in range(9):
        sizes.observe("tier", [CallSignal(max(sizes.k("tier", 8, ROOM), 1), 0, cut=True)])
    assert sizes.k("tier", 8, ROOM) == 1


def test_calls_in_flight_follow_the_server_s_queue() -> None:
    """m shrinks while calls wait in the queue and grows while they do not, within its bounds."""
    sizes = ShardSizes()
    busy = CallSignal(1, 1, cut=False, queue_s=0.2, total_s=1.0)
    idle = CallSignal(1, 1, cut=False, queue_s=0.01, total_s=1.0)
    sizes.observe("tier", [busy] * 4)
    assert sizes.m == IN_FLIGHT * 7 // 10
    for _ in range(50):
        sizes.observe("tier", [idle] * 20)
    assert sizes.m == IN_FLIGHT_MAX
    for _ in range(50):
        sizes.observe("tier", [busy])
    assert sizes.m == 1
    sizes.observe("tier", [GOOD])
    assert sizes.m == 1, "no word about the queue, no change"


def test_m_never_passes_the_slots() -> None:
    """Where the slots are known, m starts there and goes no higher."""
    sizes = ShardSizes()
    sizes.learn(slots=3)
    sizes.observe("tier", [CallSignal(1, 1, cut=False, queue_s=0.0, total_s=1.0)] * 9)
    assert sizes.m == 3


def test_pinned_sizes_stay() -> None:
    """What a person pinned, no server moves."""
    sizes = ShardSizes(7, 2)
    sizes.learn(slots=16)
    sizes.observe("tier", [CallSignal(7, 0, cut=True, queue_s=1.0, total_s=60.0)] * 5)
    nothing = {"in_flight": 2, "shard_size_max": {}, "shard_size_in_time": {}}
    assert (sizes.k("tier", 100, ROOM), sizes.m, sizes.as_dict()) == (7, 2, nothing)


def test_sizes_below_one_are_refused() -> None:
    """A pinned size below one is refused at construction."""
    for pinned in ((0, 1), (1, 0), (-1, None), (None, -1)):
        with pytest.raises(ContractError):
            ShardSizes(*pinned)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9)), min_size=1, max_size=20), st.integers(1, 5))
def test_a_gate_never_lets_more_through_than_its_size(calls: list[tuple[int, int]], first: int) -> None:
    """Whatever sizes it gets and whoever gives up waiting, no more run than allowed, and all places come back."""
    gate, running, most = Gate(first), 0, first

    async def call(length: int) -> None:
        nonlocal running
        async with gate:
            running += 1
            assert running <= most
            await asyncio.sleep(length)
            running -= 1

    async def everyone() -> None:
        nonlocal most
        tasks = []
        for size, wait in calls:
            tasks.append(asyncio.create_task(call(size)))
            await asyncio.sleep(wait / 10)
            if wait % 3 == 0 and size > running:
                most = size
                gate.resize(size)
            if wait % 4 == 1 and running == most:
                tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1):
            for _ in range(gate.size):
                await gate.__aenter__()

    run(everyone())


def test_a_gate_outlives_its_event_loop() -> None:
    """A gate that was waited for in one loop works in the next."""
    gate = Gate(1)

    async def crowd() -> None:
        async def call() -> None:
            async with gate:
                await asyncio.sleep(1)

        await asyncio.gather(*[call() for _ in range(3)])

    run(crowd())
    run(crowd())
