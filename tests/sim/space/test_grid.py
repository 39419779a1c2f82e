"""The grid against the same rules cell by cell: addresses, neighbourhoods, distances, steps and ways."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import WorldError
from sim.space import UNREACHABLE, Grid
from sim.space import grid as grid_module
from tests.sim.space import slow
from tests.sim.space.slow import RADII, WORD, grids, masks, numbers, places


@given(grid=grids())
def test_each_cell_has_one_address_and_back(grid):
    """Addresses are 0..size-1, and xy gives the coordinates back."""
    x, y = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    cells = grid.cell(x, y)
    assert sorted(cells.ravel().tolist()) == list(range(grid.size))
    back_x, back_y = grid.xy(cells)
    assert np.array_equal(back_x, x)
    assert np.array_equal(back_y, y)


@given(grid=grids(), x=st.integers(-20, 20), y=st.integers(-20, 20))
def test_a_torus_wraps_coordinates_and_a_bounded_grid_refuses_them(grid, x, y):
    """Coordinates beyond the edge come in on the other side of a torus and are an error elsewhere."""
    if grid.inside(x, y):
        assert int(grid.cell(x, y)) == (y % grid.height) * grid.width + x % grid.width
    else:
        assert not grid.torus
        assert not (0 <= x < grid.width and 0 <= y < grid.height)
        with pytest.raises(WorldError, match="must be in 0"):
            grid.cell(x, y)


@given(grid=grids(), radius=RADII, moore=st.booleans(), data=st.data())
def test_neighbourhoods_hold_each_cell_in_reach_once_and_in_map_order(grid, radius, moore, data):
    """Leaving -1 out, the neighbours of a cell are all other cells within the radius, by dy and then by dx."""
    cells = data.draw(places(grid.size))
    found = grid.neighbours(cells, radius, moore=moore)
    assert found.dtype == np.int64
    assert len(found) == len(cells)
    for cell, row in zip(cells, found.tolist(), strict=True):
        assert [other for other in row if other >= 0] == slow.around(grid, cell, radius, moore=moore)
        assert not grid.torus or -1 not in row


@given(grid=grids(torus=False), radius=RADII, moore=st.booleans())
def test_a_column_of_neighbours_is_one_direction(grid, radius, moore):
    """On a bounded grid each column of `neighbours` is one offset, which gives -1 outside."""
    columns = [
        (dx, dy)
        for dy in range(1 - grid.height, grid.height)
        for dx in range(1 - grid.width, grid.width)
        if (dx or dy) and (max(abs(dx), abs(dy)) if moore else abs(dx) + abs(dy)) <= radius
    ]
    x, y = grid.xy(np.arange(grid.size))
    expected = [np.where(grid.inside(x + dx, y + dy), (y + dy) * grid.width + x + dx, -1) for dx, dy in columns]
    found = grid.neighbours(np.arange(grid.size), radius, moore=moore)
    assert found.T.tolist() == [column.tolist() for column in expected]


def test_the_order_of_neighbours_is_that_of_the_map():
    """NW, N, NE, W, E, SW, S, SE; without diagonals N, W, E, S."""
    grid = Grid(3, 3)
    assert grid.neighbours([4]).tolist() == [[0, 1, 2, 3, 5, 6, 7, 8]]
    assert grid.neighbours([4], moore=False).tolist() == [[1, 3, 5, 7]]
    assert grid.neighbours([0]).tolist() == [[-1, -1, -1, -1, 1, -1, 3, 4]]


@given(grid=grids(), radius=RADII, moore=st.booleans(), data=st.data())
def test_tables_make_no_difference(grid, radius, moore, data):
    """Neighbours that are worked out for the cells in question equal those from the table."""
    cells = data.draw(places(grid.size))
    expected = grid.neighbours(cells, radius, moore=moore)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid_module, "TABLE_MAX", 0)
        fresh = Grid(grid.width, grid.height, torus=grid.torus)
        assert np.array_equal(fresh.neighbours(cells, radius, moore=moore), expected)


def test_tables_of_many_radii_are_dropped_and_made_again():
    """Asking for more neighbourhoods than are kept changes none of them."""
    grid = Grid(30, 30)
    first = [grid.neighbours([435], radius).tolist() for radius in range(12)]
    assert len(grid._tables) <= grid_module.TABLES_MAX
    assert [grid.neighbours([435], radius).tolist() for radius in range(12)] == first


@given(grid=grids(), data=st.data())
def test_distances_take_the_shortest_way_round(grid, data):
    """Offsets and the three distances equal those of the plain rules."""
    cells = st.lists(st.integers(0, grid.size - 1), min_size=4, max_size=4)
    source, target = data.draw(cells), data.draw(cells)
    offsets = [slow.offset(grid, a, b) for a, b in zip(source, target, strict=True)]
    dx, dy = grid.offset(source, target)
    assert list(zip(dx.tolist(), dy.tolist(), strict=True)) == offsets
    assert grid.chebyshev(source, target).tolist() == [max(abs(dx), abs(dy)) for dx, dy in offsets]
    assert grid.manhattan(source, target).tolist() == [abs(dx) + abs(dy) for dx, dy in offsets]
    assert grid.distance2(source, target).tolist() == [dx * dx + dy * dy for dx, dy in offsets]


@given(grid=grids(), radius=RADII, moore=st.booleans(), small=st.sampled_from([0, 2**13]), data=st.data())
def test_sums_around_are_sums_over_neighbours(grid, radius, moore, small, data):
    """`sum_around` equals gathering the neighbours of each cell and adding them up, for numbers of any size."""
    most = data.draw(st.sampled_from([3, 2**12, 2**15, 2**28, 2**31, 2**40]))
    values = data.draw(numbers(grid.size, -most, most))
    around = grid.neighbours(np.arange(grid.size), radius, moore=moore)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.space.grid.SMALL_MAP", small)
        found = grid.sum_around(values, radius, moore=moore)
    assert found.dtype == np.int64
    assert found.tolist() == grid.gather(values, around).sum(1).tolist()


@given(grid=grids(), outside=st.integers(-5, 5), data=st.data())
def test_gathering_reads_a_value_of_its_own_outside(grid, outside, data):
    """-1 reads `outside`, each other cell its own value, in the type of the values."""
    values = data.draw(numbers(grid.size)).astype(np.int16)
    cells = data.draw(st.lists(st.integers(-1, grid.size - 1)))
    found = grid.gather(values, np.array(cells, np.int64), outside)
    assert found.dtype == np.int16
    assert found.tolist() == [values[cell] if cell >= 0 else outside for cell in cells]


@given(grid=grids(), radius=st.integers(0, 3), moore=st.booleans(), data=st.data())
def test_a_step_takes_the_drawn_one_of_the_best_neighbours(grid, radius, moore, data):
    """Of the allowed neighbours with the highest score, the word picks one by its share of 2**32; else nobody moves."""
    cells = data.draw(places(grid.size))
    words = data.draw(st.lists(WORD, min_size=len(cells), max_size=len(cells)))
    allowed = data.draw(st.none() | masks(grid.size))
    score = data.draw(st.none() | masks(grid.size) | numbers(grid.size) | numbers(grid.size).map(np.int8))
    expected = []
    for cell, word in zip(cells, words, strict=True):
        open_ = [c for c in slow.around(grid, cell, radius, moore=moore) if allowed is None or allowed[c]]
        best = [c for c in open_ if score is None or score[c] == max(score[o] for o in open_)]
        expected.append(best[word * len(best) >> 32] if best else cell)
    found = grid.step(cells, words, score=score, allowed=allowed, radius=radius, moore=moore)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@given(grid=grids(), moore=st.booleans(), data=st.data())
def test_fields_hold_the_steps_to_the_nearest_goal(grid, moore, data):
    """A field equals a plain breadth-first search, for any goals and walls."""
    goals, passable = data.draw(places(grid.size)), data.draw(masks(grid.size))
    expected = slow.search(grid.size, goals, passable, lambda cell: slow.around(grid, cell, 1, moore=moore))
    assert grid.field(goals, passable, moore=moore).tolist() == expected


@given(grid=grids(), moore=st.booleans(), data=st.data())
def test_ways_lead_to_the_goal_in_as_many_steps_as_were_promised(grid, moore, data):
    """An agent that follows `along` arrives after `steps_to` steps, and stays where there is no way."""
    passable = data.draw(st.none() | masks(grid.size))
    cells = data.draw(places(grid.size))
    goals = data.draw(st.lists(st.integers(0, grid.size - 1), min_size=len(cells), max_size=len(cells)))
    steps = grid.steps_to(cells, goals, passable, moore=moore)
    here = np.array(cells, np.int64)
    for done in range(int(steps[steps < UNREACHABLE].max(initial=0)) + 1):
        arrived = steps <= done
        assert (here[arrived] == np.array(goals, np.int64)[arrived]).all()
        lost = (steps == UNREACHABLE) & (True if passable is None else passable[cells])
        assert (here[lost] == np.array(cells, np.int64)[lost]).all()
        here = grid.along(here, goals, passable, moore=moore)


def test_a_walker_steps_off_a_wall():
    """An agent whose cell became a wall goes on to its goal if it can, though no way starts on the wall."""
    grid, passable = Grid(3, 1), np.array([True, False, False])
    assert grid.steps_to([1, 2], 0, passable).tolist() == [UNREACHABLE, UNREACHABLE]
    assert grid.along([1, 2], 0, passable).tolist() == [0, 2]


@given(grid=grids(), moore=st.booleans(), data=st.data())
def test_descending_takes_the_first_lowest_neighbour_that_is_open(grid, moore, data):
    """`descend` goes to the lowest allowed neighbour below the own score, ties in map order."""
    cells = data.draw(places(grid.size))
    score = data.draw(numbers(grid.size) | numbers(grid.size).map(np.int32) | masks(grid.size))
    allowed = data.draw(st.none() | masks(grid.size))
    expected = []
    for cell in cells:
        lower = [
            other
            for other in slow.around(grid, cell, 1, moore=moore)
            if score[other] < score[cell] and (allowed is None or allowed[other])
        ]
        expected.append(min(lower, key=lambda other: score[other]) if lower else cell)
    assert grid.descend(cells, score, allowed=allowed, moore=moore).tolist() == expected


@given(grid=grids(), data=st.data())
def test_kept_fields_never_answer_for_another_terrain(grid, data):
    """A terrain that changes in place, any number of times and back again, gets the fields of a fresh grid."""
    goals = data.draw(places(grid.size, 2))
    passable = np.ones(grid.size, np.bool_)
    for cell in data.draw(places(grid.size)):
        passable[cell] ^= True
        fresh = Grid(grid.width, grid.height, torus=grid.torus)
        assert np.array_equal(grid.field(goals, passable), fresh.field(goals, passable))
        assert np.array_equal(grid.field(goals), fresh.field(goals))
    assert len(grid._terrains) <= grid_module.TERRAINS_MAX
    assert {terrain for terrain, _, _ in grid._fields} <= {0, *grid._terrains}


def test_fields_are_kept_within_a_bound(monkeypatch):
    """Old fields go when all together are too large, and a kept one is handed out without another search."""
    monkeypatch.setattr(grid_module, "FIELDS_CELLS_MAX", 25)
    grid = Grid(3, 3)
    first, second = grid.field(0), grid.field(1)
    assert grid.field(0) is first
    grid.field(2)
    assert grid.field(0) is first
    assert grid.field(1) is not second
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


@given(grid=grids(), data=st.data())
def test_scattering_takes_different_allowed_cells_by_word(grid, data):
    """The cells with the lowest words are taken, ties by address."""
    words = data.draw(st.lists(WORD | st.integers(0, 2), min_size=grid.size, max_size=grid.size))
    allowed = data.draw(masks(grid.size))
    count = data.draw(st.integers(0, int(allowed.sum())))
    order = sorted((word, cell) for cell, word in enumerate(words) if allowed[cell])
    assert grid.scatter(words, count, allowed).tolist() == [cell for _, cell in order[:count]]


@given(words=st.lists(WORD))
def test_anywhere_is_a_cell_for_each_word(words):
    """A word stands for the cell at its share of 2**32, so that every cell is equally likely."""
    assert Grid(7, 5).anywhere(np.array(words, np.uint32)).tolist() == [word * 35 >> 32 for word in words]


def test_a_description_is_plain_data():
    """A description survives JSON, as viewers and file headers need."""
    described = Grid(4, 3, torus=True, many=False).describe()
    assert json.loads(json.dumps(described)) == {
        "kind": "grid",
        "width": 4,
        "height": 3,
        "torus": True,
        "many": False,
    }


def test_nobody_asks_for_nothing():
    """Empty arrays give empty answers everywhere."""
    grid = Grid(4, 3)
    assert grid.neighbours([]).shape == (0, 8)
    for found in (grid.step([], []), grid.along([], 3), grid.along([], []), grid.steps_to([], 3), grid.xy([])[0]):
        assert found.shape == (0,)
    assert grid.field([]).tolist() == [UNREACHABLE] * 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda grid: Grid(0, 3), "grid width is 0"),
        (lambda grid: Grid(3, True), "grid height is True"),
        (lambda grid: Grid(3, 2.0), "grid height is 2.0"),
        (lambda grid: Grid(32768, 32768), "1,073,741,824 cells; at most 16,777,216"),
        (lambda grid: grid.neighbours([12]), "cells hold 12; they must be in 0..11"),
        (lambda grid: grid.neighbours([-1]), "cells hold -1"),
        (lambda grid: grid.neighbours([0.5]), "cells must be integers, not float64"),
        (lambda grid: grid.neighbours([[1]]), "cells must be a flat array"),
        (lambda grid: grid.neighbours([1], -1), "radius is -1"),
        (lambda grid: grid.xy(np.uint64(2**63)), "does not fit into 64 bits"),
        (lambda grid: grid.cell([1, 2], [1, 2, 3]), r"x and y differ in length: shapes \(2,\), \(3,\)"),
        (lambda grid: grid.distance2([1, 2], [1, 2, 3]), "source and target differ in length"),
        (lambda grid: grid.step([1], []), r"words of shape \(0,\) for 1 agents"),
        (lambda grid: grid.step([1], [2**32]), "words hold 4294967296"),
        (lambda grid: grid.step([1], [1], score=np.zeros(12)), "score must be booleans or signed integers"),
        (lambda grid: grid.step([1], [1], score=np.zeros(12, np.uint64)), "score must be booleans or signed integers"),
        (lambda grid: grid.step([1], [1], allowed=[True]), "allowed must have one value for each of the 12 places"),
        (lambda grid: grid.along([1, 2], [3]), "1 goals for 2 agents"),
        (lambda grid: grid.field(12), "goals hold 12"),
        (lambda grid: grid.sees([1, 2], [3], np.zeros(12, np.bool_)), "2 sources for 1 targets"),
        (lambda grid: grid.scatter(np.zeros(12, int), 3, np.arange(12) < 2), "3 agents need a cell each, and only 2"),
        (lambda grid: grid.scatter(np.zeros(12, int), 13), "count is 13"),
        (lambda grid: grid.gather(np.zeros(12, int), [-2]), "cells hold -2"),
    ],
)
def test_wrong_arguments_are_one_sentence(call, message):
    """A wrong argument is refused with its name and its limits."""
    with pytest.raises(WorldError, match=message) as refusal:
        call(Grid(4, 3))
    assert "\n" not in str(refusal.value)


def test_too_many_neighbours_are_refused_before_memory_is_taken():
    """A neighbourhood of the whole map for many agents is an error, and no crash."""
    grid = Grid(4096, 4096)
    with pytest.raises(WorldError, match="at most 50,000,000"):
        grid.neighbours([0, 1], 10**9)
