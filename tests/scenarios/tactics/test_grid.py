"""The map: sight lines, smoke, walking distances, who stands where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios.tactics.grid import LINE_MAX, SIGHT_MAX, Grid, Occupancy, Smoke, Terrain, disc
from sim.space import UNREACHABLE
from tests.reference.lockstep import Dice
from tests.reference.slow_tick import ball, distance2, line

CELLS = st.tuples(st.integers(0, 21), st.integers(0, 13))


def grid_of(*rows: str) -> Grid:
    """Return the grid of a drawn map."""
    return Grid(np.array([[".+#".index(glyph) for glyph in row] for row in rows], np.uint8), Smoke())


def random_grid(seed: int, width: int = 22, height: int = 14, walls: int = 4) -> Grid:
    """Return a grid on which about one cell in `walls` is wall."""
    dice = Dice(seed)
    return grid_of(*("".join("#" if not dice.below(walls) else "." for _ in range(width)) for _ in range(height)))


def sees(grid: Grid, a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Ask for one pair of cells."""
    return bool(grid.sees(np.array([grid.cell_at(*a)]), np.array([grid.cell_at(*b)]))[0])


@given(a=CELLS, b=CELLS, seed=st.integers(0, 50))
def test_sight_is_symmetric(a: tuple[int, int], b: tuple[int, int], seed: int) -> None:
    """Whoever sees a cell is seen from it."""
    grid = random_grid(seed)
    assert sees(grid, a, b) == sees(grid, b, a)


@given(a=CELLS, b=CELLS, seed=st.integers(0, 50))
def test_sight_runs_along_the_documented_line(a: tuple[int, int], b: tuple[int, int], seed: int) -> None:
    """Two cells see each other when no cell of the line between them, ends left out, stops sight."""
    grid = random_grid(seed)
    clear = all(not grid.wall[grid.cell_at(x, y)] for x, y in line(a, b))
    assert sees(grid, a, b) == clear


