"""The components of the game: every column of an agent, with its unit.

All columns are integers; times are ticks, distances cells, shares per-mille. -1 stands for "none" in keys, cells and
ticks. Rows are agents in ascending key order (`sim.engine.world`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from sim.engine.columns import Component, boolean, column, i8, i16, i32, i64
from sim.run.plan_columns import ActionSteps, Control, Progress, Status

__all__ = ["ActionSteps", "Control", "Progress", "Status"]

COOLDOWN_GROUPS: Final = (
    "weapon", "scan", "throw", "block", "heal", "gear", "command", "provoke", "ambush", "ability", "defence",
    "reinforce", "terrain",
)  # fmt: skip
"""Kinds of one group share a cooldown; the position here is the row of `Cooldowns.ready_at`.

Frequently used groups come first: a world copies and hashes rows up to the last group that any agent has used.
"""


STAMINA_MAX: Final = 100
"""Full stamina; an agent regains a point per tick."""
SLOTS_MAX: Final = 4
"""The most weapons that one agent carries."""
ITEMS_MAX: Final = 16
"""The most kinds of items that a scenario declares, in addition to those of `Kit`."""
ABILITIES_MAX: Final = 32
"""The most abilities that a scenario declares."""


class Condition(IntEnum):
    """The temporary conditions of an agent; the value is the row of `Conditions.until`.

    A snapshot shows them as names (`scenarios.tactics.snapshot.Condition`, in this order). An agent lies in AMBUSH,
    asks for cover (CALLING), dodges, is DOWN, is the FOCUS of its enemies' attack, is MARKED, parries, or is
    SUPPRESSED.
    """

    AMBUSH = 0
    CALLING = 1
    DODGE = 2
    DOWN = 3
    FOCUS = 4
    MARKED = 5
    PARRY = 6
    SUPPRESSED = 7


MORALE_MAX: Final = 100
"""Full morale."""


class Position(Component):
    """The cell of an agent; at most one living agent stands on a cell."""

    x: i32
    y: i32


class Team(Component):
    """The team of an agent: agents with equal ids are friends, all others are enemies."""

    id: i8


class Squad(Component):
    """The squad of an agent, and the key of the leader that it follows (-1: none)."""

    id: i16
    leader: i64 = column(default=-1)


class Health(Component):
    """Hit points; an agent at 0 or below is removed at the end of the tick."""

    hp: i32 = column(default=100)
    hp_max: i32 = column(default=100)


class Morale(Component):
    """The will to fight, 0 to 100, and whether it broke: broken agents flee and get no plan until they rally."""

    value: i32 = column(default=100)
    broken: boolean


class Ammo(Component):
    """Rounds in the weapon, rounds in a full magazine, and reserve rounds."""

    rounds: i32 = column(default=30)
    magazine: i32 = column(default=30)
    reserve: i32 = column(default=90)


class Kit(Component):
    """Consumable items, in pieces."""

    smokes: i16
    explosives: i16
    medkits: i16


class Stamina(Component):
    """Stamina, 0 to 100; heavy blows cost it, upkeep restores it."""

    value: i32 = column(default=100)


class Weapon(Component):
    """The weapon in hand: reach in cells, the chance to hit a standing target in the open, and damage, per-mille."""

    reach: i16 = column(default=8)
    accuracy: i16 = column(default=700)
    damage: i16 = column(default=1000)


class Arsenal(Component):
    """The weapons of an agent by slot: their number, the slot in hand, and the rounds in weapons not in hand."""

    slots: i8
    hand: i8
    rounds: i16 = column(shape=(SLOTS_MAX,), used_by="slots")


class Inventory(Component):
    """Things carried in addition to `Kit`: units of cargo, and pieces of the scenario's items in name order.

    `kinds` is the number of items in use, from the first on; the others are 0.
    """

    cargo: i16
    kinds: i8
    count: i16 = column(shape=(ITEMS_MAX,), used_by="kinds")


class Senses(Component):
    """The distance that an agent sees, cells."""

    sight: i16 = column(default=10)


class Cooldowns(Component):
    """The tick from which each cooldown group is ready again; `groups` is the number in use, the others are 0."""

    groups: i8
    ready_at: i32 = column(shape=(len(COOLDOWN_GROUPS),), used_by="groups")


class Guard(Component):
    """The tick before which an agent blocks: harm is halved until then."""

    until: i32


class Conditions(Component):
    """The tick before which each `Condition` holds (0: never), and the origin of a mark and a focus.

    `marked_by` is the team that knows the mark, `focused_by` the squad that attacks together; -1: none so far.
    """

    until: i32 = column(shape=(len(Condition),))
    marked_by: i8 = column(default=-1)
    focused_by: i16 = column(default=-1)


class Attention(Component):
    """The target of an agent's attention before tick `until`: an enemy's key (a taunt) or a cell (a distraction)."""

    until: i32
    key: i32 = column(default=-1)
    x: i16 = column(default=-1)
    y: i16 = column(default=-1)


class Goal(Component):
    """The aim of an agent: indices into the scenario's sorted texts, and the cell of the objective."""

    objective: i16 = column(default=-1)
    order: i16 = column(default=-1)
    x: i32 = column(default=-1)
    y: i32 = column(default=-1)


AGENT: Final = (
    Position, Team, Squad, Control, Health, Morale, Ammo, Kit, Stamina, Weapon, Arsenal, Inventory, Senses,
    Cooldowns, Guard, Conditions,
    Attention, Goal, ActionSteps, Progress,
)  # fmt: skip
"""The components that every agent has."""
