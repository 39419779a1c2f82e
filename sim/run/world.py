"""The world of a run: the engine's world, which also knows its run and how to void plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from sim.engine import world as engine
from sim.engine.columns import Component
from sim.run.context import Run, invalidate


class World(engine.World):
    """The world that systems and domains see.

    Attributes:
        run: the constants of the run.
        always: components that every entity gets, whether or not its birth names them.
    """

    run: Run
    always: tuple[type[Component], ...] = ()

    def spawn(
        self,
        values: Mapping[type[Component], Mapping[str, Any]],
        count: int = 1,
        *,
        like: Any = None,
        keys: ArrayLike | None = None,
    ) -> None:
        """Queue the birth of entities, as the engine does; they also get the components of `always`.

        Raises:
            WorldError: as the engine's `spawn`.
        """
        if self.always:
            values = {**{component: {} for component in self.always}, **values}
        super().spawn(values, count, like=like, keys=keys)

    def invalidate(self, rows: Any, reason: str = "") -> None:
        """Void the plans of some agents, by row indices or mask: they need new ones in this tick.

        `reason` is for the reader of the code; it is not kept.
        """
        del reason
        invalidate(self, rows, self.tick)
