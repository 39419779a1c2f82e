"""Utility: scan, wait, taunt, revive, and use abilities and objects on the map.

The effects of objects on the map are data (`scenarios.tactics.map_objects`).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from ai.actions import known, name, number, seconds
from scenarios.tactics.actions.base import (
    Action,
    Refused,
    Turn,
    first_of,
    target_refusals,
    ticks_of_ms,
)
from scenarios.tactics.actions.defensive import Ability
from scenarios.tactics.actions.offensive import MELEE_DISTANCE2
from scenarios.tactics.components import Health, Inventory, Squad
from scenarios.tactics.grid import Terrain
from scenarios.tactics.map_objects import Crate, Depot, Door, Heals, ResourceNode
from scenarios.tactics.terrain_edits import Reshaping
from sim.run.actions import Args, Codes, Rows

PROVOKE_CELLS: Final = 8
"""The reach of a taunt or a distraction, cells."""
TAUNT_S: Final = 5.0
"""The time that a taunt draws attention, seconds."""
REVIVE_HP: Final = 20
"""The hit points of a revived agent; AstraWeave's number."""


class Scan(Action):
    """Look around for a second: you notice an enemy within `radius` cells as soon as it is visible."""

    keep: ClassVar[int] = 1
    radius: int = number(1, 64, rounded=True, default=10)
    group: ClassVar[str] = "scan"
    cooldown_s: ClassVar[float] = 5.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Nothing is left to do: perception has checked in every tick for agents that scan."""


class Wait(Action):
    """Stay on your cell for some seconds."""

    keep: ClassVar[int] = 2
    duration: float = seconds(default=1.0)

    @classmethod
    def ticks(cls, turn: Turn, args: Args) -> Any:
        """Return the ticks that the seconds asked for take."""
        return ticks_of_ms(args[0], turn.ticks_per_second)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Waiting has no effect."""


class Taunt(Action):
    """Provoke a visible enemy at most eight cells away: it plans again and heeds you first for five seconds."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("enemies")
    group: ClassVar[str] = "provoke"
    cooldown_s: ClassVar[float] = 6.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends, too far away, hidden, or down."""
        return minding(turn, rows, args, PROVOKE_CELLS * PROVOKE_CELLS)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Draw the target's attention to the agent, also when the agent moves."""
        turn.afflictions.taunt(rows, turn.target_rows(args[0]), turn.seconds(TAUNT_S))


class Revive(Action):
    """Revive a friend that is down on one of the eight cells around you; it gets 20 hit points."""

    first_tier: ClassVar[bool] = False
    ally_id: int = known("allies", "self", "player")
    duration_s: ClassVar[float] = 3.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse friends that are gone, too far away or not down, and enemies."""
        judged = target_refusals(turn, rows, args[0], MELEE_DISTANCE2, hostile=False)
        others = np.where(judged == Refused.NO.value, turn.target_rows(args[0]), rows)
        up = (judged == Refused.NO.value) & (turn.world[Health].hp[others] > 0)
        return np.where(up, np.int8(Refused.NOTHING_TO_DO), judged)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Give hit points; the target gets up at the end of the tick."""
        turn.mend(turn.target_rows(args[0]), np.full(len(rows), REVIVE_HP, np.int32))


class UseAbility(Ability):
    """Use one of your abilities by its name."""

    first_tier: ClassVar[bool] = False
    ability_name: str = name("abilities")
    category: ClassVar[str] = "utility"
    group: ClassVar[str] = "ability"
    cooldown_s: ClassVar[float] = 10.0
    cost: ClassVar[str] = "what the ability costs"


