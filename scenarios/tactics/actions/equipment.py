"""Equipment: verbs for an agent's gear. Weapons and items are the scenario's data."""

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
    """Fill the magazine from the rounds that you carry; takes two seconds."""

    keep: ClassVar[int] = 2
    category: ClassVar[str] = "equipment"
    duration_s: ClassVar[float] = 2.0
    cost: ClassVar[str] = "reserve rounds"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse full magazines, and agents without reserve rounds."""
        ammo = turn.world[Ammo]
        return first_of(
            (ammo.reserve[rows] <= 0, Refused.NO_AMMO),
            (ammo.rounds[rows] >= ammo.magazine[rows], Refused.NOTHING_TO_DO),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Move rounds from the reserve into the weapon."""
        ammo = turn.world[Ammo]
        moved = np.minimum(ammo.magazine[rows] - ammo.rounds[rows], ammo.reserve[rows])
        ammo.rounds[rows] += moved
        ammo.reserve[rows] -= moved


class _Draw(Action):
    """An action kind that takes another weapon in hand; the previous weapon keeps its rounds in its slot."""

    category: ClassVar[str] = "equipment"
    group: ClassVar[str] = "gear"

    @classmethod
    def wanted(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.int64]:
        """Return the slot that each agent wants in hand, or -1 if it does not carry that weapon."""
        raise NotImplementedError(cls.__name__)

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse weapons that the agent does not carry, and the weapon in hand."""
        arsenal, slot = turn.world[Arsenal], cls.wanted(turn, rows, args)
        return first_of(
            ((slot < 0) | (slot >= arsenal.slots[rows]), Refused.NO_ITEM),
            (slot == arsenal.hand[rows], Refused.NOTHING_TO_DO),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Store the weapon in hand with its rounds, and take out the other with its own rounds."""
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
    """Take one of your weapons in hand, by its name; takes a second."""

    first_tier: ClassVar[bool] = False
    weapon_name: str = name("weapons")
    cooldown_s: ClassVar[float] = 1.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def wanted(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.int64]:
        """Return the first slot that holds the named weapon."""
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
        """Return the requested slot."""
        slots: NDArray[np.int64] = args[0].astype(np.int64)
        return slots


class UseItem(Action):
    """Use an item that you carry on yourself: medicine, food, rounds, or smoke on your cell."""

    first_tier: ClassVar[bool] = False
    item_name: str = name("items")
    category: ClassVar[str] = "equipment"
    group: ClassVar[str] = "gear"
    cooldown_s: ClassVar[float] = 1.0
    duration_s: ClassVar[float] = 0.5
    cost: ClassVar[str] = "1 of the item"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse items that the agent does not have, that cannot be used like this, or that would have no effect."""
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
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Use up one item and apply its effect."""
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
    """Put one piece of an item down on your cell; anyone can pick it up again."""

    first_tier: ClassVar[bool] = False
    item_name: str = name("items")
    category: ClassVar[str] = "equipment"
    cost: ClassVar[str] = "1 of the item"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse items that the agent does not have."""
        return first_of((holds(turn, rows, args[0]) <= 0, Refused.NO_ITEM))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Put the item on the agent's cell at the end of the phase."""
        spend(turn, rows, args[0])
        turn.laid.append((rows, args[0], turn.cells(rows)))


class Throw(Action):
    """Throw an item at a visible cell within eight cells: grenades go off, other items stay there."""

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
        """Refuse items that the agent does not have, and cells too far away or out of sight."""
        far, hidden = aimed_at(turn, rows, args[1:], THROW_CELLS * THROW_CELLS)
        return first_of(
            (holds(turn, rows, args[0]) <= 0, Refused.NO_ITEM),
            (far, Refused.OUT_OF_RANGE),
            (hidden, Refused.NO_SIGHT),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Apply smoke and explosions; put other items on the cell at the end of the phase."""
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
    """Return the number that each agent holds of an item, one item per agent."""
    held = np.zeros(len(rows), np.int16)
    for item in np.unique(items).tolist():
        members = items == item
        held[members] = turn.stage.gear.held(turn.world, item, rows[members])
    return held


def spend(turn: Turn, rows: Rows, items: NDArray[np.int32]) -> None:
    """Take one piece of an item from each agent, one item per agent."""
    for item in np.unique(items).tolist():
        turn.stage.gear.give(turn.world, item, rows[items == item], -1)


KINDS: Final[tuple[type[Action], ...]] = (DropItem, EquipWeapon, Reload, SwitchWeapon, Throw, UseItem)
