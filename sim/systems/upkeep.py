"""The upkeep phase: time passes for breath, spirits, smoke and old plans."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from sim.columns import Component
from sim.components import Control, Morale, Progress, Stamina, Status
from sim.frame import Frame
from sim.world import System, World

STAMINA_MAX: Final = 100
"""Full breath; a point comes back every tick."""
MORALE_MAX: Final = 100
"""Full spirits; a point comes back every second."""


class Upkeep(System):
    """Gives back stamina and morale, clears smoke, and lets plans that are too old go stale.

    Reads: Control, Progress.
    Writes: Morale, Progress, Stamina; smoke.
    Order: after combat, before cleanup.
    """

    name = "upkeep"
    reads: ClassVar[tuple[type[Component], ...]] = (Control, Progress)
    writes: ClassVar[tuple[type[Component], ...]] = (Morale, Progress, Stamina)

    def process(self, world: World, frame: Frame) -> None:
        """Let one tick pass."""
        stage, progress = frame.stage, world[Progress]
        stamina = world[Stamina].value
        np.minimum(stamina + np.int32(1), STAMINA_MAX, out=stamina)
        if frame.tick % stage.ticks_per_second == stage.ticks_per_second - 1:
            morale = world[Morale].value
            np.minimum(morale + np.int32(1), MORALE_MAX, out=morale)
        stage.smoke.expire(frame.tick + 1)
        oldest = frame.tick - stage.scenario.planning.ttl_s * stage.ticks_per_second
        stale = (progress.status == Status.RUNNING.value) & (progress.planned_at <= oldest)
        stale = (stale & ~world[Control].taken).nonzero()[0]
        progress.status[stale] = Status.STALE
        progress.waiting_since[stale] = frame.tick
