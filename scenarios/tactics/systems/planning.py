"""The planning phase: one batch call for everyone who needs a plan; the steps come back as components."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ai.snapshot import ALLIES_MAX
from scenarios.tactics.components import ActionSteps, Morale, Progress, Status
from sim.engine.columns import Component
from sim.engine.system import System
from sim.engine.world import World
from sim.run.payloads import write_payloads
from sim.run.tick_context import Frame


class Planning(System):
    """Makes the tick's one batch call and writes the plans it brings back.

    Reads: nothing but the frame's batch.
    Writes: ActionSteps, Morale, Progress; payloads.
    Order: after perception, before execution.
    """

    name = "planning"
    reads: ClassVar[tuple[type[Component], ...]] = ()
    writes: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Morale, Progress)

    def process(self, world: World, frame: Frame) -> None:
        """Plan for `frame.batch` and start the new plans."""
        progress, steps, morale = world[Progress], world[ActionSteps], world[Morale]
        progress.status[frame.alarmed] = Status.STALE
        progress.waiting_since[frame.alarmed] = frame.tick
        if frame.batch is None:
            return
        frame.plans = frame.stage.source.plan(frame.batch)
        plans, rows = frame.plans.plans, frame.chosen
        used = plans.kind.shape[0]
        before = int(steps.length.max(initial=0))
        steps.length[rows] = plans.length
        for step in range(max(used, before)):
            steps.kind[step, rows] = plans.kind[step] if step < used else 0
            for place in range(steps.args.shape[1]):
                steps.args[step, place, rows] = plans.args[step, place] if step < used else 0
        if plans.payloads:
            write_payloads(world, frame.stage.payloads, plans, rows, frame.stage.registry)
        progress.status[rows] = Status.RUNNING
        progress.step[rows] = 0
        progress.started_at[rows] = -1
        progress.until[rows] = -1
        progress.tier[rows] = plans.tier
        progress.planned_at[rows] = frame.tick
        progress.waiting_since[rows] = frame.tick
        progress.threats[rows] = (frame.batch.enemy >= 0).sum(1, dtype=np.int16)
        progress.refusal[rows] = 0
        progress.tries[rows] = 0
        # Who sees as many friends as are ever reported may have more; nobody counts as outnumbered among so many.
        friends = (frame.batch.ally >= 0).sum(1)
        outnumbered = rows[(friends < ALLIES_MAX) & (progress.threats[rows] >= 2 * (friends + 1))]
        loss = frame.stage.parameters.morale.outnumbered_loss
        morale.value[outnumbered] = np.maximum(morale.value[outnumbered] - loss, 0)
