"""A user's own model, "move and sense": each agent counts the agents around it and goes to a random cell beside it.

`tickweave run benchmarks/page/wander.py` runs it.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from sim import Component, Domain, Grid, Run, Settings, System, World, i32, purpose

MOVE, PLACE = purpose("move"), purpose("place")


class Walker(Component):
    """Where an agent is, and how many it saw around it."""

    cell: i32
    seen: i32


class WanderSettings(Settings):
    """How many wander."""

    agents: int = Field(1000, ge=1, le=1_000_000, description="Agents; they fill a quarter of the cells.")


class Wander(System):
    """Everybody looks around, then walks. Reads and writes Walker. Order: alone."""

    reads: ClassVar = (Walker,)
    writes: ClassVar = (Walker,)

    def process(self, world: World, run: Run) -> None:
        walker, grid = world[Walker], run.space
        walker.seen[:] = grid.sum_around(np.bincount(walker.cell, minlength=grid.size))[walker.cell]
        walker.cell[:] = grid.step(walker.cell, world.below(slice(None), MOVE, 2**32))


class Wandering(Domain):
    """Agents that wander over a torus."""

    settings: Any = WanderSettings
    components, systems = (Walker,), (Wander,)
    metrics: ClassVar = {"seen": lambda world: int(world[Walker].seen.sum())}

    def spaces(self, run: Run) -> dict[str, Any]:
        side = max(4, math.ceil(math.sqrt(4 * self.settings.agents)))
        return {"plain": Grid(side, side, torus=True)}

    def setup(self, world: World, run: Run) -> None:
        world.spawn({Walker: {}}, count=self.settings.agents)
        world.flush()
        world[Walker].cell[:] = world.below(slice(None), PLACE, run.space.size)
