"""The plane in fixed point: distances, moves and neighbours, against Python's integers."""

from __future__ import annotations

import json
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import WorldError
from sim.space import Plane, plane
from tests.sim.space import slow


@st.composite
def crowds(draw, most: int = 14):
    """Draw a plane, from one point up, with positions on it."""
    space = Plane(
        draw(st.integers(1, 6)), draw(st.integers(1, 6)), scale=draw(st.integers(1, 7)), torus=draw(st.booleans())
    )
    point = st.tuples(st.integers(0, space.points_x - 1), st.integers(0, space.points_y - 1))
    points = draw(st.lists(point, max_size=most))
    return space, np.array([x for x, _ in points], np.int32), np.array([y for _, y in points], np.int32)


def squares(space, x, y) -> list[list[int]]:
    """Return the squared distances of all positions."""

    def along(a, b, side):
        return slow.shortest(int(b) - int(a), side, torus=space.torus) ** 2

    agents = range(len(x))
    return [[along(x[a], x[b], space.points_x) + along(y[a], y[b], space.points_y) for b in agents] for a in agents]


@given(crowd=crowds(), radius=st.integers(0, 60))
def test_pairs_are_all_pairs_in_reach_in_row_order(crowd, radius):
    """The squares decide exactly; both ways round, sorted by the first and then by the second row."""
    space, x, y = crowd
    all_squares = squares(space, x, y)
    agents = range(len(x))
    expected = [(i, j) for i in agents for j in agents if i != j and all_squares[i][j] <= radius**2]
    i, j = space.pairs(x, y, radius)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == expected


@given(crowd=crowds(), radius=st.integers(0, 60), k=st.integers(1, 5))
def test_the_nearest_come_first_and_ties_by_row(crowd, radius, k):
    """Up to k others within the radius, by distance and then by row; -1 behind them."""
    space, x, y = crowd
    expected = []
    for i, row in enumerate(squares(space, x, y)):
        near = sorted((square, j) for j, square in enumerate(row) if i != j and square <= radius**2)[:k]
        expected.append([j for _, j in near] + [-1] * (k - len(near)))
    found = space.nearest(x, y, radius, k)
    assert found.shape == (len(x), k)
    assert found.tolist() == expected


@pytest.mark.parametrize("torus", [False, True])
def test_cells_miss_nobody_on_a_large_plane(torus):
    """With cells of many sizes, the pairs of 300 agents equal those of all distances."""
    space = Plane(97, 61, scale=1000, torus=torus)
    words = np.random.default_rng(8).integers(0, 2**32, (2, 300))
    x, y = space.anywhere(*words)
    distance2 = space.distance2(x[:, None], y[:, None], x, y)
    np.fill_diagonal(distance2, 2**62)
    for radius in (0, 1, 900, 5_000, 12_000, 31_000, 200_000):
        i, j = (distance2 <= radius * radius).nonzero()
        found = space.pairs(x, y, radius)
        assert np.array_equal(found[0], i)
        assert np.array_equal(found[1], j)


@given(crowd=crowds(), data=st.data())
def test_a_move_wraps_or_stops_at_the_edge(crowd, data):
    """A torus takes the remainder, a bounded plane the nearest point inside."""
    space, x, y = crowd
    step = st.integers(-100, 100) | st.sampled_from([-plane.STEP_MAX, plane.STEP_MAX])
    dx, dy = (np.array(data.draw(st.lists(step, min_size=len(x), max_size=len(x))), np.int64) for _ in range(2))
    for found, at, by, side in zip(
        space.move(x, y, dx, dy), (x, y), (dx, dy), (space.points_x, space.points_y), strict=True
    ):
        straight = [int(a) + int(b) for a, b in zip(at, by, strict=True)]
        assert found.dtype == np.int64
        assert found.tolist() == [p % side if space.torus else min(max(p, 0), side - 1) for p in straight]


@given(crowd=crowds(), data=st.data())
def test_a_walker_reaches_its_goal_and_never_overshoots(crowd, data):
    """A step is at most a point longer than asked for, and ends on a goal that is in reach."""
    space, x, y = crowd
    goal_x, goal_y = data.draw(st.permutations(x.tolist())), data.draw(st.permutations(y.tolist()))
    step = data.draw(st.integers(0, 20))
    before = space.distance2(x, y, goal_x, goal_y)
    to_x, to_y = space.toward(x, y, goal_x, goal_y, step)
    after = space.distance2(to_x, to_y, goal_x, goal_y)
    assert (after[before <= step * step] == 0).all()
    assert (after <= before).all()
    assert (space.distance2(x, y, to_x, to_y) <= (step + 1) ** 2).all()