@pytest.mark.parametrize("at_once", [0, 10**9])
def test_sight_reaches_every_offset_that_anyone_may_ask_for(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """From one cell to each other at most LINE_MAX away along each axis, all in one call, equals the walk."""
    for limit in ("LINES_AT_ONCE", "CELLS_AT_ONCE"):
        monkeypatch.setattr(f"scenarios.tactics.grid.{limit}", at_once)
    side = LINE_MAX + 1
    grid = random_grid(3, side, side, walls=12)
    cells = [(x, y) for y in range(side) for x in range(side)]
    targets = np.array([grid.cell_at(*cell) for cell in cells])
    for source in ((0, 0), (LINE_MAX, 0), (0, LINE_MAX), (LINE_MAX, LINE_MAX)):
        found = grid.sees(np.full(len(cells), grid.cell_at(*source)), targets)
        expected = [all(not grid.wall[grid.cell_at(*cell)] for cell in line(source, target)) for target in cells]
        assert found.tolist() == expected


def test_ends_of_a_sight_line_are_left_out() -> None:
    """A wall or smoke on either end does not stop sight, one between the ends does."""
    grid = grid_of("#..#")
    assert sees(grid, (0, 0), (3, 0))
    grid.smoke.add(np.array([grid.cell_at(3, 0)]), 5)
    assert sees(grid, (0, 0), (3, 0))
    grid.smoke.add(np.array([grid.cell_at(2, 0)]), 5)
    assert not sees(grid, (0, 0), (3, 0))
    assert sees(grid, (1, 0), (2, 0))


def test_smoke_stops_sight_until_its_tick() -> None:
    """Smoke ends at its tick, not before; where two clouds meet, the longer one counts."""
    grid = grid_of("...")
    middle = np.array([grid.cell_at(1, 0)])
    grid.smoke.add(middle, 9)
    grid.smoke.add(middle, 4)
    grid.smoke.expire(8)
    assert not sees(grid, (0, 0), (2, 0))
    grid.smoke.expire(9)
    assert sees(grid, (0, 0), (2, 0))
    assert len(grid.smoke.cell) == 0


def test_smoke_cells_ascend_without_doubles() -> None:
    """The columns of smoke are canonical whatever order clouds came in."""
    one, two = Smoke(), Smoke()
    one.add(np.array([5, 3, 5]), 7)
    one.add(np.array([4]), 9)
    two.add(np.array([4, 3]), 9)
    two.add(np.array([5]), 7)
    two.until[two.cell == 3] = 7
    assert {name: column.tolist() for name, column in one.columns().items()} == {
        name: column.tolist() for name, column in two.columns().items()
    }
    assert one.columns()["cell"].tolist() == [3, 4, 5]


def test_adding_no_smoke_changes_nothing() -> None:
    """An empty cloud leaves the stamp alone."""
    smoke = Smoke()
    smoke.add(np.zeros(0, np.int64), 5)
    assert smoke.stamp == 0


def _distances(grid: Grid, goal: tuple[int, int]) -> dict[tuple[int, int], int]:
    found = {goal: 0} if not grid.wall[grid.cell_at(*goal)] else {}
    edge = list(found)
    while edge:
        following = []
        for x, y in edge:
            for cell in ((x, y - 1), (x - 1, y), (x + 1, y), (x, y + 1)):
                if not grid.wall[grid.cell_at(*cell)] and cell not in found:
                    found[cell] = found[x, y] + 1
                    following.append(cell)
        edge = following
    return found


@given(goal=CELLS, seed=st.integers(0, 50))
def test_flow_fields_hold_walking_distances(goal: tuple[int, int], seed: int) -> None:
    """A field equals a breadth-first search from its goal; where there is no way it is UNREACHABLE."""
    grid = random_grid(seed, walls=3)
    field = grid.field(int(grid.cell_at(*goal)))
    expected = _distances(grid, goal)
    assert field.shape == (grid.size,)
    for y in range(grid.height):
        for x in range(grid.width):
            assert field[grid.cell_at(x, y)] == expected.get((x, y), UNREACHABLE)
    assert int((field != UNREACHABLE).sum()) == len(expected)


def test_changing_cells_changes_what_follows_from_them() -> None:
    """After set_cells walking distances, sight and maps are those of the new terrain."""
    grid = grid_of("...")
    goal = int(grid.cell_at(2, 0))
    assert grid.field(goal)[grid.cell_at(0, 0)] == 2
    grid.set_cells(1, 0, 1, 1, Terrain.WALL)
    assert grid.field(goal)[grid.cell_at(0, 0)] == UNREACHABLE
    assert not sees(grid, (0, 0), (2, 0))
    assert grid.blocked_map.tolist() == [[False, True, False]]
    grid.set_cells(1, 0, 1, 1, Terrain.COVER)
    assert grid.field(goal)[grid.cell_at(0, 0)] == 2
    assert grid.cover_map.tolist() == [[False, True, False]]


def test_restoring_terrain_restores_what_follows_from_it() -> None:
    """A restored grid answers like the one its columns came from, and its stamp never repeats for other content."""
    grid = grid_of("...", "...")
    before = {name: column.copy() for name, column in grid.columns().items()}
    stamp = grid.stamp
    grid.set_cells(1, 0, 1, 2, Terrain.WALL)
    grid.restore(before)
    assert grid.stamp > stamp
    assert sees(grid, (0, 0), (2, 0))
    assert grid.field(int(grid.cell_at(2, 0)))[grid.cell_at(0, 0)] == 2


def test_cells_and_coordinates_are_one_another() -> None:
    """Flat addresses and x, y convert into each other."""
    grid = grid_of("....", "....")
    x, y = np.array([0, 3, 2]), np.array([0, 1, 0])
    back = grid.xy(grid.cell_at(x, y))
    assert [column.tolist() for column in back] == [x.tolist(), y.tolist()]


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_a_disc_holds_the_cells_within_its_radius_nearest_first(radius: int) -> None:
    """A disc has exactly the offsets within the radius, by distance, then dy, then dx."""
    found = disc(radius)
    assert sorted(found) == sorted(ball((0, 0), radius))
    assert found == sorted(found, key=lambda offset: (distance2((0, 0), offset), offset[1], offset[0]))


@pytest.mark.parametrize("hostile", [True, False])
@pytest.mark.parametrize("indexed", [0, 8])
@given(
    cells=st.lists(CELLS, min_size=1, max_size=20, unique=True),
    teams=st.lists(st.integers(0, 3), min_size=20, max_size=20),
    radius=st.integers(0, SIGHT_MAX),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_near_finds_exactly_the_pairs_within_the_radius(
    monkeypatch: pytest.MonkeyPatch,
    indexed: int,
    hostile: bool,  # noqa: FBT001
    cells: list[tuple[int, int]],
    teams: list[int],
    radius: int,
) -> None:
    """All pairs of an asked agent and another of the side meant come back once each, and no other, by either way."""
    monkeypatch.setattr("scenarios.tactics.grid.TEAMS_INDEXED_MAX", indexed)
    grid = grid_of(*["." * 22] * 14)
    places = np.array([grid.cell_at(*cell) for cell in cells])
    asked = np.arange(0, len(cells), 2)
    occupancy = Occupancy(grid, places, np.array(teams[: len(cells)], np.int8))
    mine, other = occupancy.near(asked, np.full(len(asked), radius), hostile=hostile)
    expected = [
        (viewer, row)
        for viewer in asked.tolist()
        for row in range(len(cells))
        if row != viewer
        and (teams[row] != teams[viewer]) == hostile
        and distance2(cells[viewer], cells[row]) <= radius * radius
    ]
    assert sorted(zip(mine.tolist(), other.tolist(), strict=True)) == expected
