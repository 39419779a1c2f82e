"""Offence: shots, blows and grenades.

Damage, cooldowns and costs are AstraWeave's (`tool_vocabulary.rs`). AstraWeave has no chance to hit and no reach; these
are ours. The chance to hit is the weapon's accuracy, plus the kind's bonus, plus 2 per-mille for each point of morale
above 50 (minus 2 for each point below), minus 400 if the target stands in cover more than two cells away. A mark on the
target adds 150, the squad's focus on it 150, an ambush 250 (and 50 % more harm). Being suppressed subtracts 300, a
target that dodges 400. The result stays between 50 and 950 per-mille.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import known, number, on, seconds
from scenarios.tactics.actions.base import (
    Action,
    Lob,
    Refused,
    Turn,
    Walk,
    aimed_at,
    first_of,
    no_rounds,
    target_refusals,
    ticks_of_ms,
    tired,
)
from scenarios.tactics.components import Ammo, Condition, Guard, Kit, Morale, Stamina, Weapon
from scenarios.tactics.draws import HIT
from scenarios.tactics.grid import SIGHT_MAX, Cells, disc
from sim.run.actions import Args, Codes, Rows

COVER_PENALTY: Final = 400
"""The reduction of the chance to hit a target in cover, per-mille."""
AMBUSH_BONUS: Final = 250
"""The bonus on the chance to hit for the first attack from an ambush, per-mille."""
MARK_BONUS: Final = 150
"""The bonus on the chance to hit a target that the attacker's team has marked, per-mille."""
FOCUS_BONUS: Final = 150
"""The bonus on the chance to hit a target in the focus of the attacker's squad, per-mille."""
SUPPRESSED_PENALTY: Final = 300
"""The reduction of the chance to hit for a suppressed attacker, per-mille."""
DODGE_PENALTY: Final = 400
"""The reduction of the chance to hit a target that dodges, per-mille."""
CHANCES: Final = (
    (Condition.AMBUSH, AMBUSH_BONUS, "own"),
    (Condition.SUPPRESSED, -SUPPRESSED_PENALTY, "own"),
    (Condition.DODGE, -DODGE_PENALTY, "target"),
)
"""The changes of the chance to hit by conditions of the attacker and of the target, per-mille."""
CHANCE_MIN: Final = 50
"""The least chance to hit, per-mille."""
CHANCE_MAX: Final = 950
"""The greatest chance to hit, per-mille."""
AREA_HP: Final = 8
"""Hit points that AoEAttack takes from agents in the open; half of that in cover."""
CHARGE_CELLS: Final = 8
"""The greatest distance at which a charge may begin, cells."""
BLAST_CELLS: Final = 2
"""The radius of an explosion, cells."""
BLAST_NEAR: Final = 30
"""Hit points lost within one cell of an explosion."""
BLAST_FAR: Final = 15
"""Hit points lost farther out."""
MELEE_DISTANCE2: Final = 2
"""The squared reach of a blow: the eight cells around."""


class Strike(Action):
    """An attack on one enemy that hits or misses.

    `damage` is in hit points, `rounds` is the number of rounds that it fires, `bonus` is added to the chance to hit,
    per-mille.
    """

    category: ClassVar[str] = "offensive"
    group: ClassVar[str] = "weapon"
    damage: ClassVar[int] = 0
    rounds: ClassVar[int] = 1
    bonus: ClassVar[int] = 0

    @classmethod
    def reach2(cls, turn: Turn, rows: Rows) -> Any:
        """Return the greatest squared distance of the target."""
        return turn.world[Weapon].reach[rows].astype(np.int64) ** 2

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends, too far or hidden, and empty weapons."""
        judged = target_refusals(turn, rows, args[0], cls.reach2(turn, rows))
        judged[no_rounds(turn, rows, cls.rounds)] = Refused.NO_AMMO.value
        return judged

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Fire, and harm the target if it is hit."""
        turn.world[Ammo].rounds[rows] -= cls.rounds
        harm = np.full(len(rows), cls.damage, np.int32)
        strike(turn, rows, turn.target_rows(args[0]), harm, bonus=cls.bonus, melee=cls.rounds == 0)


