"""Uses the generator that all of Python shares."""

from __future__ import annotations

import random
from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Uses the generator that all of Python shares."""

    def process(self, world: World, frame: Any) -> None:
        """Roll for everyone."""
        world[Mood].value[:] = random.randrange(1000)


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
