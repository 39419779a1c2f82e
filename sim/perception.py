"""What agents can perceive: columns in, `SnapshotBatch` out. Reads only.

An agent sees whoever is within its sight (squared distance), with a clear line between them. Of enemies the nearest
eight are reported, of friends the nearest four, ties by key; an ally is never among the enemies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ai.snapshot import ALLIES_MAX, ENEMIES_MAX, SnapshotBatch
from sim.components import (
    COOLDOWN_GROUPS,
    Ammo,
    Cooldowns,
    Goal,
    Health,
    Kit,
    Morale,
    Position,
    Senses,
    Squad,
    Team,
)
from sim.grid import Grid, Occupancy
from sim.lore import Lore
from sim.world import World

Rows = NDArray[np.intp]

CLOSE_CELLS: Final = 4
"""How far an agent looks for friends at first, cells."""
VIEWERS_AT_ONCE: Final = 200
"""Agents up to which enemies and friends are looked for in one go; in a crowd of more, most friends need not be."""
PAIRS_AT_ONCE: Final = 10_000
"""Pairs up to which everybody is compared with everybody, which beats looking up who is near."""
DISTANCE_BITS: Final = 10
"""Bits that hold a squared distance of at most 2 * SIGHT_MAX**2."""
ROW_BITS: Final = 30
"""Bits that hold a row."""


def occupancy_of(world: World, grid: Grid) -> Occupancy:
    """Return who stands where now."""
    position = world[Position]
    return Occupancy(grid, grid.cell(position.x, position.y), world[Team].id)


@dataclass(frozen=True, slots=True)
class Sightings:
    """Pairs of agents that see each other's place: `viewer` positions in the rows asked, `other` rows, distance."""

    viewer: Rows
    other: NDArray[np.int64]
    distance2: NDArray[np.int32]

    def where(self, chosen: NDArray[np.bool_]) -> Sightings:
        """Return some of the pairs."""
        return Sightings(self.viewer[chosen], self.other[chosen], self.distance2[chosen])


def sightings(
    world: World,
    grid: Grid,
    occupancy: Occupancy,
    rows: Rows,
    *,
    hostile: bool | None,
    within: NDArray[np.int32] | None = None,
) -> Sightings:
    """Return all enemies (or friends; None: both) that the agents of `rows` see, in no particular order.

    `within` narrows each agent's sight, cells.
    """
    sight = world[Senses].sight[rows].astype(np.int32)
    if within is not None:
        sight = np.minimum(sight, within)
    x, y = world[Position].x, world[Position].y
    if len(rows) * world.n <= PAIRS_AT_ONCE:
        dx, dy = x - x[rows][:, None], y - y[rows][:, None]
        distance2 = dx * dx + dy * dy
        team = occupancy.team
        near = distance2 <= (sight * sight)[:, None]
        near[np.arange(len(rows)), rows] = False
        if hostile is not None:
            near &= (team != team[rows][:, None]) == hostile
        viewer, other = near.nonzero()
        distance2 = distance2[viewer, other]
    else:
        viewer, other = occupancy.near(rows, int(sight.max(initial=0)), hostile=hostile)
        mine = rows[viewer]
        dx, dy = x[other] - x[mine], y[other] - y[mine]
        distance2 = dx * dx + dy * dy
        kept = (distance2 <= (sight * sight)[viewer]).nonzero()[0]
        viewer, other, distance2 = viewer[kept], other[kept], distance2[kept]
    clear = grid.sees(occupancy.cells[rows[viewer]], occupancy.cells[other]).nonzero()[0]
    return Sightings(viewer[clear], other[clear], distance2[clear])


def nearest_friends(world: World, grid: Grid, occupancy: Occupancy, rows: Rows) -> Sightings:
    """Return at least the `ALLIES_MAX` nearest friends that each agent sees, if there are so many.

    Whoever sees enough of them close by need not look farther: in a crowd that is nearly everyone.
    """
    close = np.full(len(rows), CLOSE_CELLS, np.int32)
    seen = sightings(world, grid, occupancy, rows, hostile=False, within=close)
    few = (np.bincount(seen.viewer, minlength=len(rows)) < ALLIES_MAX).nonzero()[0]
    if not len(few):
        return seen
    far = sightings(world, grid, occupancy, rows[few], hostile=False)
    kept = np.ones(len(rows), np.bool_)
    kept[few] = False
    enough = kept[seen.viewer]
    return Sightings(
        np.concatenate([seen.viewer[enough], few[far.viewer]]),
        np.concatenate([seen.other[enough], far.other]),
        np.concatenate([seen.distance2[enough], far.distance2]),
    )


