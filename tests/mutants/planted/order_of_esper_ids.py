"""Sorts by esper's entity ids and draws from one stream."""

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
    """Sorts by esper's entity ids and draws from one stream."""

    def __init__(self) -> None:
        self.rng = random.Random(1)

    def process(self, world: World, frame: Any) -> None:
        """Roll for everyone."""
        mood = world[Mood].value
        for _, row in sorted(esper.get_component(Row), key=lambda pair: pair[0]):
            mood[int(world.rows_of([row.key])[0])] = self.rng.randrange(1000)


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
