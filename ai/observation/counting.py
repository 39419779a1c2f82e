"""Counting along the places of a list, and the largest number: several times faster than NumPy's reductions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ai.observation.leaves import Array, Bools


def any_place(there: Bools) -> Bools:
    """Return which rows of `[n, width]` have any place that holds, `[n]`."""
    found: Bools = there @ _ones(there.shape[1], np.bool_)
    return found


def places_held(there: Bools) -> Array:
    """Return how many places of each row of `[n, width]` hold, `[n] int32`."""
    counts: Array = there @ _ones(there.shape[1], np.int32)
    return counts


def largest(numbers: Array) -> int:
    """Return the largest of some whole numbers `[n]`, 0 if there are none: in a third of the time of `max`."""
    return int(numbers[numbers.argmax()]) if len(numbers) else 0


@lru_cache(maxsize=64)
def _ones(count: int, dtype: type[np.generic]) -> Array:
    return np.ones(count, dtype)
