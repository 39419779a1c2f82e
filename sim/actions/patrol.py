"""Patrol: a round of several cells."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ai.actions import NONE, Cell, Payload
from sim.actions.base import Action, Args, Codes, Refused, Rows, Turn, Walk, first_of
from sim.actions.movement import CROWDED_CELLS, CROWDED_TRIES
from sim.grid import UNREACHABLE, Cells

WAYPOINTS_MAX: Final = 16
"""Cells of one round."""
ROUTES_CACHED: Final = 4096
"""Routes that are kept read."""
_ROUTE, _LEG = 0, 1
"""Where the index of the route and the number of waypoints passed stand in a step's arguments."""


class Patrol(Walk):
    """Walk from cell to cell, and back to the first; a cell that is crowded counts as reached."""

    act: Literal["Patrol"] = "Patrol"
    waypoints: Annotated[tuple[Cell, ...], Field(min_length=2, max_length=WAYPOINTS_MAX), Payload()]
    cells_per_second: ClassVar[int] = 2

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse routes of which the next cell cannot be reached on foot."""
        return first_of((turn.steps_to(rows, cls._goals(turn, args, _legs(args))) == UNREACHABLE, Refused.UNREACHABLE))

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return whose round is over; whoever has passed a waypoint goes to the next one from the next tick on."""
        there = cls._there(turn, rows, args)
        legs = _legs(args) + there
        passed = there.nonzero()[0]
        if len(passed):
            turn.rewrite(rows[passed], _LEG, legs[passed])
        over: NDArray[np.bool_] = legs > _lengths(turn, args)
        return over

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour nearest to the next waypoint on foot."""
        return turn.along(rows, cls._goals(turn, args, _legs(args) + cls._there(turn, rows, args)))

    @classmethod
    def _there(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return who stands on the waypoint it goes to, or is held up in a crowd near it."""
        goals = cls._goals(turn, args, _legs(args))
        there: NDArray[np.bool_] = turn.cells(rows) == goals
        held_up = (~there & (turn.progress.tries[rows] >= CROWDED_TRIES)).nonzero()[0]
        if len(held_up):
            there[held_up] = turn.steps_to(rows[held_up], goals[held_up]) <= CROWDED_CELLS
        return there

    @classmethod
    def _goals(cls, turn: Turn, args: Args, legs: NDArray[np.int32]) -> Cells:
        """Return the waypoint that each agent goes to next; after the last one comes the first."""
        goals = np.zeros(len(legs), np.int64)
        for index in np.unique(args[_ROUTE]).tolist():
            members = args[_ROUTE] == index
            x, y = _route(turn.payload(index))
            goals[members] = turn.grid.cell(x, y)[legs[members] % len(x)]
        return goals


def _legs(args: Args) -> NDArray[np.int32]:
    return np.where(args[_LEG] == NONE, 0, args[_LEG])


def _lengths(turn: Turn, args: Args) -> NDArray[np.int64]:
    routes, inverse = np.unique(args[_ROUTE], return_inverse=True)
    lengths = [len(_route(turn.payload(index))[0]) for index in routes.tolist()]
    return np.array(lengths, np.int64)[inverse]


@lru_cache(maxsize=ROUTES_CACHED)
def _route(content: bytes) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return x and y of a route's cells."""
    cells = json.loads(content)["waypoints"]
    return np.array([cell["x"] for cell in cells], np.int32), np.array([cell["y"] for cell in cells], np.int32)


KINDS: Final[tuple[type[Action], ...]] = (Patrol,)
