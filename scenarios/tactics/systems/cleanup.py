"""The cleanup phase: fallen agents lie down or leave, squads get new leaders, and queued changes are flushed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.actions.base import ticks_of_s
from scenarios.tactics.components import ActionSteps, Condition, Conditions, Health, Progress, Squad
from scenarios.tactics.reinforcements import call_up
from scenarios.tactics.spawning import elect_leaders
from sim.engine.columns import Component
from sim.engine.system import System
from sim.run.context import Run
from sim.run.payloads import drop_unused
from sim.run.world import World


class Cleanup(System):
    """Removes agents without hit points and emits an event; the lowest remaining key in a squad leads it.

    With `downed_s`, they are first down for that time: they have no plan until healing gets them up again, further harm
    kills them, or the time is over.

    Cleanup also removes payloads of plans that no longer exist.

    Reads: ActionSteps, Health.
    Writes: Conditions, Health, Progress, Squad; the population, the reserves, payloads.
    Order: last.
    """

    name = "cleanup"
    flushes: ClassVar[bool] = True
    reads: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Health)
    writes: ClassVar[tuple[type[Component], ...]] = (Conditions, Health, Progress, Squad)

    def process(self, world: World, run: Run) -> None:
        """Remove the dead, add called reinforcements, flush, promote leaders, and drop payloads that no plan needs."""
        dead = world[Health].hp <= 0
        if run.game.settings.downed_s:
            dead = self._beyond_help(world, run, dead)
        if np.count_nonzero(dead):
            world.events.emit("died", key=world.keys[dead])
            world.kill(dead)
        if len(run.notes.leaving):
            world.kill(run.notes.leaving)
        if run.notes.calls:
            call_up(world, run.game, run.notes.calls)
        before = world.version
        world.flush()
        if world.version != before:
            elect_leaders(world)
        drop_unused(world, run.game.payloads, run.game.registry)

    def _beyond_help(self, world: World, run: Run, fallen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Put fallen agents down and revived ones up; return which agents die."""
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
