"""Agents by place: the agents on each cell or node, in the order of their rows.

An index is built once from the places of some agents and describes that moment. It returns the rows that it was given,
so an index of the wolves alone also returns rows of the world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sim.errors import WorldError
from sim.space.arrays import ROWS_MAX, Ints, bounded, by_place, flat, numbers_below, runs, together, whole

if TYPE_CHECKING:
    from sim.space.grid import Grid


class Index:
    """Rows of agents by the place that each stands on.

    Args:
        places: the place of each agent, `[n]` integers in `0..size-1`.
        size: number of places.
        rows: the row of each agent, `[n]`, ascending; `0..n-1` by default.

    Attributes:
        places: as given, `[n] int64`.
        rows: as given, `[n] int64`.
        count: the number of agents on each place, `[size] int64`.

    Raises:
        WorldError: a place is out of range, or rows do not ascend.
    """

    def __init__(self, places: ArrayLike, size: int, rows: ArrayLike | None = None) -> None:
        self.size = size
        self.places = numbers_below(flat(places, "places"), size, "places")
        if rows is None:
            self.rows: Ints = np.arange(len(self.places))
        else:
            self.rows = numbers_below(flat(rows, "rows"), ROWS_MAX, "rows")
            if len(self.rows) != len(self.places):
                raise WorldError(f"{len(self.rows)} rows for {len(self.places)} places; there must be one a row")
            if np.count_nonzero(self.rows[1:] <= self.rows[:-1]):
                raise WorldError("rows must ascend: an index answers in the order of rows")
        self.count: Ints = np.bincount(self.places, minlength=size)
        # The agents on place p are `_order[_starts[p]:_starts[p + 1]]`.
        self._starts: Ints = np.zeros(size + 1, np.int64)
        np.cumsum(self.count, out=self._starts[1:])
        # Rows ascend, so their positions sort in the same order.
        self._sorted, self._position = by_place(self.places, np.arange(len(self.rows)))
        self._order = self.rows[self._position]

    @property
    def rank(self) -> Ints:
        """The number of agents with lower rows on the place of each agent, `[n] int64`; 0 for the lowest row."""
        ranks = np.empty(len(self.rows), np.int64)
        ranks[self._position] = np.arange(len(self.rows)) - self._starts[self._sorted]
        return ranks

    def rows_at(self, place: int) -> Ints:
        """Return the rows on one place, ascending.

        Raises:
            WorldError: there is no such place.
        """
        at = whole(place, "place", 0, self.size - 1)
        return self._order[self._starts[at] : self._starts[at + 1]]

    def first(self, places: ArrayLike) -> Ints:
        """Return the lowest row on each place, or -1 if it is empty; places may have any shape and hold -1.

        Raises:
            WorldError: a place is out of range.
        """
        return self.nth(places, 0)

    def nth(self, places: ArrayLike, rank: ArrayLike) -> Ints:
        """Return the row of the given rank on each place, or -1 if fewer agents are there.

        `prey.nth(hunters.places, hunters.rank)` pairs two groups on the same places one to one.

        Args:
            places: of any shape; -1 (outside) gives -1.
            rank: 0 for the lowest row; one for all, or one per place.

        Raises:
            WorldError: a place is out of range, or a rank is negative.
        """
        at = numbers_below(places, self.size, "places", -1)
        ranks = numbers_below(rank, ROWS_MAX, "ranks")
        together("places and ranks", at, ranks)
        # For -1 both lookups read the last entry, which is then ignored.
        found = (at >= 0) & (self.count[at] > ranks)
        if not len(self._order):
            return np.full(found.shape, -1, np.int64)
        return np.where(found, self._order[np.where(found, self._starts[at] + ranks, 0)], -1)

    def on(self, places: ArrayLike) -> tuple[Ints, Ints]:
        """Return all agents on some places.

        Args:
            places: `[k]`.

        Returns:
            `which [p]` (the position in `places`, ascending) and `row [p]` (ascending for each position).

        Raises:
            WorldError: a place is out of range, or there are more than `PAIRS_MAX` pairs.
        """
        at = numbers_below(flat(places, "places"), self.size, "places")
        count = self.count[at]
        bounded(int(count.sum()), "index.on")
        return np.arange(len(at)).repeat(count), self._order[runs(self._starts[at], count)]


class CellIndex(Index):
    """An index over the cells of a grid, which also finds agents near a cell.

    Args:
        grid: the grid of the cells.
        cells: the cell of each agent, `[n]`.
        rows: as in `Index`.

    Raises:
        WorldError: as in `Index`, or two agents stand on one cell of a grid that takes one per cell.
    """

    def __init__(self, grid: Grid, cells: ArrayLike, rows: ArrayLike | None = None) -> None:
        super().__init__(cells, grid.size, rows)
        self.grid = grid
        if not grid.many and int(self.count.max()) > 1:
            cell = int(self.count.argmax())
            x, y = grid.xy(cell)
            raise WorldError(
                f"cell ({x}, {y}) holds {self.count[cell]} agents (rows {self.rows_at(cell)[:4].tolist()} ...), but "
                "the grid takes one a cell: settle moves with walk.settled, or make the grid with many=True"
            )

    def near(self, cells: ArrayLike, radius: int = 1, *, moore: bool = True) -> tuple[Ints, Ints]:
        """Return all agents within a radius of some cells, including those on the cells themselves.

        Args:
            cells: `[k]`.
            radius: cells, 0 or more.
            moore: whether diagonal steps count as one (Chebyshev); if False, as two (Manhattan).

        Returns:
            `which [p]` (the position in `cells`, ascending) and `row [p]` (ascending for each position).

        Raises:
            WorldError: a cell is out of range, or there are more than `PAIRS_MAX` pairs.
        """
        which, row = self.unsorted(cells, radius, moore=moore)
        return by_place(which, row)

    def pairs(self, radius: int = 1, *, moore: bool = True) -> tuple[Ints, Ints]:
        """Return all pairs of two different agents within a radius of each other, each pair in both orders.

        Args:
            radius: cells, 0 or more; 0 pairs agents on one cell.
            moore: as in `near`.

        Returns:
            Rows `i [p]` and `j [p]`, sorted by i and then by j.

        Raises:
            WorldError: there are more than `PAIRS_MAX` pairs.
        """
        which, other = self.unsorted(self.places, radius, moore=moore)
        row = self.rows[which]
        apart = row != other
        return by_place(row[apart], other[apart])

    def unsorted(self, cells: ArrayLike, radius: int = 1, *, moore: bool = True) -> tuple[Ints, Ints]:
        """Return the pairs of `near`, sorted by `which` only: for callers that drop many of them before they sort."""
        grid = self.grid
        at = numbers_below(flat(cells, "cells"), grid.size, "cells")
        dy, left, right = (part[:, None] for part in grid.spans(radius, moore=moore))
        y = at // grid.width
        x = at - y * grid.width
        # A neighbourhood is a span of cells in each row of the map, and the agents on a span are adjacent in the order.
        first, last, line = x + left, x + right, y + dy
        if grid.torus:
            line %= grid.height
            # The part that leaves the map on one side re-enters on the other as a second span, which may be empty.
            wraps = first < 0
            other_first = np.where(wraps, first + grid.width, 0)
            other_last = np.where(wraps, grid.width - 1, last - grid.width)
            np.maximum(other_last, -1, out=other_last)
            first, last = np.maximum(first, 0), np.minimum(last, grid.width - 1)
            first, last = np.concatenate([first, other_first]), np.concatenate([last, other_last])
            line = np.concatenate([line, line])
        else:
            first, last = np.maximum(first, 0), np.minimum(last, grid.width - 1)
            outside = (line < 0) | (line >= grid.height)
            line[outside] = 0
            last[outside] = first[outside] - 1
        line *= grid.width
        low = self._starts[line + first]
        count = self._starts[line + last + 1] - low
        each = count.sum(0)
        bounded(int(each.sum()), f"pairs within {radius}")
        return np.arange(len(at)).repeat(each), self._order[runs(low.T.ravel(), count.T.ravel())]
