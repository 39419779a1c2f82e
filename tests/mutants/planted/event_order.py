"""Lets esper call several handlers of one event, in the order of their addresses."""

from __future__ import annotations

from typing import Any

import esper

from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World


class Mood(Component):
    """What the bug writes to."""

    value: i32


SAID: list[int] = []


class Teller:
    """Hears the event."""

    def __init__(self, number: int) -> None:
        self.number = number

    def tell(self) -> None:
        """Speak."""
        SAID.append(self.number)


class Bug(System):
    """Lets esper call several handlers of one event, in the order of their addresses."""

    tellers: tuple[Teller, ...] = ()

    def process(self, world: World, frame: Any) -> None:
        """Ask everyone, and keep who spoke first."""
        if not self.tellers:
            self.tellers = tuple(Teller(number) for number in range(300))
            for teller in self.tellers:
                esper.set_handler("planted", teller.tell)
        SAID.clear()
        esper.dispatch_event("planted")
        world[Mood].value[:] = SAID[0] * 1000 + SAID[-1]


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
