"""The world of a run: the engine's world, which also knows its run and how to void plans."""

from __future__ import annotations

from typing import Any

from sim.engine import world as engine
from sim.run.context import Run, invalidate


class World(engine.World):
    """The world that systems and domains see.

    Attributes:
        run: the constants of the run.
    """

    run: Run

    def invalidate(self, rows: Any, reason: str = "") -> None:
        """Void the plans of some agents, by row indices or mask: they need new ones in this tick.

        `reason` is for the reader of the code; it is not kept.
        """
        del reason
        invalidate(self, rows, self.tick)
