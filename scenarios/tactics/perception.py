"""Perception: it reads columns and makes an observation batch.

An agent sees another one within its sight (squared distance) if the line between them is clear. The observation has the
nearest eight enemies and the nearest four friends, ties by key. `scenarios.tactics.attention` applies marks, taunts and
distractions.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.observation import Groups, ObservationBatch, largest
from scenarios.tactics.attention import (
    NOWHERE,
    held_by,
    rank_by_attention,
    self_columns,
    stance,
    visible_conditions,
    with_marked,
)
from scenarios.tactics.components import (
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
from scenarios.tactics.grid import Grid, Occupancy, Sightings
from scenarios.tactics.map_objects import objects_seen
from scenarios.tactics.shared_knowledge import SharedKnowledge
from scenarios.tactics.snapshot import ALLIES_MAX, ENEMIES_MAX, WorldSnapshot
from sim.run.world import World
from sim.space.arrays import runs

Rows = NDArray[np.intp]

CLOSE_CELLS: Final = 2
"""The distance within which an agent looks for friends first, cells."""
CLOSE_CELLS_OF_FEW: Final = 3
"""The same where all agents are compared with each other anyway: a second search costs more than some more lines."""
PAIRS_AT_ONCE: Final = 10_000
"""The most pairs for which all agents are compared with each other, which is then faster than an index."""
DISTANCE_BITS: Final = 10
"""The number of bits for a squared distance of at most 2 * SIGHT_MAX**2."""
ROW_BITS: Final = 30
"""The number of bits for a row."""
LIST: Final = 1 << (DISTANCE_BITS + ROW_BITS)
"""The step from one list to the next, in numbers that hold list, distance and row."""
LISTED: Final = np.array([ENEMIES_MAX, ALLIES_MAX])
"""The lengths of an agent's two lists, of enemies and of friends."""
PLACES: Final = ENEMIES_MAX + ALLIES_MAX
"""The number of places in both lists."""


def occupancy_of(world: World, grid: Grid) -> Occupancy:
    """Return the current index of agents by cell."""
    position = world[Position]
    return Occupancy(grid, grid.cell(position.x, position.y), world[Team].id)


def _pairs(
    world: World, occupancy: Occupancy, rows: Rows, radius: NDArray[np.integer[Any]], hostile: int
) -> tuple[Sightings, int]:
    """Return the agents at most `radius [m]` cells away from the agents of `rows`, visible or not.

    The first `hostile` of `rows` look for enemies, the others for friends, and each finds itself among its friends.
    Pairs of enemies come first; their number is also returned.
    """
    x, y, n = world[Position].x, world[Position].y, world.n
    if len(rows) * n > PAIRS_AT_ONCE:
        return occupancy.pairs(rows, radius, hostile)
    dx, dy = x - x[rows][:, None], y - y[rows][:, None]
    distance2 = dx * dx + dy * dy
    reach = radius.astype(np.int32)
    found = distance2 <= (reach * reach)[:, None]
    meant = occupancy.team != occupancy.team[rows][:, None]
    np.logical_not(meant[hostile:], out=meant[hostile:])
    found &= meant
    pairs = found.ravel().nonzero()[0]
    viewer, other = np.divmod(pairs, n or 1)
    enemies = int(np.searchsorted(pairs, hostile * n))
    return Sightings(rows[viewer], other, distance2.ravel()[pairs]), enemies


def _in_sight(grid: Grid, occupancy: Occupancy, pairs: Sightings) -> NDArray[np.bool_]:
    """Return which pairs, of different agents, have a clear line between them."""
    cells = occupancy.cells
    clear = grid.sees(cells[pairs.viewer], cells[pairs.other])
    # Two agents never stand on one cell.
    clear &= pairs.distance2 > 0
    return clear


def seen_within(
    world: World, grid: Grid, occupancy: Occupancy, rows: Rows, radius: NDArray[np.integer[Any]], *, hostile: bool
) -> Sightings:
    """Return all enemies (or friends) that the agents of `rows` see at most `radius [m]` cells away."""
    near = np.minimum(world[Senses].sight[rows], radius)
    pairs, _ = _pairs(world, occupancy, rows, near, len(rows) if hostile else 0)
    return pairs.where(_in_sight(grid, occupancy, pairs))


