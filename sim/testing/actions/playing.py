"""An arena played from its moment on, in any order of visits."""

from __future__ import annotations

from typing import Final

from scenarios.tactics.actions.base import Turn
from scenarios.tactics.components import Health
from scenarios.tactics.perception import occupancy_of
from scenarios.tactics.systems.cleanup import Cleanup
from scenarios.tactics.systems.combat import Combat
from scenarios.tactics.systems.execution import Execution
from scenarios.tactics.systems.upkeep import Upkeep
from sim.engine.digest import state_digest
from sim.run.tick_context import Frame
from sim.testing.actions.arena import Arena
from sim.testing.actions.stock import check_sane, check_stock, stock_of
from sim.testing.actions.verdict import fails_as

TICKS: Final = 12
"""Ticks that an arena is played; at two ticks a second enough for most steps to end."""


def play(arena: Arena, *, one_by_one: bool = False) -> list[str]:
    """Play an arena from its moment on, and return the state's root after every tick; the arena stays as it was.

    Actors are visited kind by kind, or one by one with the last first.
    """
    simulation, world, name = arena.simulation, arena.world, arena.name
    stage, execution, before, roots = simulation.stage, Execution(), world.snapshot(), []
    for _ in range(TICKS):
        had = stock_of(world)
        frame = Frame(stage, world.tick)
        frame.occupancy = occupancy_of(world, stage.grid)
        turn = Turn(world, stage, frame.occupancy, world.tick)
        visits = list(execution.in_use(turn))
        if one_by_one:
            visits = [
                (action, rows[[at]], args[:, [at]])
                for action, rows, args in reversed(visits)
                for at in reversed(range(len(rows)))
            ]
        for action, rows, args in visits:
            with fails_as(name, "a tick"):
                execution.act(action, turn, rows, args)
        execution.settle(turn, frame)
        Combat().process(world, frame)
        Upkeep().process(world, frame)
        lost = set(world.keys[world[Health].hp <= 0].tolist())
        Cleanup().process(world, frame)
        world.tick += 1
        world.events.clear()
        roots.append(state_digest(world).root)
        check_stock(name, had, stock_of(world), lost)
        check_sane(simulation, name)
    stage.rng.take_counts()
    world.restore(before)
    return roots
