"""The map: terrain, smoke, line of sight, occupancy and flow fields.

Cells are addressed flat with a margin of wall around the map, so that neighbours, discs and sight lines need no bounds
checks: `cell = (y + MARGIN) * stride + (x + MARGIN)`. All numbers are integers.

The line of sight between two cells runs through the cells of one canonical line, so sight is symmetric: for the offset
(dx, dy) with dy > 0, or dy = 0 and dx > 0, and the length n = max(|dx|, |dy|), cell i of 1..n-1 is
(floor((2 i dx + n) / 2n), floor((2 i dy + n) / 2n)); the opposite offset uses the same cells. Both ends are left out:
an agent in smoke sees its neighbours, and they see it.

A flow field holds the walking distance of every cell to one goal. An agent walks to the neighbour with the lowest
distance, ties in the order N, W, E, S.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from enum import IntEnum
from functools import cache, cached_property, lru_cache
from math import isqrt
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.space.search import hops

SIGHT_MAX: Final = 16
"""The greatest distance that an agent sees or a weapon reaches, cells."""
COVER_RADIUS: Final = 5
"""The distance within which an agent looks for cover, cells (Manhattan)."""
LINE_MAX: Final = SIGHT_MAX + COVER_RADIUS
"""The longest sight line along one axis, cells."""
MARGIN: Final = LINE_MAX + 2
"""The width of the wall around the map, cells."""
FIELDS_CELLS_MAX: Final = 64_000_000
"""The most cells that cached flow fields may hold together; the cache affects time, never results."""
LINE_START: Final = 2
"""The number of cells of each long sight line that are looked up first."""
CELLS_AT_ONCE: Final = 4_000
"""The most cells of sight lines for which all lines are looked up at once."""
LINE_STRIDE: Final = 3
"""With many lines, the number of cells of each line that are looked up together after the first ones."""
LINES_AT_ONCE: Final = 40_000
"""The most cells of sight lines that are looked up in one step."""

LINES_TOGETHER: Final = 1 << 15
"""The most sight lines that are looked up together: the arrays then stay in the processor's cache."""
VIEWERS_TOGETHER: Final = 1 << 12
"""The most agents whose neighbours are looked up together, for the same reason."""

Cells = NDArray[np.int64]


class Terrain(IntEnum):
    """The terrain of a cell. Floor and cover can be walked on; wall blocks movement and sight."""

    FLOOR = 0
    COVER = 1
    WALL = 2


def disc(radius: int) -> list[tuple[int, int]]:
    """Return the offsets (dx, dy) within `radius` cells, by distance, then dy, then dx."""
    span = range(-radius, radius + 1)
    inside = [(dx, dy) for dy in span for dx in span if dx * dx + dy * dy <= radius * radius]
    return sorted(inside, key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, offset[1], offset[0]))