def enemies_seen(world: World, grid: Grid, occupancy: Occupancy, rows: Rows) -> Sightings:
    """Return all enemies that the agents of `rows` see, in no particular order."""
    return seen_within(world, grid, occupancy, rows, world[Senses].sight[rows], hostile=True)


def others_seen(
    world: World, grid: Grid, occupancy: Occupancy, rows: Rows, social: Rows
) -> tuple[Sightings, Sightings]:
    """Return all enemies that the agents of `rows` see, and the close friends that the agents of `social` see."""
    viewers = np.concatenate([rows, social])
    radius = world[Senses].sight[viewers]
    close = radius[len(rows) :]
    few = len(viewers) * world.n <= PAIRS_AT_ONCE
    np.minimum(close, CLOSE_CELLS_OF_FEW if few else CLOSE_CELLS, out=close)
    pairs, enemies = _pairs(world, occupancy, viewers, radius, len(rows))
    places = _in_sight(grid, occupancy, pairs).nonzero()[0]
    split = int(np.searchsorted(places, enemies))
    return pairs.at(places[:split]), pairs.at(places[split:])


def _with_far_friends(world: World, grid: Grid, occupancy: Occupancy, rows: Rows, friends: Sightings) -> Sightings:
    """Return visible friends: for every agent at least the `ALLIES_MAX` nearest, if there are that many.

    An agent that sees enough of them close by need not look farther; in a crowd, this is true for nearly all agents.
    """
    few = np.bincount(friends.viewer, minlength=world.n) < ALLIES_MAX
    lonely = rows[few[rows]]
    if not len(lonely):
        return friends
    far = seen_within(world, grid, occupancy, lonely, world[Senses].sight[lonely], hostile=False)
    return friends.where(~few[friends.viewer]).and_also(far)


def _lists(n: int, rows: Rows, enemies: Sightings, friends: Sightings) -> tuple[Rows, Rows, Rows, NDArray[np.int32]]:
    """Return the entries of the agents' lists, nearest first, ties by key.

    Returns:
        places: the flat places of the entries in `[agents, PLACES]` (enemies, then friends).
        others: the rows of those who stand there.
        listed: the length of each agent's two lists, `[agents, 2]`.
        cut: the number of enemies that each agent sees beyond its list.
    """
    # One integer holds the number of the list, the distance and the row; an agent has a list of enemies and one of
    # friends.
    split, lists = len(enemies.viewer), 2 * len(rows)
    first_list = np.zeros(n, np.int64)
    first_list[rows] = np.arange(0, lists * LIST, 2 * LIST)
    packed = np.empty(split + len(friends.viewer), np.int64)
    for pairs, part in (enemies, packed[:split]), (friends, packed[split:]):
        first_list.take(pairs.viewer, out=part, mode="clip")
        part += np.left_shift(pairs.distance2, ROW_BITS, dtype=np.int64)
        part += pairs.other
    packed[split:] += LIST
    # No two are equal. Most are in order already; a stable sort makes use of that and is many times faster.
    packed.sort(kind="stable")
    edges = packed.searchsorted(np.arange(0, (lists + 1) * LIST, LIST))
    first, found = edges[:-1], edges[1:] - edges[:-1]
    count = np.minimum(found.reshape(-1, 2), LISTED).ravel()
    kept = runs(first, count)
    starts = np.arange(0, len(rows) * PLACES, PLACES).repeat(2)
    starts[1::2] += ENEMIES_MAX
    cut = (found - count)[::2].astype(np.int32)
    others = packed[kept] & ((1 << ROW_BITS) - 1)
    return kept + (starts - first).repeat(count), others, count.reshape(-1, 2), cut


