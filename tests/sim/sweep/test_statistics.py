"""What is said about few runs holds what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim.sweep.statistics import CONFIDENCE, estimate, paired, wilson

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@given(NUMBERS)
def test_an_interval_holds_its_mean_and_is_the_same_again(values: list[float]) -> None:
    """The interval lies around the mean, within the values, and the same values give the same interval."""
    found = estimate(values)
    assert found == estimate(values)
    assert found.low <= found.mean + 1e-6 * max(abs(found.mean), 1)
    assert found.high >= found.mean - 1e-6 * max(abs(found.mean), 1)
    assert min(values) - 1e-6 <= found.low
    assert found.high <= max(values) + 1e-6


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 200 samples of 20 values, about 95 percent of the intervals hold the true mean."""
    samples = np.random.default_rng(7).normal(3.0, 2.0, (200, 20))
    held = sum(found.low <= 3.0 <= found.high for found in map(estimate, samples.tolist()))
    assert 178 <= held <= 198


def test_pairs_tell_apart_what_means_do_not() -> None:
    """Two series that differ by little in every seed are told apart, and equal series are not."""
    noise = np.random.default_rng(3).normal(0, 100, 20)
    step = np.random.default_rng(4).normal(1.0, 0.2, 20)
    found = paired((noise + step).tolist(), noise.tolist())
    assert found.p is not None
    assert found.p < 0.01
    assert found.difference.low > 0
    assert found.effect is not None
    assert found.effect > 2
    same = paired(noise.tolist(), noise.tolist())
    assert (same.p, same.effect, same.difference.mean) == (None, None, 0.0)


@pytest.mark.parametrize(("won", "of"), [(0, 5), (5, 5), (3, 7), (50, 100)])
def test_shares_stay_in_range(won: int, of: int) -> None:
    """An interval of a share holds it and stays between 0 and 1."""
    low, high = wilson(won, of)
    assert 0 <= low <= won / of <= high <= 1
    assert wilson(0, 0) == (0.0, 1.0)


def test_shares_have_the_interval_of_scipy() -> None:
    """Every share of up to 60 games has exactly the interval that `scipy.stats` gives."""
    for of in range(1, 61):
        for won in range(of + 1):
            found = stats.binomtest(won, of).proportion_ci(CONFIDENCE, method="wilson")
            assert wilson(won, of) == (found.low, found.high)
