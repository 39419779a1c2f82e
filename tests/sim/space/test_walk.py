"""Next cells of walkers, and who of them may move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import WorldError
from sim.space import Grid, walk
from tests.sim.space import slow
from tests.sim.space.slow import grids, masks, places


@given(grid=grids(), moore=st.booleans(), flee=st.booleans(), data=st.data())
def test_straight_walkers_take_the_first_best_neighbour(grid, moore, flee, data):
    """`toward` and `away` go where the squared distance is best, ties in map order, and only if it gets better."""
    cells = data.draw(places(grid.size))
    goals = data.draw(st.lists(st.integers(0, grid.size - 1), min_size=len(cells), max_size=len(cells)))
    allowed = data.draw(st.none() | masks(grid.size))
    sign = -1 if flee else 1
    expected = []
    for cell, goal in zip(cells, goals, strict=True):

        def distance(other, goal=goal):
            dx, dy = slow.offset(grid, other, goal)
            return sign * (dx * dx + dy * dy)

        better = [
            other
            for other in slow.around(grid, cell, 1, moore=moore)
            if distance(other) < distance(cell) and (allowed is None or allowed[other])
        ]
        expected.append(min(better, key=distance) if better else cell)
    found = (walk.away if flee else walk.toward)(grid, cells, goals, allowed=allowed, moore=moore)
    assert found.tolist() == expected


def test_one_goal_stands_for_all():
    """A single cell as goal is the goal of everybody."""
    grid = Grid(5, 1)
    assert walk.toward(grid, [0, 4, 2], 2).tolist() == [1, 3, 2]
    assert walk.away(grid, [0, 4, 1], 2).tolist() == [0, 4, 0]
    assert walk.toward(grid, [], 2).tolist() == []


@given(claims=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9))), data=st.data())
def test_the_lowest_row_wins_each_target_in_any_order(claims, data):
    """One claim wins each target, that of the lowest row, whatever the order of the claims."""
    claims = data.draw(st.permutations(list(dict.fromkeys(claims))))
    won = walk.winners([target for target, _ in claims], [row for _, row in claims])
    lowest = {target: min(row for other, row in claims if other == target) for target, _ in claims}
    assert won.tolist() == [row == lowest[target] for target, row in claims]


def test_of_equal_claims_one_wins():
    """An agent that claims one target twice gets it once."""
    assert walk.winners([3, 3, 3], [5, 2, 2]).tolist() == [False, True, False]


@given(grid=grids(many=False), data=st.data())
def test_settled_moves_keep_one_agent_a_cell(grid, data):
    """A free cell goes to the lowest row that wants it, in any order; nobody enters a cell that was taken."""
    cells = data.draw(st.lists(st.integers(0, grid.size - 1), unique=True))
    rows = data.draw(st.permutations(range(len(cells)))) if cells else []
    rows = rows[: data.draw(st.integers(0, len(rows)))]
    wanted = data.draw(st.lists(st.integers(0, grid.size - 1), min_size=len(rows), max_size=len(rows)))
    expected = []
    for row, goal in zip(rows, wanted, strict=True):
        rivals = [other for other, there in zip(rows, wanted, strict=True) if there == goal]
        expected.append(goal if goal not in cells and row == min(rivals) else cells[row])
    found = walk.settled(grid, cells, rows, wanted)
    assert found.tolist() == expected
    after = np.array(cells, np.int64)
    after[rows] = found
    assert len(set(after.tolist())) == len(cells)


def test_where_many_may_stand_everybody_moves():
    """A grid that takes many agents a cell settles nothing."""
    assert walk.settled(Grid(3, 3), [1, 2, 3], [0, 2], [2, 2]).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda grid: walk.settled(grid, [1, 2], [2], [3]), "rows hold 2; they must be in 0..1"),
        (lambda grid: walk.settled(grid, [1, 2], [1], [9]), "wanted hold 9"),
        (lambda grid: walk.settled(grid, [1, 2], [1], [3, 4]), "2 wanted cells for 1 rows"),
        (lambda grid: walk.winners([1, 2], [1]), "1 rows for 2 targets"),
        (lambda grid: walk.winners([-1], [1]), "targets hold -1"),
        (lambda grid: walk.toward(grid, [1, 2], [[1], [2]]), "goals of shape"),
        (lambda grid: walk.toward(grid, [1, 2, 3], [1, 2]), "differ in length"),
    ],
)
def test_wrong_arguments_are_one_sentence(call, message):
    """A wrong argument is refused with its name and its limits."""
    with pytest.raises(WorldError, match=message):
        call(Grid(3, 3, many=False))
