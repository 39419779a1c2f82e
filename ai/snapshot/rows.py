"""One row of a batch as an object, and an object as a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from ai.roles import role_name, role_number
from ai.snapshot.shared import SharedMap
from ai.snapshot.world import (
    ALLIES_MAX,
    COVER_NAMES,
    ENEMIES_MAX,
    STANCE_NAMES,
    AllyState,
    Bounds,
    EnemyState,
    LeaderState,
    ObjectState,
    Point,
    SelfState,
    WorldSnapshot,
    condition_bits,
    condition_names,
)

if TYPE_CHECKING:
    from ai.snapshot.batch import SnapshotBatch

OBSTACLES_MAX: Final = 24
"""Blocked cells that a snapshot lists, nearest first."""
OBSTACLES_RADIUS: Final = 6
"""Distance within which blocked cells are listed, cells."""


def read_row(batch: SnapshotBatch, row: int) -> WorldSnapshot:
    """Make what one agent of a batch knows into an object."""
    seconds = round(batch.tick / batch.ticks_per_second, 4)
    x, y = int(batch.x[row]), int(batch.y[row])
    leader = None
    if batch.leader[row] >= 0:
        leader = LeaderState(
            id=int(batch.leader[row]),
            hp=int(batch.leader_hp[row]),
            pos=Point(x=int(batch.leader_x[row]), y=int(batch.leader_y[row])),
            stance=STANCE_NAMES[int(batch.leader_stance[row])],
            orders=(batch.texts[int(batch.leader_order[row])],) if batch.leader_order[row] >= 0 else (),
        )
    near = sorted(batch.map.pois, key=lambda p: (abs(p.pos.x - x) + abs(p.pos.y - y), p.k, p.pos.x, p.pos.y))
    goal = (int(batch.goal_x[row]), int(batch.goal_y[row]))
    near.sort(key=lambda poi: (poi.pos.x, poi.pos.y) != goal)
    return WorldSnapshot(
        t=seconds,
        me=SelfState(
            id=int(batch.keys[row]),
            pos=Point(x=x, y=y),
            hp=int(batch.hp[row]),
            team=int(batch.team[row]),
            hp_max=int(batch.hp_max[row]),
            ammo=int(batch.ammo[row]),
            reserve=int(batch.reserve[row]),
            morale=float(batch.morale[row]),
            cooldowns={
                name: round(int(left) / batch.ticks_per_second, 4)
                for name, left in zip(batch.cooldown_names, batch.ready[row], strict=True)
                if left > 0
            },
            cover=COVER_NAMES[int(batch.cover[row])],
            smokes=int(batch.smokes[row]),
            explosives=int(batch.explosives[row]),
            medkits=int(batch.medkits[row]),
            conditions=condition_names(int(batch.conditions[row])),
            taunted_by=_present(int(batch.taunter[row])),
            distracted_to=(
                Point(x=int(batch.drawn_x[row]), y=int(batch.drawn_y[row])) if batch.drawn_x[row] >= 0 else None
            ),
            cover_wanted_by=_present(int(batch.caller[row])),
            reserves=int(batch.reserves[row]),
            holdings={
                name: int(count) for name, count in zip(batch.holding_names, batch.holding[row], strict=True) if count
            },
            squad=_present(int(batch.squad[row])),
            role=role_name(int(batch.role[row])),
        ),
        player=leader,
        allies=tuple(
            AllyState(id=int(key), pos=Point(x=int(ax), y=int(ay)), hp=int(hp), conditions=condition_names(int(bits)))
            for key, ax, ay, hp, bits in zip(
                batch.ally[row],
                batch.ally_x[row],
                batch.ally_y[row],
                batch.ally_hp[row],
                batch.ally_conditions[row],
                strict=True,
            )
            if key >= 0
        ),
        enemies=tuple(
            EnemyState(
                id=int(key),
                pos=Point(x=int(ex), y=int(ey)),
                hp=int(hp),
                cover=COVER_NAMES[int(cover)],
                last_seen=seconds,
                conditions=condition_names(int(bits)),
            )
            for key, ex, ey, hp, cover, bits in zip(
                batch.enemy[row],
                batch.enemy_x[row],
                batch.enemy_y[row],
                batch.enemy_hp[row],
                batch.enemy_cover[row],
                batch.enemy_conditions[row],
                strict=True,
            )
            if key >= 0
        ),
        pois=tuple(near),
        objects=tuple(
            ObjectState(id=int(key), kind=batch.object_kinds[int(kind)], pos=Point(x=int(ox), y=int(oy)), state=left)
            for key, kind, ox, oy, left in zip(
                batch.object[row],
                batch.object_kind[row],
                batch.object_x[row],
                batch.object_y[row],
                batch.object_state[row].tolist(),
                strict=True,
            )
            if key >= 0
        ),
        obstacles=_obstacles(batch.map, x, y),
        objective=batch.texts[int(batch.objective[row])] if batch.objective[row] >= 0 else None,
        orders=(batch.texts[int(batch.order[row])],) if batch.order[row] >= 0 else (),
        bounds=Bounds(width=batch.map.width, height=batch.map.height),
    )


def _obstacles(shared: SharedMap, x: int, y: int) -> tuple[Point, ...]:
    if shared.blocked is None:
        return ()
    top, left = max(0, y - OBSTACLES_RADIUS), max(0, x - OBSTACLES_RADIUS)
    window = shared.blocked[top : y + OBSTACLES_RADIUS + 1, left : x + OBSTACLES_RADIUS + 1]
    cells = [(int(cx) + left, int(cy) + top) for cy, cx in np.argwhere(window)]
    cells.sort(key=lambda cell: (abs(cell[0] - x) + abs(cell[1] - y), cell[1], cell[0]))
    return tuple(Point(x=cx, y=cy) for cx, cy in cells[:OBSTACLES_MAX])


def _present(key: int) -> int | None:
    return key if key >= 0 else None


def _clip(value: float) -> int:
    return int(min(max(value, -(2**31) + 1), 2**31 - 1))


def write_row(batch: SnapshotBatch, row: int, snapshot: WorldSnapshot) -> None:
    """Write what one agent knows into its row of a batch that has room for it."""
    me = snapshot.me
    for column, value in (
        (batch.team, me.team), (batch.x, me.pos.x), (batch.y, me.pos.y), (batch.hp, me.hp), (batch.hp_max, me.hp_max),
        (batch.ammo, me.ammo), (batch.reserve, me.reserve), (batch.morale, int(me.morale + 0.5)),
        (batch.cover, COVER_NAMES.index(me.cover) if me.cover in COVER_NAMES else 0),
        (batch.smokes, me.smokes), (batch.explosives, me.explosives), (batch.medkits, me.medkits),
        (batch.reserves, me.reserves), (batch.conditions, condition_bits(me.conditions)),
    ):  # fmt: skip
        column[row] = _clip(value)
    for name, seconds in me.cooldowns.items():
        left = math.ceil(min(max(seconds, 0.0), 2**31 / batch.ticks_per_second) * batch.ticks_per_second)
        batch.ready[row, batch.cooldown_names.index(name)] = _clip(left)
    if me.taunted_by is not None:
        batch.taunter[row] = me.taunted_by
    if me.distracted_to is not None:
        batch.drawn_x[row], batch.drawn_y[row] = me.distracted_to.x, me.distracted_to.y
    if me.cover_wanted_by is not None:
        batch.caller[row] = me.cover_wanted_by
    if me.squad is not None:
        batch.squad[row] = me.squad
    batch.role[row] = role_number(me.role)
    if snapshot.player is not None:
        batch.leader[row] = snapshot.player.id
        batch.leader_x[row], batch.leader_y[row] = snapshot.player.pos.x, snapshot.player.pos.y
        batch.leader_hp[row] = _clip(snapshot.player.hp)
        stance = snapshot.player.stance
        batch.leader_stance[row] = STANCE_NAMES.index(stance) if stance in STANCE_NAMES else 0
    if snapshot.pois:
        batch.goal_x[row], batch.goal_y[row] = snapshot.pois[0].pos.x, snapshot.pois[0].pos.y
    if snapshot.objective:
        batch.objective[row] = batch.texts.index(snapshot.objective)
    if snapshot.orders:
        batch.order[row] = batch.texts.index(snapshot.orders[0]) if snapshot.orders[0] else -1

    def distance(pos: Point) -> int:
        return (pos.x - me.pos.x) ** 2 + (pos.y - me.pos.y) ** 2

    enemies = sorted(snapshot.enemies, key=lambda e: (distance(e.pos), e.id))[:ENEMIES_MAX]
    for place, enemy in enumerate(enemies):
        batch.enemy[row, place] = enemy.id
        batch.enemy_x[row, place], batch.enemy_y[row, place] = enemy.pos.x, enemy.pos.y
        batch.enemy_hp[row, place] = _clip(enemy.hp)
        batch.enemy_cover[row, place] = COVER_NAMES.index(enemy.cover) if enemy.cover in COVER_NAMES else 0
        batch.enemy_conditions[row, place] = condition_bits(enemy.conditions)
    allies = sorted(snapshot.allies, key=lambda a: (distance(a.pos), a.id))[:ALLIES_MAX]
    for place, ally in enumerate(allies):
        batch.ally[row, place] = ally.id
        batch.ally_x[row, place], batch.ally_y[row, place] = ally.pos.x, ally.pos.y
        batch.ally_hp[row, place] = _clip(ally.hp)
        batch.ally_conditions[row, place] = condition_bits(ally.conditions)
    objects = sorted(snapshot.objects, key=lambda o: (distance(o.pos), o.id))[: batch.object.shape[1]]
    for place, seen in enumerate(objects):
        batch.object[row, place] = seen.id
        batch.object_kind[row, place] = batch.object_kinds.index(seen.kind)
        batch.object_x[row, place], batch.object_y[row, place] = seen.pos.x, seen.pos.y
        batch.object_state[row, place] = _clip(seen.state)
    for name, count in me.holdings.items():
        batch.holding[row, batch.holding_names.index(name)] = _clip(count)
