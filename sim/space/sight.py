"""Lines of sight over the cells of a grid, for many pairs of cells at once.

The line of a pair is the same in both directions, so sight is symmetric. It runs from the end whose offset (dx, dy)
to the other has dy > 0, or dy = 0 and dx > 0. With n = max(|dx|, |dy|), its cells between the ends are, for i = 1..n-1,
(floor((2 i dx + n) / 2n), floor((2 i dy + n) / 2n)) from that end. Both ends are left out: an agent on a blocked cell
sees and is seen.

On a torus the line takes the shortest offset. If that is the same in both directions (half the height, or half the
width in one row), the line runs from the end with the lower address.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.space.arrays import Ints

if TYPE_CHECKING:
    from sim.space.grid import Grid

TABLE_REACH: Final = 32
"""The longest line along one axis, cells, that a bounded grid looks up in a table."""
CELLS_AT_ONCE: Final = 8_000
"""The most cells of all lines for which whole lines are looked up at once; this and the next affect time only."""
STEPS_AT_ONCE: Final = 3
"""With more cells, the cells of each line that are looked up at once: most lines are blocked early."""

Line = Callable[[Ints, int, int], Ints]
"""The cells `start..stop-1` of the lines of some pairs, `[stop - start, pairs]`; a line repeats its last cell."""


def clear(grid: Grid, source: Ints, target: Ints, blocked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether no blocked cell lies between the cells of each pair, `[k] bool`.

    Args:
        grid: the grid of the cells.
        source: cells, `[k]`, on the grid.
        target: cells, `[k]`, on the grid.
        blocked: cells that stop sight, `[size]`.
    """
    dx, dy = grid.offset(source, target)
    length = np.maximum(np.abs(dx), np.abs(dy))
    seen = np.ones(len(source), np.bool_)
    live = (length > 1).nonzero()[0]
    if not len(live):
        return seen
    longest = int(length.max())
    in_table = not grid.torus and longest <= TABLE_REACH
    cells = (_looked_up if in_table else _worked_out)(grid, source, target, dx, dy)
    start = 1
    while len(live):
        whole = len(live) * (longest - start) <= CELLS_AT_ONCE
        stop = longest if whole else min(start + STEPS_AT_ONCE, longest)
        hit = np.logical_or.reduce(blocked[cells(live, start, stop)], axis=0)
        seen[live[hit]] = False
        start = stop
        live = live[~hit & (length[live] > start)]
    return seen


def between(dx: NDArray[Any], dy: NDArray[Any], step: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the offsets of the given cells on lines, seen from the end at which the lines start; 32 bits are enough.

    Args:
        dx: offsets to the other end, not both 0.
        dy: as dx.
        step: the number of the cell on the line, 1 for the first; numbers beyond the end give the last cell.
    """
    length = np.maximum(np.maximum(np.abs(dx), np.abs(dy)), 1)
    i = np.minimum(step, np.maximum(length - 1, 0))
    return (2 * i * dx + length) // (2 * length), (2 * i * dy + length) // (2 * length)


def _worked_out(grid: Grid, source: Ints, target: Ints, dx: Ints, dy: Ints) -> Line:
    swap = (dy < 0) | ((dy == 0) & (dx < 0))
    if grid.torus:
        same_both_ways = (2 * dy == -grid.height) | ((dy == 0) & (2 * dx == -grid.width))
        swap = np.where(same_both_ways, target < source, swap)
    start = np.where(swap, target, source)
    across, down = grid.offset(start, np.where(swap, source, target))
    x, y = grid.xy(start)
    across, down = across.astype(np.int32), down.astype(np.int32)

    def cells(live: Ints, first: int, stop: int) -> Ints:
        at_x, at_y = between(across[live], down[live], np.arange(first, stop, dtype=np.int32)[:, None])
        return np.asarray(grid.cell(x[live] + at_x, y[live] + at_y))

    return cells


def _looked_up(grid: Grid, source: Ints, target: Ints, dx: Ints, dy: Ints) -> Line:  # noqa: ARG001 - as `_worked_out`
    table = _table(grid.width)
    row = (dy + TABLE_REACH) * (2 * TABLE_REACH + 1) + dx + TABLE_REACH

    def cells(live: Ints, first: int, stop: int) -> Ints:
        return np.asarray(table[first - 1 : stop - 1].take(row[live], axis=1) + source[live])

    return cells


@lru_cache(maxsize=8)
def _table(width: int) -> Ints:
    """Return the address differences of the cells on the lines to every offset, `[TABLE_REACH - 1, offsets]`."""
    span = np.arange(-TABLE_REACH, TABLE_REACH + 1)
    dy, dx = (part.ravel() for part in np.meshgrid(span, span, indexing="ij"))
    sign = np.where((dy < 0) | ((dy == 0) & (dx < 0)), -1, 1)
    x, y = between(sign * dx, sign * dy, np.arange(1, TABLE_REACH)[:, None])
    # Seen from the other end, a line starts at the cell that the offset points to.
    return np.asarray((y + np.where(sign < 0, dy, 0)) * width + x + np.where(sign < 0, dx, 0))
