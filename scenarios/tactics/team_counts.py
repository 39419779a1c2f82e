"""A count for each team, as a resource of the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TeamCounts:
    """What each team has left of something, `left [teams] int32`. The base of resources of the world."""

    name: str

    def __init__(self, left: list[int]) -> None:
        self.left: NDArray[np.int32] = np.array(left, np.int32)
        self.stamp = 0

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the one column."""
        return {"left": self.left}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over a column that `columns` gave."""
        self.left = columns["left"].copy()
        self.stamp += 1

    def take(self, team: int, count: int = 1) -> None:
        """Reduce what a team has left."""
        self.left[team] -= count
        self.stamp += 1
