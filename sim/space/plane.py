"""A plane: continuous space in fixed point, bounded or a torus.

Positions, offsets and lengths are integers that count *points*; `scale` points make one unit of length. A position has
0 <= x < width * scale and the same for y. On a torus the offset between two positions is the shortest one; of two
equally short offsets, the negative one. No floating-point number reaches a result, so results are equal on every
machine.
"""

from __future__ import annotations

from math import isqrt as _isqrt
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from sim.errors import WorldError
from sim.space.arrays import Ints, below, by_place, flat, numbers_below, together, whole
from sim.space.grid import Grid

POINTS_MAX: Final = 2**30
"""The most points along a side; with it the square of any distance fits into 62 bits."""
SQUARE_MAX: Final = 2**62
"""The largest number that `isqrt` accepts."""
NEAREST_MAX: Final = 1_000
"""The most neighbours that `nearest` lists for an agent."""
STEP_MAX: Final = 2**31
"""The longest step along one axis, points."""


class Plane:
    """A rectangle or torus of `width * height` units.

    Args:
        width: units.
        height: units.
        scale: points per unit. A side has at most `POINTS_MAX` points.
        torus: whether opposite edges meet.

    Attributes:
        points_x: points along x; positions are below this.
        points_y: points along y.

    Raises:
        WorldError: a side or the scale is out of range.
    """

    kind: Final = "plane"

    def __init__(self, width: int, height: int, *, scale: int = 1000, torus: bool = False) -> None:
        self.scale = whole(scale, "plane scale", 1, POINTS_MAX)
        self.width = whole(width, "plane width", 1, POINTS_MAX // self.scale)
        self.height = whole(height, "plane height", 1, POINTS_MAX // self.scale)
        self.torus = bool(torus)
        self.points_x, self.points_y = self.width * self.scale, self.height * self.scale

    def __repr__(self) -> str:
        return f"Plane({self.width}, {self.height}, scale={self.scale}, torus={self.torus})"

    def describe(self) -> dict[str, Any]:
        """Return the description for viewers and file headers: kind, width, height, scale, torus."""
        return {
            "kind": self.kind,
            "width": self.width,
            "height": self.height,
            "scale": self.scale,
            "torus": self.torus,
        }

    def anywhere(self, words_x: ArrayLike, words_y: ArrayLike) -> tuple[Ints, Ints]:
        """Return random positions, one for each pair of random words (0..2**32-1)."""
        return below(words_x, self.points_x), below(words_y, self.points_y)

    # -- distances -------------------------------------------------------------------------------------------------

    def offset(self, x: ArrayLike, y: ArrayLike, to_x: ArrayLike, to_y: ArrayLike) -> tuple[Ints, Ints]:
        """Return dx and dy from positions to positions, int64 points; on a torus the shortest ones.

        Raises:
            WorldError: a position lies outside the plane.
        """
        (from_x, from_y), (end_x, end_y) = self._positions(x, y), self._positions(to_x, to_y)
        together("positions", from_x, from_y, end_x, end_y)
        return self._shortest(end_x - from_x, end_y - from_y)

    def distance2(self, x: ArrayLike, y: ArrayLike, to_x: ArrayLike, to_y: ArrayLike) -> Ints:
        """Return dx * dx + dy * dy between positions, points squared."""
        dx, dy = self.offset(x, y, to_x, to_y)
        return np.asarray(dx * dx + dy * dy)

    # -- moving ----------------------------------------------------------------------------------------------------

    def move(self, x: ArrayLike, y: ArrayLike, dx: ArrayLike, dy: ArrayLike) -> tuple[Ints, Ints]:
        """Return positions after steps; a torus wraps them, a bounded plane stops them at its edges.

        Args:
            x: points.
            y: points.
            dx: points, at most `STEP_MAX` in either direction.
            dy: points.

        Raises:
            WorldError: a position lies outside the plane, or a step is too long.
        """
        from_x, from_y = self._positions(x, y)
        by_x = numbers_below(dx, STEP_MAX + 1, "dx", -STEP_MAX)
        by_y = numbers_below(dy, STEP_MAX + 1, "dy", -STEP_MAX)
        together("x, y, dx and dy", from_x, from_y, by_x, by_y)
        to_x, to_y = from_x + by_x, from_y + by_y
        if self.torus:
            return np.asarray(to_x % self.points_x), np.asarray(to_y % self.points_y)
        return np.clip(to_x, 0, self.points_x - 1), np.clip(to_y, 0, self.points_y - 1)

    def toward(
        self, x: ArrayLike, y: ArrayLike, goal_x: ArrayLike, goal_y: ArrayLike, step: ArrayLike
    ) -> tuple[Ints, Ints]:
        """Return positions after a step of at most `step` points straight towards a goal, without overshooting it.

        Args:
            x: points.
            y: points.
            goal_x: points.
            goal_y: points.
            step: 0 to `POINTS_MAX`, one for all, or one per agent. `unit` describes how directions are rounded.

        Raises:
            WorldError: a position lies outside the plane, or a step is out of range.
        """
        dx, dy = self.offset(x, y, goal_x, goal_y)
        length = numbers_below(step, POINTS_MAX + 1, "step")
        together("positions and steps", dx, length)
        near = dx * dx + dy * dy <= length * length
        step_x, step_y = unit(dx, dy, length)
        return self.move(x, y, np.where(near, dx, step_x), np.where(near, dy, step_y))

    # -- agents near each other ------------------------------------------------------------------------------------

    def pairs(self, x: ArrayLike, y: ArrayLike, radius: int) -> tuple[Ints, Ints]:
        """Return all pairs of two different agents at most `radius` apart, each pair in both orders.

        Args:
            x: points, `[n]`.
            y: points, `[n]`.
            radius: points, 0 or more; the comparison is exact.

        Returns:
            Rows `i [p]` and `j [p]`, sorted by i and then by j.

        Raises:
            WorldError: a position lies outside the plane, or more than `PAIRS_MAX` pairs must be compared.
        """
        i, j, _ = self._near(x, y, radius)
        return by_place(i, j)

    def nearest(self, x: ArrayLike, y: ArrayLike, radius: int, k: int) -> Ints:
        """Return up to k nearest other agents within a radius of each agent: `[n, k] int64` rows, padded with -1.

        Args:
            x: points, `[n]`.
            y: points, `[n]`.
            radius: points, 0 or more.
            k: 1 to `NEAREST_MAX`; the nearest come first, ties by row.

        Raises:
            WorldError: as `pairs`, or k is out of range.
        """
        most = whole(k, "k", 1, NEAREST_MAX)
        i, j, distance2 = self._near(x, y, radius)
        order = np.lexsort((j, distance2, i))
        i, j = i[order], j[order]
        count = np.bincount(i, minlength=np.size(x))
        place = np.arange(len(i)) - (count.cumsum() - count)[i]
        found = np.full((np.size(x), most), -1, np.int64)
        kept = place < most
        found[i[kept], place[kept]] = j[kept]
        return found

    # -- private ---------------------------------------------------------------------------------------------------

    def _positions(self, x: ArrayLike, y: ArrayLike) -> tuple[Ints, Ints]:
        return numbers_below(x, self.points_x, "x"), numbers_below(y, self.points_y, "y")

    def _shortest(self, dx: Ints, dy: Ints) -> tuple[Ints, Ints]:
        if self.torus:
            dx = (dx + self.points_x // 2) % self.points_x - self.points_x // 2
            dy = (dy + self.points_y // 2) % self.points_y - self.points_y // 2
        return dx, dy

    def _near(self, x: ArrayLike, y: ArrayLike, radius: int) -> tuple[Ints, Ints, Ints]:
        """Return the pairs of `pairs` by i only, and their squared distances."""
        at_x, at_y = self._positions(flat(x, "x"), flat(y, "y"))
        if len(at_x) != len(at_y):
            raise WorldError(f"{len(at_x)} x for {len(at_y)} y; there must be one of each per agent")
        reach = whole(radius, "radius", 0, 2**31)
        # Cells are at least as wide as the radius, so that agents in reach are in the same or the next cell. More cells
        # than agents would not help.
        most = _isqrt(len(at_x)) + 1
        across, down = (max(min(side // max(reach, 1), most), 1) for side in (self.points_x, self.points_y))
        cells = Grid(across, down, torus=self.torus)
        index = cells.index(cells.cell(at_x * across // self.points_x, at_y * down // self.points_y))
        i, j = index.unsorted(index.places)
        dx, dy = self._shortest(at_x[j] - at_x[i], at_y[j] - at_y[i])
        distance2 = dx * dx + dy * dy
        kept = (distance2 <= reach * reach) & (i != j)
        return i[kept], j[kept], distance2[kept]


def isqrt(squares: ArrayLike) -> Ints:
    """Return the square root of each number, rounded down, int64; exact for 0 to `SQUARE_MAX`.

    Raises:
        WorldError: a number is out of range.
    """
    square = numbers_below(squares, SQUARE_MAX + 1, "squares")
    # The floating-point guess is off by at most one; integer arithmetic corrects it.
    root = np.asarray(np.sqrt(square)).astype(np.int64)
    root -= root * root > square
    root += (root + 1) * (root + 1) <= square
    return np.asarray(root)


def length(dx: ArrayLike, dy: ArrayLike) -> Ints:
    """Return the length of offsets, rounded down, points; dx and dy are at most `POINTS_MAX` in either direction.

    Raises:
        WorldError: an offset is out of range.
    """
    x, y = _offsets(dx, dy)
    return isqrt(x * x + y * y)


def unit(dx: ArrayLike, dy: ArrayLike, size: ArrayLike) -> tuple[Ints, Ints]:
    """Return vectors with the direction of offsets and the length `size`; (0, 0) for (0, 0).

    Each component is rounded to the nearest integer, halves away from zero, after a division that is accurate to about
    28 bits. Its error is less than 0.51 for sizes up to 2**20 and less than 4 for larger sizes.

    Args:
        dx: points, at most `POINTS_MAX` in either direction.
        dy: points.
        size: 0 to `POINTS_MAX`, one for all, or one per vector; the scale of a plane gives unit vectors in fixed point.

    Raises:
        WorldError: an offset or size is out of range.
    """
    x, y = _offsets(dx, dy)
    wide, high = np.abs(x), np.abs(y)
    # Short offsets are scaled up first, so that the rounding of their length does not matter.
    for bits in (16, 8, 4, 2, 1):
        shift = np.where(np.maximum(wide, high) < 2 ** (30 - bits), bits, 0)
        wide, high = wide << shift, high << shift
    long = np.maximum(isqrt(wide * wide + high * high), 1)
    scaled = numbers_below(size, POINTS_MAX + 1, "size")
    together("offsets and sizes", wide, scaled)
    return np.sign(x) * ((wide * scaled + long // 2) // long), np.sign(y) * ((high * scaled + long // 2) // long)


def _offsets(dx: ArrayLike, dy: ArrayLike) -> tuple[Ints, Ints]:
    x = numbers_below(dx, POINTS_MAX + 1, "dx", -POINTS_MAX)
    y = numbers_below(dy, POINTS_MAX + 1, "dy", -POINTS_MAX)
    together("dx and dy", x, y)
    return x, y
