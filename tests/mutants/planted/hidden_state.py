"""Counts ticks in an attribute that no snapshot holds."""

from __future__ import annotations

from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Counts ticks in an attribute that no snapshot holds."""

    def __init__(self) -> None:
        self.ticks = 0

    def process(self, world: World, frame: Any) -> None:
        """Count."""
        self.ticks += 1
        world[Mood].value[:] = self.ticks


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
