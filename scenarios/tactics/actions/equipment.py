"""Equipment: what an agent does with its gear. Weapons and items are the scenario's data."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import name, number, on
from scenarios.tactics.actions.base import (
    THROW_CELLS,
    Action,
    Refused,
    Turn,
    aimed_at,
    first_of,
)
from scenarios.tactics.actions.defensive import spread_smoke
from scenarios.tactics.actions.offensive import explode
from scenarios.tactics.components import MORALE_MAX, STAMINA_MAX, Ammo, Arsenal, Health, Morale, Squad, Stamina, Weapon
from scenarios.tactics.equipment import Effect
from sim.run.actions import Args, Codes, Rows


class Reload(Action):
    """Fill the magazine from the rounds you carry; takes two seconds."""

    keep: ClassVar[int] = 2
    category: ClassVar[str] = "equipment"
    duration_s: ClassVar[float] = 2.0
    cost: ClassVar[str] = "reserve rounds"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse full magazines and empty pockets."""
        ammo = turn.world[Ammo]
        return first_of(
            (ammo.reserve[rows] <= 0, Refused.NO_AMMO),
            (ammo.rounds[rows] >= ammo.magazine[rows], Refused.NOTHING_TO_DO),
        )

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Move rounds from the reserve into the weapon."""
        ammo = turn.world[Ammo]
        moved = np.minimum(ammo.magazine[rows] - ammo.rounds[rows], ammo.reserve[rows])
        ammo.rounds[rows] += moved
        ammo.reserve[rows] -= moved


class _Draw(Action):
    """An action kind that takes another weapon in hand; the one in hand keeps its rounds in its slot."""

    category: ClassVar[str] = "equipment"
    group: ClassVar[str] = "gear"

    @classmethod
    def wanted(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.int64]:
        """Return the slot that each agent wants in hand, -1 where it carries no such weapon."""
        raise NotImplementedError(cls.__name__)

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse weapons that the agent does not carry, and the one that is in hand."""
        arsenal, slot = turn.world[Arsenal], cls.wanted(turn, rows, args)
        return first_of(
            ((slot < 0) | (slot >= arsenal.slots[rows]), Refused.NO_ITEM),
            (slot == arsenal.hand[rows], Refused.NOTHING_TO_DO),
        )

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Put one weapon away with its rounds and take the other out with its own."""
        world, gear = turn.world, turn.stage.gear
        arsenal, ammo, weapon = world[Arsenal], world[Ammo], world[Weapon]
        slot = cls.wanted(turn, rows, args)
        taken = gear.slots[world[Squad].id[rows], slot]
        arsenal.rounds[arsenal.hand[rows], rows] = ammo.rounds[rows]
        ammo.rounds[rows] = arsenal.rounds[slot, rows]
        arsenal.rounds[slot, rows] = 0
        arsenal.hand[rows] = slot
        ammo.magazine[rows] = gear.magazine[taken]
        weapon.reach[rows], weapon.accuracy[rows] = gear.reach[taken], gear.accuracy[taken]
        weapon.damage[rows] = gear.damage[taken]


class EquipWeapon(_Draw):
    """Take a weapon that you carry in hand, by its name; takes a second."""

    first_tier: ClassVar[bool] = False
    weapon_name: str = name("weapons")
    cooldown_s: ClassVar[float] = 1.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def wanted(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.int64]:
        """Return the first slot that holds the weapon named."""
        found = turn.stage.gear.slots[turn.world[Squad].id[rows]] == args[0][:, None]
        return np.where(found.any(1), found.argmax(1), -1)


class SwitchWeapon(_Draw):
    """Take the weapon of another slot in hand, counted from 0; takes half a second."""

    first_tier: ClassVar[bool] = False
    slot: int = number(0, 3)
    cooldown_s: ClassVar[float] = 0.5
    duration_s: ClassVar[float] = 0.5

    @classmethod
    def wanted(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.int64]:
        """Return the slot asked for."""
        slots: NDArray[np.int64] = args[0].astype(np.int64)
        return slots


class UseItem(Action):
    """Use a thing you carry on yourself: medicine, food, rounds, or smoke where you stand."""

    first_tier: ClassVar[bool] = False
    item_name: str = name("items")
    category: ClassVar[str] = "equipment"
    group: ClassVar[str] = "gear"
    cooldown_s: ClassVar[float] = 1.0
    duration_s: ClassVar[float] = 0.5
    cost: ClassVar[str] = "1 of the item"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse what the agent has not, what is not used in this way, and what would do nothing."""
        world, effect = turn.world, turn.stage.gear.item_effect[args[0]]
        health = world[Health]
        idle = (effect == Effect.HEAL) & (health.hp[rows] >= health.hp_max[rows])
        idle |= (effect == Effect.STAMINA) & (world[Stamina].value[rows] >= STAMINA_MAX)
        idle |= (effect == Effect.MORALE) & (world[Morale].value[rows] >= MORALE_MAX)
        return first_of(
            (holds(turn, rows, args[0]) <= 0, Refused.NO_ITEM),
            (np.isin(effect, (Effect.NONE.value, Effect.BLAST.value)), Refused.UNUSABLE),
            (idle, Refused.NOTHING_TO_DO),
        )

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Use one up for what it gives."""
        world, gear = turn.world, turn.stage.gear
        spend(turn, rows, args[0])
        effect, amount = gear.item_effect[args[0]], gear.item_amount[args[0]].astype(np.int32)
        healed = effect == Effect.HEAL
        turn.mend(rows[healed], amount[healed])
        for kind, column, most in (
            (Effect.STAMINA, world[Stamina].value, STAMINA_MAX),
            (Effect.MORALE, world[Morale].value, MORALE_MAX),
        ):
            users = rows[effect == kind]
            column[users] = np.minimum(column[users] + amount[effect == kind], most)
        world[Ammo].reserve[rows[effect == Effect.AMMO]] += amount[effect == Effect.AMMO]
        smoking = rows[effect == Effect.SMOKE]
        if len(smoking):
            spread_smoke(turn, turn.cells(smoking))


class DropItem(Action):
    """Put one piece of an item down where you stand; anyone can take it up again."""

    first_tier: ClassVar[bool] = False
    item_name: str = name("items")
    category: ClassVar[str] = "equipment"
    cost: ClassVar[str] = "1 of the item"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse what the agent has not."""
        return first_of((holds(turn, rows, args[0]) <= 0, Refused.NO_ITEM))

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Let the item lie on the agent's cell from the end of the phase on."""
        spend(turn, rows, args[0])
        turn.laid.append((rows, args[0], turn.cells(rows)))


