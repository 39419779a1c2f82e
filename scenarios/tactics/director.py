"""The director: the budgets of its operations, and the line of cells that it turns to wall.

The three operations and the kinds of budgets are AstraWeave's (`DirectorOp`, `DirectorBudget`). Each operation has
its own budget: `fortify` uses terrain edits, `spawn_wave` spawns, and `collapse` traps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BUDGETS: Final = ("traps", "terrain_edits", "spawns")
"""Kinds of budgets, in the order of the column `left`."""


class Budgets:
    """The remaining budgets of the director. A resource of the world."""

    name = "Budgets"

    def __init__(self, given: Mapping[str, int]) -> None:
        self.left: NDArray[np.int32] = np.array([given.get(name, 0) for name in BUDGETS], np.int32)
        self.stamp = 0

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the remaining budget by kind, in the order of `BUDGETS`."""
        return {"left": self.left}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over a column that `columns` returned."""
        self.left = columns["left"].copy()
        self.stamp += 1

    def lacks(self, name: str) -> str | None:
        """Return the reason why nothing of a kind can be spent, or None if it can."""
        if self.left[BUDGETS.index(name)] > 0:
            return None
        return f"the director has no {name.replace('_', ' ')} left"

    def spend(self, name: str) -> None:
        """Spend one of a kind; some must be left."""
        self.left[BUDGETS.index(name)] -= 1
        self.stamp += 1


def line(a: tuple[int, int], b: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the cells from one to another, including both: diagonally while both axes differ, then straight.

    >>> list(line((0, 0), (3, 1)))
    [(0, 0), (1, 1), (2, 1), (3, 1)]
    """
    (x, y), (to_x, to_y) = a, b
    yield x, y
    while (x, y) != (to_x, to_y):
        x += (to_x > x) - (to_x < x)
        y += (to_y > y) - (to_y < y)
        yield x, y
