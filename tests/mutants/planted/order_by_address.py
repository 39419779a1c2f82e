"""Breaks ties by where objects lie in memory."""

from __future__ import annotations

from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Breaks ties by where objects lie in memory."""

    def process(self, world: World, frame: Any) -> None:
        """Give everyone a place among objects."""
        marks = [bytearray(100 + key % 7) for key in range(world.n)]
        order = sorted(range(world.n), key=lambda place: id(marks[place]))
        world[Mood].value[:] = order


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
