"""A world draws by row and by cell: seed, key and tick are implied, and nothing else decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.rng import CELLS, NAMED, Rng, purpose, purpose_name
from sim.engine.world import World
from sim.errors import WorldError

GIVE, STAY = purpose("give"), purpose("stay")


@pytest.fixture
def seven():
    """Seven entities in a world with a seed of its own."""
    with World([], seed=2**40 + 5) as world:
        world.spawn({}, count=7)
        world.flush()
        world.tick = 3
        yield world


def test_a_world_draws_by_key_and_tick(seven):
    """A row's draw is that of its key, under the world's seed, in its tick."""
    seven.kill([0, 3])
    seven.flush()
    rng = Rng(2**40 + 5)
    assert np.array_equal(seven.draws([0, 4], GIVE, draw=1), rng.draws([1, 6], 3, GIVE, draw=1))
    assert np.array_equal(seven.below(slice(None), GIVE, 10), rng.below([1, 2, 4, 5, 6], 3, GIVE, 10))
    assert np.array_equal(seven.draws_at([7], GIVE), rng.draws([7], 3, GIVE | CELLS))


@settings(max_examples=30, deadline=None)
@given(killed=st.sets(st.integers(0, 6), max_size=5), rows=st.lists(st.integers(0, 1), max_size=6))
def test_company_changes_no_draw(killed, rows):
    """Who else lives, who else draws and in which order is of no consequence."""
    with World([], seed=4) as alone, World([], seed=4) as other:
        for world in (alone, other):
            world.spawn({}, count=7)
            world.flush()
        other.kill(sorted(killed))
        other.flush()
        whole = dict(zip(alone.keys.tolist(), alone.below(slice(None), GIVE, 1000).tolist(), strict=True))
        assert other.below(rows, GIVE, 1000).tolist() == [whole[key] for key in other.keys[rows].tolist()]


def test_cells_and_agents_of_one_number_draw_differently(seven):
    """Otherwise what an agent does and what its cell does would go together."""
    assert (seven.draws([5], GIVE) != seven.draws_at([5], GIVE)).all()


def test_a_chance_happens_as_often_as_it_says(seven):
    """A chance of 0 never happens, one of 1000 always, and others in their share of the cases."""
    cells = np.arange(100_000)
    assert not seven.chance(slice(None), STAY, 0).any()
    assert seven.chance(slice(None), STAY, 1000).all()
    assert abs(np.count_nonzero(seven.chance_at(cells, STAY, 300)) - 30_000) < 5 * 145
    mixed = seven.chance([0, 1], STAY, np.array([0, 1000]))
    assert mixed.tolist() == [False, True]


@given(st.lists(st.integers(0, 6), unique=True))
def test_an_order_is_of_the_same_rows_and_by_key(rows):
    """An order loses nobody, does not depend on the order in which rows are given, and is another one next tick."""
    with World([], seed=9) as world:
        world.spawn({}, count=7)
        world.flush()
        order = world.order(rows, GIVE).tolist()
        assert sorted(order) == sorted(rows)
        assert world.order(rows[::-1], GIVE).tolist() == order
        whole = [row for row in world.order(slice(None), GIVE).tolist() if row in rows]
        assert order == whole


def test_every_order_of_three_comes_up_equally_often(seven):
    """No order of rows is favoured."""
    counts: dict[tuple[int, ...], int] = {}
    for tick in range(3000):
        seven.tick = tick
        order = tuple(seven.order([0, 1, 2], GIVE).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert max(abs(count - 500) for count in counts.values()) < 5 * 21
    assert sorted(seven.order_at(np.arange(40), GIVE).tolist()) == list(range(40))


def test_a_purpose_is_the_same_number_in_every_run():
    """A name's number is a digest of it, beyond the numbers of one's own, and reports show the name."""
    assert GIVE == purpose("give") == 490000370
    assert NAMED <= GIVE < CELLS
    assert purpose("a name of mine", 65_000) == 65_000
    codes = (GIVE, GIVE | CELLS, 65_000, 65_001)
    assert [purpose_name(code) for code in codes] == ["give", "give@cells", "a name of mine", "65001"]
    for name, number in (("", None), ("far", NAMED), ("below", -1), ("another", 65_000)):
        with pytest.raises(WorldError, match=r"needs a name|has the number of"):
            purpose(name, number)


def test_two_names_of_one_number_are_refused(monkeypatch):
    """Two purposes that shared their draws would be linked, so the second name is refused."""
    monkeypatch.setattr("sim.engine.rng.CELLS", NAMED + 1)
    purpose("first of all names")
    with pytest.raises(WorldError, match="'another' has the number of 'first of all names'; give it another name"):
        purpose("another")


def test_draws_are_counted_by_purpose(seven):
    """A record of a tick can say how many drew for what."""
    seven.below([1, 2], GIVE, 6)
    seven.order([1, 2, 3], STAY)
    seven.chance_at([4], GIVE, 500)
    counts = {purpose_name(code): count for code, count in seven.rng.take_counts().items()}
    assert counts == {"give": 2, "stay": 3, "give@cells": 1}


def test_a_fork_draws_as_its_original(seven):
    """The seed goes along."""
    with seven.fork() as twin:
        assert np.array_equal(twin.draws(slice(None), GIVE), seven.draws(slice(None), GIVE))
