"""Lets the number of all agents into everyone's state."""

from __future__ import annotations

from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Lets the number of all agents into everyone's state."""

    def process(self, world: World, frame: Any) -> None:
        """Note how many there are."""
        world[Mood].value[:] = world.n


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
