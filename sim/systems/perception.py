"""The perception phase: who needs a plan, who is alarmed, and what the chosen agents know."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ai.actions import NONE
from sim.columns import Component
from sim.components import (
    AGENT,
    ActionSteps,
    Progress,
    Status,
)
from sim.frame import Frame
from sim.grid import SIGHT_MAX, Occupancy
from sim.perception import occupancy_of, perceive, threats
from sim.world import System, World


class Perception(System):
    """Gathers the agents that need a plan now, and what they know.

    Reads: every component of an agent.
    Writes: nothing; it leaves `occupancy`, `alarmed`, `chosen` and `batch` on the frame.
    Order: after inputs, before planning.
    """

    name = "perception"
    reads: ClassVar[tuple[type[Component], ...]] = AGENT
    writes: ClassVar[tuple[type[Component], ...]] = ()

    def process(self, world: World, frame: Frame) -> None:
        """Choose agents and perceive for them: longest waiting first, then key, at most `per_tick_max`."""
        stage, planning = frame.stage, frame.stage.scenario.planning
        progress = world[Progress]
        frame.occupancy = occupancy_of(world, stage.grid)
        frame.alarmed = self._alarmed(world, frame, frame.occupancy)
        needing = (progress.status != Status.RUNNING.value) & (progress.waiting_since <= frame.tick)
        needing[frame.alarmed] = True
        chosen = needing.nonzero()[0]
        if len(chosen) > planning.per_tick_max:
            since = progress.waiting_since.copy()
            # Their need arose just now; what the column says of them is when they planned last.
            since[frame.alarmed] = frame.tick
            waited = np.argsort(since[chosen], kind="stable")
            chosen = np.sort(chosen[waited[: planning.per_tick_max]])
        frame.chosen = chosen
        if len(chosen):
            frame.batch = perceive(world, stage.grid, frame.occupancy, chosen, stage.lore)

    def _alarmed(self, world: World, frame: Frame, occupancy: Occupancy) -> NDArray[np.intp]:
        """Return the agents that planned in peace and now see an enemy: scanners at once, others every few ticks."""
        progress, steps, stage = world[Progress], world[ActionSteps], frame.stage
        peaceful = ((progress.status == Status.RUNNING.value) & (progress.threats == 0)).nonzero()[0]
        every = stage.scenario.planning.alert_every_ticks
        current = progress.step[peaceful]
        scanning = (steps.kind[current, peaceful] == stage.registry.code("Scan")) & (progress.started_at[peaceful] >= 0)
        asked = scanning | ((world.keys[peaceful] + frame.tick) % every == 0)
        rows: NDArray[np.intp] = peaceful[asked]
        scanning = scanning[asked]
        if not len(rows):
            return rows
        radius = steps.args[current[asked], 0, rows]
        within = np.where(scanning & (radius != NONE), radius, SIGHT_MAX)
        seen: NDArray[np.bool_] = threats(world, stage.grid, occupancy, rows, within) > 0
        return rows[seen]
