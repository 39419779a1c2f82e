"""Runs of an arena from its moment on, with any order of visits."""

from __future__ import annotations

from typing import Final

from scenarios.tactics.components import Health
from scenarios.tactics.perception import occupancy_of
from scenarios.tactics.systems.cleanup import Cleanup
from scenarios.tactics.systems.combat import Combat
from scenarios.tactics.systems.execution import Execution
from scenarios.tactics.systems.upkeep import Upkeep
from scenarios.tactics.testing.actions.arena import Arena
from scenarios.tactics.testing.actions.stock import check_sane, check_stock, stock_of
from scenarios.tactics.testing.actions.verdict import fails_as
from sim.engine.digest import state_digest

TICKS: Final = 12
"""The ticks of a run; at two ticks per second, enough for most steps to end."""


def play(arena: Arena, *, one_by_one: bool = False) -> list[str]:
    """Run an arena from its moment on, and return the root after every tick; the arena does not change.

    Actors are visited kind by kind, or one by one in reverse order.
    """
    simulation, world, name = arena.simulation, arena.world, arena.name
    run, execution, before, roots = simulation.run_context, Execution(), world.snapshot(), []
    for _ in range(TICKS):
        had = stock_of(world)
        run.begin(world.tick, ())
        run.notes.occupancy = occupancy_of(world, run.game.grid)
        turn = execution.turn(world, run)
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
        execution.settle(turn)
        Combat().process(world, run)
        Upkeep().process(world, run)
        lost = set(world.keys[world[Health].hp <= 0].tolist())
        Cleanup().process(world, run)
        world.tick += 1
        world.events.clear()
        roots.append(state_digest(world).root)
        check_stock(name, had, stock_of(world), lost)
        check_sane(simulation, name)
    run.rng.take_counts()
    world.restore(before)
    return roots
