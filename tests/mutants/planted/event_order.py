"""Lets esper call several handlers of one event, in the order of their addresses."""

from __future__ import annotations

from typing import Any

import esper

from sim.engine.columns import Component, i32
from sim.engine.world import System, World


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Teller:
    """Hears the event."""

    def __init__(self, number: int, said: list[int]) -> None:
        self.number = number
        self.said = said

    def tell(self) -> None:
        """Speak."""
        self.said.append(self.number)


class Bug(System):
    """Lets esper call several handlers of one event, in the order of their addresses."""

    def __init__(self) -> None:
        self.said: list[int] = []
        self.tellers: list[Teller] = []

    def process(self, world: World, frame: Any) -> None:
        """Ask everyone, and keep who spoke first."""
        if not self.tellers:
            self.tellers = [Teller(number, self.said) for number in range(300)]
            for teller in self.tellers:
                esper.set_handler("planted", teller.tell)
        self.said.clear()
        esper.dispatch_event("planted")
        world[Mood].value[:] = self.said[0] * 1000 + self.said[-1]


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
