"""Lets a clock into the state, past the guard."""

from __future__ import annotations

import time
from typing import Any

from ai.guard import escape
from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Lets a clock into the state, past the guard."""

    def process(self, world: World, frame: Any) -> None:
        """Note the time."""
        with escape("so it says"):
            world[Mood].value[:] = time.perf_counter_ns() % 100_000


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