def strike(
    turn: Turn, rows: Rows, others: Rows, harm: NDArray[np.int32], *, bonus: int = 0, melee: bool = False
) -> None:
    """Harm those of `others` that are hit; attackers stop blocking and leave their ambush.

    A blow (`melee`) at an agent that parries harms the attacker instead, and ends the parry.
    """
    world, afflictions, rules = turn.world, turn.afflictions, turn.stage.parameters
    harm = (harm * world[Weapon].damage[rows].astype(np.int32) + 500) // 1000
    chance = world[Weapon].accuracy[rows].astype(np.int64)
    chance += bonus + rules.combat.hit_bonus
    chance += rules.morale.aim_permille * (world[Morale].value[rows] - 50)
    chance -= COVER_PENALTY * (turn.grid.cover[turn.cells(others)] & (turn.distance2(rows, others) > 4))
    for condition, change, whose in CHANCES:
        if afflictions.holds(condition):
            chance += change * afflictions.under(condition, rows if whose == "own" else others)
    if afflictions.holds(Condition.MARKED):
        chance += MARK_BONUS * afflictions.marked(rows, others)
    if afflictions.holds(Condition.FOCUS):
        chance += FOCUS_BONUS * afflictions.focused(rows, others)
    np.minimum(np.maximum(chance, CHANCE_MIN, out=chance), CHANCE_MAX, out=chance)
    hit = turn.rng.below(world.keys[rows], turn.tick, HIT, 1000) < chance
    world[Guard].until[rows] = 0
    if afflictions.holds(Condition.AMBUSH):
        hidden = afflictions.under(Condition.AMBUSH, rows)
        harm = np.where(hidden, harm * 3 // 2, harm).astype(np.int32)
        afflictions.lift(Condition.AMBUSH, rows[hidden])
    if melee:
        turned = hit & afflictions.under(Condition.PARRY, others)
        if turned.any():
            turn.harm(rows[turned], harm[turned])
            afflictions.lift(Condition.PARRY, others[turned])
            hit &= ~turned
    turn.harm(others[hit], harm[hit])


class Attack(Strike):
    """Shoot at a visible enemy in reach."""

    keep: ClassVar[int] = 2
    target_id: int = known("enemies")
    cooldown_s: ClassVar[float] = 1.0
    cost: ClassVar[str] = "1 round"
    damage: ClassVar[int] = 10


class AimedShot(Strike):
    """Aim for a second, then shoot: slower, more accurate and stronger than Attack."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")
    cooldown_s: ClassVar[float] = 2.0
    duration_s: ClassVar[float] = 1.0
    cost: ClassVar[str] = "1 round"
    damage: ClassVar[int] = 15
    bonus: ClassVar[int] = 250


class QuickAttack(Strike):
    """Shoot in haste at an enemy at most four cells away."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")
    cooldown_s: ClassVar[float] = 0.5
    cost: ClassVar[str] = "1 round"
    damage: ClassVar[int] = 5

    @classmethod
    def reach2(cls, turn: Turn, rows: Rows) -> Any:
        """Return the square of four cells, or of the weapon's reach if that is less."""
        return np.minimum(super().reach2(turn, rows), 16)


class HeavyAttack(Strike):
    """Strike an enemy on one of the eight cells around you with full force."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")
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
        """Refuse exhausted agents, and everything that every strike refuses."""
        return np.where(tired(turn, rows, cls.stamina), np.int8(Refused.NO_STAMINA), super().refusals(turn, rows, args))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Strike, at the cost of stamina."""
        turn.world[Stamina].value[rows] -= cls.stamina
        super().apply(turn, rows, args)