def perceive(
    world: World,
    grid: Grid,
    occupancy: Occupancy,
    rows: Rows,
    lore: SharedKnowledge,
    seen: tuple[Sightings, Sightings] | None = None,
) -> ObservationBatch[WorldSnapshot]:
    """Return the current knowledge of the agents of `rows` (ascending); `seen` is a result of `others_seen`."""
    enemies, friends = others_seen(world, grid, occupancy, rows, rows) if seen is None else seen
    friends = _with_far_friends(world, grid, occupancy, rows, friends)
    marked = with_marked(world, occupancy, rows, enemies.viewer, enemies.other, enemies.distance2)
    enemies = Sightings(*rank_by_attention(world, *marked))
    places, others, listed, cut = _lists(world.n, rows, enemies, friends)

    shape = len(rows) * PLACES

    def spread(values: NDArray[Any], absent: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
        flat = np.zeros(shape, values.dtype)
        if absent:
            flat.fill(absent)
        flat[places] = values
        both = flat.reshape(-1, PLACES)
        return both[:, :ENEMIES_MAX], both[:, ENEMIES_MAX:]

    position, health, ammo, kit, goal = world[Position], world[Health], world[Ammo], world[Kit], world[Goal]
    keys, cells = world.keys, occupancy.cells
    enemy, ally = spread(keys[others], -1)
    enemy_x, ally_x = spread(position.x[others])
    enemy_y, ally_y = spread(position.y[others])
    enemy_hp, ally_hp = spread(health.hp[others])
    foes: dict[str, Any] = {"id": enemy, "pos": (enemy_x, enemy_y), "hp": enemy_hp, "more": cut}
    foes["cover"] = spread(grid.cover[cells[others]].astype(np.int32))[0]
    allies: dict[str, Any] = {"id": ally, "pos": (ally_x, ally_y), "hp": ally_hp}
    held = held_by(world)
    if held is not None:
        shown_to = visible_conditions(world, rows[places // PLACES], others, held)
        foes["conditions"], allies["conditions"] = spread(shown_to)
    squads = world[Squad]
    own_keys, leader = keys[rows], squads.leader[rows]
    leader_row = world.rows_of(leader)
    led = leader_row >= 0
    led &= leader != own_keys
    leader[~led] = -1
    leader_order = goal.order[leader_row].astype(np.int32)
    leader_order[~led] = -1
    squad = squads.id[rows].astype(np.int32)
    groups, ready = _cooling(world, rows)
    me: dict[str, Any] = {
        "id": own_keys,
        "team": occupancy.team[rows].astype(np.int32),
        "pos": (position.x[rows], position.y[rows]),
        "hp": health.hp[rows],
        "hp_max": health.hp_max[rows],
        "ammo": ammo.rounds[rows],
        "reserve": ammo.reserve[rows],
        "morale": world[Morale].value[rows],
        "cover": grid.cover[cells[rows]].astype(np.int32),
        "smokes": kit.smokes[rows].astype(np.int32),
        "explosives": kit.explosives[rows].astype(np.int32),
        "medkits": kit.medkits[rows].astype(np.int32),
        "holdings": lore.gear.holdings(world, rows),
        "cooldowns": ready,
        "squad": squad,
        "role": lore.roles.take(squad),
        **self_columns(world, rows, held),
    }
    player = {
        "id": leader,
        "pos": (position.x[leader_row] * led, position.y[leader_row] * led),
        "hp": health.hp[leader_row] * led,
        "stance": stance(grid.cover[cells[leader_row]], None if held is None else held[leader_row]) * led,
        "order": leader_order,
    }
    goal_x, goal_y = goal.x[rows], goal.y[rows]
    aimless = goal_x < 0
    goal_x[aimless] = goal_y[aimless] = NOWHERE
    return WorldSnapshot.batch(
        own_keys,
        tick=world.tick,
        ticks_per_second=lore.ticks_per_second,
        texts=lore.texts.all,
        tables=lore.tables(groups),
        shared=lore.shared,
        attached={"blocked": grid.blocked_map, "cover": grid.cover_map, "listed": listed},
        groups=Groups(lore.teams, occupancy.team[rows]),
        arranged=True,
        me=me,
        goal=(goal_x, goal_y),
        objective=goal.objective[rows].astype(np.int32),
        order=goal.order[rows].astype(np.int32),
        player=player,
        enemies=foes,
        allies=allies,
        **({"objects": objects_seen(lore.objects, world, grid, occupancy, rows)} if len(lore.objects) else {}),
    )


def _cooling(world: World, rows: Rows) -> tuple[int, NDArray[np.int32]]:
    """Return the number of cooldown groups in use, and the remaining ticks of each, `[len(rows), groups]`."""
    cooldowns = world[Cooldowns]
    groups = largest(cooldowns.groups)
    left = cooldowns.ready_at[:groups].take(rows, axis=1)
    left -= np.int32(world.tick)
    return groups, np.maximum(left, 0, out=left).T
