"""The playbook of the tactical game, for planning without a model: rules, facts, goals, options and a behaviour tree.

The conditions and steps are texts and data over `WorldSnapshot`. Steps that need code, such as a search for cover, are
moves.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai.actions import pick
from ai.observation import Array, ObservationBatch, Rows, any_place, places_held
from ai.planners.playbook import Branch, Goal, Operator, Option, Playbook
from ai.rules import Draft, Rule
from scenarios.tactics.actions.defensive import Heal
from scenarios.tactics.actions.equipment import Reload
from scenarios.tactics.actions.movement import Approach, MoveTo, Retreat, TakeCover
from scenarios.tactics.actions.offensive import AimedShot, Attack, Charge, HeavyAttack, QuickAttack, ThrowExplosive
from scenarios.tactics.actions.utility import Scan

Batch = ObservationBatch[Any]

REACH_CELLS: Final = 6
"""The distance within which an enemy counts as in reach, cells."""
BLAST_CELLS: Final = 2
"""The distance from its centre within which an explosion counts as a hit, cells."""
COVER_CELLS: Final = 8
"""The distance within which cells of cover are looked for."""

NEAREST: Final = pick("nearest")
AT_NEAREST: Final = pick("nearest enemies")
AT_GOAL: Final = pick("goal")


# -- moves -------------------------------------------------------------------------------------------------------------


def throw_smoke(batch: Batch, rows: Rows) -> Draft:
    """Throw smoke half-way between the agent and the nearest enemy."""
    seen, nearest = _nearest_enemy(batch)
    x, y = (
        (batch.column(f"me.pos.{axis}").astype(np.int64) + place)[rows] // 2
        for axis, place in zip("xy", nearest, strict=True)
    )
    return Draft("ThrowSmoke", {"x": x, "y": y}, seen[rows] & (batch.me.smokes[rows] > 0))


def move_to_leader(batch: Batch, rows: Rows) -> Draft:
    """Go to the leader, unless it is close by."""
    leader = batch.player
    x, y = leader.pos.x[rows], leader.pos.y[rows]
    dx, dy = x.astype(np.int64) - batch.me.pos.x[rows], y.astype(np.int64) - batch.me.pos.y[rows]
    apart = np.maximum(np.abs(dx), np.abs(dy)) > 1
    return Draft("MoveTo", {"x": x, "y": y}, (leader.id[rows] >= 0) & apart)


def heal_ally(batch: Batch, rows: Rows) -> Draft:
    """Use a medkit on the visible ally with the least health, ties to the nearest."""
    allies = batch.allies
    hp = allies.hp[rows]
    if not hp.shape[1]:
        return Draft("Heal", {"target_id": batch.keys[rows]}, np.zeros(len(rows), np.bool_))
    hurt = (allies.id[rows] >= 0) & (hp > 0) & (hp < batch.me.hp_max[rows][:, None])
    worst = np.where(hurt, hp, np.iinfo(np.int32).max).argmin(1)
    return Draft("Heal", {"target_id": allies.id[rows, worst]}, any_place(hurt) & (batch.me.medkits[rows] > 0))


def ambush_in_cover(batch: Batch, rows: Rows) -> Draft:
    """Lie in wait on the nearest cell of cover."""
    x, y = nearest_cover(batch, rows)
    return Draft("SetAmbush", {"position.x": x, "position.y": y}, x >= 0)


COVER_OFFSETS: Final = tuple(
    sorted(
        (
            (dx, dy)
            for dy in range(-COVER_CELLS, COVER_CELLS + 1)
            for dx in range(-COVER_CELLS, COVER_CELLS + 1)
            if dx * dx + dy * dy <= COVER_CELLS**2
        ),
        key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, offset[1], offset[0]),
    )
)
"""The cells in which cover is looked for: offsets (dx, dy) by distance, then dy, then dx."""


def nearest_cover(batch: Batch, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the nearest cell of cover without a known ally or enemy on it, -1 if there is none near enough."""
    cover = batch.attached.get("cover")
    if cover is None:
        none = np.full(len(rows), -1, np.int64)
        return none, none
    height, width = cover.shape
    dx, dy = np.array(COVER_OFFSETS, np.int64).T
    x, y = batch.me.pos.x[rows][:, None] + dx, batch.me.pos.y[rows][:, None] + dy
    on_map = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    good = on_map & cover[np.where(on_map, y, 0), np.where(on_map, x, 0)]
    for group in (batch.allies, batch.enemies):
        who, at_x, at_y = group.id[rows], group.pos.x[rows], group.pos.y[rows]
        for place in range(who.shape[1]):
            there = (x == at_x[:, place, None]) & (y == at_y[:, place, None])
            good &= ~(there & (who[:, place, None] >= 0))
    best, every = good.argmax(1), np.arange(len(rows))
    found = good[every, best]
    return np.where(found, x[every, best], -1), np.where(found, y[every, best], -1)


