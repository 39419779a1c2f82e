"""The flight phase: broken agents run from the nearest visible enemy instead of following a plan."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ai.actions import NONE
from scenarios.tactics.components import ActionSteps, Health, Morale, Position, Progress, Senses, Status, Team
from scenarios.tactics.grid import SIGHT_MAX
from scenarios.tactics.perception import enemies_seen
from sim.engine.columns import Component
from sim.engine.system import System
from sim.run.context import Run
from sim.run.world import World

COWER_MS = 1000
"""The time that broken agents wait if they see no enemy, milliseconds."""


class Flight(System):
    """Gives broken agents a plan: retreat from the nearest visible enemy, or wait a second if there is none.

    Planners do not plan for them until they rally. When such a plan ends, they get the next one.

    Reads: Health, Morale, Position, Senses, Team.
    Writes: ActionSteps, Progress.
    Order: after planning, before execution.
    """

    name = "flight"
    reads: ClassVar[tuple[type[Component], ...]] = (Health, Morale, Position, Senses, Team)
    writes: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Progress)

    def process(self, world: World, run: Run) -> None:
        """Give a plan to broken agents that have none."""
        broken = world[Morale].broken
        if not np.count_nonzero(broken):
            return
        progress, steps, registry = world[Progress], world[ActionSteps], run.game.registry
        idle = broken & (progress.status != Status.RUNNING.value) & (progress.waiting_since <= run.tick)
        rows = (idle & (world[Health].hp > 0)).nonzero()[0]
        if not len(rows):
            return
        assert run.notes.occupancy is not None
        seen = enemies_seen(world, run.game.grid, run.notes.occupancy, rows)
        threats = np.bincount(seen.viewer, minlength=world.n)[rows]
        nearest = np.full(world.n, -1, np.int64)
        order = np.lexsort((seen.other, seen.distance2, seen.viewer))[::-1]
        # Enemies are written from the farthest to the nearest, so that the nearest remains.
        nearest[seen.viewer[order]] = world.keys[seen.other[order]]
        fleeing = threats > 0
        steps.length[rows] = 1
        steps.kind[:, rows] = 0
        steps.args[:, :, rows] = 0
        steps.kind[0, rows] = np.where(fleeing, registry.code("Retreat"), registry.code("Wait"))
        steps.args[0, 0, rows] = np.where(fleeing, nearest[rows], COWER_MS)
        steps.args[0, 1, rows] = np.where(fleeing, SIGHT_MAX, NONE)
        steps.args[0, 2:, rows] = NONE
        progress.status[rows] = Status.RUNNING
        progress.step[rows] = progress.refusal[rows] = progress.tries[rows] = 0
        progress.started_at[rows] = progress.until[rows] = progress.tier[rows] = -1
        progress.planned_at[rows] = progress.waiting_since[rows] = run.tick
        progress.alert[rows] = threats
