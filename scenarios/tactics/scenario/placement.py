"""The first cells of agents and objects, given by the scenario or drawn from the run's seed.

Agents are placed in the order of teams and squads in the file; that order decides their keys. A squad takes free cells
of its area: the first in row order, or drawn ones. To draw cells, each free cell of an area gets a random number from
the seed and its position on the map, counted row by row; the cells with the lowest numbers are taken, in ascending
order. So a map with another width draws other cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.draws import START, THING
from scenarios.tactics.map_objects import MapObject, Scattered
from sim.engine.rng import Rng
from sim.errors import ScenarioError

if TYPE_CHECKING:
    from scenarios.tactics.inputs import Rect
    from scenarios.tactics.scenario.map import Map
    from scenarios.tactics.scenario.teams import Area
    from scenarios.tactics.settings import TacticsSettings

Start = Literal["rows", "drawn"]
"""The free cells of its area on which a squad starts: the first in row order, or those that the seed draws."""
Bools = NDArray[np.bool_]


def overlapping(areas: Sequence[Area | Rect], drawn: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield pairs of an area in `drawn` (positions) and another area that shares cells with it."""
    sides = np.array([(area.x, area.y, area.x + area.width, area.y + area.height) for area in areas], np.int64)
    for one in drawn:
        left, top, right, bottom = sides[one]
        shared = (sides[:, 0] < right) & (left < sides[:, 2]) & (sides[:, 1] < bottom) & (top < sides[:, 3])
        for other in shared.nonzero()[0].tolist():
            if other != one:
                yield one, other


def place_agents(settings: TacticsSettings, walls: Bools, seed: int) -> NDArray[np.int64]:
    """Give every agent its first cell: x, y, team and squad in key order, `[agents, 4]`.

    Teams and squads are numbered in the order of the file, squads across all teams; `walls` is `[height, width]`.

    Raises:
        ScenarioError: an area has too few free cells.
    """
    free, rng = ~walls, Rng(seed)
    placed = [np.zeros((4, 0), np.int64)]
    squads = [(t, s, squad) for t, team in enumerate(settings.teams) for s, squad in enumerate(team.squads)]
    for number, (t, s, squad) in enumerate(squads):
        purpose = START if squad.start == "drawn" else None
        xs, ys = _take(free, squad.area, squad.count, rng, purpose)
        if len(xs) < squad.count:
            raise ScenarioError(
                f"teams[{t}].squads[{s}].area: has {len(xs)} free cells for the {squad.count} agents of "
                f"{squad.name!r}; enlarge it or lower the count"
            )
        placed.append(np.array([xs, ys, np.full(len(xs), t), np.full(len(xs), number)]))
    return np.concatenate(placed, axis=1).T


def place_things(plan: Map, walls: Bools, seed: int) -> tuple[MapObject, ...]:
    """Return the objects on a map at the start: the given ones, then the scattered ones, each on a cell of its own.

    Raises:
        ScenarioError: an area has too few cells without a wall or an object.
    """
    free, rng = ~walls, Rng(seed)
    for thing in plan.objects:
        free[thing.y, thing.x] = False
    standing = list(plan.objects)
    for number, group in enumerate(plan.scattered):
        xs, ys = _take(free, group.area, group.count, rng, THING)
        if len(xs) < group.count:
            raise ScenarioError(
                f"map.scattered[{number}].area: has {len(xs)} free cells for {group.count} of {group.kind!r}; "
                "enlarge it or lower the count"
            )
        standing += [_standing(group, x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    return tuple(standing)


def _standing(group: Scattered, x: int, y: int) -> MapObject:
    return MapObject(kind=group.kind, effect=group.effect, stock=group.stock, x=x, y=y)


def _take(
    free: Bools, area: Area | Rect, count: int, rng: Rng, purpose: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take up to `count` free cells of an area, in row order or (with a purpose) drawn; return their x and y."""
    window = free[area.y : area.y + area.height, area.x : area.x + area.width]
    ys, xs = window.nonzero()
    if purpose is not None and len(ys):
        cells = (ys + area.y) * free.shape[1] + xs + area.x
        order = np.argsort(rng.draws(cells, 0, purpose)[:, 0], kind="stable")
        ys, xs = ys[order], xs[order]
    ys, xs = ys[:count], xs[:count]
    window[ys, xs] = False
    return xs + area.x, ys + area.y
