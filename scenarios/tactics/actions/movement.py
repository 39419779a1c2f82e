"""Movement: to a cell, towards an enemy, away from an enemy, sideways, into cover, on patrol."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import NONE, known, number, on, several
from ai.observation import Cell
from scenarios.tactics.actions.base import (
    UNKNOWN,
    Action,
    Refused,
    Turn,
    Walk,
    first_of,
    judged_targets,
    period_of,
    target_refusals,
    tired,
)
from scenarios.tactics.components import ActionSteps, Position, Progress, Senses, Stamina
from scenarios.tactics.grid import COVER_RADIUS, Cells
from scenarios.tactics.perception import enemies_seen
from sim.run.actions import Args, Codes, Rows
from sim.space import UNREACHABLE

CROWDED_TRIES: Final = 3
"""The number of failed steps in a row after which a walker near its goal counts as arrived."""
CROWDED_CELLS: Final = 4
"""The greatest distance to the goal for that, cells on foot."""


class Speed(StrEnum):
    """Paces of MoveTo: 2, 5 and 10 cells per second."""

    WALK = "walk"
    RUN = "run"
    SPRINT = "sprint"


CELLS_PER_SECOND: Final = {Speed.WALK: 2, Speed.RUN: 5, Speed.SPRINT: 10}
_RUN: Final = list(Speed).index(Speed.RUN)


@cache
def _periods(ticks_per_second: int) -> NDArray[np.int64]:
    """Return the ticks between two cells for each `Speed`."""
    return np.array([period_of(CELLS_PER_SECOND[speed], ticks_per_second) for speed in Speed], np.int64)


class MoveTo(Walk):
    """Go to a cell on the shortest path; the default pace is to run."""

    keep: ClassVar[int] = 2
    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")
    speed: Speed | None = None

    @classmethod
    def period(cls, turn: Turn, rows: Rows, args: Args) -> Any:
        """Return the ticks between two cells at the requested pace."""
        run = args[2] == NONE
        periods = _periods(turn.ticks_per_second)
        if np.count_nonzero(run) == len(run):
            return int(periods[_RUN])
        return periods[np.where(run, _RUN, args[2])]

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse cells that cannot be reached on foot."""
        far = turn.steps_to(rows, turn.grid.cell(args[0], args[1])) == UNREACHABLE
        return first_of((far, Refused.UNREACHABLE))

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents stand on the cell, or are stuck in a crowd near it."""
        goals = turn.grid.cell(args[0], args[1])
        there: NDArray[np.bool_] = turn.cells(rows) == goals
        held_up = turn.progress.tries[rows] >= CROWDED_TRIES
        held_up &= ~there
        waiting = held_up.nonzero()[0]
        if len(waiting):
            there[waiting] = turn.steps_to(rows[waiting], goals[waiting]) <= CROWDED_CELLS
        return there

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour nearest to the goal on foot."""
        return turn.along(rows, turn.grid.cell(args[0], args[1]))


class Approach(Walk):
    """Go straight towards a visible enemy until it is at most `distance` cells away."""

    keep: ClassVar[int] = 2
    target_id: int = known("enemies")
    distance: int = number(1, 64, rounded=True, default=2)

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends, or out of sight."""
        return target_refusals(turn, rows, args[0], turn.world[Senses].sight[rows].astype(np.int64) ** 2)

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents are near enough, or have lost sight of the target."""
        sight2 = turn.world[Senses].sight[rows].astype(np.int64) ** 2
        codes, distance2 = judged_targets(turn, rows, args[0], sight2)
        over: NDArray[np.bool_] = (codes != Refused.NO.value) | (distance2 <= args[1].astype(np.int64) ** 2)
        return over

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour nearest to the target."""
        position, others = turn.world[Position], turn.target_rows(args[0])
        return turn.toward(rows, position.x[others], position.y[others])


class Retreat(Walk):
    """Go straight away from an enemy until it is at least `distance` cells away."""

    keep: ClassVar[int] = 2
    target_id: int = known("enemies")
    distance: int = number(1, 64, rounded=True, default=8)

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone."""
        return first_of((turn.target_rows(args[0]) < 0, Refused.TARGET_GONE))

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents are far enough away, or have a target that is gone."""
        others = turn.target_rows(args[0])
        gone = others < 0
        far: NDArray[np.bool_] = turn.distance2(rows, np.where(gone, rows, others)) >= args[1].astype(np.int64) ** 2
        return gone | far

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour farthest from the target."""
        position, others = turn.world[Position], turn.target_rows(args[0])
        return turn.toward(rows, position.x[others], position.y[others], away=True)


