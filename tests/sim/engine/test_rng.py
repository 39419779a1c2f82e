"""Random draws depend on seed, agent, tick, purpose and draw index, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.rng import CHUNK, Rng, philox4x32
from sim.errors import WorldError

WORD = st.integers(0, 2**32 - 1)
KEYS = st.lists(WORD, max_size=20)
ONES = 0xFFFFFFFF
HIT, START = 1, 5

PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(block) -> str:
    return " ".join(f"{int(word):08x}" for word in block)


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_the_scalar_path_matches_the_published_vectors(counter, key, expected):
    """The reference is Philox4x32-10 as Random123 publishes it."""
    assert words(philox4x32(counter, key)) == expected


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_the_array_path_matches_the_published_vectors(counter, key, expected):
    """What systems draw is Philox4x32-10 as Random123 publishes it."""
    agent, tick, purpose, draw = counter
    assert words(Rng(key[0] | key[1] << 32).draws([agent], tick, purpose, draw)[0]) == expected


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), keys=KEYS, tick=WORD, purpose=WORD, draw=WORD)
def test_arrays_and_scalars_agree(seed, keys, tick, purpose, draw):
    """Every block of the array path is the scalar path's block."""
    blocks = Rng(seed).draws(keys, tick, purpose, draw).tolist()
    assert blocks == [list(philox4x32((key, tick, purpose, draw), (seed & ONES, seed >> 32))) for key in keys]


@settings(max_examples=50, deadline=None)
@given(keys=st.lists(WORD, min_size=1, max_size=20), data=st.data())
def test_other_agents_in_another_order_change_no_draw(keys, data):
    """A key's draw is the same in any company, in any order, after any number of other draws."""
    rng = Rng(99)
    whole = dict(zip(keys, rng.draws(keys, 5, HIT).tolist(), strict=True))
    some = data.draw(st.permutations(keys))[: data.draw(st.integers(0, len(keys)))]
    rng.draws(keys, 5, START)
    assert rng.draws(some, 5, HIT).tolist() == [whole[key] for key in some]


@settings(max_examples=50, deadline=None)
@given(
    keys=st.lists(KEYS.filter(len), min_size=1, max_size=2),
    asked=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0, 1, 1, 1, 2, 40, -1]), st.sampled_from([HIT, START]))
    ),
    start=st.integers(0, ONES - 30),
)
def test_draws_computed_ahead_are_those_of_their_tick(keys, asked, start):
    """Whatever was asked for before, and whatever the caller did with it, a draw is that of its own block."""
    rng, tick = Rng(99), start
    for which, step, purpose in [*[(0, 1, HIT)] * 20, *asked]:
        tick = min(max(tick + step, 0), ONES)
        agents = keys[which % len(keys)]
        found, drawn = rng.draws(agents, tick, purpose), rng.below(agents, tick, purpose, 100)
        assert found.tolist() == [list(philox4x32((key, tick, purpose, 0), (99, 0))) for key in agents]
        assert drawn.tolist() == [word * 100 >> 32 for word in found[:, 0].tolist()]
        found[:], drawn[:] = 0, 0


def test_the_last_ticks_have_draws():
    """Nothing is computed ahead for ticks that a counter word cannot hold."""
    rng = Rng(99)
    for tick in range(ONES - 4, ONES + 1):
        assert rng.draws([7], tick, HIT)[0].tolist() == list(philox4x32((7, tick, HIT, 0), (99, 0)))


def test_tick_purpose_draw_and_seed_each_matter():
    """Two draws that differ in one word of the counter or in the seed are unrelated."""
    rng = Rng(1)
    blocks = [
        rng.draws([3], 0, HIT),
        rng.draws([3], 1, HIT),
        rng.draws([3], 0, START),
        rng.draws([3], 0, HIT, draw=1),
        Rng(2).draws([3], 0, HIT),
        Rng(1 + (1 << 32)).draws([3], 0, HIT),
    ]
    assert len({words(block[0]) for block in blocks}) == len(blocks)


@settings(max_examples=50, deadline=None)
@given(keys=st.lists(st.integers(0, 2**63 - 1), max_size=20), bound=st.integers(1, 2**32))
def test_below_stays_below_and_is_the_first_word_scaled(keys, bound):
    """A bounded draw is (word * bound) >> 32, which is always in 0..bound-1."""
    drawn = Rng(7).below(keys, 2, HIT, bound)
    first = Rng(7).draws(keys, 2, HIT)[:, 0].tolist()
    assert drawn.tolist() == [word * bound >> 32 for word in first]
    assert drawn.dtype == np.int64