@cache
def _line_table() -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return the cells between the ends of every offset, dx and dy `[side * side, LINE_MAX - 1]`, and their number."""
    side = 2 * LINE_MAX + 1
    dy, dx = (part[:, None] - LINE_MAX for part in np.divmod(np.arange(side * side), side))
    n = np.maximum(abs(dx), abs(dy))
    # The rest of a line repeats its first cell, which can be looked up again without effect.
    step = np.arange(1, LINE_MAX)
    step = np.where(step < n, step, 1)
    canonical = (dy > 0) | ((dy == 0) & (dx > 0))
    sign, length = np.where(canonical, 1, -1), np.maximum(n, 1)
    dxs, dys = ((2 * step * sign * part + length) // (2 * length) for part in (dx, dy))
    counts = np.maximum(n - 1, 0).ravel().astype(np.int32)
    line = n > 1
    dxs, dys = (
        (np.where(canonical, cells, cells + part) * line).astype(np.int32) for cells, part in ((dxs, dx), (dys, dy))
    )
    return dxs, dys, counts


class Smoke:
    """Clouds that block sight: cells, and the tick at which each clears. A resource of the world."""

    name = "Smoke"

    def __init__(self) -> None:
        self.cell: Cells = np.zeros(0, np.int64)
        self.until: NDArray[np.int32] = np.zeros(0, np.int32)
        self.stamp = 0

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the canonical columns: cells ascending, and their clearing ticks."""
        return {"cell": self.cell, "until": self.until}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over columns that `columns` returned."""
        self.cell, self.until = columns["cell"].copy(), columns["until"].copy()
        self.stamp += 1

    def add(self, cells: Cells, until: int) -> None:
        """Put smoke on `cells` at least until the tick `until`."""
        if not len(cells):
            return
        both = np.concatenate([self.cell, cells])
        ends = np.concatenate([self.until, np.full(len(cells), until, np.int32)])
        self.cell, inverse = np.unique(both, return_inverse=True)
        self.until = np.zeros(len(self.cell), np.int32)
        np.maximum.at(self.until, inverse, ends)
        self.stamp += 1

    def expire(self, tick: int) -> None:
        """Clear the smoke that ends at or before `tick`."""
        kept = self.until > tick
        if np.count_nonzero(kept) < len(kept):
            self.cell, self.until = self.cell[kept], self.until[kept]
            self.stamp += 1


class Grid:
    """Terrain and the data derived from it, a resource of the world; only `set_cells` and `put` change it."""

    name = "Grid"

    def __init__(self, terrain: NDArray[np.uint8], smoke: Smoke) -> None:
        self.height, self.width = (int(side) for side in terrain.shape)
        self.stride = self.width + 2 * MARGIN
        self.size = self.stride * (self.height + 2 * MARGIN)
        self._origin = MARGIN * (self.stride + 1)
        # As arrays, because NumPy takes them in half the time of Python's numbers.
        self._down, self._start = np.array(self.stride, np.int64), np.array(self._origin, np.int64)
        self.smoke = smoke
        self._terrain = np.full((self.height + 2 * MARGIN, self.stride), Terrain.WALL, np.uint8)
        self._terrain[MARGIN:-MARGIN, MARGIN:-MARGIN] = terrain
        self.stamp = 0
        self._smoke_stamp = -1
        dxs, dys, self._line_counts = _line_table()
        self._lines = np.ascontiguousarray((dys.astype(np.int64) * self.stride + dxs).T)
        # From the difference of two flat addresses to the row of the line table.
        self._farthest = LINE_MAX * (self.stride + 1)
        dy, dx = np.divmod(np.arange((2 * LINE_MAX + 1) * self.stride), self.stride)
        self._offset_of = dy * (2 * LINE_MAX + 1) + dx
        self.neighbours: NDArray[np.int64] = np.array([-self.stride, -1, 1, self.stride], np.int64)
        """Offsets to the neighbours in the fixed order N, W, E, S."""
        self.from_north: NDArray[np.int64] = self.neighbours - self.neighbours[0]
        self._derive()

    def _derive(self) -> None:
        self.stamp += 1
        flat = self._terrain.ravel()
        self.wall: NDArray[np.bool_] = flat == Terrain.WALL
        self.cover: NDArray[np.bool_] = flat == Terrain.COVER
        self._fields: OrderedDict[int, NDArray[np.int32]] = OrderedDict()
        self._smoke_stamp = -1
        self.blocked_map: NDArray[np.bool_] = self.terrain == Terrain.WALL
        self.cover_map: NDArray[np.bool_] = self.terrain == Terrain.COVER

    @property
    def terrain(self) -> NDArray[np.uint8]:
        """The map without its margin, `[height, width] uint8`; a view, not to be written to."""
        return self._terrain[MARGIN:-MARGIN, MARGIN:-MARGIN]

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the canonical column: terrain without the margin."""
        return {"terrain": np.ascontiguousarray(self.terrain)}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over a column that `columns` returned; derived data is only built again if the column differs."""
        if not np.array_equal(self.terrain, columns["terrain"]):
            self._terrain[MARGIN:-MARGIN, MARGIN:-MARGIN] = columns["terrain"]
            self._derive()

    def set_cells(self, x: int, y: int, width: int, height: int, terrain: Terrain) -> None:
        """Change a rectangle of the map; cells outside the map are ignored."""
        self.terrain[y : y + height, x : x + width] = terrain
        self._derive()

    def set_where(self, cells: NDArray[np.bool_], terrain: Terrain) -> None:
        """Change the marked cells of the map, `[height, width]`."""
        self.terrain[cells] = terrain
        self._derive()

    def put(self, cells: Cells, terrain: Terrain) -> None:
        """Change single cells inside the map."""
        if len(cells):
            self._terrain.ravel()[cells] = terrain
            self._derive()

    def cell(self, x: NDArray[np.integer[Any]], y: NDArray[np.integer[Any]]) -> Cells:
        """Return the flat address of cells, int64."""
        cells: Cells = y * self._down
        cells += x
        cells += self._start
        return cells

    def cell_at(self, x: int, y: int) -> int:
        """Return the flat address of one cell."""
        return y * self.stride + x + self._origin

    def xy(self, cell: Cells) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return x and y of flat addresses on the map, int32."""
        y, x = np.divmod(cell - self._origin, self.stride)
        return x.astype(np.int32), y.astype(np.int32)

    def opaque(self) -> NDArray[np.bool_]:
        """Return which cells block sight now: walls and smoke, `[size] bool`."""
        if self._smoke_stamp != self.smoke.stamp:
            self._opaque = self.wall.copy()
            self._opaque[self.smoke.cell] = True
            self._smoke_stamp = self.smoke.stamp
        return self._opaque

    def sees(self, source: Cells, target: Cells) -> NDArray[np.bool_]:
        """Return whether the line between two cells at most `LINE_MAX` apart along each axis is clear, `[m] bool`."""
        if not len(source):
            return np.ones(0, np.bool_)
        if len(source) > LINES_TOGETHER:
            starts = range(0, len(source), LINES_TOGETHER)
            return np.concatenate(
                [self.sees(*(ends[at : at + LINES_TOGETHER] for ends in (source, target))) for at in starts]
            )
        opaque = self.opaque()
        offset = self._offset_of[target - source + self._farthest]
        count = self._line_counts[offset]
        longest = int(count[count.argmax()])
        # The first cells of their lines decide most of many pairs.
        stop = longest if len(source) * longest <= CELLS_AT_ONCE else LINE_START
        cells = self._lines[:stop].take(offset, axis=1)
        cells += source
        clear: NDArray[np.bool_] = ~np.logical_or.reduce(opaque[cells], axis=0)
        # Neighbours have no cell between them; their lines hold the own cell, which may be full of smoke.
        clear |= count == 0
        live = (clear & (count > stop)).nonzero()[0] if stop < longest else ()
        while len(live):
            start, stop = stop, stop + LINE_STRIDE if len(live) * (longest - stop) > LINES_AT_ONCE else longest
            cells = self._lines[start:stop].take(offset[live], axis=1)
            cells += source[live]
            hit = np.logical_or.reduce(opaque[cells], axis=0)
            clear[live[hit]] = False
            live = live[~hit & (count[live] > stop)] if stop < longest else ()
        return clear

    # -- walking ---------------------------------------------------------------------------------------------------

    def field(self, goal: int) -> NDArray[np.int32]:
        """Return the walking distance of every cell to the cell `goal`, `[size] int32`; `UNREACHABLE` if none."""
        known = self._fields.get(goal)
        if known is not None:
            self._fields.move_to_end(goal)
            return known
        distance = hops(np.array([goal]), ~self.wall, lambda level: (level[:, None] + self.neighbours).ravel())
        self._fields[goal] = distance
        while len(self._fields) > 1 and len(self._fields) * self.size > FIELDS_CELLS_MAX:
            self._fields.popitem(last=False)
        return distance


