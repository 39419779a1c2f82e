"""Reads a variable of the environment."""

from __future__ import annotations

import os
from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Reads a variable of the environment."""

    def process(self, world: World, frame: Any) -> None:
        """Give everyone the weather."""
        world[Mood].value[:] = int(os.environ.get("TICKWEAVE_TEST_WEATHER", "0"))


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
