"""Reads a file that lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Reads a file that lies beside it."""

    def process(self, world: World, frame: Any) -> None:
        """Give everyone the length of this file."""
        world[Mood].value[:] = len(Path(__file__).read_text())


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
