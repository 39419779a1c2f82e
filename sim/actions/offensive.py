"""Offence: shots, blows and grenades.

Damage, cooldowns and costs are AstraWeave's (`tool_vocabulary.rs`). It has no hit chance and no reach; these are ours:
the chance to hit is the weapon's accuracy, plus the kind's bonus, plus 2 per-mille for each point of morale above 50
(minus 2 for each below), minus 400 when the target stands in cover more than two cells away. It stays between 50 and
950 per-mille.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import numpy as np

from ai.actions import EnemyId
from sim.actions.base import (
    Action,
    Args,
    Codes,
    Refused,
    Rows,
    Throw,
    Turn,
    no_rounds,
    target_refusals,
)
from sim.components import Ammo, Guard, Kit, Morale, Stamina, Weapon
from sim.grid import disc
from sim.rng import Purpose

COVER_PENALTY: Final = 400
"""What cover takes from the chance to be hit, per-mille."""
BLAST_CELLS: Final = 2
"""Radius of an explosion, cells."""
BLAST_NEAR: Final = 30
"""Hit points lost within one cell of an explosion."""
BLAST_FAR: Final = 15
"""Hit points lost farther out."""
MELEE_DISTANCE2: Final = 2
"""Squared distance of a blow: the eight cells around."""


class Strike(Action):
    """An attack on one enemy that hits or misses.

    `damage` is in hit points, `rounds` what it fires, `bonus` per-mille on the chance to hit.
    """

    category: ClassVar[str] = "offensive"
    group: ClassVar[str] = "weapon"
    damage: ClassVar[int] = 0
    rounds: ClassVar[int] = 1
    bonus: ClassVar[int] = 0

    @classmethod
    def reach2(cls, turn: Turn, rows: Rows) -> Any:
        """Return the squared distance at which the target may be."""
        return turn.world[Weapon].reach[rows].astype(np.int64) ** 2

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends, too far or hidden, and empty weapons."""
        judged = target_refusals(turn, rows, args[0], cls.reach2(turn, rows))
        return np.where(no_rounds(turn, rows, cls.rounds), np.int8(Refused.NO_AMMO), judged)

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Fire, and harm the target if it is hit; who attacks no longer blocks."""
        world = turn.world
        others = turn.target_rows(args[0])
        sheltered = turn.grid.cover[turn.cells(others)] & (turn.distance2(rows, others) > 4)
        chance = world[Weapon].accuracy[rows].astype(np.int64) + cls.bonus + 2 * (world[Morale].value[rows] - 50)
        chance = np.clip(chance - COVER_PENALTY * sheltered, 50, 950)
        hit = turn.rng.below(world.keys[rows], turn.tick, Purpose.HIT, 1000) < chance
        world[Ammo].rounds[rows] -= cls.rounds
        world[Guard].until[rows] = 0
        turn.harm(others[hit], np.full(int(hit.sum()), cls.damage, np.int32))


class Attack(Strike):
    """Shoot at an enemy in reach and sight."""

    act: Literal["Attack"] = "Attack"
    target_id: EnemyId
    cooldown_s: ClassVar[float] = 1.0
    cost: ClassVar[str] = "1 round"
    damage: ClassVar[int] = 10


class AimedShot(Strike):
    """Aim for a second, then shoot: slower, surer and harder than Attack."""

    act: Literal["AimedShot"] = "AimedShot"
    target_id: EnemyId
    cooldown_s: ClassVar[float] = 2.0
    duration_s: ClassVar[float] = 1.0
    cost: ClassVar[str] = "1 round"
    damage: ClassVar[int] = 15
    bonus: ClassVar[int] = 250


class QuickAttack(Strike):
    """Shoot in haste at an enemy at most four cells away."""

    act: Literal["QuickAttack"] = "QuickAttack"
    target_id: EnemyId
    cooldown_s: ClassVar[float] = 0.5
    cost: ClassVar[str] = "1 round"
    damage: ClassVar[int] = 5

    @classmethod
    def reach2(cls, turn: Turn, rows: Rows) -> Any:
        """Return the square of four cells, or of the weapon's reach if that is less."""
        return np.minimum(super().reach2(turn, rows), 16)


class HeavyAttack(Strike):
    """Strike an enemy on one of the eight cells around with all your weight."""

    act: Literal["HeavyAttack"] = "HeavyAttack"
    target_id: EnemyId
    cooldown_s: ClassVar[float] = 3.0
    duration_s: ClassVar[float] = 0.5
    cost: ClassVar[str] = "20 stamina"
    damage: ClassVar[int] = 25
    rounds: ClassVar[int] = 0
    bonus: ClassVar[int] = 200
    stamina: ClassVar[int] = 20

    @classmethod
    def reach2(cls, turn: Turn, rows: Rows) -> Any:
        """Return the squared distance of a blow."""
        return MELEE_DISTANCE2

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse the exhausted besides what every strike refuses."""
        tired = turn.world[Stamina].value[rows] < cls.stamina
        return np.where(tired, np.int8(Refused.NO_STAMINA), super().refusals(turn, rows, args))

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Strike, at the cost of breath."""
        turn.world[Stamina].value[rows] -= cls.stamina
        super().effect(turn, rows, args)


class ThrowExplosive(Throw):
    """Throw a grenade at a cell within eight cells in sight; it harms everyone within two cells, friends too."""

    act: Literal["ThrowExplosive"] = "ThrowExplosive"
    category: ClassVar[str] = "offensive"
    cost: ClassVar[str] = "1 explosive"
    item: ClassVar[str] = "explosives"

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Harm whoever stands within the blast with a clear line to its centre."""
        turn.world[Kit].explosives[rows] -= 1
        turn.world[Guard].until[rows] = 0
        centre = turn.grid.cell(args[0], args[1])
        for dx, dy in disc(BLAST_CELLS):
            cell = centre + dy * turn.grid.stride + dx
            struck = turn.occupancy.row_at[cell].astype(np.int64)
            there = (struck >= 0).nonzero()[0]
            there = there[turn.grid.sees(centre[there], cell[there])]
            amount = BLAST_NEAR if dx * dx + dy * dy <= 1 else BLAST_FAR
            turn.harm(struck[there], np.full(len(there), amount, np.int32))


KINDS: Final[tuple[type[Action], ...]] = (AimedShot, Attack, HeavyAttack, QuickAttack, ThrowExplosive)
