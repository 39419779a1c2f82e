"""Segregation, after T. C. Schelling, "Dynamic models of segregation", 1971.

In each tick the unhappy people move, one after another in a random order; then every person judges its place. This is
Mesa's example, computed for all people at once, with a fixed number of people.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from sim import Component, Domain, Grid, Look, Portrayal, Run, Settings, System, World, i8, i32, purpose

TURN, MOVE, GROUP, PLACE = map(purpose, ("turn", "move", "group", "place"))


class Person(Component):
    """The cell of a person, its group, and whether it is happy with its neighbours."""

    cell: i32
    group: i8
    happy: i8


class SegregationSettings(Settings):
    """The town and its people."""

    width: int = Field(20, ge=1, le=2048, description="Cells from west to east.")
    height: int = Field(20, ge=1, le=2048, description="Cells from north to south.")
    density: int = Field(800, ge=1, le=1000, description="Share of cells with a person at the start, per-mille.")
    minority: int = Field(400, ge=0, le=1000, description="Share of people in the second group, per-mille.")
    wanted: int = Field(
        400, ge=0, le=1000, description="Share of like neighbours that makes a person happy, per-mille."
    )

    @property
    def agents(self) -> int:
        """The number of people in the town."""
        return max(self.width * self.height * self.density // 1000, 1)


class Move(System):
    """Unhappy people move to a random free cell. Reads and writes Person. Order: alone."""

    reads: ClassVar = (Person,)
    writes: ClassVar = (Person,)

    def process(self, world: World, run: Run) -> None:
        """Move the unhappy people one after another, in random order, then judge every person's place."""
        person, town = world[Person], run.space
        vacant = np.ones(town.size, np.bool_)
        vacant[person.cell] = False
        free = vacant.nonzero()[0]
        movers = world.order(person.happy == 0, TURN)
        if len(free):
            # Each mover draws a free cell. Its old cell replaces the new one, for the next person that draws the same.
            vacancy = world.below(movers, MOVE, len(free))
            queue = vacancy.argsort(kind="stable")
            vacancy, movers = vacancy[queue], movers[queue]
            first = np.diff(vacancy, prepend=-1) > 0
            person.cell[movers] = np.where(first, free[vacancy], np.roll(person.cell[movers], 1))
        judge(person, town, run.settings.wanted)


def judge(person: Person, town: Grid, wanted: int) -> None:
    """Set who is happy: people with a large enough share of like neighbours; without neighbours the share is 0."""
    here = np.zeros((2, town.size), np.int8)
    here[person.group, person.cell] = 1
    around = np.stack([town.sum_around(each)[person.cell] for each in here])
    like = np.where(person.group, around[1], around[0])
    person.happy[:] = like * 1000 >= wanted * np.maximum(around.sum(0), 1)


class Segregation(Domain):
    """Two groups of people in a town."""

    settings: Any = SegregationSettings
    components, systems = (Person,), (Move,)
    metrics: ClassVar = {"happy": lambda world: int(world[Person].happy.sum())}
    portrayal = Portrayal(looks=(Look(place="Person.cell", colour="Person.group", names=("majority", "minority")),))

    def spaces(self, run: Run) -> dict[str, Any]:
        """Return the town."""
        return {"town": Grid(self.settings.width, self.settings.height, many=False)}

    def setup(self, world: World, run: Run) -> None:
        """Place people on random cells."""
        world.spawn({Person: {}}, count=self.settings.agents)
        world.flush()
        everyone = np.arange(world.n)
        world[Person].cell[:] = world.order_at(np.arange(run.space.size), PLACE)[: world.n]
        world[Person].group[:] = world.chance(everyone, GROUP, self.settings.minority)
        judge(world[Person], run.space, self.settings.wanted)

    def outcome(self, world: World) -> str | None:
        """End when everybody is happy."""
        return "everybody is happy" if world[Person].happy.all() else None
