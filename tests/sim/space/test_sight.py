"""Lines of sight against a walk along each line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.space import Grid, sight
from tests.sim.space import slow
from tests.sim.space.slow import grids, masks


def seen(grid: Grid, source: int, target: int, blocked: np.ndarray) -> bool:
    """Walk along the line between two cells."""
    dx, dy = slow.offset(grid, source, target)
    start = source
    if (dy, dx) < (0, 0):
        start, dx, dy = target, *slow.offset(grid, target, source)
    # Half way round a torus the offset is the same from both ends; the line starts at the lower address.
    both_ways = slow.offset(grid, source, target) == slow.offset(grid, target, source)
    if grid.torus and ((2 * dy == -grid.height) or (dy == 0 and both_ways)):
        start = min(source, target)
        dx, dy = slow.offset(grid, start, max(source, target))
    x, y = start % grid.width, start // grid.width
    return not any(blocked[(y + ly) % grid.height * grid.width + (x + lx) % grid.width] for lx, ly in slow.line(dx, dy))


@given(grid=grids(), data=st.data())
def test_sight_runs_along_the_documented_line(grid, data):
    """Two cells see each other if no blocked cell stands on the line between them, ends left out."""
    blocked = data.draw(masks(grid.size))
    source, target = (part.ravel() for part in np.divmod(np.arange(grid.size**2), grid.size))
    expected = [seen(grid, a, b, blocked) for a, b in zip(source.tolist(), target.tolist(), strict=True)]
    assert grid.sees(source, target, blocked).tolist() == expected


@given(grid=grids(), data=st.data())
def test_sight_is_symmetric(grid, data):
    """If one cell sees another, it is seen from there, on a torus too."""
    blocked = data.draw(masks(grid.size))
    source, target = (part.ravel() for part in np.divmod(np.arange(grid.size**2), grid.size))
    assert np.array_equal(grid.sees(source, target, blocked), grid.sees(target, source, blocked))


@pytest.mark.parametrize("at_once", [0, 10**9])
@pytest.mark.parametrize("reach", [0, 32])
@pytest.mark.parametrize("torus", [False, True])
def test_neither_tables_nor_the_size_of_bites_change_what_is_seen(monkeypatch, at_once, reach, torus):
    """Long and short lines, looked up or worked out, whole or in parts, equal the walk."""
    grid = Grid(90, 80, torus=torus)
    words = np.random.default_rng(5).integers(0, grid.size, (2, 400))
    source, target = words[0], np.where(np.arange(400) < 200, words[1], (words[0] + words[1] % 700) % grid.size)
    blocked = np.random.default_rng(6).integers(0, 30, grid.size) == 0
    monkeypatch.setattr(sight, "CELLS_AT_ONCE", at_once)
    monkeypatch.setattr(sight, "TABLE_REACH", reach)
    sight._table.cache_clear()
    expected = [seen(grid, a, b, blocked) for a, b in zip(source.tolist(), target.tolist(), strict=True)]
    assert 40 < sum(expected) < 360
    assert grid.sees(source, target, blocked).tolist() == expected
    sight._table.cache_clear()


def test_every_offset_of_the_table_is_its_line():
    """From the middle of a map, all cells within reach of the table are seen as a walk says."""
    side = 2 * sight.TABLE_REACH + 1
    grid = Grid(side, side)
    blocked = np.random.default_rng(7).integers(0, 25, grid.size) == 0
    middle = np.full(grid.size, grid.size // 2)
    expected = [seen(grid, grid.size // 2, cell, blocked) for cell in range(grid.size)]
    assert grid.sees(middle, np.arange(grid.size), blocked).tolist() == expected


def test_ends_do_not_stop_sight():
    """An agent in a blocked cell sees its neighbours and is seen; a blocked cell between two stops both."""
    grid = Grid(3, 1)
    assert grid.sees([0, 0, 0], [0, 1, 2], [True, False, True]).tolist() == [True, True, True]
    assert grid.sees([0, 2], [2, 0], [False, True, False]).tolist() == [False, False]
    assert grid.sees([], [], [False] * 3).tolist() == []
