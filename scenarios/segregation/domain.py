"""Segregation, after T. C. Schelling, "Dynamic models of segregation", 1971.

All unhappy people look for a free cell at once; where several want the same one, the lowest key gets it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from sim import Component, Domain, Grid, Run, Settings, System, World, i8, i32, purpose

MOVE, GROUP, PLACE = map(purpose, ("move", "group", "place"))


class Person(Component):
    """Where a person lives, which group it belongs to, and whether it is content with its neighbours."""

    cell: i32
    group: i8
    happy: i8


class SegregationSettings(Settings):
    """The town and its people."""

    width: int = Field(20, ge=1, le=2048, description="Cells from west to east.")
    height: int = Field(20, ge=1, le=2048, description="Cells from north to south.")
    density: int = Field(800, ge=1, le=1000, description="Share of cells with a person at the start, per-mille.")
    minority: int = Field(400, ge=0, le=1000, description="Share of people in the second group, per-mille.")
    wanted: int = Field(400, ge=0, le=1000, description="Share of like neighbours that makes happy, per-mille.")

    @property
    def agents(self) -> int:
        """People in the town."""
        return max(self.width * self.height * self.density // 1000, 1)


class Move(System):
    """Unhappy people move to a random free cell. Reads and writes Person. Order: alone."""

    reads: ClassVar = (Person,)
    writes: ClassVar = (Person,)

    def process(self, world: World, run: Run) -> None:
        """Judge all by the town before."""
        person, grid = world[Person], run.space
        here = np.zeros((2, grid.size), np.int8)
        here[person.group, person.cell] = 1
        around = np.stack([grid.sum_around(each)[person.cell] for each in here])
        like = around[person.group, np.arange(world.n)]
        person.happy[:] = like * 1000 >= run.settings.wanted * around.sum(0)
        unhappy, free = (person.happy == 0).nonzero()[0], (here.sum(0) == 0).nonzero()[0]
        if len(free):
            wish = free[world.below(unhappy, MOVE, len(free))]
            won = world.claim(wish, unhappy, grid.size)
            person.cell[unhappy[won]] = wish[won]


class Segregation(Domain):
    """Two groups of people in a town."""

    settings: Any = SegregationSettings
    components, systems = (Person,), (Move,)
    metrics: ClassVar = {"happy": lambda world: int(world[Person].happy.sum())}

    def spaces(self, run: Run) -> dict[str, Any]:
        """Return the town, which has no edge."""
        return {"town": Grid(self.settings.width, self.settings.height, torus=True, many=False)}

    def setup(self, world: World, run: Run) -> None:
        """Settle people on random cells."""
        world.spawn({Person: {}}, count=self.settings.agents)
        world.flush()
        everyone = np.arange(world.n)
        world[Person].cell[:] = world.order_at(np.arange(run.space.size), PLACE)[: world.n]
        world[Person].group[:] = world.chance(everyone, GROUP, self.settings.minority)

    def outcome(self, world: World) -> str | None:
        """End when everybody is happy."""
        return "everybody is happy" if world[Person].happy.all() else None
