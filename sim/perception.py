"""What agents can perceive: columns in, `SnapshotBatch` out. Reads only.

An agent sees whoever is within its sight (squared distance), with a clear line between them. Of enemies the nearest
eight are reported, of friends the nearest four, ties by key; an ally is never among the enemies. What marks, taunts and
distractions change in that stands in `sim.awareness`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.snapshot import ALLIES_MAX, ENEMIES_MAX, SnapshotBatch
from sim.awareness import as_minded, held_by, own_affairs, shown, with_marked
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
from sim.objects import objects_seen
from sim.world import World

Rows = NDArray[np.intp]

CLOSE_CELLS: Final = 3
"""How far an agent looks for friends at first, cells."""
PAIRS_AT_ONCE: Final = 10_000
"""Pairs up to which everybody is compared with everybody, which beats looking up who is near."""
DISTANCE_BITS: Final = 10
"""Bits that hold a squared distance of at most 2 * SIGHT_MAX**2."""
ROW_BITS: Final = 30
"""Bits that hold a row."""
LISTED: Final = np.array([ENEMIES_MAX, ALLIES_MAX])
"""Places in the two lists that an agent has, of enemies and of friends."""
PLACES: Final = ENEMIES_MAX + ALLIES_MAX
"""Places in both lists together."""


def occupancy_of(world: World, grid: Grid) -> Occupancy:
    """Return who stands where now."""
    position = world[Position]
    return Occupancy(grid, grid.cell(position.x, position.y), world[Team].id)


@dataclass(frozen=True, slots=True)
class Sightings:
    """Pairs of agents that see each other's place: rows of who sees and of who is seen, and their squared distance."""

    viewer: Rows
    other: Rows
    distance2: NDArray[np.int32]

    def where(self, chosen: NDArray[np.bool_]) -> Sightings:
        """Return some of the pairs."""
        places = chosen.nonzero()[0]
        return Sightings(self.viewer[places], self.other[places], self.distance2[places])

    def and_also(self, more: Sightings) -> Sightings:
        """Return these pairs and more."""
        return Sightings(
            np.concatenate([self.viewer, more.viewer]),
            np.concatenate([self.other, more.other]),
            np.concatenate([self.distance2, more.distance2]),
        )


def _near(
    world: World, occupancy: Occupancy, rows: Rows, radius: NDArray[np.integer[Any]], *, hostile: bool
) -> Sightings:
    """Return all enemies (or friends) at most `radius [m]` cells away from the agents of `rows`, in sight or not."""
    x, y = world[Position].x, world[Position].y
    if len(rows) * world.n <= PAIRS_AT_ONCE:
        dx, dy = x - x[rows][:, None], y - y[rows][:, None]
        distance2 = dx * dx + dy * dy
        team = occupancy.team
        # On an agent's own cell stands nobody else.
        found = (distance2 <= (radius.astype(np.int32) ** 2)[:, None]) & (distance2 > 0)
        found &= (team != team[rows][:, None]) == hostile
        pairs = found.ravel().nonzero()[0]
        viewer, other = np.divmod(pairs, max(world.n, 1))
        return Sightings(rows[viewer], other, distance2.ravel()[pairs])
    viewer, other = occupancy.near(rows, radius, hostile=hostile)
    dx, dy = x[other] - x[viewer], y[other] - y[viewer]
    return Sightings(viewer, other, dx * dx + dy * dy)


def _in_sight(grid: Grid, occupancy: Occupancy, pairs: Sightings) -> Sightings:
    """Return the pairs with a clear line between them."""
    return pairs.where(grid.sees(occupancy.cells[pairs.viewer], occupancy.cells[pairs.other]))


def enemies_seen(world: World, grid: Grid, occupancy: Occupancy, rows: Rows) -> Sightings:
    """Return all enemies that the agents of `rows` see, in no particular order."""
    return _in_sight(grid, occupancy, _near(world, occupancy, rows, world[Senses].sight[rows], hostile=True))


def seen_within(
    world: World, grid: Grid, occupancy: Occupancy, rows: Rows, radius: NDArray[np.int32], *, hostile: bool
) -> Sightings:
    """Return all enemies (or friends) that the agents of `rows` see at most `radius [m]` cells away."""
    near = np.minimum(world[Senses].sight[rows], radius)
    return _in_sight(grid, occupancy, _near(world, occupancy, rows, near, hostile=hostile))


def others_seen(world: World, grid: Grid, occupancy: Occupancy, rows: Rows, social: Rows) -> Sightings:
    """Return all enemies that the agents of `rows` see, and the close friends that those of `social` see."""
    sight = world[Senses].sight
    enemies = _near(world, occupancy, rows, sight[rows], hostile=True)
    friends = _near(world, occupancy, social, np.minimum(sight[social], CLOSE_CELLS), hostile=False)
    return _in_sight(grid, occupancy, enemies.and_also(friends))


def _with_far_friends(world: World, grid: Grid, occupancy: Occupancy, rows: Rows, seen: Sightings) -> Sightings:
    """Return what is seen with at least the `ALLIES_MAX` nearest friends of everyone, if there are so many.

    Whoever sees enough of them close by need not look farther: in a crowd that is nearly everyone.
    """
    friends = occupancy.team[seen.viewer] == occupancy.team[seen.other]
    few = np.zeros(world.n, np.bool_)
    few[rows] = np.bincount(seen.viewer[friends], minlength=world.n)[rows] < ALLIES_MAX
    lonely = few.nonzero()[0]
    if not len(lonely):
        return seen
    far = _near(world, occupancy, lonely, world[Senses].sight[lonely], hostile=False)
    friends &= few[seen.viewer]
    return seen.where(~friends).and_also(_in_sight(grid, occupancy, far))


