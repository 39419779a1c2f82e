"""Statistics of few runs: intervals, paired differences, effect sizes. The methods are scipy's.

`scipy.stats` takes half a second to import, so it is imported where a method is more than a formula.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from sim.messages import number

CONFIDENCE: Final = 0.95
"""Confidence of all intervals."""
QUANTILE: Final = 1.959963984540054
"""The normal quantile of that confidence, `scipy.special.ndtri(0.975)`."""
RESAMPLES: Final = 4_000
"""Resamples of a bootstrap."""
SEED: Final = 20_200_115
"""Seed of all resampling, so that the same runs always give the same interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its 95 percent interval (bootstrap, bias-corrected), the standard deviation, and the number of values."""

    mean: float
    low: float
    high: float
    sd: float
    n: int

    def __str__(self) -> str:
        if self.n < 2 or self.low == self.high:
            return number(self.mean)
        return f"{number(self.mean)} [{number(self.low)}, {number(self.high)}]"


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the values of a are above those of b, seed by seed.

    Attributes:
        difference: the mean of the differences with its interval.
        effect: the mean of the differences in units of their standard deviation (Cohen's d for pairs); None where they
            do not vary.
        p: probability of so large a mean difference if the two were exchangeable (paired permutation test); None where
            there is no difference at all.
    """

    difference: Estimate
    effect: float | None
    p: float | None


def wilson(won: int, of: int) -> tuple[float, float]:
    """Return the 95 percent interval of a share after Wilson; everything is possible while there is nothing.

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not of:
        return 0.0, 1.0
    share, twice = won / of, 2 * (of + QUANTILE**2)
    centre = (2 * of * share + QUANTILE**2) / twice
    reach = QUANTILE / twice * sqrt(4 * of * share * (1 - share) + QUANTILE**2)
    return centre - reach if won else 0.0, centre + reach if won < of else 1.0


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of some values and how sure it is.

    >>> str(estimate([1.0, 2.0, 3.0]))
    '2 [1, 3]'
    >>> estimate([4.0]).low
    4.0
    """
    array = np.asarray(values, np.float64)
    n = len(array)
    if not n:
        return Estimate(float("nan"), float("nan"), float("nan"), float("nan"), 0)
    mean = float(array.mean())
    sd = float(array.std(ddof=1)) if n > 1 else 0.0
    if n < 2 or not sd or not np.isfinite(array).all():
        return Estimate(mean, mean, mean, sd, n)
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interval shows a degenerate distribution
        found = stats.bootstrap(
            (array,), np.mean, confidence_level=CONFIDENCE, n_resamples=RESAMPLES, rng=np.random.default_rng(SEED)
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return Estimate(mean, low if np.isfinite(low) else mean, high if np.isfinite(high) else mean, sd, n)


def paired(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Return how values of the same seeds differ; `a` and `b` are of equal length, in the same order of seeds.

    >>> found = paired([3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 2.0, 3.0])
    >>> found.difference.mean, found.p
    (2.5, 0.125)
    """
    gains = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    difference = estimate(gains.tolist())
    effect = difference.mean / difference.sd if difference.sd else None
    if len(gains) < 2 or not gains.any():
        return Difference(difference, effect, None)
    from scipy import stats

    test = stats.permutation_test(
        (gains,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, rng=np.random.default_rng(SEED)
    )
    return Difference(difference, effect, float(test.pvalue))
