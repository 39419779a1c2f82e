"""Goes through a set of words in its own order."""

from __future__ import annotations

from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Goes through a set of words in its own order."""

    def process(self, world: World, frame: Any) -> None:
        """Give everyone the place of a word."""
        words = {"anger", "fear", "hope", "joy", "love", "pride", "rest", "shame"}
        world[Mood].value[:] = list(words).index("hope")


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
