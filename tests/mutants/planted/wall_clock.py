"""Lets the time of day into the state."""

from __future__ import annotations

import time
from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Lets the time of day into the state."""

    def process(self, world: World, frame: Any) -> None:
        """Note the time."""
        world[Mood].value[:] = time.time_ns() % 1000


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
