"""The glossary of simulated state: every column an agent has, with its unit.

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

Groups that are used often come first: a world copies and hashes rows up to the last group that anyone has used.
"""


STAMINA_MAX: Final = 100
"""Full breath; a point comes back every tick."""
SLOTS_MAX: Final = 4
"""Weapons that one agent carries."""
ITEMS_MAX: Final = 16
"""Kinds of items that a scenario declares, besides those of `Kit`."""
ABILITIES_MAX: Final = 32
"""Abilities that a scenario declares."""


class Condition(IntEnum):
    """What an agent can be under for a time; the value is the row of `Conditions.until`.

    A snapshot shows them as names (`scenarios.tactics.snapshot.Condition`, in this order). An agent lies in AMBUSH,
    asks for cover (CALLING), dodges, is DOWN, is the FOCUS of its enemies' attack, is MARKED, parries, is SUPPRESSED.
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
"""Full spirits."""


class Position(Component):
    """The cell an agent stands on; at most one living agent stands on a cell."""

    x: i32
    y: i32


class Team(Component):
    """Who is friend and who is enemy: equal ids are friends."""

    id: i8


class Squad(Component):
    """The squad an agent belongs to, and the key of the leader it follows (-1: none)."""

    id: i16
    leader: i64 = column(default=-1)


class Health(Component):
    """Hit points; an agent at 0 or below is removed at the end of the tick."""

    hp: i32 = column(default=100)
    hp_max: i32 = column(default=100)


class Morale(Component):
    """Will to fight, 0 to 100, and whether it broke: the broken flee, and nobody plans for them until they rally."""

    value: i32 = column(default=100)
    broken: boolean


class Ammo(Component):
    """Rounds in the weapon, rounds a full magazine holds, and rounds carried besides."""

    rounds: i32 = column(default=30)
    magazine: i32 = column(default=30)
    reserve: i32 = column(default=90)


class Kit(Component):
    """Things that are used up, in pieces."""

    smokes: i16
    explosives: i16
    medkits: i16


class Stamina(Component):
    """Breath, 0 to 100; heavy blows cost it, upkeep gives it back."""

    value: i32 = column(default=100)


class Weapon(Component):
    """The weapon in hand: reach in cells, the chance to hit a standing target in the open, and damage, per-mille."""

    reach: i16 = column(default=8)
    accuracy: i16 = column(default=700)
    damage: i16 = column(default=1000)


class Arsenal(Component):
    """Weapons carried by slot: how many, the slot in hand, and the rounds in those that are not in hand."""

    slots: i8
    hand: i8
    rounds: i16 = column(shape=(SLOTS_MAX,), used_by="slots")


class Inventory(Component):
    """Things carried besides `Kit`: units of cargo, and pieces of the scenario's items in name order.

    `kinds` is how many of the items count, from the first on; the others are 0.
    """

    cargo: i16
    kinds: i8
    count: i16 = column(shape=(ITEMS_MAX,), used_by="kinds")


class Senses(Component):
    """How far an agent sees, cells."""

    sight: i16 = column(default=10)


class Cooldowns(Component):
    """The tick from which each cooldown group works again; `groups` is how many of them count, the others are 0."""

    groups: i8
    ready_at: i32 = column(shape=(len(COOLDOWN_GROUPS),), used_by="groups")


class Guard(Component):
    """The tick before which an agent blocks: harm is halved until then."""

    until: i32


class Conditions(Component):
    """The tick before which each `Condition` holds (0: never), and by whom an agent is marked and in focus.

    `marked_by` is the team that knows of the mark, `focused_by` the squad that attacks together; -1: none so far.
    """

    until: i32 = column(shape=(len(Condition),))
    marked_by: i8 = column(default=-1)
    focused_by: i16 = column(default=-1)


class Attention(Component):
    """What draws an agent's attention before the tick `until`: an enemy's key (a taunt), or a cell (a distraction)."""

    until: i32
    key: i32 = column(default=-1)
    x: i16 = column(default=-1)
    y: i16 = column(default=-1)


class Goal(Component):
    """What an agent is after: indices into the scenario's sorted texts, and the cell the objective points at."""

    objective: i16 = column(default=-1)
    order: i16 = column(default=-1)
    x: i32 = column(default=-1)
    y: i32 = column(default=-1)


AGENT: Final = (
    Position, Team, Squad, Control, Health, Morale, Ammo, Kit, Stamina, Weapon, Arsenal, Inventory, Senses,
    Cooldowns, Guard, Conditions,
    Attention, Goal, ActionSteps, Progress,
)  # fmt: skip
"""The components every agent has."""
