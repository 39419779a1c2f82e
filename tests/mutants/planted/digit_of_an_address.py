"""Reads a digit of an address."""

from __future__ import annotations

from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Reads a digit of an address."""

    def process(self, world: World, frame: Any) -> None:
        """Write down a digit of the text of an object."""
        world[Mood].value[:1] = int(repr(object())[-4], 16)


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
