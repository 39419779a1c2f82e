"""Changes of the ground that agents ask for, made together at the end of a phase."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from scenarios.tactics.components import Position
from scenarios.tactics.grid import Cells, Grid, Terrain
from scenarios.tactics.team_counts import TeamCounts
from sim.run.world import World

_AROUND = (np.arange(-1, 2), np.arange(-1, 2))


class Reshaping(NamedTuple):
    """Who asks (a row), which cells become what, later parts over earlier ones, and the team that pays (-1: none)."""

    row: int
    parts: tuple[tuple[Cells, Terrain], ...]
    team: int = -1


class TerrainEdits(TeamCounts):
    """How many changes of terrain each team may still make."""

    name = "TerrainEdits"


def reshape(world: World, grid: Grid, edits: TerrainEdits, asked: list[Reshaping]) -> None:
    """Change the ground as asked; the lowest keys get a team's last changes, and of a cell the lowest has its way.

    Nothing is changed outside the map. No wall rises on an agent or on the eight cells around one, nor where it would
    part what can be walked through now; there the ground becomes cover.
    """
    inside = np.zeros(grid.size, np.bool_)
    y, x = np.divmod(np.arange(grid.width * grid.height), grid.width)
    inside[grid.cell(x, y)] = True
    granted: list[Reshaping] = []
    for request in sorted(asked, key=lambda request: request.row):
        if request.team >= 0 and edits.left[request.team] <= 0:
            continue
        if request.team >= 0:
            edits.take(request.team)
        granted.append(request)
    for cells, terrain in (part for request in reversed(granted) for part in request.parts):
        chosen = cells[inside[cells]]
        if terrain is Terrain.WALL:
            position = world[Position]
            stood = grid.cell(position.x, position.y)
            near = (stood[:, None] + (_AROUND[0][:, None] * grid.stride + _AROUND[1]).ravel()).ravel()
            chosen = chosen[~np.isin(chosen, near)]
            if _parts(grid, chosen):
                grid.put(chosen, Terrain.COVER)
                continue
        grid.put(chosen, terrain)


def _parts(grid: Grid, cells: Cells) -> bool:
    """Tell whether walls on these cells would part a region that can be walked through."""
    open_now = grid.terrain != Terrain.WALL
    x, y = grid.xy(cells)
    open_then = open_now.copy()
    open_then[y, x] = False
    regions, _ = ndimage.label(open_now)
    parts, count = ndimage.label(open_then)
    first = np.zeros(count + 1, np.int64)
    first[parts.ravel()] = regions.ravel()
    kept = first[1:]
    return len(np.unique(kept)) < len(kept)