SHELTER_OFFSETS: Final = tuple(
    sorted(
        (
            (dx, dy)
            for dy in range(-COVER_RADIUS, COVER_RADIUS + 1)
            for dx in range(-COVER_RADIUS, COVER_RADIUS + 1)
            if abs(dx) + abs(dy) <= COVER_RADIUS
        ),
        key=lambda offset: (abs(offset[0]) + abs(offset[1]), offset[1], offset[0]),
    )
)
"""The cells in which agents look for cover: offsets (dx, dy) by Manhattan distance, then dy, then dx."""


def nearest_foe(turn: Turn, rows: Rows) -> Rows:
    """Return the row of the nearest enemy that each agent sees, ties by key; -1 if it sees none."""
    found = np.full(len(rows), -1, np.intp)
    seen = enemies_seen(turn.world, turn.grid, turn.occupancy, rows)
    order = np.lexsort((seen.other, seen.distance2, seen.viewer))
    viewer, first = np.unique(seen.viewer[order], return_index=True)
    found[np.searchsorted(rows, viewer)] = seen.other[order][first]
    return found


def shelter(turn: Turn, rows: Rows) -> Cells:
    """Return the nearest cell that shelters each agent from its nearest visible enemy, -1 if there is none.

    A cell shelters if it is cover, or if that enemy cannot see it. It must be free or the agent's own. Results are kept
    for the turn.
    """
    shelters = turn.note("shelter")
    known = shelters[rows]
    fresh = (known == UNKNOWN).nonzero()[0]
    if len(fresh):
        known[fresh] = _search(turn, rows[fresh])
        shelters[rows[fresh]] = known[fresh]
    return known


def _search(turn: Turn, rows: Rows) -> Cells:
    here = turn.cells(rows)
    offsets = np.array([dy * turn.grid.stride + dx for dx, dy in SHELTER_OFFSETS], np.int64)
    around = here[:, None] + offsets
    free = ~turn.grid.wall[around] & ((turn.occupancy.row_at[around] < 0) | (around == here[:, None]))
    good = free & turn.grid.cover[around]
    foes = nearest_foe(turn, rows)
    viewer = (foes >= 0).nonzero()[0]
    if len(viewer):
        enemy_cell = turn.occupancy.cells[foes[viewer]]
        at, place = np.nonzero(free[viewer] & ~good[viewer])
        hidden = ~turn.grid.sees(enemy_cell[at], around[viewer[at], place])
        good[viewer[at[hidden]], place[hidden]] = True
    best = good.argmax(1)
    every = np.arange(len(rows))
    return np.where(good[every, best], around[every, best], -1)


class TakeCover(Walk):
    """Go to the given cell, or to the nearest cell that shelters you from the nearest enemy."""

    keep: ClassVar[int] = 2
    position: Cell | None = on("bounds", default=None)

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse cells that cannot be reached, and searches that find no cover near enough."""
        open_choice = args[0] == NONE
        found = np.zeros(len(rows), np.int8)
        if open_choice.any():
            picked = open_choice.nonzero()[0]
            found[picked[shelter(turn, rows[picked]) < 0]] = Refused.NO_COVER
        if not open_choice.all():
            picked = (~open_choice).nonzero()[0]
            goals = turn.grid.cell(args[0, picked], args[1, picked])
            found[picked[turn.steps_to(rows[picked], goals) == UNREACHABLE]] = Refused.UNREACHABLE
        return found

    @classmethod
    def start(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Write the chosen cell into the plan, so that the agent keeps to it."""
        picked = (args[0] == NONE).nonzero()[0]
        if len(picked):
            chosen = rows[picked]
            x, y = turn.grid.xy(shelter(turn, chosen))
            step = turn.world[Progress].step[chosen]
            plan = turn.world[ActionSteps].args
            plan[step, 0, chosen], plan[step, 1, chosen] = x, y
            args[0, picked], args[1, picked] = x, y

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents stand on the chosen cell."""
        there: NDArray[np.bool_] = turn.cells(rows) == turn.grid.cell(args[0], args[1])
        return there

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour nearest to the chosen cell in a straight line."""
        return turn.toward(rows, args[0], args[1])