TEAMS_INDEXED_MAX: Final = 4
"""The most teams with an index layer each; with more, one layer holds all teams, and results are filtered."""


WORD_BITS: Final = 4
"""The index has a word of 64 cells for every 16th cell, so that any 49 cells of a row lie in one."""


@lru_cache(maxsize=128)
def _discs(most: int) -> NDArray[np.uint64]:
    """Return the cells of discs of radius 0 to `most` in each row of cells, as bits: `[most + 1, 2 * most + 1]`.

    The lowest bit is the cell `most` west of the middle.
    """
    discs = np.zeros((most + 1, 2 * most + 1), np.uint64)
    for radius in range(most + 1):
        for dy in range(-radius, radius + 1):
            reach = isqrt(radius * radius - dy * dy)
            discs[radius, most + dy] = ((1 << (2 * reach + 1)) - 1) << (most - reach)
    return discs


class Sightings(NamedTuple):
    """Pairs of a viewer and another agent: their rows and squared distances."""

    viewer: NDArray[np.intp]
    other: NDArray[np.intp]
    distance2: NDArray[np.int32]

    def at(self, places: NDArray[np.intp] | slice) -> Sightings:
        """Return the pairs at some positions."""
        return Sightings(self.viewer[places], self.other[places], self.distance2[places])

    def where(self, chosen: NDArray[np.bool_]) -> Sightings:
        """Return some of the pairs."""
        return self.at(chosen.nonzero()[0])

    def and_also(self, more: Sightings) -> Sightings:
        """Return these pairs and more."""
        return Sightings(
            np.concatenate([self.viewer, more.viewer]),
            np.concatenate([self.other, more.other]),
            np.concatenate([self.distance2, more.distance2]),
        )


