"""A map of square cells: addresses, neighbourhoods, distances, steps, lines of sight, paths and an index of agents.

A cell address is one number. Only `Grid.cell` makes addresses, and only `Grid.size` gives the length of arrays over
cells; no other code computes `y * width + x`. x grows to the east and y to the south; (0, 0) is the north-west corner.

A grid holds constants of a run: size, torus or bounded, one or many agents on a cell. Callers pass state (terrain,
positions) as arrays over cells or agents. A grid caches tables and distance fields; it derives them from constants, or
compares the arrays that they were computed from, so a cache never changes a result.

Conventions that hold in every method:

- Methods take and return cells as int64 arrays. An address out of range is an error. -1 stands for "outside the map";
  only `neighbours` returns it.
- A neighbourhood lists its cells in map order: by dy, then by dx, without the middle; so N, W, E, S for
  `moore=False` and NW, N, NE, W, E, SW, S, SE for `moore=True`. `moore=True` means that diagonal steps count as one
  (Chebyshev distance), `moore=False` that they count as two (Manhattan distance).
- On a torus the offset between two cells is the shortest one; of two equally short offsets, the negative one. A
  neighbourhood lists each cell once, even if its radius is larger than the map.
- Among equally good neighbours, an agent takes the first in this order, or the one that its random word selects.
- An agent that finds no path stays: the result is its own cell.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.errors import WorldError, no_array
from sim.space import sight
from sim.space.arrays import (
    Ints,
    below,
    bounded,
    flat,
    integers,
    mask_of,
    numbers_below,
    per_place,
    sliding,
    together,
    whole,
)
from sim.space.index import CellIndex
from sim.space.search import hops

CELLS_MAX: Final = 2**24
"""The most cells that a grid may have."""
SIDE_MAX: Final = 2**15
"""The longest side of a grid, cells; with it the numbers of a line of sight fit into 32 bits."""
TABLE_MAX: Final = 2**22
"""The most entries of a table of the neighbours of all cells."""
TABLES_MAX: Final = 8
"""The number of tables of neighbours that are kept."""
SMALL_MAP: Final = 2**13
"""Up to this number of cells, a map fits into the processor's cache several times."""
TERRAINS_MAX: Final = 4
"""The number of terrains whose distance fields are kept."""
FIELDS_CELLS_MAX: Final = 64_000_000
"""The most cells that all kept distance fields may hold together."""


class _Neighbours(NamedTuple):
    """The neighbours of all cells for one radius and kind.

    Attributes:
        cells: `[m, size]`; -1 outside a bounded grid.
        shifts: the differences from a cell in the middle of the map to its neighbours, `[m]`.
        edge: cells with other differences, `[size]`. For the rest, the shifts say the same as `cells`, and to read them
            takes less: on a large map, `cells` does not fit into the processor's cache.
    """

    cells: NDArray[np.int32]
    shifts: Ints
    edge: NDArray[np.bool_]


