"""Conflicts inside a phase: amounts for one target are summed; of several claims to one target the lowest key wins.

Neither result depends on the order of the rows, so no phase depends on the order in which it visits agents.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.engine.values import fit, indices, integer, limits
from sim.errors import WorldError, short

LAST_ROW: Final = int(np.iinfo(np.intp).max)
"""A number above that of every row."""
SIZE_MAX: Final = 2**31 - 1
"""Targets of one claim at most."""


def scatter_add(column_view: NDArray[Any], rows: Any, values: ArrayLike, label: str) -> None:
    """Add values to rows of a flat integer column that errors call `label`; see `World.scatter_add`.

    Raises:
        WorldError: a row is negative or past the end, a value is not an integer, or a sum does not fit the column.
    """
    if not isinstance(column_view, np.ndarray):
        raise WorldError(f"scatter_add needs a column of the world, not {short(column_view)}")
    if column_view.ndim != 1 or column_view.dtype.kind != "i":
        raise WorldError(f"scatter_add needs a flat integer column, not {column_view.dtype} {column_view.shape}")
    places = indices(rows, column_view.size, label)
    if places.size == 0:
        return
    amounts = fit(values, np.dtype(np.int64), label)
    if amounts.shape not in ((), (1,), places.shape):
        raise WorldError(f"{label}: {amounts.shape} values for {places.size} rows")
    amounts = np.broadcast_to(amounts, places.shape)
    low, high = limits(column_view.dtype)
    before = column_view[places]
    # Python's integers cannot wrap; the bound holds for every row and every order of additions.
    losses, gains = _bounded_sums(amounts)
    if int(before.min()) + losses >= low and int(before.max()) + gains <= high:
        # The cast matters: int64 into an int32 column takes add.at off its fast path, by a factor of 30.
        np.add.at(column_view, places, amounts.astype(column_view.dtype))
        return
    exact: NDArray[Any] = column_view.astype(np.int64 if column_view.itemsize < 8 else np.object_)
    np.add.at(exact, places, amounts.astype(exact.dtype))
    column_view[...] = fit(exact, column_view.dtype, label)


def _bounded_sums(amounts: NDArray[np.int64]) -> tuple[int, int]:
    """Bound the sums of any part of the amounts from below and above, without wrapping."""
    smallest, largest = int(amounts.min()), int(amounts.max())
    return min(smallest, 0) * amounts.size, max(largest, 0) * amounts.size


class Claims:
    """Settles claims to things that only one can have; keeps a scratch array as long as the most targets seen."""

    def __init__(self) -> None:
        self._best = np.empty(0, dtype=np.intp)

    def winners(self, targets: NDArray[np.integer], claimants: NDArray[np.integer], size: int) -> NDArray[np.bool_]:
        """Return which claims win, `[claims] bool`; see `World.claim`.

        Raises:
            WorldError: a target is out of range, or the lengths differ.
        """
        if type(size) is not int or not 0 <= size <= SIZE_MAX:
            size = integer(size, 0, SIZE_MAX, "claim size")
        cells = indices(targets, size, "claim targets")
        rows = indices(claimants, LAST_ROW, "claim claimants")
        if cells.shape != rows.shape:
            raise WorldError(f"{rows.size} claimants for {cells.size} targets")
        if self._best.size < size:
            self._best = np.full(size, LAST_ROW, dtype=np.intp)
        best = self._best
        np.minimum.at(best, cells, rows)
        winners: NDArray[np.bool_] = best[cells] == rows
        # The scratch array is left as it was found, which is cheaper than a new one of the size of the map.
        best[cells] = LAST_ROW
        return winners
