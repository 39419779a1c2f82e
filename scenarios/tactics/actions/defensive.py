"""Defence: block, dodge, parry, smoke, healing, and defensive abilities.

Numbers are AstraWeave's (`tool_vocabulary.rs`) if it has them. The scenario's data defines the abilities of an
archetype (`scenarios.tactics.equipment.AbilitySpec`).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import NONE, known, name
from scenarios.tactics.actions.base import (
    Action,
    Lob,
    Refused,
    Turn,
    first_of,
    lacks,
    target_refusals,
    tired,
)
from scenarios.tactics.actions.movement import Side, aside, nearest_foe
from scenarios.tactics.actions.offensive import MELEE_DISTANCE2
from scenarios.tactics.components import MORALE_MAX, STAMINA_MAX, Condition, Guard, Health, Kit, Morale, Squad, Stamina
from scenarios.tactics.equipment import Effect
from scenarios.tactics.grid import Cells, Sightings, disc
from scenarios.tactics.perception import seen_within
from sim.run.actions import Args, Codes, Rows

DODGE_S: Final = 1.0
"""The time for which a dodge makes an agent hard to hit, seconds."""
SMOKE_CELLS: Final = 2
"""The radius of a smoke cloud, cells."""
SMOKE_S: Final = 8.0
"""The time that smoke lasts, seconds."""
HEAL_HP: Final = 20
"""Hit points that a medkit gives back."""


class Block(Action):
    """Brace for a second: harm is halved until then or until you attack."""

    keep: ClassVar[int] = 1
    category: ClassVar[str] = "defensive"
    group: ClassVar[str] = "block"
    cooldown_s: ClassVar[float] = 1.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def start(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Raise the guard for the duration of the step."""
        turn.world[Guard].until[rows] = turn.tick + turn.seconds(cls.duration_s)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Nothing is left to do when the second is over."""


class Dodge(Action):
    """Be hard to hit for a second; with a direction, also step to that side of the nearest visible enemy."""

    first_tier: ClassVar[bool] = False
    direction: Side | None = None
    category: ClassVar[str] = "defensive"
    group: ClassVar[str] = "block"
    cooldown_s: ClassVar[float] = 2.0
    cost: ClassVar[str] = "15 stamina"
    stamina: ClassVar[int] = 15

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse exhausted agents, and a step to the side if no enemy is visible or the cell is not free."""
        alone, stuck = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        picked = (args[0] != NONE).nonzero()[0]
        if len(picked):
            foes, cells = cls._step(turn, rows[picked], args[0, picked])
            alone[picked], stuck[picked] = foes < 0, cells < 0
        return first_of(
            (tired(turn, rows, cls.stamina), Refused.NO_STAMINA),
            (alone, Refused.NOTHING_TO_DO),
            (stuck, Refused.BLOCKED),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Duck, and step aside."""
        turn.world[Stamina].value[rows] -= cls.stamina
        turn.afflictions.impose(Condition.DODGE, rows, turn.seconds(DODGE_S))
        picked = (args[0] != NONE).nonzero()[0]
        if len(picked):
            turn.walk(rows[picked], cls._step(turn, rows[picked], args[0, picked])[1])

    @classmethod
    def _step(cls, turn: Turn, rows: Rows, side: NDArray[np.int32]) -> tuple[Rows, Cells]:
        foes = nearest_foe(turn, rows)
        return foes, aside(turn, rows, np.where(foes < 0, rows, foes), side)


class Parry(Action):
    """Be ready for a second to turn the next blow from an adjacent attacker back on that attacker."""

    first_tier: ClassVar[bool] = False
    category: ClassVar[str] = "defensive"
    group: ClassVar[str] = "block"
    cooldown_s: ClassVar[float] = 3.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def start(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Be ready from the next tick on, for the duration of the step."""
        turn.afflictions.impose(Condition.PARRY, rows, turn.seconds(cls.duration_s))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Nothing is left to do when the second is over."""


class ThrowSmoke(Lob):
    """Throw smoke at a visible cell within eight cells; it blocks sight for eight seconds."""

    keep: ClassVar[int] = 1
    category: ClassVar[str] = "defensive"
    cost: ClassVar[str] = "1 smoke grenade"
    item: ClassVar[str] = "smokes"

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Put smoke on the cells around that are not walls, from the next tick on."""
        turn.world[Kit].smokes[rows] -= 1
        spread_smoke(turn, turn.grid.cell(args[0], args[1]))


def spread_smoke(turn: Turn, centre: Cells) -> None:
    """Put smoke on all cells around some cells, except walls, from the next tick on."""
    offsets = np.array([dy * turn.grid.stride + dx for dx, dy in disc(SMOKE_CELLS)], np.int64)
    cells = (centre[:, None] + offsets).ravel()
    turn.clouds.append(cells[~turn.grid.wall[cells]])


class Heal(Action):
    """Use a medkit on yourself, or on a friend on one of the eight cells around: 20 hit points."""

    keep: ClassVar[int] = 2
    target_id: int | None = known("allies", "self", "player", default=None)
    category: ClassVar[str] = "defensive"
    group: ClassVar[str] = "heal"
    cooldown_s: ClassVar[float] = 10.0
    duration_s: ClassVar[float] = 1.0
    cost: ClassVar[str] = "1 medkit"

    @classmethod
    def patients(cls, turn: Turn, rows: Rows, args: Args) -> Rows:
        """Return the row that each agent heals: its own if no target is given, -1 for targets that are gone."""
        return np.where(args[0] == NONE, rows, turn.target_rows(np.maximum(args[0], -1)))

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse agents without a medkit, and targets that are out of reach, enemies, down, or unhurt."""
        own = args[0] == NONE
        keys = np.where(own, -1, args[0]).astype(np.int32)
        judged = np.where(own, np.int8(0), target_refusals(turn, rows, keys, MELEE_DISTANCE2, hostile=False))
        health = turn.world[Health]
        patient = cls.patients(turn, rows, args)
        at = np.where(patient < 0, rows, patient)
        fit = judged == Refused.NO.value
        judged = np.where(fit & (health.hp[at] <= 0), np.int8(Refused.DOWN), judged)
        judged = np.where(fit & (health.hp[at] >= health.hp_max[at]), np.int8(Refused.NOTHING_TO_DO), judged)
        return np.where(lacks(turn, rows, "medkits"), np.int8(Refused.NO_ITEM), judged)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Use the medkit up and mend the patient."""
        turn.world[Kit].medkits[rows] -= 1
        turn.mend(cls.patients(turn, rows, args), np.full(len(rows), HEAL_HP, np.int32))


ABILITY_S: Final = 0.5
"""The time before an ability has its effect, seconds."""


class Ability(Action):
    """An action kind that uses an ability of the agent's archetype; the ability has its own cost and cooldown."""

    duration_s: ClassVar[float] = ABILITY_S
    defensive: ClassVar[bool] = False

    @classmethod
    def cooldown(cls, turn: Turn, args: Args) -> Any:
        """Return the cooldown of each agent's ability, ticks."""
        return turn.stage.gear.ability_rest[args[0]]

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse abilities that the agent does not have, abilities of the other kind, and exhausted agents."""
        gear, squad = turn.stage.gear, turn.world[Squad].id[rows]
        return first_of(
            (~gear.can[squad, args[0]], Refused.NO_ITEM),
            (gear.defensive[args[0]] != cls.defensive, Refused.UNUSABLE),
            (turn.world[Stamina].value[rows] < gear.ability_stamina[args[0]], Refused.NO_STAMINA),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Apply the effect of each agent's ability, at the cost of stamina."""
        world, gear = turn.world, turn.stage.gear
        ability = args[0]
        stamina, morale = world[Stamina].value, world[Morale].value
        stamina[rows] -= gear.ability_stamina[ability].astype(np.int32)
        effect, ticks = gear.ability_effect[ability], gear.ability_ticks[ability]
        amount, cells = gear.ability_amount[ability].astype(np.int32), gear.ability_cells[ability].astype(np.int32)
        for kind in np.unique(effect).tolist():
            who = effect == kind
            users = rows[who]
            match Effect(kind):
                case Effect.SHIELD:
                    world[Guard].until[users] = np.maximum(world[Guard].until[users], turn.tick + 1 + ticks[who])
                case Effect.EVADE:
                    turn.afflictions.impose(Condition.DODGE, users, ticks[who])
                case Effect.STAMINA:
                    stamina[users] = np.minimum(stamina[users] + amount[who], STAMINA_MAX)
                case Effect.MORALE:
                    morale[users] = np.minimum(morale[users] + amount[who], MORALE_MAX)
                case Effect.SMOKE:
                    spread_smoke(turn, turn.cells(users))
                case Effect.MEND:
                    turn.mend(users, amount[who])
                    seen, place = cls._around(turn, users, cells[who], hostile=False)
                    turn.mend(seen.other, amount[who][place])
                case Effect.REVEAL:
                    seen, place = cls._around(turn, users, cells[who], hostile=True)
                    turn.afflictions.mark(seen.viewer, seen.other, ticks[who][place])

    @staticmethod
    def _around(
        turn: Turn, users: Rows, cells: NDArray[np.int32], *, hostile: bool
    ) -> tuple[Sightings, NDArray[np.intp]]:
        """Return the enemies or friends that users see within the ability's radius, with each pair's user."""
        seen = seen_within(turn.world, turn.grid, turn.occupancy, users, cells, hostile=hostile)
        return seen, np.searchsorted(users, seen.viewer)


class UseDefensiveAbility(Ability):
    """Use one of your defensive abilities by its name."""

    first_tier: ClassVar[bool] = False
    ability_name: str = name("abilities")
    category: ClassVar[str] = "defensive"
    group: ClassVar[str] = "defence"
    cooldown_s: ClassVar[float] = 15.0
    cost: ClassVar[str] = "what the ability costs"
    defensive: ClassVar[bool] = True


KINDS: Final[tuple[type[Action], ...]] = (Block, Dodge, Heal, Parry, ThrowSmoke, UseDefensiveAbility)
