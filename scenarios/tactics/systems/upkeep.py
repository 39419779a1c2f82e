"""The upkeep phase: stamina, morale, smoke and old plans change with time."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scenarios.tactics.components import (
    MORALE_MAX,
    STAMINA_MAX,
    Control,
    Health,
    Morale,
    Position,
    Progress,
    Squad,
    Stamina,
    Status,
)
from sim.engine.columns import Component
from sim.engine.system import System
from sim.run.context import Run, outdate
from sim.run.world import World


class Upkeep(System):
    """Restores stamina and morale, breaks and rallies agents, clears smoke, and marks old plans as stale.

    Reads: Control, Health, Position, Progress, Squad.
    Writes: Morale, Progress, Stamina; smoke.
    Order: after combat, before cleanup.
    """

    name = "upkeep"
    reads: ClassVar[tuple[type[Component], ...]] = (
        Control, Health, Position, Progress, Squad,
    )  # fmt: skip
    writes: ClassVar[tuple[type[Component], ...]] = (Morale, Progress, Stamina)

    def process(self, world: World, run: Run) -> None:
        """Apply the changes of one tick."""
        stage, progress = run.game, world[Progress]
        stamina = world[Stamina].value
        np.minimum(stamina + np.int32(1), STAMINA_MAX, out=stamina)
        if run.tick % stage.ticks_per_second == stage.ticks_per_second - 1:
            self._hearten(world, run)
        self._break(world, run)
        stage.smoke.expire(run.tick + 1)
        oldest = run.tick - stage.parameters.planning.ttl_s * stage.ticks_per_second
        old = progress.planned_at <= oldest
        if np.count_nonzero(old):
            stale = (old & (progress.status == Status.RUNNING.value) & ~world[Control].taken).nonzero()[0]
            outdate(world, stale, run.tick)

    def _hearten(self, world: World, run: Run) -> None:
        """Raise morale by rest and by nearby leaders, once per second."""
        rules, morale = run.game.parameters.morale, world[Morale].value
        gain = rules.rest_gain * (world[Progress].alert == 0)
        if rules.leader_gain:
            position, leader = world[Position], world[Squad].leader
            at = world.rows_of(leader)
            led = (at >= 0) & (leader != world.keys)
            at = np.where(led, at, 0)
            dx, dy = position.x - position.x[at], position.y - position.y[at]
            near = led & (dx * dx + dy * dy <= rules.leader_cells**2) & (world[Health].hp[at] > 0)
            gain = gain + rules.leader_gain * near
        morale[:] = np.minimum(morale + gain, MORALE_MAX)

    def _break(self, world: World, run: Run) -> None:
        """Break agents whose morale is too low, and rally broken agents whose morale has recovered."""
        rules, morale = run.game.parameters.morale, world[Morale]
        low, broken = morale.value < rules.break_below, morale.broken
        if not (np.count_nonzero(low) or np.count_nonzero(broken)):
            return
        now = low | (broken & (morale.value < rules.rally_at))
        now &= ~world[Control].taken & (world[Health].hp > 0)
        turned = now != broken
        world.invalidate(turned, "morale")
        broken[:] = now
