"""Things: taking up, putting down, throwing, and what stands on the map. What things do is data (`sim.objects`)."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import numpy as np

from ai.actions import CellX, CellY, ItemName, ObjectId
from sim.actions.base import THROW_CELLS, Action, Args, Codes, Refused, Rows, Turn, aimed_at, first_of
from sim.actions.defensive import spread_smoke
from sim.actions.equipment import holds, spend
from sim.actions.offensive import MELEE_DISTANCE2, explode
from sim.components import Health, Inventory, Squad
from sim.gear import Effect
from sim.grid import Terrain
from sim.objects import Gives, Heals, Opens, Takes, Yields
from sim.reshape import Reshaping


class DropItem(Action):
    """Put one piece of an item down where you stand; anyone can take it up again."""

    act: Literal["DropItem"] = "DropItem"
    item_name: ItemName
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


class ThrowItem(Action):
    """Throw an item at a cell within eight cells in sight: grenades go off, other things lie there."""

    act: Literal["Throw"] = "Throw"
    item: ItemName
    x: CellX
    y: CellY
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


class Interact(Action):
    """Do what a thing on your cell or one of the eight around is for: open, take, heal, gather, deliver."""

    act: Literal["Interact"] = "Interact"
    target_id: ObjectId
    category: ClassVar[str] = "utility"
    group: ClassVar[str] = "gear"
    cooldown_s: ClassVar[float] = 1.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse things that are gone, out of reach, empty or not for this team, and what would do nothing."""
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
                case Yields():
                    full[who] = cargo[rows[who]] >= turn.stage.gear.load_max[squad[rows[who]]]
                case Takes():
                    idle[who] |= cargo[rows[who]] <= 0
                    if effect.team is not None:
                        teams = [team.name for team in turn.stage.scenario.teams]
                        foreign[who] = turn.team[rows[who]] != teams.index(effect.team)
        return first_of(
            (gone, Refused.TARGET_GONE),
            (dx * dx + dy * dy > MELEE_DISTANCE2, Refused.OUT_OF_RANGE),
            (foreign, Refused.UNUSABLE),
            (idle, Refused.NOTHING_TO_DO),
            (full, Refused.FULL),
        )

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Ask for it; all that is asked of things is settled together."""
        turn.uses.append((rows, args[0]))


def settle_uses(turn: Turn) -> None:
    """Do what things are for; where several want the last of something, the lowest key gets it, the others nothing."""
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
        if isinstance(spec, Gives | Yields):
            wanted[what == kind] = spec.each
        if isinstance(spec, Yields):
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
            case Opens() as opening:
                for user in users.tolist():
                    x, y = np.meshgrid(
                        np.arange(opening.x, opening.x + opening.width),
                        np.arange(opening.y, opening.y + opening.height),
                    )
                    turn.reshaped.append(Reshaping(user, ((turn.grid.cell(x.ravel(), y.ravel()), Terrain.FLOOR),)))
            case Gives() as giving:
                gear.give(world, gear.items.index(giving.item), users, amount)
            case Heals() as healing:
                turn.mend(users, np.full(len(users), healing.amount, np.int32))
            case Yields():
                cargo[users] += amount.astype(np.int16)
            case Takes():
                turn.deliver(users, cargo[users].astype(np.int64))
                cargo[users] = 0


KINDS: Final[tuple[type[Action], ...]] = (DropItem, Interact, ThrowItem)
