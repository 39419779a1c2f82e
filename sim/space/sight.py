"""Lines of sight over the cells of a grid, for many pairs of cells at once.

The line of a pair is the same both ways round, so that sight is symmetric. It runs from the end whose offset (dx, dy)
to the other has dy > 0, or dy = 0 and dx > 0. With n = max(|dx|, |dy|), its cells between the ends are, for i = 1..n-1,
(floor((2 i dx + n) / 2n), floor((2 i dy + n) / 2n)) from that end. Both ends are left out: an agent on a blocked cell
sees and is seen.

On a torus the line takes the shortest offset. Where that is the same both ways round (half the height, or half the
width in one row), it runs from the end with the lower address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sim.space.arrays import Ints

if TYPE_CHECKING:
    from sim.space.grid import Grid

CELLS_AT_ONCE: Final = 60_000
"""Cells of lines that are looked up in one go; it decides about time, never about results."""


def clear(grid: Grid, source: Ints, target: Ints, blocked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether no blocked cell lies between the cells of each pair, `[k] bool`.

    Args:
        grid: the grid of the cells.
        source: cells, `[k]`, on the grid.
        target: cells, `[k]`, on the grid.
        blocked: cells that stop sight, `[size]`.
    """
    dx, dy = grid.offset(source, target)
    swap = (dy < 0) | ((dy == 0) & (dx < 0))
    if grid.torus:
        even_ends = (2 * dy == -grid.height) | ((dy == 0) & (2 * dx == -grid.width))
        swap = np.where(even_ends, target < source, swap)
    start = np.where(swap, target, source)
    dx, dy = grid.offset(start, np.where(swap, source, target))
    length = np.maximum(np.abs(dx), np.abs(dy))
    seen = np.ones(len(source), np.bool_)
    live = (length > 1).nonzero()[0]
    step = 1
    # 32 bits are enough for all of it and divide faster.
    x, y = grid.xy(start)
    double_x, double_y, length = (part.astype(np.int32) for part in (2 * dx, 2 * dy, length))
    while len(live):
        longest = int(length[live].max())
        more = min(max(CELLS_AT_ONCE // len(live), 1), longest - step)
        n = length[live]
        i = np.minimum(np.arange(step, step + more, dtype=np.int32)[:, None], n - 1)
        at_x = (i * double_x[live] + n) // (2 * n) + x[live]
        at_y = (i * double_y[live] + n) // (2 * n) + y[live]
        if grid.torus:
            at_x %= grid.width
            at_y %= grid.height
        hit = blocked[at_y * np.int64(grid.width) + at_x].any(0)
        seen[live[hit]] = False
        step += more
        live = live[~hit & (n > step)]
    return seen
