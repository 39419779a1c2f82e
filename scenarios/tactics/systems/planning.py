"""The planning phase: one batch call for all agents that need a plan, and the loss of morale of the outnumbered."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from scenarios.tactics.components import ActionSteps, Morale, Progress
from scenarios.tactics.snapshot import ALLIES_MAX
from sim.engine.columns import Component
from sim.run.actions import Rows
from sim.run.context import Run
from sim.run.systems import Plan
from sim.run.world import World


class Planning(Plan):
    """Makes the tick's only batch call and writes the plans that it returns.

    Reads: only the run's batch.
    Writes: ActionSteps, Morale, Progress; payloads.
    Order: after Perception, before Execution.
    """

    name = "planning"
    writes: ClassVar[tuple[type[Component], ...]] = (ActionSteps, Morale, Progress)

    def process(self, world: World, run: Run) -> None:
        """Plan, and lower the morale of outnumbered agents."""
        super().process(world, run)
        if run.batch is None:
            return
        rows, morale = run.started, world[Morale]
        # An agent that sees the most friends that a snapshot lists may have more; it does not count as outnumbered.
        friends = run.batch.attached["listed"][:, 1]
        if len(rows) < len(friends):
            friends = friends[np.searchsorted(run.chosen, rows)]
        outnumbered = rows[(friends < ALLIES_MAX) & (world[Progress].alert[rows] >= 2 * (friends + 1))]
        loss = run.game.parameters.morale.outnumbered_loss
        morale.value[outnumbered] = np.maximum(morale.value[outnumbered] - loss, 0)

    def alarming(self, before: Any, now: Any) -> Any:
        """A plan made in peace is void when an enemy is in sight."""
        return (before == 0) & (now != 0)

    def alert(self, world: World, run: Run, rows: Rows) -> Any:
        """Return the number of enemies in sight."""
        del world, rows
        return run.batch.attached["listed"][:, 0]