def _nearest_enemy(batch: Batch) -> tuple[NDArray[np.bool_], tuple[Array, Array]]:
    """Return which agents see an enemy, and the cell of the nearest, `[n]` each."""
    enemies = batch.enemies
    if not enemies.id.shape[1]:
        nowhere = np.zeros(len(batch), np.int32)
        return np.zeros(len(batch), np.bool_), (nowhere, nowhere)
    return enemies.id[:, 0] >= 0, (enemies.pos.x[:, 0], enemies.pos.y[:, 0])


# -- rules and facts ---------------------------------------------------------------------------------------------------

RULES: Final = (
    Rule("me.morale < 30 and me.medkits > 0", Heal()),
    Rule("me.ammo <= 0 and me.reserve > 0", Reload()),
    Rule("enemies within 3", Attack(NEAREST)),
    Rule("enemies", TakeCover()),
    Rule("objective contains 'extract' and no goal within 0", MoveTo(AT_GOAL, AT_GOAL)),
    Rule("objective contains 'reach' and no goal within 0", MoveTo(AT_GOAL, AT_GOAL)),
    Rule("always", Scan(10)),
)
"""The seven rules of the source in its order, with its mistakes corrected."""

FACTS: Final = {
    "ammo": "me.ammo > 0",
    "at goal": "goal within 0",
    "cover": "me.cover == low",
    "enemy": "enemies",
    "enemy close": "enemies within 1.5",
    "enemy in reach": f"enemies within {REACH_CELLS}",
    "explosive": "me.explosives > 0",
    "goal": "goal",
    "healthy": "me.hp >= 60% of me.hp_max",
    "medkit": "me.medkits > 0",
    "reserve": "me.reserve > 0",
    "smoke": "me.smokes > 0",
}
"""The knowledge of agents as yes or no."""

GOALS: Final = (
    Goal(("enemy", "!healthy", "medkit"), ("healthy",)),
    Goal(("enemy",), ("enemy beaten",)),
    Goal(("!healthy", "medkit"), ("healthy",)),
    Goal(("!ammo", "reserve"), ("ammo",)),
    Goal(("goal", "!at goal"), ("at goal",)),
    Goal((), ("informed",)),
)
"""The goals of agents, the most urgent first."""

OPERATORS: Final = (
    Operator(AimedShot(NEAREST), ("ammo", "enemy in reach", "cover"), ("enemy beaten",), 20),
    Operator(Approach(NEAREST, 5), ("enemy",), ("enemy in reach", "!cover")),
    Operator(Attack(NEAREST), ("ammo", "enemy in reach"), ("enemy beaten",), 30),
    Operator(Charge(NEAREST), ("enemy in reach",), ("enemy beaten", "enemy close", "!cover"), 42),
    Operator(Heal(), ("medkit",), ("healthy", "!medkit")),
    Operator(HeavyAttack(NEAREST), ("enemy close",), ("enemy beaten",), 15),
    Operator(MoveTo(AT_GOAL, AT_GOAL), ("goal",), ("at goal", "!cover", "!enemy in reach", "!enemy close"), 20),
    Operator(QuickAttack(NEAREST), ("enemy close",), ("enemy beaten",), 25),
    Operator(Reload(), ("reserve",), ("ammo",)),
    Operator(Retreat(NEAREST, 8), ("enemy",), ("!enemy close",)),
    Operator(Scan(10), (), ("informed",)),
    Operator(TakeCover(), (), ("cover",), 8),
    Operator(
        ThrowExplosive(AT_NEAREST, AT_NEAREST),
        ("explosive", "enemy in reach"),
        ("enemy beaten", "!explosive"),
        12,
    ),
)
"""The steps that agents can take, in terms of facts."""


# -- scores ------------------------------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """The inputs of scores, `[n] int64`: health in percent, distance to the nearest enemy, visible enemies."""

    health: Array
    distance: Array
    seen: Array


