"""Reads an address from the text of an object."""

from __future__ import annotations

from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Reads an address from the text of an object."""

    def process(self, world: World, frame: Any) -> None:
        """Write down the last digits of an address."""
        world[Mood].value[:1] = int(repr(object())[-8:-1], 16)


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