class Side(StrEnum):
    """Left or right, seen by an agent that faces a target."""

    LEFT = "left"
    RIGHT = "right"


def aside(turn: Turn, rows: Rows, others: Rows, side: NDArray[np.int32]) -> Cells:
    """Return the neighbouring cell to the left (0) or right (1) of agents that face others; -1 if it is not free.

    Of two equally good cells, it is the one along x.
    """
    turned = np.where(side == 0, 1, -1)
    along_x = turned * (turn.position.y[others].astype(np.int64) - turn.position.y[rows])
    along_y = -turned * (turn.position.x[others].astype(np.int64) - turn.position.x[rows])
    across = np.abs(along_x) >= np.abs(along_y)
    cells = turn.cells(rows) + np.where(across, np.sign(along_x), np.sign(along_y) * turn.grid.stride)
    free = ~turn.grid.wall[cells] & (turn.occupancy.row_at[cells] < 0)
    return np.where(free, cells, -1)


class Strafe(Action):
    """Step one cell to the left or right of the line to a visible enemy, without turning your back."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")
    direction: Side
    category: ClassVar[str] = "movement"
    cost: ClassVar[str] = "5 stamina"
    duration_s: ClassVar[float] = 0.2
    stamina: ClassVar[int] = 5

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends or out of sight, exhausted agents, and cells that are not free."""
        judged = target_refusals(turn, rows, args[0], turn.world[Senses].sight[rows].astype(np.int64) ** 2)
        others = np.where(judged == Refused.NO.value, turn.target_rows(args[0]), rows)
        stuck = (judged == Refused.NO.value) & (aside(turn, rows, others, args[1]) < 0)
        tail = first_of((tired(turn, rows, cls.stamina), Refused.NO_STAMINA), (stuck, Refused.BLOCKED))
        return np.where(judged == Refused.NO.value, tail, judged)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Take the step."""
        turn.world[Stamina].value[rows] -= cls.stamina
        turn.walk(rows, aside(turn, rows, turn.target_rows(args[0]), args[1]))


WAYPOINTS_MAX: Final = 16
"""The most cells of one patrol route."""
ROUTES_CACHED: Final = 4096
"""The number of parsed routes that are kept."""
_ROUTE, _LEG = 0, 1
"""The positions of the route's index and of the number of passed waypoints in a step's arguments."""


class Patrol(Walk):
    """Walk from cell to cell and back to the first; a crowded cell counts as reached."""

    first_tier: ClassVar[bool] = False
    waypoints: tuple[Cell, ...] = several(2, WAYPOINTS_MAX, on("bounds"))
    cells_per_second: ClassVar[int] = 2

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse routes whose next cell cannot be reached on foot."""
        return first_of((turn.steps_to(rows, cls._goals(turn, args, _legs(args))) == UNREACHABLE, Refused.UNREACHABLE))

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents have finished their route; at a waypoint, an agent turns to the next one."""
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
        """Return which agents stand on their next waypoint, or are stuck in a crowd near it."""
        goals = cls._goals(turn, args, _legs(args))
        there: NDArray[np.bool_] = turn.cells(rows) == goals
        held_up = (~there & (turn.progress.tries[rows] >= CROWDED_TRIES)).nonzero()[0]
        if len(held_up):
            there[held_up] = turn.steps_to(rows[held_up], goals[held_up]) <= CROWDED_CELLS
        return there

    @classmethod
    def _goals(cls, turn: Turn, args: Args, legs: NDArray[np.int32]) -> Cells:
        """Return the next waypoint of each agent; the first follows the last."""
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
    """Return x and y of the cells of a route."""
    cells = json.loads(content)["waypoints"]
    return np.array([cell["x"] for cell in cells], np.int32), np.array([cell["y"] for cell in cells], np.int32)


KINDS: Final[tuple[type[Action], ...]] = (Approach, MoveTo, Patrol, Retreat, Strafe, TakeCover)
