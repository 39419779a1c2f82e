"""Changes of the ground that agents ask for, made together at the end of a phase."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenarios.tactics.components import Position
from scenarios.tactics.grid import Cells, Grid, Terrain
from scenarios.tactics.team_counts import TeamCounts
from sim.run.world import World

_AROUND = (np.arange(-1, 2), np.arange(-1, 2))


class Reshaping(NamedTuple):
    """A request: its row, the new terrain of cells (later parts overwrite earlier ones), the paying team (-1: none)."""

    row: int
    parts: tuple[tuple[Cells, Terrain], ...]
    team: int = -1


class TerrainEdits(TeamCounts):
    """The number of changes of terrain that each team may still make."""

    name = "TerrainEdits"


def reshape(world: World, grid: Grid, edits: TerrainEdits, asked: list[Reshaping]) -> None:
    """Change the ground as requested; the lowest keys get a team's last changes and decide cells asked for twice.

    Cells outside the map do not change. A cell becomes cover instead of wall if it is an agent's cell or one of the
    eight around it, or if the wall would split a walkable region.
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
    """Return whether walls on these cells would split a walkable region."""
    open_now = grid.terrain != Terrain.WALL
    x, y = grid.xy(cells)
    open_then = open_now.copy()
    open_then[y, x] = False
    from scipy import ndimage  # loading it takes longer than a short run

    regions, _ = ndimage.label(open_now)
    parts, count = ndimage.label(open_then)
    first = np.zeros(count + 1, np.int64)
    first[parts.ravel()] = regions.ravel()
    kept = first[1:]
    return len(np.unique(kept)) < len(kept)
