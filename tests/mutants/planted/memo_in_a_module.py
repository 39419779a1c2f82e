"""Remembers in its module what the first tick was like."""

from __future__ import annotations

from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World

FIRST: list[int] = []


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Remembers in its module what the first tick was like."""

    def process(self, world: World, frame: Any) -> None:
        """Give everyone how many there were at first."""
        if frame.tick == 0:
            FIRST[:] = [world.n]
        world[Mood].value[:] = sum(FIRST)


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