def _lists(occupancy: Occupancy, rows: Rows, seen: Sightings) -> tuple[Rows, Rows]:
    """Return who stands where in the agents' lists, nearest first, ties by key.

    The first array are places in `[agents, PLACES]` (enemies, then friends), flat; the second rows.
    """
    position = np.zeros(len(occupancy.team), np.int64)
    position[rows] = np.arange(len(rows))
    friend = occupancy.team[seen.viewer] == occupancy.team[seen.other]
    packed = (position[seen.viewer] * 2 + friend) << DISTANCE_BITS | seen.distance2
    packed = packed << ROW_BITS | seen.other
    packed.sort()
    group = packed >> (DISTANCE_BITS + ROW_BITS)
    first = np.searchsorted(group, np.arange(2 * len(rows)))
    place = np.arange(len(group)) - first[group]
    friend = group & 1
    kept = (place < LISTED[friend]).nonzero()[0]
    flat = (group >> 1) * PLACES + friend * ENEMIES_MAX + place
    return flat[kept], packed[kept] & ((1 << ROW_BITS) - 1)


def perceive(
    world: World, grid: Grid, occupancy: Occupancy, rows: Rows, lore: Lore, seen: Sightings | None = None
) -> SnapshotBatch:
    """Return what the agents of `rows` (ascending) know now; `seen` is what `others_seen` gave, if it was asked."""
    if seen is None:
        seen = others_seen(world, grid, occupancy, rows, rows)
    seen = _with_far_friends(world, grid, occupancy, rows, seen)
    seen = Sightings(*as_minded(world, *with_marked(world, occupancy, rows, seen.viewer, seen.other, seen.distance2)))
    places, others = _lists(occupancy, rows, seen)

    def spread(values: NDArray[Any], absent: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
        both = np.zeros((len(rows), PLACES), values.dtype)
        if absent:
            both += absent
        both.ravel()[places] = values
        return both[:, :ENEMIES_MAX], both[:, ENEMIES_MAX:]

    def listed(column: NDArray[Any], absent: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
        return spread(column[others], absent)

    position, health, ammo, kit, goal = world[Position], world[Health], world[Ammo], world[Kit], world[Goal]
    keys, cover = world.keys, grid.cover[occupancy.cells].astype(np.int32)
    enemy, ally = listed(keys, -1)
    enemy_x, ally_x = listed(position.x)
    enemy_y, ally_y = listed(position.y)
    enemy_hp, ally_hp = listed(health.hp)
    held = held_by(world)
    enemy_conditions, ally_conditions = spread(shown(world, rows[places // PLACES], others, held))
    leader = world[Squad].leader[rows]
    cooldowns = world[Cooldowns]
    groups = int(cooldowns.groups.max(initial=0))
    leader_row = world.rows_of(leader)
    led = (leader_row >= 0) & (leader != keys[rows])
    squad = world[Squad].id[rows].astype(np.int32)
    ready = cooldowns.ready_at[:groups, rows].T - np.int32(world.tick)
    return SnapshotBatch(
        keys=keys[rows],
        tick=world.tick,
        ticks_per_second=lore.ticks_per_second,
        team=occupancy.team[rows].astype(np.int32),
        x=position.x[rows],
        y=position.y[rows],
        hp=health.hp[rows],
        hp_max=health.hp_max[rows],
        ammo=ammo.rounds[rows],
        reserve=ammo.reserve[rows],
        morale=world[Morale].value[rows],
        cover=cover[rows],
        smokes=kit.smokes[rows].astype(np.int32),
        explosives=kit.explosives[rows].astype(np.int32),
        medkits=kit.medkits[rows].astype(np.int32),
        squad=squad,
        role=lore.roles[squad],
        leader=np.where(led, leader, -1),
        leader_x=position.x[leader_row] * led,
        leader_y=position.y[leader_row] * led,
        leader_hp=health.hp[leader_row] * led,
        leader_order=np.where(led, goal.order[leader_row], -1).astype(np.int32),
        goal_x=goal.x[rows],
        goal_y=goal.y[rows],
        objective=goal.objective[rows].astype(np.int32),
        order=goal.order[rows].astype(np.int32),
        ready=np.maximum(ready, 0),
        texts=lore.texts.all,
        cooldown_names=COOLDOWN_GROUPS[:groups],
        map=lore.shared(grid),
        enemy=enemy,
        enemy_x=enemy_x,
        enemy_y=enemy_y,
        enemy_hp=enemy_hp,
        enemy_cover=listed(cover)[0],
        ally=ally,
        ally_x=ally_x,
        ally_y=ally_y,
        enemy_conditions=enemy_conditions,
        ally_hp=ally_hp,
        ally_conditions=ally_conditions,
        **objects_seen(lore.objects, world, grid, occupancy, rows),
        **lore.gear.holdings(world, rows),
        **own_affairs(world, rows, held),  # type: ignore[arg-type]
    )
