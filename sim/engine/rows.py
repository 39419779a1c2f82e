"""Rows: the living entities in ascending key order, and the index from key to row. A key is never given again."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.engine.values import fit, frozen, grown
from sim.errors import WorldError, no_array

_ONE: Final = np.array(1, np.int64)
DENSE_KEYS_MAX: Final = 50_000_000
"""Up to this next key, the index from key to row is one dense array; beyond it, a binary search."""


class Rows:
    """Holds the living entities' keys, one a row, always ascending.

    Attributes:
        n: the number of living entities.
        capacity: the number of rows that there is room for.
        next_key: all keys ever given are below it.
        keys: `[capacity] int64`, of which the first n are in use.
        living: the keys in use, `[n] int64`, read-only; a new array after every `reindex`.
        version: counts structural changes; never state.
    """

    def __init__(self, capacity: int) -> None:
        self.n = 0
        self.capacity = capacity
        self.next_key = 0
        self.keys = np.zeros(capacity, dtype=np.int64)
        self.version = 0
        self.living = frozen(self.keys[:0])
        # The last place is a sentinel that stays -1: keys out of range are clipped to it.
        self._padded = np.full(capacity + 2, -1, dtype=np.intp)
        self._dense: NDArray[np.intp] | None = self._padded[1:]

    def of(self, keys: ArrayLike) -> NDArray[np.intp]:
        """Find rows by key: `[len(keys)] intp`, -1 for dead and unknown ones.

        Raises:
            WorldError: the keys are not integers.
        """
        try:
            wanted = np.asarray(keys)
        except (TypeError, ValueError):
            raise no_array(keys, "keys") from None
        if wanted.dtype.kind != "i":
            wanted = fit(wanted, np.dtype(np.int64), "keys")
        if self._dense is not None:
            # Clipping moves keys that are out of range to the first or the last place, which belong to no entity.
            rows: NDArray[np.intp] = self._padded.take(wanted + _ONE, mode="clip")
            return rows
        if self.n == 0:
            return np.full(wanted.shape, -1, dtype=np.intp)
        living = self.keys[: self.n]
        found = np.minimum(np.searchsorted(living, wanted), self.n - 1)
        return np.where(living[found] == wanted, found, -1)

    def give_keys(self, fixed: NDArray[np.int64], order: NDArray[np.intp]) -> NDArray[np.int64]:
        """Give new entities their keys: `[born] int64`.

        Args:
            fixed: `[born]`, the fixed key of each, or -1. Entities without a fixed key get keys after all fixed ones.
            order: `[born]`, the order in which these get their keys.
        """
        free = order[fixed[order] < 0]
        following = max(self.next_key, int(fixed.max()) + 1)
        keys = fixed.copy()
        keys[free] = np.arange(following, following + free.size, dtype=np.int64)
        self.next_key = following + free.size
        return keys

    def grow(self, n: int, capacity: int) -> None:
        """Make room for more rows, keeping the first n."""
        self.keys = grown(self.keys, n, capacity)
        self.capacity = capacity

    def forget(self, keys: NDArray[np.int64]) -> None:
        """Remove dead entities from the index from key to row."""
        if self._dense is not None:
            self._dense[keys] = -1

    def reindex(self, first: int) -> None:
        """Update the index from key to row for rows from `first` on; dead entities must be removed already."""
        self.living = frozen(self.keys[: self.n])
        self.version += 1
        if self.next_key > DENSE_KEYS_MAX:
            self._dense = None
            return
        if self._dense is None or self._dense.size <= self.next_key:
            self._padded = np.full(2 * self.next_key + 3, -1, dtype=np.intp)
            self._dense = self._padded[1:]
            first = 0
        self._dense[self.keys[first : self.n]] = np.arange(first, self.n)

    def check(self) -> None:
        """Assert that keys ascend and that the index from key to row is correct.

        Raises:
            WorldError: one of these does not hold.
        """
        keys = self.keys[: self.n]
        if (keys[1:] <= keys[:-1]).any():
            raise WorldError("keys do not ascend")
        if keys.size and not 0 <= int(keys[0]) <= int(keys[-1]) < self.next_key:
            raise WorldError(f"keys {keys[0]}..{keys[-1]} are not in 0..{self.next_key - 1}")
        if not np.array_equal(self.of(keys), np.arange(self.n)):
            raise WorldError("the index from key to row is wrong")
        if self._dense is not None and int((self._dense >= 0).sum()) != self.n:
            raise WorldError("the index from key to row still has dead entities")
