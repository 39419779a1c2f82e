"""Breadth-first search over the cells of a grid or the nodes of a network, one whole level at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.space.arrays import UNREACHABLE, Ints


def hops(sources: Ints, passable: NDArray[np.bool_], onward: Callable[[Ints], Ints]) -> NDArray[np.int32]:
    """Return the number of steps from the nearest source to each place, `[size] int32`; `UNREACHABLE` if there is none.

    Args:
        sources: places with distance 0; sources that are not passable are ignored.
        passable: `[size]`, places that a path may run through, its ends included.
        onward: returns the places one step from the given places, flat; -1 is ignored, repeats are allowed.
    """
    distance = np.full(len(passable) + 1, UNREACHABLE, np.int32)
    # The array has one more place, which -1 reads and which cannot be entered.
    new = np.append(passable, False)
    mark = np.empty(len(passable), np.int64)
    level, steps = sources, 0
    while len(level):
        level = level[new[level]]
        distance[level] = steps
        new[level] = False
        # Of several paths to one place, one is followed; the choice makes no difference to any distance.
        turn = np.arange(len(level))
        mark[level] = turn
        level = onward(level[mark[level] == turn])
        steps += 1
    return distance[:-1]