class Grid:
    """A bounded map or a torus of `width * height` cells.

    Args:
        width: cells from west to east, 1 to `SIDE_MAX`.
        height: cells from north to south, 1 to `SIDE_MAX`.
        torus: whether opposite edges meet.
        many: whether more than one agent may stand on a cell. If not, `index` refuses crowded cells and
            `walk.settled` decides which agents may move.

    Attributes:
        size: number of cells; arrays over cells have this length.

    Raises:
        WorldError: a side is out of range, or there are more than `CELLS_MAX` cells.
    """

    kind: Final = "grid"

    def __init__(self, width: int, height: int, *, torus: bool = False, many: bool = True) -> None:
        self.width = whole(width, "grid width", 1, SIDE_MAX)
        self.height = whole(height, "grid height", 1, SIDE_MAX)
        self.torus = bool(torus)
        self.many = bool(many)
        self.size = self.width * self.height
        if self.size > CELLS_MAX:
            raise WorldError(f"a grid of {width} x {height} has {self.size:,} cells; at most {CELLS_MAX:,}")
        self._tables: OrderedDict[tuple[int, bool], _Neighbours] = OrderedDict()
        # Terrains by number, and distance fields by the terrain's number, goals and kind of neighbourhood. The oldest
        # come first. Number 0 is the terrain on which all cells are passable.
        self._terrains: OrderedDict[int, NDArray[np.bool_]] = OrderedDict()
        self._newest = 0
        self._fields: OrderedDict[tuple[int, bytes, bool], NDArray[np.int32]] = OrderedDict()

    def __repr__(self) -> str:
        return f"Grid({self.width}, {self.height}, torus={self.torus}, many={self.many})"

    def describe(self) -> dict[str, Any]:
        """Return the description for viewers and file headers: kind, width, height, torus, many."""
        return {
            "kind": self.kind,
            "width": self.width,
            "height": self.height,
            "torus": self.torus,
            "many": self.many,
        }

    # -- addresses -------------------------------------------------------------------------------------------------

    def cell(self, x: ArrayLike, y: ArrayLike) -> Ints:
        """Return the addresses of cells, int64, of the common shape of x and y. A torus wraps both.

        Raises:
            WorldError: a cell lies outside a bounded grid.
        """
        xs, ys = integers(x, "x"), integers(y, "y")
        together("x and y", xs, ys)
        if self.torus:
            return np.asarray((ys % self.height) * self.width + xs % self.width)
        return np.asarray(numbers_below(ys, self.height, "y") * self.width + numbers_below(xs, self.width, "x"))

    def inside(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
        """Return which pairs of coordinates `cell` accepts; on a torus it accepts all."""
        xs, ys = integers(x, "x"), integers(y, "y")
        together("x and y", xs, ys)
        return np.asarray(self.torus | (xs >= 0) & (xs < self.width) & (ys >= 0) & (ys < self.height))

    def xy(self, cells: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return x and y of cells, int32, of their shape."""
        x, y = self._xy(self._cells(cells))
        return x.astype(np.int32), y.astype(np.int32)

    def anywhere(self, words: ArrayLike) -> Ints:
        """Return a random cell for each random word (0..2**32-1); several may get the same."""
        return below(words, self.size)

    def scatter(self, words: ArrayLike, count: int, allowed: ArrayLike | None = None) -> Ints:
        """Return `count` different random cells, in random order.

        Args:
            words: one random word per cell, `[size]`; the cells with the lowest words are taken, ties by address.
            count: the number of cells.
            allowed: cells that may be taken, `[size]`; by default all.

        Raises:
            WorldError: fewer cells are allowed than asked for.
        """
        word = numbers_below(per_place(words, self.size, "words"), 2**32, "words")
        cells = np.arange(self.size) if allowed is None else mask_of(allowed, self.size, "allowed").nonzero()[0]
        wanted = whole(count, "count", 0, self.size)
        if wanted > len(cells):
            raise WorldError(f"{wanted} agents need a cell each, and only {len(cells)} cells are free")
        # The word is the higher part of the number, so that the address breaks ties between equal words.
        return np.sort((word[cells] << 24) | cells)[:wanted] & (CELLS_MAX - 1)

    # -- distances -------------------------------------------------------------------------------------------------

    def offset(self, source: ArrayLike, target: ArrayLike) -> tuple[Ints, Ints]:
        """Return dx and dy from source to target, int64; on a torus the shortest ones."""
        start, end = self._cells(source, "source"), self._cells(target, "target")
        together("source and target", start, end)
        return self._offset(start, end)

    def chebyshev(self, source: ArrayLike, target: ArrayLike) -> Ints:
        """Return max(|dx|, |dy|), the number of steps if diagonal steps are allowed."""
        dx, dy = self.offset(source, target)
        return np.maximum(np.abs(dx), np.abs(dy))

    def manhattan(self, source: ArrayLike, target: ArrayLike) -> Ints:
        """Return |dx| + |dy|, the number of steps if diagonal steps are not allowed."""
        dx, dy = self.offset(source, target)
        return np.asarray(np.abs(dx) + np.abs(dy))

    def distance2(self, source: ArrayLike, target: ArrayLike) -> Ints:
        """Return dx * dx + dy * dy, the square of the straight-line distance."""
        dx, dy = self.offset(source, target)
        return np.asarray(dx * dx + dy * dy)

    # -- neighbourhoods --------------------------------------------------------------------------------------------

    def spans(self, radius: int, *, moore: bool) -> tuple[Ints, Ints, Ints]:
        """Return a neighbourhood, its middle included, as one span of cells in each row of the map.

        Returns:
            dy, and the first and last dx of the span (0 or less, 0 or more), by dy ascending, each `[spans] int64`,
            read-only.
        """
        return _spans(self.width, self.height, self.torus, whole(radius, "radius", 0, 2**31 - 1), bool(moore))

    def neighbours(self, cells: ArrayLike, radius: int = 1, *, moore: bool = True) -> Ints:
        """Return the cells around each cell, `[k, m] int64`, in map order; -1 outside a bounded grid.

        m depends only on the grid, the radius and the kind, and is 0 on a grid of one cell.

        Args:
            cells: `[k]`.
            radius: steps, 0 or more.
            moore: whether diagonal steps count as one; if False, they count as two.

        Raises:
            WorldError: a cell is out of range, or `k * m` is above `PAIRS_MAX`.
        """
        return self._around(self._cells(flat(cells, "cells")), radius, moore=moore).T

    def gather(self, values: ArrayLike, cells: ArrayLike, outside: int = 0) -> NDArray[Any]:
        """Return the values of cells, of the shape of `cells`, with `outside` for -1.

        Args:
            values: `[size]`.
            cells: of any shape, as from `neighbours`.
            outside: a value that fits the type of `values`.
        """
        array = per_place(values, self.size, "values")
        try:
            beyond = np.asarray(outside, array.dtype)
        except (TypeError, ValueError, OverflowError):
            raise no_array(outside, "outside") from None
        return np.append(array, beyond)[numbers_below(cells, self.size, "cells", -1)]

    def sum_around(self, values: ArrayLike, radius: int = 1, *, moore: bool = True) -> Ints:
        """Return the sum of the values of all cells around each cell, the cell itself left out, `[size] int64`.

        The sum of a mask is a count, so `sum_around(mask) > 0` marks the cells with a marked cell near. With
        `moore=True` the time hardly depends on the radius, if that is small beside the map; otherwise it grows with it.

        Args:
            values: integers or booleans, `[size]`; their sum must fit into 64 bits.
            radius: as in `neighbours`.
            moore: as in `neighbours`.
        """
        own = per_place(values, self.size, "values")
        dy, first, last = self.spans(radius, moore=moore)
        north = -int(dy[0])
        west, east = -int(first[north]), int(last[north])  # the middle row is the widest
        dtype: type = np.int64
        if self.size > SMALL_MAP:  # fewer bytes take less time, which on a small map is not worth a look at the values
            most = max(int(own.max()), -int(own.min())) * len(dy) * (west + 1 + east)
            dtype = next((short for short in (np.int16, np.int32) if most <= np.iinfo(short).max), dtype)
        # All sums are of one flat array. Those that begin in a column added behind a row are left out at the end.
        wide = self._widened(own.reshape(self.height, self.width), north, int(dy[-1]), west, east, dtype)
        line, flat = wide.shape[1], wide.ravel()
        count = (self.height - 1) * line + self.width
        if moore:
            total = sliding(sliding(flat, len(dy), line), west + 1 + east)
        else:
            total = np.zeros(count, dtype)
            for row, (low, high) in enumerate(zip((west + first).tolist(), (west + last).tolist(), strict=True)):
                start = row * line + low
                total += sliding(flat[start : start + count + high - low], high - low + 1)
        rows = np.empty(self.height * line, dtype)
        start = north * line + west
        np.subtract(total, flat[start : start + count], out=rows[:count])
        return rows.reshape(self.height, line)[:, : self.width].astype(np.int64).ravel()

    # -- steps -----------------------------------------------------------------------------------------------------

    def step(
        self,
        cells: ArrayLike,
        words: ArrayLike,
        *,
        score: ArrayLike | None = None,
        allowed: ArrayLike | None = None,
        radius: int = 1,
        moore: bool = True,
    ) -> Ints:
        """Return for each agent a random one of the allowed cells around it with the best score.

        Args:
            cells: the cells of the agents, `[k]`.
            words: one random word per agent, `[k]`, 0..2**32-1, as from `world.below(rows, purpose, 2**32)`.
            score: integers or booleans, `[size]`; the highest is best. By default all cells are equal.
            allowed: cells that may be chosen, `[size]`; by default all.
            radius: as in `neighbours`.
            moore: as in `neighbours`.

        Returns:
            Cells, `[k]`; the agent's own cell if no cell around it is allowed. On a grid that takes one agent per cell,
            `walk.settled` decides which of them may move.
        """
        here = self._cells(flat(cells, "cells"))
        word = words if isinstance(words, np.ndarray) else integers(words, "words")
        if word.shape != here.shape:
            raise WorldError(f"words of shape {word.shape} for {len(here)} agents; give each agent one")
        if score is None and allowed is None and self.torus:
            table = self._table(radius, moore=moore)
            if table is not None and len(table.cells):  # all are on the map and equal: find only the drawn one
                drawn = below(word, len(table.cells))
                found = table.shifts.take(drawn)
                found += here
                wrapped = table.edge.take(here).nonzero()[0]
                found[wrapped] = table.cells[drawn[wrapped], here[wrapped]]
                return found
        around = self._around(here, radius, moore=moore)
        good = self._open(around, allowed)
        if score is not None and len(around):
            scores = per_place(score, self.size, "score").take(around, mode="wrap")
            if scores.dtype == np.bool_:
                better = scores & good
                good = np.where(better.any(0), better, good)
            else:
                worst = scores.dtype.type(np.iinfo(scores.dtype).min)
                good &= scores == np.where(good, scores, worst).max(0)
        choices = np.add.reduce(good, axis=0, dtype=np.int64)
        # The chosen neighbour is the first one at which the count of good neighbours exceeds the number drawn.
        place = np.add.reduce(good.cumsum(0, dtype=np.int32) <= below(word, choices), axis=0, dtype=np.int64)
        return self._chosen(here, around, place, choices > 0)

    def descend(
        self, cells: ArrayLike, score: ArrayLike, *, allowed: ArrayLike | None = None, moore: bool = True
    ) -> Ints:
        """Return for each agent the allowed neighbour with the lowest score, if it is lower than on its own cell.

        Args:
            cells: the cells of the agents, `[k]`.
            score: integers, `[size]`, as from `field`.
            allowed: cells that may be entered now, `[size]`; by default all.
            moore: as in `neighbours`.

        Returns:
            Cells, `[k]`; the agent's own cell if no allowed neighbour is lower. Ties go to the first in map order.
        """
        here = self._cells(flat(cells, "cells"))
        scores = per_place(score, self.size, "score")
        scores = scores.astype(np.int8) if scores.dtype == np.bool_ else scores
        around = self._around(here, 1, moore=moore)
        return self.lowest(here, around, scores.take(around, mode="wrap"), scores[here], allowed)

    def lowest(self, here: Ints, around: Ints, scores: NDArray[Any], now: ArrayLike, allowed: ArrayLike | None) -> Ints:
        """Return the allowed cells with the lowest scores below `now`; see `descend` and `walk.toward`.

        Args:
            here: cells of the agents, `[k]`.
            around: their neighbours, `[m, k]`.
            scores: the scores of the neighbours, `[m, k]` integers.
            now: the exclusive upper limit of the score, `[k]`.
            allowed: as in `descend`.
        """
        if not len(around):
            return here.copy()
        good = self._open(around, allowed)
        good &= scores < now
        # A good score is below `now`, and therefore below the largest number of its type.
        place = np.where(good, scores, scores.dtype.type(np.iinfo(scores.dtype).max)).argmin(0)
        return self._chosen(here, around, place, np.logical_or.reduce(good, axis=0))

    # -- sight and paths -------------------------------------------------------------------------------------------

    def sees(self, source: ArrayLike, target: ArrayLike, blocked: ArrayLike) -> NDArray[np.bool_]:
        """Return whether no blocked cell lies between the cells of each pair, `[k] bool`; symmetric.

        Both ends are left out. `sim.space.sight` defines the cells between.

        Args:
            source: cells, `[k]`.
            target: cells, `[k]`.
            blocked: cells that stop sight, `[size]`.
        """
        start, end = self._cells(flat(source, "source")), self._cells(flat(target, "target"))
        if len(start) != len(end):
            raise WorldError(f"sees: {len(start)} sources for {len(end)} targets; there must be one a pair")
        return sight.clear(self, start, end, mask_of(blocked, self.size, "blocked"))

    def field(self, goals: ArrayLike, passable: ArrayLike | None = None, *, moore: bool = True) -> NDArray[np.int32]:
        """Return the steps from each cell to the nearest goal over passable cells, `[size] int32`, read-only.

        Fields are cached by the content of `passable` and `goals`; the next call with the same arguments takes only a
        comparison of `passable`. A diagonal step needs no free cell beside it.

        Args:
            goals: one cell or several; goals that are not passable are ignored.
            passable: cells that can be walked on, `[size]`; by default all.
            moore: whether diagonal steps count as one step; if False, there are no diagonal steps.

        Returns:
            Steps; `UNREACHABLE` if there is no path.
        """
        ends = np.unique(self._cells(goals, "goals").ravel())
        terrain = self._terrain(passable)
        key = (terrain, ends.tobytes(), moore)
        known = self._fields.get(key)
        if known is None:
            mask = self._terrains[terrain] if terrain else np.ones(self.size, np.bool_)
            known = hops(ends, mask, lambda level: self._around(level, 1, moore=moore).ravel())
            known.setflags(write=False)
            self._fields[key] = known
            while len(self._fields) > 1 and len(self._fields) * self.size > FIELDS_CELLS_MAX:
                self._fields.popitem(last=False)
        self._fields.move_to_end(key)
        return known

    def steps_to(
        self, cells: ArrayLike, goals: ArrayLike, passable: ArrayLike | None = None, *, moore: bool = True
    ) -> NDArray[np.int32]:
        """Return the steps on foot from each cell to its goal, `[k] int32`; `UNREACHABLE` if there is no path.

        Args:
            cells: `[k]`.
            goals: one for all, or `[k]`; each different goal takes one search, which is cached.
            passable: as in `field`.
            moore: as in `field`.
        """
        here = self._cells(flat(cells, "cells"))
        found = np.empty(len(here), np.int32)
        for goal, members in self._by_goal(here, goals):
            found[members] = self.field(goal, passable, moore=moore)[here[members]]
        return found

    def along(
        self,
        cells: ArrayLike,
        goals: ArrayLike,
        passable: ArrayLike | None = None,
        *,
        allowed: ArrayLike | None = None,
        moore: bool = True,
    ) -> Ints:
        """Return the next cell on a shortest path to each agent's goal, or the agent's own cell if there is none.

        An agent whose own cell is not passable steps off it if it can.

        Args:
            cells: the cells of the agents, `[k]`.
            goals: one for all, or `[k]`.
            passable: as in `field`: the terrain, on which distances depend.
            allowed: cells that may be entered now, `[size]`, for example those that are free; by default all.
            moore: as in `field`.
        """
        here = self._cells(flat(cells, "cells"))
        found = np.empty(len(here), np.int64)
        for goal, members in self._by_goal(here, goals):
            steps = self.field(goal, passable, moore=moore)
            found[members] = self.descend(here[members], steps, allowed=allowed, moore=moore)
        return found

    # -- agents ----------------------------------------------------------------------------------------------------

    def index(self, cells: ArrayLike, rows: ArrayLike | None = None) -> CellIndex:
        """Return an index of agents by cell, which finds agents on cells and near them.

        Args:
            cells: the cell of each agent, `[n]`.
            rows: the row of each agent, `[n]`, ascending; `0..n-1` by default.

        Raises:
            WorldError: a cell is out of range, rows do not ascend, or two agents stand on one cell of a grid that
                takes one agent per cell.
        """
        return CellIndex(self, cells, rows)

    # -- private ---------------------------------------------------------------------------------------------------

    def _cells(self, cells: ArrayLike, name: str = "cells") -> Ints:
        return numbers_below(cells, self.size, name)

    def _xy(self, cells: Ints) -> tuple[Ints, Ints]:
        y = cells // self.width
        return cells - y * self.width, y

    def _offset(self, source: Ints, target: Ints) -> tuple[Ints, Ints]:
        (x, y), (to_x, to_y) = self._xy(source), self._xy(target)
        dx, dy = to_x - x, to_y - y
        if self.torus:
            dx = (dx + self.width // 2) % self.width - self.width // 2
            dy = (dy + self.height // 2) % self.height - self.height // 2
        return dx, dy

    def _around(self, cells: Ints, radius: int, *, moore: bool) -> Ints:
        """Return the neighbours of cells that are known to be on the map, `[m, k]`."""
        table = self._table(radius, moore=moore)
        if table is not None:
            return table.cells.take(cells, axis=1).astype(np.int64)
        dys, firsts, lasts = self.spans(radius, moore=moore)
        bounded(int((lasts - firsts + 1).sum() - 1) * len(cells), f"neighbours within {radius}")
        return self._shifted(cells, dys, firsts, lasts)

    def _table(self, radius: int, *, moore: bool) -> _Neighbours | None:
        """Return the neighbours of all cells, kept for the next call, or None if they are too many."""
        key = (radius, bool(moore))
        try:
            table = self._tables.get(key)
        except TypeError:  # a radius without a hash, which `spans` refuses
            table = None
        if table is None:
            dys, firsts, lasts = self.spans(radius, moore=moore)
            if (int((lasts - firsts + 1).sum()) - 1) * self.size > TABLE_MAX:
                return None
            if len(self._tables) >= TABLES_MAX:
                self._tables.popitem(last=False)
            everywhere = np.arange(self.size)
            cells = self._shifted(everywhere, dys, firsts, lasts)
            away = cells - everywhere
            shifts = away[:, self.height // 2 * self.width + self.width // 2].copy()
            edge = np.logical_or.reduce(away != shifts[:, None], axis=0)
            table = self._tables[key] = _Neighbours(cells.astype(np.int32), shifts, edge)
        return table

    def _shifted(self, cells: Ints, dys: Ints, firsts: Ints, lasts: Ints) -> Ints:
        count = lasts - firsts + 1
        dy = dys.repeat(count)[:, None]
        dx = np.concatenate([np.arange(first, last + 1) for first, last in zip(firsts, lasts, strict=True)])[:, None]
        middle = ((dy == 0) & (dx == 0)).ravel()
        x, y = self._xy(cells)
        x, y = x + dx[~middle], y + dy[~middle]
        if self.torus:
            return np.asarray((y % self.height) * self.width + x % self.width)
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        return np.where(inside, y * self.width + x, -1)

    def _widened(self, plane: NDArray[Any], north: int, south: int, west: int, east: int, dtype: type) -> NDArray[Any]:
        """Return the values of a map with as many more rows and columns: those of the opposite edge, or zeros."""
        height, width = plane.shape
        wide = np.zeros((north + height + south, west + width + east), dtype)
        wide[north : north + height, west : west + width] = plane
        if self.torus:
            wide[:north], wide[north + height :] = wide[height : height + north], wide[north : north + south]
            wide[:, :west], wide[:, west + width :] = wide[:, width : width + west], wide[:, west : west + east]
        return wide

    def _open(self, around: Ints, allowed: ArrayLike | None) -> NDArray[np.bool_]:
        """Return which neighbours lie on the map and are allowed."""
        if allowed is None:
            return np.asarray(around >= 0)
        # Here -1 reads the last cell; the other condition then leaves it out.
        good = mask_of(allowed, self.size, "allowed").take(around, mode="wrap")
        return good if self.torus else good & (around >= 0)

    def _chosen(self, here: Ints, around: Ints, place: Ints, found: NDArray[np.bool_]) -> Ints:
        """Return the neighbour at each agent's place, or the agent's own cell if none was found."""
        if not len(around):
            return here.copy()
        return np.where(found, around[np.minimum(place, len(around) - 1), np.arange(len(here))], here)

    def _terrain(self, passable: ArrayLike | None) -> int:
        """Return the number of a terrain. Its content identifies it, because a stamp could repeat after a restore."""
        if passable is None:
            return 0
        mask = mask_of(passable, self.size, "passable")
        for number in reversed(self._terrains):
            if np.array_equal(self._terrains[number], mask):
                self._terrains.move_to_end(number)
                return number
        self._newest += 1
        self._terrains[self._newest] = mask.copy()
        if len(self._terrains) > TERRAINS_MAX:
            gone, _ = self._terrains.popitem(last=False)
            for key in [key for key in self._fields if key[0] == gone]:
                del self._fields[key]
        return self._newest

    def _by_goal(self, here: Ints, goals: ArrayLike) -> list[tuple[int, NDArray[Any]]]:
        """Return each different goal with the positions of the agents that walk to it."""
        ends = self._cells(goals, "goals")
        if ends.ndim and ends.shape != here.shape:
            raise WorldError(f"{ends.size} goals for {len(here)} agents; there must be one for all, or one per agent")
        if not len(here):
            return []
        if not ends.ndim or not np.count_nonzero(ends != ends[0]):
            return [(int(ends.flat[0]), np.arange(len(here)))]
        order = ends.argsort(kind="stable")
        cuts = np.flatnonzero(np.diff(ends[order])) + 1
        return [(int(ends[part[0]]), part) for part in np.split(order, cuts)]


@lru_cache(maxsize=64)
def _spans(width: int, height: int, torus: bool, reach: int, moore: bool) -> tuple[Ints, Ints, Ints]:  # noqa: FBT001
    # On a torus of even width, half the width to the east is the same cell as half the width to the west.
    west, east = (width // 2, (width - 1) // 2) if torus else (width - 1,) * 2
    north, south = (height // 2, (height - 1) // 2) if torus else (height - 1,) * 2
    dy = np.arange(-min(reach, north), min(reach, south) + 1)
    half = np.full(len(dy), reach) if moore else reach - np.abs(dy)
    found = dy, -np.minimum(half, west), np.minimum(half, east)
    for array in found:
        array.setflags(write=False)
    return found