class Interact(Action):
    """Use an object on your cell or one of the eight around: open, take, heal, gather or deliver."""

    first_tier: ClassVar[bool] = False
    target_id: int = known("objects")
    category: ClassVar[str] = "utility"
    group: ClassVar[str] = "gear"
    cooldown_s: ClassVar[float] = 1.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse objects that are gone, out of reach, empty, for another team, or without an effect for the agent."""
        world, objects = turn.world, turn.stage.objects
        place = objects.places(args[0])
        gone = place < 0
        if gone.all():
            return np.full(len(rows), Refused.TARGET_GONE.value, np.int8)
        at = np.where(gone, 0, place)
        dx, dy = objects.x[at] - turn.position.x[rows], objects.y[at] - turn.position.y[rows]
        health, cargo, squad = world[Health], world[Inventory].cargo, world[Squad].id
        idle, full, foreign = objects.left[at] == 0, np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for what in np.unique(objects.what[at]).tolist():
            who = objects.what[at] == what
            effect = objects.specs[what].effect if what >= 0 else None
            match effect:
                case Heals():
                    idle[who] |= health.hp[rows[who]] >= health.hp_max[rows[who]]
                case ResourceNode():
                    full[who] = cargo[rows[who]] >= turn.stage.gear.load_max[squad[rows[who]]]
                case Depot():
                    idle[who] |= cargo[rows[who]] <= 0
                    if effect.team is not None:
                        teams = [team.name for team in turn.stage.settings.teams]
                        foreign[who] = turn.team[rows[who]] != teams.index(effect.team)
        return first_of(
            (gone, Refused.TARGET_GONE),
            (dx * dx + dy * dy > MELEE_DISTANCE2, Refused.OUT_OF_RANGE),
            (foreign, Refused.UNUSABLE),
            (idle, Refused.NOTHING_TO_DO),
            (full, Refused.FULL),
        )

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Request the use; all requests are settled together."""
        turn.uses.append((rows, args[0]))


def settle_uses(turn: Turn) -> None:
    """Apply the uses of objects; if several agents want the last piece, the lowest key gets it."""
    rows, ids = (np.concatenate(parts) for parts in zip(*turn.uses, strict=True))
    order = np.argsort(rows)
    rows, ids = rows[order], ids[order]
    world, objects, gear = turn.world, turn.stage.objects, turn.stage.gear
    place = objects.places(ids)
    what = objects.what[place]
    wanted = np.ones(len(rows), np.int32)
    cargo, room = world[Inventory].cargo, gear.load_max[world[Squad].id[rows]]
    kinds = np.unique(what).tolist()
    for kind in kinds:
        spec = objects.specs[kind].effect if kind >= 0 else None
        if isinstance(spec, Crate | ResourceNode):
            wanted[what == kind] = spec.each
        if isinstance(spec, ResourceNode):
            who = what == kind
            wanted[who] = np.minimum(wanted[who], room[who] - cargo[rows[who]])
    got = objects.draw(place, wanted)
    for kind in kinds:
        who = (what == kind) & (got > 0)
        users, amount = rows[who], got[who]
        if kind < 0:
            gear.give(world, -1 - kind, users, amount)
            continue
        match objects.specs[kind].effect:
            case Door() as opening:
                for user in users.tolist():
                    x, y = np.meshgrid(
                        np.arange(opening.x, opening.x + opening.width),
                        np.arange(opening.y, opening.y + opening.height),
                    )
                    turn.reshaped.append(Reshaping(user, ((turn.grid.cell(x.ravel(), y.ravel()), Terrain.FLOOR),)))
            case Crate() as giving:
                gear.give(world, gear.items.index(giving.item), users, amount)
            case Heals() as healing:
                turn.mend(users, np.full(len(users), healing.amount, np.int32))
            case ResourceNode():
                cargo[users] += amount.astype(np.int16)
            case Depot():
                turn.deliver(users, cargo[users].astype(np.int64))
                cargo[users] = 0


def minding(turn: Turn, rows: Rows, args: Args, reach2: int) -> Codes:
    """Judge an enemy whose attention is to be drawn: it must be in reach, visible and not down."""
    judged = target_refusals(turn, rows, args[0], reach2)
    others = np.where(judged == Refused.NO.value, turn.target_rows(args[0]), rows)
    down = (judged == Refused.NO.value) & (turn.world[Health].hp[others] <= 0)
    return np.where(down, np.int8(Refused.DOWN), judged)


KINDS: Final[tuple[type[Action], ...]] = (Interact, Revive, Scan, Taunt, UseAbility, Wait)