class Throw(Action):
    """Throw an item at a cell within eight cells in sight: grenades go off, other things lie there."""

    first_tier: ClassVar[bool] = False
    item: str = name("items")
    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")
    category: ClassVar[str] = "equipment"
    group: ClassVar[str] = "throw"
    cooldown_s: ClassVar[float] = 8.0
    cost: ClassVar[str] = "1 of the item"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse what the agent has not, and cells too far away or out of sight."""
        far, hidden = aimed_at(turn, rows, args[1:], THROW_CELLS * THROW_CELLS)
        return first_of(
            (holds(turn, rows, args[0]) <= 0, Refused.NO_ITEM),
            (far, Refused.OUT_OF_RANGE),
            (hidden, Refused.NO_SIGHT),
        )

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Let smoke spread and explosives go off; the rest lies on the cell from the end of the phase on."""
        spend(turn, rows, args[0])
        effect, cells = turn.stage.gear.item_effect[args[0]], turn.grid.cell(args[1], args[2])
        smoke, blast = effect == Effect.SMOKE, effect == Effect.BLAST
        if smoke.any():
            spread_smoke(turn, cells[smoke])
        if blast.any():
            explode(turn, rows[blast], cells[blast])
        lying = ~(smoke | blast)
        if lying.any():
            turn.laid.append((rows[lying], args[0, lying], cells[lying]))


def holds(turn: Turn, rows: Rows, items: NDArray[np.int32]) -> NDArray[np.int16]:
    """Return how many of an item each agent holds, one item an agent."""
    held = np.zeros(len(rows), np.int16)
    for item in np.unique(items).tolist():
        members = items == item
        held[members] = turn.stage.gear.held(turn.world, item, rows[members])
    return held


def spend(turn: Turn, rows: Rows, items: NDArray[np.int32]) -> None:
    """Let each agent hold one fewer of an item, one item an agent."""
    for item in np.unique(items).tolist():
        turn.stage.gear.give(turn.world, item, rows[items == item], -1)


KINDS: Final[tuple[type[Action], ...]] = (DropItem, EquipWeapon, Reload, SwitchWeapon, Throw, UseItem)
