"""The stock of an arena: a kind must not create anything, and no value may leave its range."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.components import Ammo, Arsenal, Health, Inventory, Kit, Morale, Position, Stamina
from scenarios.tactics.map_objects import Crate, Objects, ResourceNode
from scenarios.tactics.reinforcements import reserves_of
from scenarios.tactics.testing.actions.verdict import must
from sim.run.simulation import Simulation
from sim.run.world import World

ON_MAP: Final = -1
"""The key that stands for the map."""


class Stock(NamedTuple):
    """The things of an arena by owner's key (`ON_MAP`: on the map) and name, and the agents in reserve."""

    things: dict[str, dict[int, int]]
    reserves: int


def stock_of(world: World) -> Stock:
    """Count the stock of a world."""
    ammo, kit, keys = world[Ammo], world[Kit], world.keys.tolist()
    columns: dict[str, NDArray[Any]] = {
        "rounds": ammo.rounds + ammo.reserve + world[Arsenal].rounds.sum(0),
        "smokes": kit.smokes,
        "explosives": kit.explosives,
        "medkits": kit.medkits,
        "items": world[Inventory].count.sum(0),
        "cargo": world[Inventory].cargo,
    }
    things = {name: dict(zip(keys, column.tolist(), strict=True)) for name, column in columns.items()}
    for held in things.values():
        held[ON_MAP] = 0
    objects = world.resources["Objects"]
    assert isinstance(objects, Objects)
    for kind, what, left in zip(objects.kind_of(np.arange(len(objects))), objects.what, objects.left, strict=True):
        effect = objects.specs[what].effect if what >= 0 else None
        match effect:
            case None:
                things.get(objects.kinds[kind], things["items"])[ON_MAP] += int(left)
            case Crate():
                things.get(effect.item, things["items"])[ON_MAP] += int(left)
            case ResourceNode():
                things["cargo"][ON_MAP] += int(left)
    return Stock(things, int(reserves_of(world).left.sum()))


def check_stock(name: str, before: Stock, after: Stock, lost: set[int]) -> None:
    """Check that the numbers of things and agents only fall, except for agents that leave the reserves."""
    for thing, held in after.things.items():
        had = sum(before.things[thing].values())
        has = sum(count for key, count in held.items() if key in before.things[thing])
        must(has <= had, name, f"makes {thing} out of nothing: {had} become {has}")
    keys = before.things["rounds"].keys(), after.things["rounds"].keys()
    vanished = sorted(keys[0] - keys[1] - lost)
    must(not vanished, name, f"lets agent {vanished[:1]} vanish alive")
    born = len(keys[1] - keys[0])
    must(born == before.reserves - after.reserves, name, f"lets {born} agents come, but other numbers leave reserves")


def check_sane(simulation: Simulation, name: str) -> None:
    """Check the range of every column, and that every agent stands on its own cell and not in a wall."""
    world = simulation.world
    ammo, kit, health, position = world[Ammo], world[Kit], world[Health], world[Position]
    ranges: dict[str, tuple[NDArray[Any], Any, Any]] = {
        "Ammo.rounds": (ammo.rounds, 0, ammo.magazine),
        "Ammo.reserve": (ammo.reserve, 0, 2**31 - 1),
        "Kit.smokes": (kit.smokes, 0, 2**15 - 1),
        "Kit.explosives": (kit.explosives, 0, 2**15 - 1),
        "Kit.medkits": (kit.medkits, 0, 2**15 - 1),
        "Stamina.value": (world[Stamina].value, 0, 100),
        "Morale.value": (world[Morale].value, 0, 100),
        "Health.hp": (health.hp, 0, health.hp_max),
    }
    for column, (values, low, high) in ranges.items():
        wrong = values[(values < low) | (values > high)]
        must(not len(wrong), name, f"brings {column} to {wrong[:1].tolist()}, outside of its range")
    cells = simulation.run_context.game.grid.cell(position.x, position.y)
    must(len(np.unique(cells)) == len(cells), name, "puts two agents on one cell")
    must(not simulation.run_context.game.grid.wall[cells].any(), name, "puts an agent into a wall")
