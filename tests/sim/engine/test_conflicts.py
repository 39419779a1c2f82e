"""What falls on one row is summed, and the lowest row wins a claim."""

from __future__ import annotations

import numpy as np
import pytest

from sim.errors import WorldError
from tests.sim.engine.small_world import Health, Position, Route, Wealth


def test_scatter_add_sums_what_falls_on_one_row(five):
    """Damage from several sides is summed, where fancy indexing keeps one blow."""
    five.scatter_add(five[Health].hp, [1, 1, 3, 1], np.array([-10, -20, -5, 1]))
    assert five[Health].hp.tolist() == [100, 71, 100, 95, 100]
    five.scatter_add(five[Position].x, five[Position].x > 20, 1)
    assert five[Position].x.tolist() == [0, 10, 20, 31, 41]


def test_scatter_add_checks_the_sum_not_the_bound(five):
    """Large terms that cancel are fine; a sum that does not fit changes nothing and names the column."""
    hp = five[Health].hp
    five.scatter_add(hp, [0, 0, 1], [100, -120, 20])
    assert hp.tolist() == [80, 120, 100, 100, 100]
    with pytest.raises(WorldError, match=r"Health\.hp: 140 does not fit int8"):
        five.scatter_add(hp, [1, 1], [10, 10])
    assert hp.tolist() == [80, 120, 100, 100, 100]
    gold = five[Wealth].gold
    five.scatter_add(gold, [0], [2**63 - 1])
    with pytest.raises(WorldError, match=r"Wealth\.gold: 9223372036854775808"):
        five.scatter_add(gold, [0, 1], [1, 1])
    assert gold.tolist() == [2**63 - 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        ([-1], [1], r"Health\.hp: rows -1\.\.-1"),
        ([5], [1], r"rows 5\.\.5 are not in 0\.\.4"),
        ([0], [0.5], r"0\.5 is not an integer"),
        ([0, 1, 2], [1, 2], r"\(2,\) values for 3 rows"),
    ],
)
def test_scatter_add_refuses_rows_and_values_that_make_no_sense(five, rows, values, message):
    """-1, which means nobody, does not hit the last entity."""
    with pytest.raises(WorldError, match=message):
        five.scatter_add(five[Health].hp, rows, values)


def test_scatter_add_needs_a_flat_integer_column(five):
    """Inner dimensions and flags are refused; nothing to add is fine."""
    for array in (five[Route].cells, five[Health].shield):
        with pytest.raises(WorldError, match="flat integer column"):
            five.scatter_add(array, [0], 1)
    five.scatter_add(five[Health].hp, [], [])


def test_the_lowest_row_wins_a_claim_however_claims_are_ordered(five):
    """Conflicts are settled by key, not by order; later claims start afresh."""
    targets, claimants = np.array([8, 3, 8, 8]), np.array([4, 2, 1, 3])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        won = five.claim(targets[order], claimants[order], size=9)
        assert claimants[order][won].tolist() == sorted([2, 1], key=claimants[order].tolist().index)
    assert five.claim(np.array([8]), np.array([4]), size=9).tolist() == [True]
    assert five.claim(np.array([], int), np.array([], int), size=9).tolist() == []


def test_claims_out_of_range_are_refused(five):
    """A claim off the map is an error, not a claim on another cell."""
    for targets, claimants in (([-1], [0]), ([9], [0]), ([1, 2], [0])):
        with pytest.raises(WorldError):
            five.claim(np.array(targets), np.array(claimants), size=9)
