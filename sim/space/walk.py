"""Next cells for walking agents, and claims to them: pure functions for the verbs and systems of domains.

`Grid.step` (a random neighbour), `Grid.along` (on a shortest path) and `Grid.descend` (down a field) belong to the same
family. All return the cell that each agent wants next, or its own cell if it finds none. On a grid that takes one agent
per cell, `settled` then decides which of them move; settle all agents that move in a phase in one call.
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
        cells: the cells of the agents, `[k]`.
        goals: one cell for all, or `[k]`.
        allowed: cells that may be entered now, `[size]`; by default all.
        moore: whether diagonal steps are possible.

    Returns:
        Cells, `[k]`; the agent's own cell if no allowed neighbour is nearer. Ties go to the first in map order.

    Raises:
        WorldError: a cell is out of range, or the lengths differ.
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
        raise WorldError(f"goals of shape {np.shape(others)} for {len(here)} agents; one for all, or one per agent")
    around = grid.neighbours(here, moore=moore).T
    # Any cell can stand in for one outside the map, because no agent can choose it.
    scores = grid.distance2(np.maximum(around, 0), others) * sign
    return grid.lowest(here, around, scores, now, allowed)


def winners(targets: ArrayLike, rows: ArrayLike) -> NDArray[np.bool_]:
    """Return which claims win, `[k] bool`: for each target the claim of the lowest row.

    Args:
        targets: the claimed targets, `[k]` integers in 0..2**31-2: cells, nodes or rows.
        rows: the row of each claimant, `[k]`; rows are in key order.

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
    """Return the cells of agents after all of them have tried to move at once.

    On a grid that takes many agents per cell, every agent gets the cell that it wants. On a grid that takes one, an
    agent gets it if it was empty before and no agent with a lower row wants it. A cell that an agent leaves in this
    step is not free yet, so the result does not depend on any order.

    Args:
        grid: the grid of the cells.
        cells: the cells of all agents, `[n]`, by row.
        rows: the agents that move, `[k]`, in any order, none twice.
        wanted: the cell that each of them wants, `[k]`; the own cell to stay.

    Returns:
        The new cells of `rows`, `[k]`; for an agent that could not move, its own cell.

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
    # A claim on a taken cell may win but has no effect; it does not compete with claims on free cells.
    return np.where(winners(goals, movers) & ~taken[goals], goals, everybody[movers])
