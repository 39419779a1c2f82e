"""Takes the order of equal values from a sort that promises none."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Takes the order of equal values from a sort that promises none."""

    def process(self, world: World, frame: Any) -> None:
        """Give everyone the place of a value that occurs often."""
        order = np.argsort(np.arange(256, dtype=np.int64) % 4)
        world[Mood].value[:] = order[: world.n]


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
