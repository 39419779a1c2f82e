"""The spaces again, cell by cell in plain Python, to compare the real ones with."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from hypothesis import strategies as st

from sim.space import UNREACHABLE, Grid

WORD = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 7)
RADII = st.integers(0, 9)


@st.composite
def grids(draw, *, many=True, torus=None):
    """Draw a small grid, down to one cell."""
    wraps = draw(st.booleans()) if torus is None else torus
    return Grid(draw(SIDES), draw(SIDES), torus=wraps, many=many)


def masks(size: int) -> st.SearchStrategy[np.ndarray]:
    """Draw one boolean a place."""
    return st.lists(st.booleans(), min_size=size, max_size=size).map(lambda values: np.array(values, np.bool_))


def numbers(size: int, low: int = -3, high: int = 3) -> st.SearchStrategy[np.ndarray]:
    """Draw one small number a place."""
    return st.lists(st.integers(low, high), min_size=size, max_size=size).map(lambda values: np.array(values, np.int64))


def places(size: int, most: int = 12) -> st.SearchStrategy[list[int]]:
    """Draw some cells or nodes, repeats included."""
    return st.lists(st.integers(0, size - 1), max_size=most)


def shortest(offset: int, side: int, *, torus: bool) -> int:
    """Return an offset along one axis, the negative of two equally short ones."""
    return min((offset, offset - side, offset + side), key=lambda d: (abs(d), d)) if torus else offset


def offset(grid: Grid, source: int, target: int) -> tuple[int, int]:
    """Return dx and dy between two cells."""
    (x, y), (to_x, to_y) = (divmod(cell, grid.width)[::-1] for cell in (source, target))
    return (
        shortest(to_x - x, grid.width, torus=grid.torus),
        shortest(to_y - y, grid.height, torus=grid.torus),
    )


def steps_between(grid: Grid, source: int, target: int, *, moore: bool) -> int:
    """Return the distance of two cells in steps."""
    dx, dy = offset(grid, source, target)
    return max(abs(dx), abs(dy)) if moore else abs(dx) + abs(dy)


def around(grid: Grid, cell: int, radius: int, *, moore: bool) -> list[int]:
    """Return the neighbourhood of a cell in map order, without what lies outside."""
    near = [
        other for other in range(grid.size) if other != cell and steps_between(grid, cell, other, moore=moore) <= radius
    ]
    return sorted(near, key=lambda other: offset(grid, cell, other)[::-1])


def search(size: int, sources: Iterable[int], passable: np.ndarray, links) -> list[int]:
    """Return the hops from the nearest source; `links(place)` lists the places one step away."""
    distance = [UNREACHABLE] * size
    queue = deque(place for place in set(sources) if passable[place])
    for place in queue:
        distance[place] = 0
    while queue:
        place = queue.popleft()
        for other in links(place):
            if passable[other] and distance[other] == UNREACHABLE:
                distance[other] = distance[place] + 1
                queue.append(other)
    return distance


def line(dx: int, dy: int) -> list[tuple[int, int]]:
    """Return the cells between the ends of a line, as offsets from the end where it starts."""
    n = max(abs(dx), abs(dy))
    return [((2 * i * dx + n) // (2 * n), (2 * i * dy + n) // (2 * n)) for i in range(1, n)]