def threats(
    world: World, grid: Grid, occupancy: Occupancy, rows: Rows, within: NDArray[np.int32] | None = None
) -> NDArray[np.int64]:
    """Return how many enemies each agent of `rows` sees (at most `within` cells away), `[len(rows)]`."""
    seen = sightings(world, grid, occupancy, rows, hostile=True, within=within)
    return np.bincount(seen.viewer, minlength=len(rows))


def _seen_by(world: World, grid: Grid, occupancy: Occupancy, rows: Rows) -> tuple[Sightings, Sightings]:
    """Return the enemies that each agent sees, and at least its nearest friends."""
    if len(rows) > VIEWERS_AT_ONCE:
        enemies = sightings(world, grid, occupancy, rows, hostile=True)
        return enemies, nearest_friends(world, grid, occupancy, rows)
    seen = sightings(world, grid, occupancy, rows, hostile=None)
    hostile = occupancy.team[seen.other] != occupancy.team[rows[seen.viewer]]
    return seen.where(hostile), seen.where(~hostile)


def _nearest(seen: Sightings, agents: int, most: int) -> tuple[Rows, NDArray[np.int64], NDArray[np.int64]]:
    """Return viewer, place in its list, and row, for the `most` nearest that each viewer sees; ties by key."""
    packed = (seen.viewer.astype(np.int64) << DISTANCE_BITS | seen.distance2) << ROW_BITS | seen.other
    packed.sort()
    viewer = packed >> (DISTANCE_BITS + ROW_BITS)
    first = np.searchsorted(viewer, np.arange(agents))
    place = np.arange(len(packed)) - first[viewer]
    kept = place < most
    return viewer[kept], place[kept], packed[kept] & ((1 << ROW_BITS) - 1)


def perceive(world: World, grid: Grid, occupancy: Occupancy, rows: Rows, lore: Lore) -> SnapshotBatch:
    """Return what the agents of `rows` (ascending) know now."""
    n = len(rows)
    position, health, ammo, kit, goal = world[Position], world[Health], world[Ammo], world[Kit], world[Goal]
    squad, ready = world[Squad], world[Cooldowns].ready_at[:, rows].T - np.int32(world.tick)
    keys = world.keys
    leader = squad.leader[rows]
    leader_row = world.rows_of(leader)
    led = (leader_row >= 0) & (leader != keys[rows])
    at = np.where(led, leader_row, 0)
    known: dict[str, NDArray[np.int32] | NDArray[np.int64]] = {}
    enemies, friends = _seen_by(world, grid, occupancy, rows)
    for name, seen, most in (("enemy", enemies, ENEMIES_MAX), ("ally", friends, ALLIES_MAX)):
        viewer, place, row = _nearest(seen, n, most)
        listed = np.full((n, most), -1, np.int64)
        listed[viewer, place] = keys[row]
        known[name] = listed
        for field, source in (("x", position.x), ("y", position.y), ("hp", health.hp)):
            column = np.zeros((n, most), np.int32)
            column[viewer, place] = source[row]
            known[f"{name}_{field}"] = column
        if name == "enemy":
            cover = np.zeros((n, most), np.int32)
            cover[viewer, place] = grid.cover[occupancy.cells[row]]
            known["enemy_cover"] = cover
    return SnapshotBatch(
        keys=keys[rows],
        tick=world.tick,
        ticks_per_second=lore.ticks_per_second,
        x=position.x[rows],
        y=position.y[rows],
        hp=health.hp[rows],
        hp_max=health.hp_max[rows],
        ammo=ammo.rounds[rows],
        reserve=ammo.reserve[rows],
        morale=world[Morale].value[rows],
        cover=grid.cover[occupancy.cells[rows]].astype(np.int32),
        smokes=kit.smokes[rows].astype(np.int32),
        explosives=kit.explosives[rows].astype(np.int32),
        medkits=kit.medkits[rows].astype(np.int32),
        leader=np.where(led, leader, -1),
        leader_x=np.where(led, position.x[at], 0).astype(np.int32),
        leader_y=np.where(led, position.y[at], 0).astype(np.int32),
        leader_hp=np.where(led, health.hp[at], 0).astype(np.int32),
        goal_x=goal.x[rows],
        goal_y=goal.y[rows],
        objective=goal.objective[rows].astype(np.int32),
        order=goal.order[rows].astype(np.int32),
        ready=np.maximum(ready, 0),
        texts=lore.texts.all,
        cooldown_names=COOLDOWN_GROUPS,
        map=lore.shared(grid),
        **known,  # type: ignore[arg-type]
    )
