"""The cleanup phase: who falls lies down or leaves, squads get new leaders, queued changes are flushed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.actions.base import ticks_of_s
from scenarios.tactics.components import ActionSteps, Condition, Conditions, Health, Progress, Squad
from scenarios.tactics.reinforcements import call_up
from scenarios.tactics.spawning import promote
from sim.engine.columns import Component
from sim.engine.system import System
from sim.run.context import Run
from sim.run.payloads import drop_unused
from sim.run.world import World


class Cleanup(System):
    """Removes agents without hit points and says so in an event; the lowest key left in a squad leads it.

    Where the scenario has a `downed_s`, they are down for that time first: without a plan, until healing gets them up
    again, harm ends them, or the time is over.

    Payloads of plans that are gone go as well.

    Reads: ActionSteps, Health.
    Writes: Conditions, Health, Progress, Squad; the population, the reserves, payloads.
    Order: last.
    """

    name = "cleanup"
    flushes: ClassVar[bool] = True
    reads: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Health)
    writes: ClassVar[tuple[type[Component], ...]] = (Conditions, Health, Progress, Squad)

    def process(self, world: World, run: Run) -> None:
        """Bury the dead, let those in who were called, flush, promote, and forget payloads that no plan needs."""
        dead = world[Health].hp <= 0
        if run.game.settings.downed_s:
            dead = self._beyond_help(world, run, dead)
        if dead.any():
            world.events.emit("died", key=world.keys[dead])
            world.kill(dead)
        if len(run.notes.leaving):
            world.kill(run.notes.leaving)
        if run.notes.calls:
            call_up(world, run.game, run.notes.calls)
        before = world.version
        world.flush()
        if world.version != before:
            promote(world)
        drop_unused(world, run.game.payloads, run.game.registry)

    def _beyond_help(self, world: World, run: Run, fallen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Let the fallen lie and the rescued get up; return who dies."""
        until = world[Conditions].until[Condition.DOWN.value]
        down = until > 0
        if not (fallen.any() or down.any()):
            return fallen
        health, progress, stage = world[Health], world[Progress], run.game
        rescued = down & ~fallen
        until[rescued] = 0
        progress.waiting_since[rescued] = run.tick
        fresh = fallen & ~down
        health.hp[fresh] = 0
        until[fresh] = run.tick + 1 + ticks_of_s(stage.settings.downed_s, stage.ticks_per_second)
        world.invalidate(fresh, "down")
        lost: NDArray[np.bool_] = fallen & down & ((until <= run.tick + 1) | (health.hp < 0))
        return lost
