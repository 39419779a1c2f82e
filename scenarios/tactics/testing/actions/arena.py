"""Arenas: small maps full of agents in different states, each with a plan of one step.

Agents stand close together, some hurt, without rounds, exhausted, marked or down. Most of them run the kind under test,
with valid and some invalid arguments; the others run `COMPANIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np

from ai.actions import ARGS_MAX, ToolRegistry, ToolSpec
from scenarios.tactics.actions.base import (
    Action,
    Turn,
)
from scenarios.tactics.components import (
    ActionSteps,
    Ammo,
    Condition,
    Conditions,
    Health,
    Inventory,
    Kit,
    Morale,
    Position,
    Progress,
    Stamina,
    Status,
)
from scenarios.tactics.equipment import EquipmentTables
from scenarios.tactics.perception import occupancy_of
from scenarios.tactics.testing.actions.dice import Dice, arguments
from scenarios.tactics.testing.flat import flat
from sim.engine.rng import purpose
from sim.run.actions import Args, Rows
from sim.run.context import no_plans
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.run.world import World

CLOSE_CELLS: Final = 7
"""The columns of the map that agents share in every second arena; in the others they use the whole map."""
COMPANIONS: Final = ("Attack", "Block", "HeavyAttack", "MoveTo", "ThrowExplosive", "Wait")
"""The steps of agents that do not run the kind under test."""
MAP: Final = (
    "...................",
    "..+.....+..........",
    "....##.....#.......",
    "..+.....+..#.......",
    "...........#.......",
    "...................",
)
THINGS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "crate", "effect": {"kind": "give", "item": "bandage"}, "stock": 2},
    {"kind": "ore", "effect": {"kind": "yield", "each": 2}, "stock": 3},
    {"kind": "store", "effect": {"kind": "take", "team": "left"}},
    {"kind": "post", "effect": {"kind": "heal", "amount": 5}},
    {"kind": "lever", "effect": {"kind": "open", "x": 5, "y": 2}, "stock": 1},
)
"""The objects on the free cells of the map, one after another."""
Prepare = Callable[[Simulation], None]
"""Sets up a new arena for a kind: objects to use, columns of a plug-in."""


class Arena(NamedTuple):
    """A simulation at one moment, the agents that run the kind under test, and their arguments."""

    simulation: Simulation
    spec: ToolSpec
    rows: Rows
    args: Args

    @property
    def name(self) -> str:
        """The name of the kind under test."""
        return self.spec.name

    @property
    def kind(self) -> type[Action]:
        """The kind under test."""
        assert issubclass(self.spec.action, Action)
        return self.spec.action

    @property
    def world(self) -> World:
        """The world of the simulation."""
        return self.simulation.world

    def turn(self) -> Turn:
        """Make a new turn at this moment."""
        run = self.simulation.run_context
        run.tick = self.world.tick
        return Turn(self.world, run, occupancy=occupancy_of(self.world, run.game.grid))


def _scenario(number: int) -> Scenario:
    """Return an arena's scenario: squads of different sizes and gear; some teams have no reserves."""
    whole = {"x": 0, "y": 0, "width": len(MAP[0]), "height": len(MAP)}
    rich = {
        "smokes": 2, "explosives": 2, "medkits": 2, "sight": 12, "weapons": ["rifle", "carbine"],
        "items": {"bandage": 2, "flare": 1}, "abilities": ["brace", "dash", "spot"], "carry": 4,
    }  # fmt: skip
    poor = {**rich, "sight": 6, "weapons": ["carbine"], "items": {}, "abilities": ["spot"]}
    cells = [(x, y) for y, row in enumerate(MAP) for x, glyph in enumerate(row) if glyph != "#"]
    teams = [
        {
            "name": name,
            "squads": [
                {"name": f"{name} {archetype}", "archetype": archetype, "count": count, "area": whole}
                for archetype, count in (("rich", 5), ("poor", 1))
            ],
            "reinforcements": {"count": 3, "area": {**whole, "y": 4, "height": 2}} if (number + team) % 4 else None,
            "terrain_edits": 3 if (number + team) % 3 else 0,
        }
        for team, name in enumerate(("left", "right"))
    ]
    return flat(
        {
            "name": "arena",
            "description": "Where an action kind is checked",
            "ticks_per_second": 2,
            "seed": number,
            "map": {
                "rows": MAP,
                "places": [{"name": "door", "x": 9, "y": 0}],
                "objects": [{**THINGS[at % len(THINGS)], "x": x, "y": y} for at, (x, y) in enumerate(cells)],
            },
            "weapons": {"rifle": {"reach": 9}, "carbine": {"reach": 5}},
            "items": {"bandage": {"effect": "heal", "amount": 5}, "flare": {"effect": "smoke"}},
            "abilities": {
                "brace": {"kind": "defensive", "effect": "shield", "stamina": 20},
                "dash": {"effect": "stamina", "amount": 10},
                "spot": {"effect": "reveal", "stamina": 20},
            },
            "archetypes": {"rich": rich, "poor": poor},
            "teams": teams,
            "downed_s": 3 * (number % 2),
            "ends": "never",
        }
    )


