"""Counting along the places of a list: several times faster than NumPy's reductions along a short axis."""

from __future__ import annotations

import numpy as np

from ai.observation.leaves import Array, Bools


def any_place(there: Bools) -> Bools:
    """Return which rows of `[n, width]` have any place that holds, `[n]`."""
    found: Bools = there @ np.ones(there.shape[1], np.bool_)
    return found


def places_held(there: Bools) -> Array:
    """Return how many places of each row of `[n, width]` hold, `[n] int32`."""
    counts: Array = there @ np.ones(there.shape[1], np.int32)
    return counts
