"""The index of agents by cell, against loops over all agents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import WorldError
from sim.space import Grid, Index, arrays
from tests.sim.space import slow
from tests.sim.space.slow import RADII, grids, places


@st.composite
def crowds(draw):
    """Draw a grid, cells of agents on it and their rows."""
    grid = draw(grids())
    cells = draw(places(grid.size))
    rows = sorted(draw(st.sets(st.integers(0, 40), min_size=len(cells), max_size=len(cells))))
    return grid, cells, rows


@given(crowd=crowds())
def test_an_index_knows_who_stands_where(crowd):
    """Counts, rows of a cell, the lowest and nth row and the rank equal those of a plain dictionary."""
    grid, cells, rows = crowd
    index = grid.index(cells, rows)
    on: dict[int, list[int]] = {cell: [] for cell in range(grid.size)}
    for row, cell in zip(rows, cells, strict=True):
        on[cell].append(row)
    assert index.count.tolist() == [len(on[cell]) for cell in range(grid.size)]
    assert [index.rows_at(cell).tolist() for cell in range(grid.size)] == list(on.values())
    assert index.rank.tolist() == [on[cell].index(row) for row, cell in zip(rows, cells, strict=True)]
    asked = [-1, *range(grid.size)]
    assert index.first(asked).tolist() == [-1, *(on[cell][0] if on[cell] else -1 for cell in range(grid.size))]
    for rank in range(3):
        expected = [-1, *(on[cell][rank] if len(on[cell]) > rank else -1 for cell in range(grid.size))]
        assert index.nth(asked, rank).tolist() == expected
        assert index.nth(asked, np.full(len(asked), rank)).tolist() == expected
    which, row = index.on(list(range(grid.size))[::-1])
    pairs = [(place, row) for place, cell in enumerate(reversed(range(grid.size))) for row in on[cell]]
    assert list(zip(which.tolist(), row.tolist(), strict=True)) == pairs


@given(crowd=crowds(), radius=RADII, moore=st.booleans())
def test_pairs_are_all_pairs_in_reach_in_row_order(crowd, radius, moore):
    """Both ways round, nobody with itself, sorted by the first and then by the second row."""
    grid, cells, rows = crowd
    expected = [
        (row, other)
        for row, cell in zip(rows, cells, strict=True)
        for other, there in zip(rows, cells, strict=True)
        if row != other and slow.steps_between(grid, cell, there, moore=moore) <= radius
    ]
    i, j = grid.index(cells, rows).pairs(radius, moore=moore)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == expected


@given(crowd=crowds(), radius=RADII, moore=st.booleans(), data=st.data())
def test_near_finds_everybody_in_reach_of_any_cell(crowd, radius, moore, data):
    """For cells in any order, those on the cell itself included."""
    grid, cells, rows = crowd
    asked = data.draw(places(grid.size))
    expected = [
        (place, row)
        for place, middle in enumerate(asked)
        for row, cell in zip(rows, cells, strict=True)
        if slow.steps_between(grid, middle, cell, moore=moore) <= radius
    ]
    which, row = grid.index(cells, rows).near(asked, radius, moore=moore)
    assert list(zip(which.tolist(), row.tolist(), strict=True)) == expected


@given(crowd=crowds())
def test_first_takes_the_shape_of_a_neighbourhood(crowd):
    """`first(neighbours)` says who stands around each cell."""
    grid, cells, rows = crowd
    index = grid.index(cells, rows)
    around = grid.neighbours(np.arange(grid.size))
    assert index.first(around).tolist() == [[int(index.first(cell)) for cell in row] for row in around.tolist()]


@given(grid=grids(), data=st.data())
def test_two_crowds_pair_one_to_one(grid, data):
    """With `nth` and `rank` no prey has two hunters, and a cell pairs as many as the smaller crowd has."""
    hunters, prey = grid.index(data.draw(places(grid.size))), grid.index(data.draw(places(grid.size)))
    caught = prey.nth(hunters.places, hunters.rank)
    found = caught[caught >= 0]
    assert len(set(found.tolist())) == len(found) == int(np.minimum(hunters.count, prey.count).sum())
    assert (prey.places[found] == hunters.places[caught >= 0]).all()


def test_a_grid_for_one_a_cell_refuses_crowds():
    """The message names the cell and those who stand on it."""
    grid = Grid(4, 3, many=False)
    assert grid.index([3, 6]).count.sum() == 2
    with pytest.raises(WorldError, match=r"cell \(2, 1\) holds 2 agents \(rows \[7, 9\]"):
        grid.index([6, 3, 6], [7, 8, 9])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Index([0, 4], 4), "places hold 4; they must be in 0..3"),
        (lambda: Index([0, 1], 4, [1]), "1 rows for 2 places"),
        (lambda: Index([0, 1], 4, [2, 2]), "rows must ascend"),
        (lambda: Index([0, 1], 4, [2, 1]), "rows must ascend"),
        (lambda: Index([0, 1], 4).first([-2]), "places hold -2; they must be in -1..3"),
        (lambda: Index([0, 1], 4).nth([1], -1), "ranks hold -1"),
        (lambda: Index([0, 1], 4).nth([1, 2, 3], [0, 1]), "places and ranks differ in length"),
        (lambda: Index([0, 1], 4).rows_at(4), "place is 4; it must be a whole number in 0..3"),
    ],
)
def test_wrong_arguments_are_one_sentence(call, message):
    """A wrong argument is refused with its name and its limits."""
    with pytest.raises(WorldError, match=message):
        call()


def test_too_many_pairs_are_refused(monkeypatch):
    """A crowd on one cell is an error, and no crash."""
    monkeypatch.setattr(arrays, "PAIRS_MAX", 99)
    index = Grid(3, 3).index([4] * 10)
    with pytest.raises(WorldError, match="pairs within 0: 100 pairs; at most 99"):
        index.pairs(0)
    with pytest.raises(WorldError, match=r"index\.on: 100 pairs"):
        index.on([4] * 10)