@contextmanager
def open_arena(
    registry: ToolRegistry, name: str, number: int, prepare: Prepare | None, *, births_reversed: bool = False
) -> Iterator[Arena]:
    """Open an arena: agents in different states, each with a plan of one step."""
    scenario = _scenario(number)
    order = np.arange(scenario.agents)[::-1] if births_reversed else None
    named = registry.with_tables(EquipmentTables(scenario.settings, 1).names)
    scenario.domain.registry = lambda _more=(): named  # type: ignore[method-assign,assignment] # only the verbs under test
    with Simulation(scenario, source=no_plans(), order=order) as simulation:
        # In a registry with bound names, the specs list them.
        world, registry = simulation.world, named
        spec = registry.spec(name)
        world.tick = 1
        if prepare is not None:
            prepare(simulation)
            world.flush()
        dice = Dice(number, world.keys)
        _scatter(simulation, dice, columns=simulation.run_context.game.grid.width if number % 2 else CLOSE_CELLS)
        _unsettle(world, dice, downed=bool(scenario.settings.downed_s))
        doing = dice.often(70)
        rows, args = doing.nonzero()[0], arguments(spec, simulation, dice)
        _plan(world, registry.code(name), rows, args[:, rows])
        for place, companion in enumerate(COMPANIONS):
            mine = (~doing & (dice.keys % len(COMPANIONS) == place)).nonzero()[0]
            given = arguments(registry.spec(companion), simulation, dice)
            _plan(world, registry.code(companion), mine, given[:, mine])
        up = world[Health].hp[rows] > 0
        yield Arena(simulation, spec, rows[up], np.ascontiguousarray(args[:, rows[up]]))


def _scatter(simulation: Simulation, dice: Dice, *, columns: int) -> None:
    """Put agents on free cells anywhere in the first columns of the map."""
    position = simulation.world[Position]
    y, x = (~simulation.run_context.game.grid.blocked_map[:, :columns]).nonzero()
    drawn = dice.rng.below(np.arange(len(x)), 1, purpose("arena"), 2**30)
    picked = np.argsort(drawn, kind="stable")[: simulation.world.n]
    position.x[:], position.y[:] = x[picked], y[picked]


def _unsettle(world: World, dice: Dice, *, downed: bool) -> None:
    """Put agents into different possible states."""
    health, ammo, kit, conditions = world[Health], world[Ammo], world[Kit], world[Conditions]
    health.hp[:] = np.where(dice.often(40), 1 + dice.below(30), 100)
    ammo.rounds[:] = np.where(dice.often(75), 20 + dice.below(11), dice.below(5))
    ammo.reserve[:] = np.where(dice.often(75), 90, dice.below(3))
    for column in (kit.smokes, kit.explosives, kit.medkits):
        column[:] = dice.below(4)
    world[Stamina].value[:] = np.where(dice.often(75), 100, dice.below(30))
    world[Morale].value[:] = dice.below(101)
    world[Inventory].cargo[:] = dice.below(5)
    for condition in Condition:
        held = dice.often(20) if condition is not Condition.DOWN else np.zeros(world.n, np.bool_)
        conditions.until[condition.value] = np.where(held, 20, 0)
    conditions.marked_by[:] = dice.below(2)
    conditions.focused_by[:] = dice.below(4)
    if downed:
        down = dice.often(30)
        health.hp[down] = 0
        conditions.until[Condition.DOWN.value, down] = 20


def _plan(world: World, code: int, rows: Rows, args: Args) -> None:
    """Give agents a plan of one step, except those that are down."""
    steps, progress = world[ActionSteps], world[Progress]
    up = world[Health].hp[rows] > 0
    rows, args = rows[up], args[:, up]
    steps.length[rows] = 1
    steps.kind[0, rows] = code
    for place in range(ARGS_MAX):
        steps.args[0, place, rows] = args[place]
    progress.status[rows] = Status.RUNNING
    progress.planned_at[rows] = world.tick
