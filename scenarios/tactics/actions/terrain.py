"""Terrain: the verb that changes the map."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import Record, number, on, words
from ai.observation import Cell
from scenarios.tactics.actions.base import (
    Action,
    Refused,
    Turn,
    first_of,
)
from scenarios.tactics.components import Goal
from scenarios.tactics.grid import MARGIN, SIGHT_MAX, Cells, Terrain, disc
from scenarios.tactics.terrain_edits import Reshaping
from sim.run.actions import Args, Codes, Rows

REQUESTS_CACHED: Final = 4096
"""The number of parsed requests that are kept."""


class Feature(StrEnum):
    """Features that can be made: caves and craters open walls, cliffs are walls, forests and ruins are cover."""

    CAVE = "Cave"
    CRATER = "Crater"
    CLIFF = "Cliff"
    LAKE = "Lake"
    FOREST = "Forest"
    RUINS = "Ruins"
    CUSTOM = "Custom"


class Method(StrEnum):
    """The description of the place: straight ahead towards the agent's goal, in a direction, or by its cell."""

    LINE_OF_SIGHT = "LineOfSight"
    DIRECTION_FROM = "DirectionFrom"
    COORDINATES = "Coordinates"


class Cardinal(StrEnum):
    """Eight directions."""

    NORTH = "north"
    NORTHEAST = "northeast"
    EAST = "east"
    SOUTHEAST = "southeast"
    SOUTH = "south"
    SOUTHWEST = "southwest"
    WEST = "west"
    NORTHWEST = "northwest"


class Reach(StrEnum):
    """Distances: 3, 6 and 10 cells."""

    NEAR = "near"
    MEDIUM = "medium"
    FAR = "far"


STEPS: Final = {
    Cardinal.NORTH: (0, -1), Cardinal.NORTHEAST: (1, -1), Cardinal.EAST: (1, 0), Cardinal.SOUTHEAST: (1, 1),
    Cardinal.SOUTH: (0, 1), Cardinal.SOUTHWEST: (-1, 1), Cardinal.WEST: (-1, 0), Cardinal.NORTHWEST: (-1, -1),
}  # fmt: skip
CELLS_AWAY: Final = {Reach.NEAR: 3, Reach.MEDIUM: 6, Reach.FAR: 10}


class FeatureType(Record):
    """The feature to make."""

    type: Feature


class Location(Record):
    """The place of the feature; each method reads its own fields."""

    method: Method
    look_distance: int = number(1, 64, rounded=True, default=6)
    cardinal: Cardinal = Cardinal.NORTH
    distance: Reach = Reach.NEAR
    cell: Cell | None = on("bounds", default=None)


class TerrainRequest(Record):
    """A request: the feature, its place, its size (a radius of one to three cells), and the reason."""

    feature_type: FeatureType
    relative_location: Location
    intensity: float = number(0, 1, scale=1000, default=0.5)
    narrative_reason: str = words(100, default="")


class ModifyTerrain(Action):
    """Change the ground near a visible place; takes three seconds and one of your team's changes."""

    first_tier: ClassVar[bool] = False
    request_id: str = words(64)
    payload: TerrainRequest
    category: ClassVar[str] = "terrain"
    group: ClassVar[str] = "terrain"
    cooldown_s: ClassVar[float] = 20.0
    duration_s: ClassVar[float] = 3.0
    cost: ClassVar[str] = "1 of the team's changes of terrain"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse agents of teams without changes left, and places off the map, too far away or out of sight."""
        x, y = _places(turn, rows, args)
        dx, dy = x - turn.position.x[rows], y - turn.position.y[rows]
        grid = turn.grid
        far = (x < 0) | (y < 0) | (x >= grid.width) | (y >= grid.height) | (dx * dx + dy * dy > SIGHT_MAX * SIGHT_MAX)
        hidden = np.zeros(len(rows), np.bool_)
        look = (~far).nonzero()[0]
        hidden[look] = ~grid.sees(turn.cells(rows[look]), grid.cell(x[look], y[look]))
        return first_of(
            (turn.stage.edits.left[turn.team[rows]] <= 0, Refused.NO_BUDGET),
            (far, Refused.OUT_OF_RANGE),
            (hidden, Refused.NO_SIGHT),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Request the change of cells; if a team has too few changes left, its lowest keys get them."""
        x, y = _places(turn, rows, args)
        for place, row in enumerate(rows.tolist()):
            request = _request(turn.payload(int(args[0, place])))
            facing = (int(np.sign(x[place] - turn.position.x[row])), int(np.sign(y[place] - turn.position.y[row])))
            centre = turn.grid.cell_at(int(x[place]), int(y[place]))
            parts = tuple(
                (np.array([centre + cy * turn.grid.stride + cx for cx, cy in offsets], np.int64), terrain)
                for offsets, terrain in _shape(request, facing)
            )
            turn.reshaped.append(Reshaping(row, parts, team=int(turn.team[row])))


