"""A count for each team, as a resource of the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TeamCounts:
    """The amount of something that each team has left, `left [teams] int32`. A base for resources of the world."""

    name: str

    def __init__(self, left: list[int]) -> None:
        self.left: NDArray[np.int32] = np.array(left, np.int32)
        self.stamp = 0

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the only column."""
        return {"left": self.left}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over a column that `columns` returned."""
        self.left = columns["left"].copy()
        self.stamp += 1

    def take(self, team: int, count: int = 1) -> None:
        """Reduce the amount that a team has left."""
        self.left[team] -= count
        self.stamp += 1
