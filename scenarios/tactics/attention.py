"""The effect of conditions on agents' knowledge: marks reach beyond sight, attention reorders, states are visible."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.components import Attention, Condition, Conditions, Position, Squad, Team
from scenarios.tactics.grid import SIGHT_MAX, Occupancy
from scenarios.tactics.reinforcements import reserves_of
from sim.run.world import World

Rows = NDArray[np.intp]

NOWHERE: Final = np.int32(-(2**31))
"""The coordinate of a cell that does not exist."""

MARK_CELLS: Final = SIGHT_MAX
"""The distance within which a team knows the position of a marked enemy, cells."""
MINDED: Final = 1023
"""The largest squared distance from a distraction that counts."""
ENEMYS: Final = sum(
    1 << held.value for held in (Condition.DODGE, Condition.DOWN, Condition.PARRY, Condition.SUPPRESSED)
)
"""The bits of the conditions of an enemy that every agent can see."""
MARK_BIT: Final = 1 << Condition.MARKED.value
FOCUS_BIT: Final = 1 << Condition.FOCUS.value


def with_marked(world: World, occupancy: Occupancy, rows: Rows, *seen: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Add the enemies near enough that the teams of `rows` have marked to the enemies that they see.

    Pairs are passed and returned as viewers, others (rows) and squared distances.
    """
    viewer, other, distance2 = seen
    conditions, position, team = world[Conditions], world[Position], world[Team].id
    marked = (conditions.until[Condition.MARKED.value] > world.tick).nonzero()[0]
    if not len(marked):
        return seen
    asked = np.zeros(world.n, np.bool_)
    asked[rows] = True
    enemy, knower = occupancy.near(marked, np.full(len(marked), MARK_CELLS), hostile=True)
    known = asked[knower] & (conditions.marked_by[enemy] == team[knower])
    known &= ~np.isin(knower * world.n + enemy, viewer * world.n + other)
    enemy, knower = enemy[known], knower[known]
    dx, dy = position.x[enemy] - position.x[knower], position.y[enemy] - position.y[knower]
    return (
        np.concatenate([viewer, knower]),
        np.concatenate([other, enemy]),
        np.concatenate([distance2, dx * dx + dy * dy]),
    )


def rank_by_attention(
    world: World, viewer: Rows, other: Rows, distance2: NDArray[np.int32]
) -> tuple[Rows, Rows, NDArray[np.int32]]:
    """Return pairs of agents and enemies with the distances by which the agents order them.

    This is the distance from the agent itself, 0 for the enemy that taunts it, or the distance from the cell that
    distracts it.
    """
    attention, position = world[Attention], world[Position]
    drawn = attention.until > world.tick
    if not np.count_nonzero(drawn):
        return viewer, other, distance2
    minds = drawn[viewer]
    minded = np.where(minds & (attention.key[viewer] == world.keys[other]), 0, distance2)
    dx, dy = position.x[other] - attention.x[viewer], position.y[other] - attention.y[viewer]
    minded = np.where(minds & (attention.x[viewer] >= 0), np.minimum(dx * dx + dy * dy, MINDED), minded)
    return viewer, other, minded.astype(np.int32)


def held_by(world: World) -> NDArray[np.int32] | None:
    """Return each agent's conditions as bits, bit `c` for `Condition(c)`, `[n]`; None if no agent has any."""
    until = world[Conditions].until > world.tick
    if not np.count_nonzero(until):
        return None
    bits = np.int32(1) << np.arange(len(until), dtype=np.int32)
    held: NDArray[np.int32] = (until * bits[:, None]).sum(0, dtype=np.int32)
    return held


def visible_conditions(world: World, viewers: Rows, others: Rows, held: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the bits of the conditions that each viewer knows of another, pair by pair.

    An agent knows all conditions of a friend. It sees whether an enemy dodges, is down, parries or is suppressed. A
    team knows its marks, and a squad its focus.
    """
    bits = held[others]
    if not np.count_nonzero(bits):
        return bits
    conditions, team = world[Conditions], world[Team].id
    kept = np.where(team[viewers] == team[others], -1, ENEMYS)
    kept |= MARK_BIT * (conditions.marked_by[others] == team[viewers])
    kept |= FOCUS_BIT * (conditions.focused_by[others] == world[Squad].id[viewers])
    known: NDArray[np.int32] = (bits & kept).astype(np.int32)
    return known


def stance(in_cover: NDArray[np.bool_], held: NDArray[np.int32] | None) -> NDArray[np.int32]:
    """Return the positions among `Stance` of agents, by their cells and conditions (None: no agent has any)."""
    low = in_cover.astype(np.int32)
    if held is None:
        return low
    low |= held >> Condition.AMBUSH.value & 1
    found: NDArray[np.int32] = np.where(held >> Condition.DOWN.value & 1, np.int32(2), low)
    return found


def self_columns(world: World, rows: Rows, held: NDArray[np.int32] | None) -> dict[str, Any]:
    """Return columns of an observation on the agents' own conditions, attention, squad and reserves.

    A column without any entry is left out.
    """
    found: dict[str, Any] = {"reserves": reserves_of(world).left[world[Team].id[rows]].astype(np.int32)}
    attention = world[Attention]
    drawn = attention.until[rows] > world.tick
    if np.count_nonzero(drawn):
        found["taunted_by"] = np.where(drawn, attention.key[rows], -1).astype(np.int64)
        drawn &= attention.x[rows] >= 0
        found["distracted_to"] = tuple(np.where(drawn, axis[rows], NOWHERE) for axis in (attention.x, attention.y))
    if held is None:
        return found
    found["conditions"] = held[rows]
    calling = (held & (1 << Condition.CALLING.value)).nonzero()[0]
    if len(calling):
        squad = world[Squad].id
        lowest = np.full(int(squad.max()) + 1, -1, np.int64)
        lowest[squad[calling[::-1]]] = world.keys[calling[::-1]]
        caller = lowest[squad[rows]]
        caller[caller == world.keys[rows]] = -1
        found["cover_wanted_by"] = caller
    return found
