"""The cleanup phase: the dead leave, squads get new leaders, queued changes are flushed."""

from __future__ import annotations

from typing import ClassVar

from sim.columns import Component
from sim.components import Health, Squad
from sim.frame import Frame
from sim.population import promote
from sim.world import System, World


class Cleanup(System):
    """Removes agents without hit points and says so in an event; the lowest key left in a squad leads it.

    Reads: Health.
    Writes: Squad; the population.
    Order: last.
    """

    name = "cleanup"
    reads: ClassVar[tuple[type[Component], ...]] = (Health,)
    writes: ClassVar[tuple[type[Component], ...]] = (Squad,)

    def process(self, world: World, frame: Frame) -> None:  # noqa: ARG002 - every system is called alike
        """Bury the dead, promote, flush."""
        dead = world[Health].hp <= 0
        if dead.any():
            world.events.emit("died", key=world.keys[dead])
            world.kill(dead)
        before = world.version
        world.flush()
        if world.version != before:
            promote(world)
