"""Turns around the list that esper keeps as its cache."""

from __future__ import annotations

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
    """Turns around the list that esper keeps as its cache."""

    def process(self, world: World, frame: Any) -> None:
        """Give the first of the query a point."""
        found = esper.get_component(Row)
        found.reverse()
        world[Mood].value[int(world.rows_of([found[0][1].key])[0])] += 1


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
