"""Adds floats in the order in which esper's query gives the entities."""

from __future__ import annotations

import struct
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
    """Adds floats in the order in which esper's query gives the entities."""

    def process(self, world: World, frame: Any) -> None:
        """Keep the last bits of a sum."""
        total = 0.0
        for _, row in esper.get_component(Row):
            total += 1.0 / (3 + row.key * 7 + world.tick)
        world[Mood].value[:] = struct.unpack("<q", struct.pack("<d", total))[0] % 1000


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
