"""Next cells for walking agents, and who may take them: pure functions for the verbs and systems of domains.

`Grid.step` (a random neighbour), `Grid.along` (by the shortest way on foot) and `Grid.descend` (down a field) belong to
the same family. All return the cell that each agent wants next, its own if it finds none. On a grid that takes one
agent a cell, `settled` then decides who of them moves; settle all agents that move in a phase in one call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.errors import WorldError
from sim.space.arrays import ROWS_MAX, Ints, by_place, flat, numbers_below
from sim.space.grid import Grid


def toward(
    grid: Grid, cells: ArrayLike, goals: ArrayLike, *, allowed: ArrayLike | None = None, moore: bool = True
) -> Ints:
    """Return the allowed neighbour that is nearest to each agent's goal in a straight line, if it is nearer.

    It looks one step ahead only; `Grid.along` finds ways around walls.

    Args:
        grid: the grid of the cells.
        cells: where the agents stand, `[k]`.
        goals: one cell for all, or `[k]`.
        allowed: cells that may be entered now, `[size]`; by default all.
        moore: whether diagonal steps are possible.

    Returns:
        Cells, `[k]`; the own cell where no allowed neighbour is nearer. Ties go to the first in the order of the map.

    Raises:
        WorldError: a cell is out of range, or a length does not fit.
    """
    return _by_distance(grid, cells, goals, allowed, sign=1, moore=moore)


def away(
    grid: Grid, cells: ArrayLike, threats: ArrayLike, *, allowed: ArrayLike | None = None, moore: bool = True
) -> Ints:
    """Return the allowed neighbour that is farthest from a cell in a straight line, if it is farther; see `toward`."""
    return _by_distance(grid, cells, threats, allowed, sign=-1, moore=moore)


def _by_distance(
    grid: Grid, cells: ArrayLike, others: ArrayLike, allowed: ArrayLike | None, *, sign: int, moore: bool
) -> Ints:
    here = flat(cells, "cells")
    now = grid.distance2(here, others) * sign
    if now.shape != here.shape:
        raise WorldError(f"goals of shape {np.shape(others)} for {len(here)} agents; one for all, or one an agent")
    around = grid.neighbours(here, moore=moore).T
    # Outside of the map any cell may stand in, since nobody can choose it.
    scores = grid.distance2(np.maximum(around, 0), others) * sign
    return grid.lowest(here, around, scores, now, allowed)


def won(targets: ArrayLike, rows: ArrayLike) -> NDArray[np.bool_]:
    """Return which claims win, `[k] bool`: on each target the one of the lowest row.

    Args:
        targets: what each claims, `[k]` integers in 0..2**31-2: cells, nodes or rows.
        rows: who claims it, `[k]`; rows are in the order of keys.

    Raises:
        WorldError: a number is out of range, or the lengths differ.
    """
    wanted = numbers_below(flat(targets, "targets"), ROWS_MAX, "targets")
    claimants = numbers_below(flat(rows, "rows"), ROWS_MAX, "rows")
    if len(wanted) != len(claimants):
        raise WorldError(f"{len(claimants)} rows for {len(wanted)} targets; there must be one a claim")
    by_row = claimants.argsort(kind="stable")
    target, place = by_place(wanted[by_row], np.arange(len(wanted)))
    first = np.ones(len(target), np.bool_)
    np.not_equal(target[1:], target[:-1], out=first[1:])
    result = np.zeros(len(target), np.bool_)
    result[by_row[place[first]]] = True
    return result


def settled(grid: Grid, cells: ArrayLike, rows: ArrayLike, wanted: ArrayLike) -> Ints:
    """Return where agents stand after all of them have tried to move at once.

    On a grid that takes many agents a cell, everybody gets the wanted cell. On a grid that takes one, an agent gets it
    if nobody stood there before and no agent of a lower row wants it; a cell that is left in this very step is not yet
    free, so that the result does not depend on any order.

    Args:
        grid: the grid of the cells.
        cells: where all agents stand, `[n]`, by row.
        rows: the agents that move, `[k]`, in any order, none twice.
        wanted: the cell that each of them wants, `[k]`; the own cell to stay.

    Returns:
        The new cells of `rows`, `[k]`; for agents that could not move, the own cell.

    Raises:
        WorldError: a row or cell is out of range, or the lengths differ.
    """
    everybody = numbers_below(flat(cells, "cells"), grid.size, "cells")
    movers = numbers_below(flat(rows, "rows"), len(everybody), "rows")
    goals = numbers_below(flat(wanted, "wanted"), grid.size, "wanted")
    if len(movers) != len(goals):
        raise WorldError(f"{len(goals)} wanted cells for {len(movers)} rows; there must be one a row")
    if grid.many:
        return goals.copy()
    taken = np.zeros(grid.size, np.bool_)
    taken[everybody] = True
    # A claim on a taken cell may win, but comes to nothing; it competes with no claim on a free cell.
    return np.where(won(goals, movers) & ~taken[goals], goals, everybody[movers])
