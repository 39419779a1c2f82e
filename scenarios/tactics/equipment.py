"""The gear and abilities of agents, as data: weapons, items and abilities by name, and the tables that actions read.

Names are positions in sorted tables; steps use the same tables (`Gear.names`). Every scenario has three items,
`smokes`, `explosives` and `medkits`, which agents hold in `Kit`. Agents hold the items that a scenario declares in
`Inventory`, in name order.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from scenarios.tactics.components import ITEMS_MAX, SLOTS_MAX, Arsenal, Inventory, Kit, Squad
from sim.run.world import World

if TYPE_CHECKING:
    from scenarios.tactics.scenario import Archetype
    from scenarios.tactics.settings import TacticsSettings

Amount = Annotated[int, Field(ge=0, le=10_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class WeaponSpec(_Part):
    """A weapon: its reach, its accuracy, its factor on the damage of a kind, and the rounds in a magazine."""

    reach: int = Field(8, ge=1, le=16, description="Reach, cells.")
    accuracy: int = Field(700, ge=0, le=1000, description="Chance to hit, per-mille.")
    damage_permille: int = Field(
        1000, ge=0, le=10_000, description="Factor on the damage of each action, per-mille: 2000 doubles it."
    )
    magazine: int = Field(30, ge=0, le=1000, description="Rounds in a full magazine.")


class ItemSpec(_Part):
    """An item and its effect on its user: `amount` hit points, stamina, morale or rounds, or nothing.

    `smoke` and `blast` have the effects of grenades, on the cell where the item is used or lands.
    """

    effect: Literal["none", "heal", "stamina", "morale", "ammo", "smoke", "blast"] = Field(
        "none", description="Effect on the agent that uses it; `smoke` and `blast` work where it is used or lands."
    )
    amount: Amount = Field(0, description="Hit points, stamina, morale or rounds that it gives.")


class AbilitySpec(_Part):
    """An ability: its effect, its cost, and its cooldown.

    `shield` halves harm for `seconds`; `evade` makes the agent hard to hit for `seconds`; `mend` gives `amount` hit
    points to the agent and all friends within `cells`; `stamina` and `morale` give the agent `amount`; `smoke` hides
    the agent; `reveal` marks all visible enemies within `cells` for `seconds`.
    """

    kind: Literal["defensive", "utility"] = Field(
        "utility", description="`defensive` ones are used by UseDefensiveAbility, the others by UseAbility."
    )
    effect: Literal["shield", "evade", "mend", "stamina", "morale", "smoke", "reveal"] = Field(
        description="Effect of the ability."
    )
    amount: Amount = Field(0, description="Hit points, stamina or morale that it gives.")
    seconds: int = Field(3, ge=1, le=600, description="Duration of the effect, seconds.")
    cells: int = Field(3, ge=1, le=16, description="Radius of the effect, cells.")
    stamina: int = Field(0, ge=0, le=100, description="Stamina that it costs.")
    cooldown_s: int = Field(10, ge=1, le=3600, description="Cooldown after use, seconds.")


class Effect(IntEnum):
    """The effects of items and abilities."""

    NONE = 0
    HEAL = 1
    STAMINA = 2
    MORALE = 3
    AMMO = 4
    SMOKE = 5
    BLAST = 6
    SHIELD = 7
    EVADE = 8
    MEND = 9
    REVEAL = 10


DEFAULT_ITEMS: Final = {
    "smokes": ItemSpec(effect="smoke"),
    "explosives": ItemSpec(effect="blast"),
    "medkits": ItemSpec(effect="heal", amount=20),
}
"""Items of every scenario, by the column of `Kit` that counts them."""

Ints = NDArray[np.int64]


def _column(values: list[int]) -> Ints:
    return np.array(values, np.int64)


class EquipmentTables:
    """The tables of a scenario: one row per weapon, item or ability, in name order; and the gear of each squad.

    `slots [squads, SLOTS_MAX]` has the weapons that a squad's agents carry (-1: none), `can [squads, abilities]` their
    abilities, `load_max [squads]` the units of cargo that fit.
    """

    def __init__(self, settings: TacticsSettings, ticks_per_second: int) -> None:
        items = {**DEFAULT_ITEMS, **settings.items}
        self.weapons = tuple(sorted(settings.weapons))
        self.items = tuple(sorted(items))
        self.abilities = tuple(sorted(settings.abilities))
        self.own_items = tuple(name for name in self.items if name not in DEFAULT_ITEMS)
        weapons = [settings.weapons[name] for name in self.weapons]
        self.reach = _column([weapon.reach for weapon in weapons])
        self.accuracy = _column([weapon.accuracy for weapon in weapons])
        self.damage = _column([weapon.damage_permille for weapon in weapons])
        self.magazine = _column([weapon.magazine for weapon in weapons])
        self.item_effect = _column([Effect[items[name].effect.upper()] for name in self.items])
        self.item_amount = _column([items[name].amount for name in self.items])
        abilities = [settings.abilities[name] for name in self.abilities]
        self.defensive = np.array([ability.kind == "defensive" for ability in abilities], np.bool_)
        self.ability_effect = _column([Effect[ability.effect.upper()] for ability in abilities])
        self.ability_amount = _column([ability.amount for ability in abilities])
        self.ability_ticks = _column([ability.seconds * ticks_per_second for ability in abilities])
        self.ability_cells = _column([ability.cells for ability in abilities])
        self.ability_stamina = _column([ability.stamina for ability in abilities])
        self.ability_rest = _column([ability.cooldown_s * ticks_per_second for ability in abilities])
        squads = [squad for team in settings.teams for squad in team.squads]
        archetypes = [settings.archetypes[squad.archetype] for squad in squads]
        self.slots = np.full((len(squads), SLOTS_MAX), -1, np.int64)
        self.can = np.zeros((len(squads), len(self.abilities)), np.bool_)
        self.load_max = _column([archetype.carry for archetype in archetypes])
        for row, archetype in enumerate(archetypes):
            self.slots[row, : len(archetype.weapons)] = [self.weapons.index(name) for name in archetype.weapons]
            self.can[row, [self.abilities.index(name) for name in archetype.abilities]] = True

        self.has_cargo = any(thing.effect.kind == "yield" for thing in (*settings.map.objects, *settings.map.scattered))
        self.holding_names = (*self.own_items, *self.weapons, *self.abilities, *(["cargo"] if self.has_cargo else []))

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The tables of names for a registry."""
        return {"weapons": self.weapons, "items": self.items, "abilities": self.abilities}

    def holdings(self, world: World, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """Return the things that agents have in addition to `Kit`, `[len(rows), holdings]`.

        Items are counted in pieces and `cargo` in units. A weapon counts 1 if it is carried and 2 if it is in hand; an
        ability counts 1.
        """
        if not self.holding_names:
            return np.zeros((len(rows), 0), np.int32)
        inventory, arsenal, squad = world[Inventory], world[Arsenal], world[Squad].id[rows]
        carried = self.slots[squad]
        hand = np.where(arsenal.slots[rows] > 0, carried[np.arange(len(rows)), arsenal.hand[rows]], -1)
        weapons = np.arange(len(self.weapons))
        columns = [
            inventory.count[: len(self.own_items), rows].T,
            (carried[:, :, None] == weapons).any(1).astype(np.int32) + (hand[:, None] == weapons),
            self.can[squad],
            inventory.cargo[rows][:, None] if self.has_cargo else np.zeros((len(rows), 0), np.int32),
        ]
        return np.concatenate(columns, axis=1).astype(np.int32)

    def held(self, world: World, item: int, rows: NDArray[np.intp]) -> NDArray[np.int16]:
        """Return the number of an item that agents hold, `[m]`."""
        held: NDArray[np.int16] = self._counts(world, item)[rows]
        return held

    def give(self, world: World, item: int, rows: NDArray[np.intp], count: Any) -> None:
        """Change the number of an item that agents hold; each agent may be named only once."""
        self._counts(world, item)[rows] += np.asarray(count, np.int16)
        name = self.items[item]
        if name not in DEFAULT_ITEMS:
            kinds = world[Inventory].kinds
            kinds[rows] = np.maximum(kinds[rows], self.own_items.index(name) + 1)

    def _counts(self, world: World, item: int) -> NDArray[np.int16]:
        name = self.items[item]
        counts: NDArray[np.int16] = (
            getattr(world[Kit], name) if name in DEFAULT_ITEMS else world[Inventory].count[self.own_items.index(name)]
        )
        return counts


def starting_gear(settings: TacticsSettings, archetype: Archetype) -> dict[str, dict[str, Any]]:
    """Return the values of `Ammo`, `Arsenal`, `Inventory` and `Weapon` for new agents of an archetype."""
    own = sorted(settings.items)
    count = np.zeros(ITEMS_MAX, np.int16)
    for name, pieces in archetype.items.items():
        count[own.index(name)] = pieces
    used = max((own.index(name) + 1 for name in archetype.items), default=0)
    carried = [settings.weapons[name] for name in archetype.weapons]
    first = (
        carried[0] if carried else WeaponSpec(
            reach=archetype.reach, accuracy=archetype.accuracy, magazine=archetype.magazine
        )
    )  # fmt: skip
    rounds = np.zeros(SLOTS_MAX, np.int16)
    for slot, weapon in enumerate(carried[1:], 1):
        rounds[slot] = weapon.magazine
    return {
        "Ammo": {"rounds": first.magazine, "magazine": first.magazine, "reserve": archetype.reserve},
        "Arsenal": {"slots": len(carried), "rounds": rounds},
        "Inventory": {"kinds": used, "count": count},
        "Weapon": {"reach": first.reach, "accuracy": first.accuracy, "damage": first.damage_permille},
    }
