"""The model of `wander.py` with coordinates in columns and NumPy written by hand, as on the frameworks without a grid.

It shows what the engine costs apart from the grid's methods. A model should take those: it then works on any grid.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from wander import MOVE, PLACE, WanderSettings

from sim import Component, Domain, Run, System, World, i32

WAYS = np.array([(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy], np.int32).T


class Walker(Component):
    """Where an agent is, and how many it saw around it."""

    x: i32
    y: i32
    seen: i32


def sensed(x: Any, y: Any, side: int) -> Any:
    """Return how many agents are around each, from a map that is widened by a cell on each side."""
    cell = x * side + y
    wide = np.empty((side + 2, side + 2), np.int32)
    count = wide[1:-1, 1:-1]
    count[:] = np.bincount(cell, minlength=side * side).reshape(side, side)
    wide[0], wide[-1] = wide[-2], wide[1]
    wide[:, 0], wide[:, -1] = wide[:, -2], wide[:, 1]
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] - count
    return around.ravel().take(cell)


def side_of(run: Run) -> int:
    return max(4, math.ceil(math.sqrt(4 * run.settings.agents)))


class Wander(System):
    """Everybody looks around, then walks. Reads and writes Walker. Order: alone."""

    reads: ClassVar = (Walker,)
    writes: ClassVar = (Walker,)

    def process(self, world: World, run: Run) -> None:
        walker, side = world[Walker], side_of(run)
        x, y = walker.x, walker.y
        walker.seen[:] = sensed(x, y, side)
        way = world.below(slice(None), MOVE, 8)
        for place, step in zip((x, y), WAYS, strict=True):
            place += step.take(way)
            place[place < 0] += side
            place[place >= side] -= side


class WanderingByHand(Domain):
    """Agents that wander over a torus of their own."""

    settings: Any = WanderSettings
    components, systems = (Walker,), (Wander,)
    metrics: ClassVar = {"seen": lambda world: int(world[Walker].seen.sum())}

    def setup(self, world: World, run: Run) -> None:
        world.spawn({Walker: {}}, count=self.settings.agents)
        world.flush()
        words = world.draws(slice(None), PLACE)
        walker, side = world[Walker], side_of(run)
        walker.x[:], walker.y[:] = words[:, 0] % side, words[:, 1] % side