def _shape(request: TerrainRequest, facing: tuple[int, int]) -> list[tuple[list[tuple[int, int]], Terrain]]:
    """Return the new terrain and its cells around the place of a request; later parts overwrite earlier ones."""
    radius = 1 + int(request.intensity * 2 + 0.5)
    whole = disc(radius)
    rim = [(dx, dy) for dx, dy in whole if dx * dx + dy * dy > (radius - 1) ** 2]
    match request.feature_type.type:
        case Feature.CAVE | Feature.LAKE:
            return [(whole, Terrain.FLOOR)]
        case Feature.CRATER:
            return [(whole, Terrain.FLOOR), (rim, Terrain.COVER)]
        case Feature.CLIFF:
            dx, dy = (-facing[1], facing[0]) if facing != (0, 0) else (1, 0)
            return [([(dx * step, dy * step) for step in range(-radius, radius + 1)], Terrain.WALL)]
        case Feature.RUINS:
            return [([(dx, dy) for dx, dy in whole if (dx + dy) % 2 == 0], Terrain.COVER)]
        case Feature.FOREST | Feature.CUSTOM:
            return [(whole, Terrain.COVER)]


@lru_cache(maxsize=REQUESTS_CACHED)
def _request(content: bytes) -> TerrainRequest:
    return TerrainRequest.model_validate(json.loads(content)["payload"])


def _places(turn: Turn, rows: Rows, args: Args) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the cell of each agent's request; -1 for none."""
    x, y = turn.position.x[rows].copy(), turn.position.y[rows].copy()
    for index in np.unique(args[0]).tolist():
        where = _request(turn.payload(index)).relative_location
        who = (args[0] == index).nonzero()[0]
        match where.method:
            case Method.COORDINATES:
                x[who], y[who] = (-1, -1) if where.cell is None else (where.cell.x, where.cell.y)
            case Method.DIRECTION_FROM:
                dx, dy = STEPS[where.cardinal]
                x[who] += dx * CELLS_AWAY[where.distance]
                y[who] += dy * CELLS_AWAY[where.distance]
            case Method.LINE_OF_SIGHT:
                x[who], y[who] = turn.grid.xy(_ahead(turn, rows[who], min(int(where.look_distance), SIGHT_MAX)))
    return x, y


def _ahead(turn: Turn, rows: Rows, most: int) -> Cells:
    """Return the last open cell straight ahead: towards the agent's goal, or to the north."""
    goal = turn.world[Goal]
    aimed = goal.x[rows] >= 0
    dx: Any = np.where(aimed, np.sign(goal.x[rows] - turn.position.x[rows]), 0)
    dy: Any = np.where(aimed, np.sign(goal.y[rows] - turn.position.y[rows]), -1)
    cells, going = turn.cells(rows).copy(), np.ones(len(rows), np.bool_)
    assert most < MARGIN
    for _ in range(most):
        ahead = cells + dy * turn.grid.stride + dx
        going &= ~turn.grid.wall[ahead]
        cells = np.where(going, ahead, cells)
    return cells


KINDS: Final[tuple[type[Action], ...]] = (ModifyTerrain,)