def _known(batch: Batch) -> _Known:
    me = batch.me
    health = me.hp.astype(np.int64) * 100 // np.maximum(me.hp_max.astype(np.int64), 1)
    _, (x, y) = _nearest_enemy(batch)
    dx, dy = x.astype(np.int64) - me.pos.x, y.astype(np.int64) - me.pos.y
    # The larger of the two plus half of the smaller is within a tenth of the straight distance, in integers.
    wide, narrow = np.maximum(np.abs(dx), np.abs(dy)), np.minimum(np.abs(dx), np.abs(dy))
    return _Known(health, wide + narrow // 2, places_held(batch.enemies.id >= 0))


def _if(mask: NDArray[np.bool_], score: Array | int) -> Array:
    return np.where(mask, score, 0)


def _attack(batch: Batch) -> Array:
    known = _known(batch)
    near = (known.seen > 0) & (known.distance <= REACH_CELLS) & (batch.me.ammo > 0)
    hp = batch.enemies.hp
    weak = np.maximum(60 - hp[:, 0].astype(np.int64), 0) if hp.shape[1] else 0
    return _if(near, 500 + (REACH_CELLS - known.distance) * 20 + weak * 3)


def _aim(batch: Batch) -> Array:
    known = _known(batch)
    far = (known.seen > 0) & (known.distance > REACH_CELLS - 2) & (known.distance <= REACH_CELLS + 3)
    return _if(far & (batch.me.ammo > 1), 520)


def _strike(batch: Batch) -> Array:
    known = _known(batch)
    return _if((known.seen > 0) & (known.distance <= 1), 800)


def _throw(batch: Batch) -> Array:
    known, enemies = _known(batch), batch.enemies
    dx = enemies.pos.x.astype(np.int64) - enemies.pos.x[:, :1]
    dy = enemies.pos.y.astype(np.int64) - enemies.pos.y[:, :1]
    together = places_held((enemies.id >= 0) & (np.maximum(np.abs(dx), np.abs(dy)) <= BLAST_CELLS))
    return _if((known.distance > BLAST_CELLS + 1) & (known.distance <= REACH_CELLS), together * 350)


def _heal(batch: Batch) -> Array:
    health = _known(batch).health
    return _if((health < 70) & (batch.me.medkits > 0), (100 - health) * 8)


def _heal_ally(batch: Batch) -> Array:
    return _if(_known(batch).seen == 0, 260)


def _reload(batch: Batch) -> Array:
    empty, few = batch.me.ammo <= 0, (_known(batch).seen == 0) & (batch.me.ammo < 8)
    return _if(batch.me.reserve > 0, np.where(empty, 900, _if(few, 300)))


def _cover(batch: Batch) -> Array:
    known = _known(batch)
    return _if((known.seen > 0) & (batch.me.cover == 0), 350 + (100 - known.health) * 4)


def _retreat(batch: Batch) -> Array:
    known = _known(batch)
    outnumbered = (known.seen > 2) & (known.health < 40)
    return _if(outnumbered & (known.distance < REACH_CELLS), 640)


def _approach(batch: Batch) -> Array:
    known = _known(batch)
    return _if((known.seen > 0) & (known.distance > REACH_CELLS), 380 + known.health)


def _leader(batch: Batch) -> Array:
    return _if(_known(batch).seen == 0, 120)


OPTIONS: Final = (
    Option(HeavyAttack(NEAREST), _strike),
    Option(ThrowExplosive(AT_NEAREST, AT_NEAREST), _throw, when="me.explosives > 0"),
    Option(Attack(NEAREST), _attack),
    Option(AimedShot(NEAREST), _aim),
    Option(Reload(), _reload),
    Option(Heal(), _heal),
    Option(Retreat(NEAREST, 8), _retreat, when="enemies within 7.99"),
    Option(TakeCover(), _cover),
    Option(Approach(NEAREST, REACH_CELLS - 1), _approach, when=f"no enemies within {REACH_CELLS - 1}"),
    Option(heal_ally, _heal_ally),
    Option(MoveTo(AT_GOAL, AT_GOAL), 240, when="goal and no goal within 0"),
    Option(move_to_leader, _leader),
    Option(Scan(10), 50),
)
"""The steps that an agent may take, and their scores."""


# -- the tree ----------------------------------------------------------------------------------------------------------

_MOVE: Final = MoveTo(AT_GOAL, AT_GOAL)
TREE: Final = (
    Branch(("enemy", "no healthy", "medkit"), (TakeCover(), Heal())),
    Branch(("enemy", "no ammo", "reserve"), (TakeCover(), Reload())),
    Branch("enemy close", HeavyAttack(NEAREST)),
    Branch(("enemy in reach", "explosive"), (ThrowExplosive(AT_NEAREST, AT_NEAREST), Attack(NEAREST))),
    Branch(("enemy in reach", "ammo"), (Attack(NEAREST), Attack(NEAREST))),
    Branch(("enemy", "ammo"), (Approach(NEAREST, 5), Attack(NEAREST))),
    Branch(("no healthy", "medkit"), Heal()),
    Branch(("no ammo", "reserve"), Reload()),
    Branch(("goal", "no at goal"), _MOVE),
    Branch("always", Scan(10)),
)
"""The behaviour tree, in the order in which branches are tried."""

MOVES: Final = {
    "throw smoke": throw_smoke,
    "heal ally": heal_ally,
    "move to leader": move_to_leader,
    "ambush in cover": ambush_in_cover,
}
"""Moves that rules in files may name."""

PLAYBOOK: Final = Playbook(
    rules=RULES, facts=FACTS, moves=MOVES, goals=GOALS, operators=OPERATORS, options=OPTIONS, tree=TREE
)