class CoverFire(Strike):
    """Suppress an enemy for some seconds: it shoots worse and walks at half pace; at the end you may hit it."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")
    duration: float = seconds(0.1, 10, default=2.0)
    cooldown_s: ClassVar[float] = 4.0
    cost: ClassVar[str] = "3 rounds"
    rounds: ClassVar[int] = 3

    @classmethod
    def ticks(cls, turn: Turn, args: Args) -> Any:
        """Return the ticks of the requested seconds."""
        return ticks_of_ms(args[1], turn.ticks_per_second)

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse everything that every strike refuses; check the rounds only before they are fired."""
        empty = no_rounds(turn, rows, cls.rounds) & (turn.progress.started_at[rows] < 0)
        judged = target_refusals(turn, rows, args[0], cls.reach2(turn, rows))
        return np.where(empty, np.int8(Refused.NO_AMMO), judged)

    @classmethod
    def start(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Fire, and suppress the target for the duration of the step."""
        turn.world[Ammo].rounds[rows] -= cls.rounds
        turn.afflictions.impose(Condition.SUPPRESSED, turn.target_rows(args[0]), cls.ticks(turn, args))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Harm the target if it is hit: five hit points per second of fire, at least one."""
        strike(turn, rows, turn.target_rows(args[0]), np.maximum(args[1] * 5 // 1000, 1).astype(np.int32))


class AoEAttack(Action):
    """Fire at all cells around a visible cell in reach: 8 hit points (4 in cover), friends too."""

    keep: ClassVar[int] = 1
    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")
    radius: int = number(1, 4, rounded=True, default=2)
    category: ClassVar[str] = "offensive"
    group: ClassVar[str] = "weapon"
    cooldown_s: ClassVar[float] = 5.0
    duration_s: ClassVar[float] = 1.0
    cost: ClassVar[str] = "5 rounds"
    rounds: ClassVar[int] = 5

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse agents with too few rounds, and cells beyond the weapon's reach or out of sight."""
        reach = turn.world[Weapon].reach[rows].astype(np.int64)
        far, hidden = aimed_at(turn, rows, args, reach * reach)
        return first_of(
            (no_rounds(turn, rows, cls.rounds), Refused.NO_AMMO),
            (far, Refused.OUT_OF_RANGE),
            (hidden, Refused.NO_SIGHT),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Harm all agents in the circle with a clear line to the shooter, but not the shooter."""
        turn.world[Ammo].rounds[rows] -= cls.rounds
        turn.world[Guard].until[rows] = 0
        turn.afflictions.lift(Condition.AMBUSH, rows)
        here, centre = turn.cells(rows), turn.grid.cell(args[0], args[1])
        for dx, dy in disc(int(args[2].max())):
            cell = centre + dy * turn.grid.stride + dx
            struck = turn.occupancy.row_at[cell].astype(np.int64)
            there = ((struck >= 0) & (struck != rows) & (dx * dx + dy * dy <= args[2].astype(np.int64) ** 2)).nonzero()[
                0
            ]
            there = there[turn.grid.sees(here[there], cell[there])]
            turn.harm(struck[there], np.where(turn.grid.cover[cell[there]], AREA_HP // 2, AREA_HP).astype(np.int32))


class Charge(Walk):
    """Run straight at a visible enemy at most eight cells away and strike it: 20 hit points."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")
    category: ClassVar[str] = "offensive"
    group: ClassVar[str] = "weapon"
    cooldown_s: ClassVar[float] = 6.0
    cells_per_second: ClassVar[int] = 10
    cost: ClassVar[str] = "30 stamina"
    damage: ClassVar[int] = 20
    bonus: ClassVar[int] = 100
    stamina: ClassVar[int] = 30

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse exhausted agents, and targets that are gone, friends, too far away or hidden."""
        judged = target_refusals(turn, rows, args[0], CHARGE_CELLS * CHARGE_CELLS)
        return np.where(tired(turn, rows, cls.stamina), np.int8(Refused.NO_STAMINA), judged)

    @classmethod
    def start(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Start to run, at the cost of stamina."""
        turn.world[Stamina].value[rows] -= cls.stamina

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        """Return which agents stand beside the target, or have lost sight of it."""
        judged: NDArray[np.bool_] = target_refusals(turn, rows, args[0], SIGHT_MAX * SIGHT_MAX) != Refused.NO.value
        return judged | cls._beside(turn, rows, args)

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        """Return the free neighbour nearest to the target."""
        others = turn.target_rows(args[0])
        return turn.toward(rows, turn.position.x[others], turn.position.y[others])

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Strike the target if it is beside the agent."""
        near = cls._beside(turn, rows, args).nonzero()[0]
        harm = np.full(len(near), cls.damage, np.int32)
        strike(turn, rows[near], turn.target_rows(args[0, near]), harm, bonus=cls.bonus, melee=True)

    @classmethod
    def _beside(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        others = turn.target_rows(args[0])
        near: NDArray[np.bool_] = turn.distance2(rows, np.where(others < 0, rows, others)) <= MELEE_DISTANCE2
        return (others >= 0) & near


class ThrowExplosive(Lob):
    """Throw a grenade at a visible cell within eight cells; it harms everyone within two cells, friends too."""

    keep: ClassVar[int] = 1
    category: ClassVar[str] = "offensive"
    cost: ClassVar[str] = "1 explosive"
    item: ClassVar[str] = "explosives"

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Harm all agents within the blast that have a clear line to its centre."""
        turn.world[Kit].explosives[rows] -= 1
        explode(turn, rows, turn.grid.cell(args[0], args[1]))


def explode(turn: Turn, rows: Rows, centre: Cells) -> None:
    """Explode things that agents have thrown; throwers stop blocking and leave their ambush."""
    turn.world[Guard].until[rows] = 0
    turn.afflictions.lift(Condition.AMBUSH, rows)
    for dx, dy in disc(BLAST_CELLS):
        cell = centre + dy * turn.grid.stride + dx
        struck = turn.occupancy.row_at[cell].astype(np.int64)
        there = (struck >= 0).nonzero()[0]
        there = there[turn.grid.sees(centre[there], cell[there])]
        amount = BLAST_NEAR if dx * dx + dy * dy <= 1 else BLAST_FAR
        turn.harm(struck[there], np.full(len(there), amount, np.int32))


KINDS: Final[tuple[type[Action], ...]] = (
    AimedShot, AoEAttack, Attack, Charge, CoverFire, HeavyAttack, QuickAttack, ThrowExplosive,
)  # fmt: skip