class Occupancy:
    """The agents on each cell at one moment; built once per phase from the positions.

    `row_at [size] int32` is the row on a cell or -1, `closed [size]` marks cells that no agent can step on, `cells [n]`
    is the cell of a row, `team [n]` its team.
    """

    def __init__(self, grid: Grid, cells: Cells, team: NDArray[np.int8]) -> None:
        self.closed: NDArray[np.bool_] = grid.wall.copy()
        self.closed[cells] = True
        self.row_at: NDArray[np.int32] = np.empty(grid.size, np.int32)
        self.row_at.fill(-1)
        self.row_at[cells] = np.arange(len(cells), dtype=np.int32)
        self.grid = grid
        self.cells = cells
        self.team = team
        self._bits: tuple[NDArray[np.uint64], Cells, int, int] | None = None

    @cached_property
    def layers(self) -> int:
        """The number of sets of bits in which agents are looked up: one for each team, or one for all."""
        teams = int(self.team.max(initial=0)) + 1
        return teams if teams <= TEAMS_INDEXED_MAX else 1

    def near(
        self, rows: NDArray[np.intp], radius: NDArray[np.integer[Any]], *, hostile: bool
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return all pairs of an agent of `rows` and an agent of another team (or of its own) near it, both as rows.

        `radius [m]` is the distance within which each looks, at most `LINE_MAX` cells.
        """
        (viewer, other, _), _ = self.pairs(rows, radius, len(rows) if hostile else 0)
        if not hostile:
            apart = other != viewer
            viewer, other = viewer[apart], other[apart]
        return viewer, other

    def pairs(self, rows: NDArray[np.intp], radius: NDArray[np.integer[Any]], hostile: int) -> tuple[Sightings, int]:
        """Return all pairs of an agent of `rows` and another near it, visible or not, and the number of enemy pairs.

        The first `hostile` of `rows` look for enemies, the others for friends, and each finds itself among its friends.
        Pairs of enemies come first. `radius [m]` is the distance within which each looks, at most `LINE_MAX` cells.
        """
        if not len(rows):
            return Sightings(rows, rows, np.zeros(0, np.int32)), 0
        layers = self.layers
        if layers == 1:
            layer: NDArray[np.int64] = np.zeros(len(rows), np.int64)
        else:
            layer = self.team[rows].astype(np.int64)
            # Enemies are on the layers of the other teams, counted from the agent's own layer.
            looking, reach, own = rows[:hostile], radius[:hostile], layer[:hostile].copy()
            layer[:hostile] = (own + 1) % layers
            for beyond in range(2, layers):
                rows, radius = np.concatenate([looking, rows]), np.concatenate([reach, radius])
                layer = np.concatenate([(own + beyond) % layers, layer])
            hostile *= layers - 1
        parts, enemies = [], 0
        for start in range(0, len(rows), VIEWERS_TOGETHER):
            some = slice(start, start + VIEWERS_TOGETHER)
            part, number = self._within(rows[some], radius[some], layer[some], hostile - start)
            parts.append(part)
            enemies += number
        pairs = parts[0] if len(parts) == 1 else Sightings(*map(np.concatenate, zip(*parts, strict=True)))
        if layers == 1:
            meant = self.team[pairs.viewer] != self.team[pairs.other]
            meant[enemies:] ^= True
            pairs, enemies = pairs.where(meant), int(np.count_nonzero(meant[:enemies]))
        return pairs, enemies

    def _within(
        self, rows: NDArray[np.intp], radius: NDArray[np.integer[Any]], layer: NDArray[np.int64], first: int
    ) -> tuple[Sightings, int]:
        """Return all pairs of an agent of `rows` and an agent of its `layer` near it: by agent, then by cell.

        The number of pairs of the `first` agents is also returned.
        """
        words, spots, wide, plane = self._index()
        most = int(radius.max())
        discs, dy = _discs(most), np.arange(-most, most + 1)
        west = spots[rows] + layer * plane - most
        found = words.take((west >> WORD_BITS)[:, None] + dy * (wide >> WORD_BITS))
        found >>= (west & ((1 << WORD_BITS) - 1)).view(np.uint64)[:, None]
        found &= discs[most] if (radius == most).all() else discs.take(radius, axis=0)
        # In most rows of cells there is nobody; the others are read bit by bit.
        found = found.ravel()
        filled = (found != 0).nonzero()[0]
        place, line = np.divmod(filled, len(dy))
        looking = rows[place]
        size = most // 4 + 1
        bits = np.unpackbits(
            found[filled].astype("<u8").view(np.uint8).reshape(-1, 8)[:, :size], axis=1, bitorder="little"
        )
        at, dx = np.divmod(bits.ravel().view(np.bool_).nonzero()[0], 8 * size)
        dx -= most
        other = self.row_at[(self.cells[looking] + dy[line] * self.grid.stride)[at] + dx]
        dx *= dx
        dx += (dy * dy)[line][at]
        pairs = Sightings(looking[at], other.astype(np.intp), dx.astype(np.int32))
        return pairs, int(at.searchsorted(place.searchsorted(first)))

    def _index(self) -> tuple[NDArray[np.uint64], Cells, int, int]:
        """Return which cells are taken, by bit, and how to find them.

        A layer is a copy of the map for one team, laid end to end. With many teams, one layer holds all of them.

        Returns:
            words: the 64 bits from every 16th bit on.
            spots: the bit of each agent on the first layer, `[n]`.
            wide: bits of a row of cells: its cells, rounded up to 16.
            plane: bits of a layer.
        """
        if self._bits is None:
            grid = self.grid
            wide = -(-grid.stride >> WORD_BITS) << WORD_BITS
            plane = grid.size // grid.stride * wide
            spots = self.cells // grid.stride
            spots *= wide - grid.stride
            spots += self.cells
            taken = np.zeros(self.layers * plane + 64, np.bool_)
            taken[spots if self.layers == 1 else spots + self.team * np.int64(plane)] = True
            bits = np.packbits(taken, bitorder="little")
            words = np.ndarray(self.layers * plane >> WORD_BITS, "<u8", bits, strides=(1 << WORD_BITS >> 3,))
            self._bits = words.astype(np.uint64), spots, wide, plane
        return self._bits
