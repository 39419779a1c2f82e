"""Draws from one stream in the order in which esper's query gives the entities."""

from __future__ import annotations

import random
from typing import Any

import esper

from sim.engine.columns import Component, i32
from sim.engine.esper_adapter import Row
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Draws from one stream in the order in which esper's query gives the entities."""

    def __init__(self) -> None:
        self.rng = random.Random(1)

    def process(self, world: World, frame: Any) -> None:
        """Roll for everyone."""
        mood = world[Mood].value
        for _, row in esper.get_component(Row):
            mood[int(world.rows_of([row.key])[0])] = self.rng.randrange(1000)


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