@pytest.mark.parametrize("agents", [CHUNK - 1, CHUNK, 2 * CHUNK + 5])
def test_draws_of_many_agents_are_those_of_each(agents):
    """Many agents are drawn for in several parts, and none of the parts shows in a number."""
    keys = np.arange(agents)[::-1] * 7
    found = Rng(99).draws(keys, 5, HIT, 2)
    for place in (0, 1, agents // 2, min(CHUNK, agents - 1), agents - 1):
        assert found[place].tolist() == list(philox4x32((int(keys[place]), 5, HIT, 2), (99, 0)))
    assert Rng(99).below(keys, 5, HIT, 2**32, 2).tolist() == found[:, 0].tolist()


def test_nobody_may_draw_from_nothing():
    """Without agents, a bound of 0 gives no draws; with one, it is an error."""
    assert Rng(7).below([], 2, HIT, 0).tolist() == []
    with pytest.raises(WorldError, match="bound 0"):
        Rng(7).below([1], 2, HIT, 0)


def test_below_takes_a_bound_for_each_agent():
    """Bounds as an array give what the bounds one by one give."""
    rng = Rng(3)
    together = rng.below([5, 6], 0, START, np.array([10, 1000]))
    assert together.tolist() == [
        *rng.below([5], 0, START, 10).tolist(),
        *rng.below([6], 0, START, 1000).tolist(),
    ]


def test_draws_are_spread_evenly():
    """No hit chance is off: 100,000 draws of one in ten fall within five standard deviations."""
    hits = np.bincount(Rng(11).below(np.arange(100_000), 0, HIT, 10), minlength=10)
    assert abs(hits - 10_000).max() < 5 * 95


@settings(max_examples=50, deadline=None)
@given(keys=st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=20, unique=True), data=st.data())
def test_keys_beyond_a_counter_word_are_drawn_for_as_others_are(keys, data):
    """Each of them has draws of its own, the same in any company; those of small keys are as they were."""
    rng = Rng(99)
    drawn = [tuple(words) for words in rng.draws(keys, 5, HIT, 2).tolist()]
    assert len(set(drawn)) == len(keys)
    some = data.draw(st.permutations(range(len(keys))))[: data.draw(st.integers(1, len(keys)))]
    assert rng.draws([keys[place] for place in some], 5, HIT, 2).tolist() == [list(drawn[place]) for place in some]
    small = [key for key in keys if key < 2**32]
    assert rng.draws(small, 5, HIT, 2).tolist() == [
        list(words) for key, words in zip(keys, drawn, strict=True) if key in small
    ]


def test_counts_say_how_many_agents_drew_for_what():
    """The record of a tick can state draws per purpose, and the next tick starts from zero."""
    rng = Rng(0)
    rng.draws([1, 2, 3], 0, START)
    rng.below([1, 2], 0, HIT, 6)
    rng.below([1], 0, HIT, 6, draw=1)
    assert list(rng.take_counts().items()) == [(HIT, 3), (START, 3)]
    assert rng.take_counts() == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda: Rng(-1),
        lambda: Rng(2**64),
        lambda: Rng(True),
        lambda: Rng(7.0),
        lambda: Rng(0).draws([2**63], 0, HIT),
        lambda: Rng(0).draws([-1], 0, HIT),
        lambda: Rng(0).draws([0], 2**32, HIT),
        lambda: Rng(0).draws([0], 0, -1),
        lambda: Rng(0).draws([0], 0, HIT, draw=-1),
        lambda: Rng(0).draws([0.5], 0, HIT),
        lambda: Rng(0).below([0], 0, HIT, 0),
        lambda: Rng(0).below([0], 0, HIT, 2**32 + 1),
        lambda: Rng(0).below([0], 0, HIT, 2**70),
        lambda: Rng(0).below([0], 0, HIT, True),
        lambda: Rng(0).below([0], 0, HIT, np.array([2**32 + 1])),
    ],
)
def test_what_a_counter_cannot_hold_is_refused(call):
    """Nothing is folded or wrapped silently, because two agents would then share a stream."""
    with pytest.raises(WorldError):
        call()


def test_no_agents_draw_nothing():
    """An empty batch is allowed and gives an empty result."""
    assert Rng(0).draws([], 0, HIT).shape == (0, 4)
    assert Rng(0).below([], 0, HIT, 6).shape == (0,)