@given(values=st.lists(st.integers(0, plane.SQUARE_MAX) | st.integers(0, 2**31).map(lambda r: r * r)))
def test_roots_are_exact(values):
    """`isqrt` equals Python's, and so it does one below and at each square."""
    around = [v for value in values for v in (value - 1, value) if v >= 0]
    assert plane.isqrt(np.array(around, np.int64)).tolist() == [isqrt(value) for value in around]


@given(
    dx=st.integers(-plane.POINTS_MAX, plane.POINTS_MAX) | st.integers(-9, 9),
    dy=st.integers(-plane.POINTS_MAX, plane.POINTS_MAX) | st.integers(-9, 9),
    size=st.integers(0, plane.POINTS_MAX) | st.integers(0, 2**20),
)
def test_a_unit_vector_is_the_nearest_in_whole_points(dx, dy, size):
    """Each component is as near to the true one as promised, signs included."""
    x, y = (int(part) for part in plane.unit(dx, dy, size))
    if dx == dy == 0:
        assert (x, y) == (0, 0)
        return
    # The true component dx * size / length, to 60 binary digits.
    long = Fraction(isqrt((dx * dx + dy * dy) << 120), 2**60)
    error = Fraction(51, 100) if size <= 2**20 else 4
    assert abs(x - dx * size / long) < error
    assert abs(y - dy * size / long) < error


def test_short_offsets_keep_their_direction():
    """A diagonal of one point is no longer than any other unit vector."""
    assert [part.tolist() for part in plane.unit([1, -3, 0], [1, 4, -5], 1000)] == [[707, -600, 0], [707, 800, -1000]]
    assert plane.length([1, -3], [1, 4]).tolist() == [1, 5]


@given(crowd=crowds())
def test_no_float_comes_out(crowd):
    """Every array is int64."""
    space, x, y = crowd
    results = (
        *space.move(x, y, 3, -3),
        *space.toward(x, y, x, y, 5),
        *space.offset(x, y, y % space.points_x, x % space.points_y),
        *space.pairs(x, y, 9),
        space.nearest(x, y, 9, 2),
        *plane.unit(x, y, 9),
        plane.length(x, y),
    )
    assert {array.dtype for array in results} == {np.dtype(np.int64)}


def test_a_description_is_plain_data():
    """A description survives JSON, as viewers and file headers need."""
    described = Plane(4, 3, scale=10, torus=True).describe()
    assert json.loads(json.dumps(described)) == {"kind": "plane", "width": 4, "height": 3, "scale": 10, "torus": True}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda space: Plane(0, 1), "plane width is 0"),
        (lambda space: Plane(1, 2**21, scale=1000), "plane height is 2097152; it must be a whole number in 1..1073741"),
        (lambda space: Plane(1, 1, scale=0), "plane scale is 0"),
        (lambda space: space.pairs([40], [0], 1), "x hold 40; they must be in 0..39"),
        (lambda space: space.pairs([0], [0, 1], 1), "1 x for 2 y"),
        (lambda space: space.pairs([0.5], [0], 1), "x must be integers"),
        (lambda space: space.pairs([0], [0], -1), "radius is -1"),
        (lambda space: space.nearest([0], [0], 1, 0), "k is 0"),
        (lambda space: space.move([0, 1], [0, 1], [1, 2, 3], 0), "differ in length"),
        (lambda space: space.move([0], [0], 2**31 + 1, 0), "dx hold 2147483649"),
        (lambda space: space.toward([0], [0], [1], [1], -1), "step hold -1"),
        (lambda space: space.toward([0, 1], [0, 1], [1, 1], [1, 1], [1, 2, 3]), "differ in length"),
        (lambda space: space.distance2([0, 1], [0, 1], [1, 2, 3], 0), "differ in length"),
        (lambda space: plane.isqrt([-1]), "squares hold -1"),
        (lambda space: plane.unit([2**31], [0], 1), "dx hold 2147483648"),
    ],
)
def test_wrong_arguments_are_one_sentence(call, message):
    """A wrong argument is refused with its name and its limits."""
    with pytest.raises(WorldError, match=message):
        call(Plane(4, 3, scale=10))
