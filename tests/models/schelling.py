"""Schelling: whoever has too few neighbours of its own group moves to a free cell that nobody else wants."""

import numpy as np
from pydantic import Field

from sim import Component, Domain, Grid, Settings, System, i8, i32, purpose
from sim.space.walk import winners

MOVE, PLACE = map(purpose, ("move", "place"))


class Person(Component):
    """Where somebody lives, and the group."""

    cell: i32
    group: i8


class TownSettings(Settings):
    """The town."""

    side: int = Field(20, ge=1, le=500, description="Cells along each side.")
    full: int = Field(750, ge=0, le=1000, description="Share of cells that are lived in, per-mille.")


class Move(System):
    """The unhappy move. Reads and writes Person."""

    reads, writes = (Person,), (Person,)

    def process(self, world, run):
        person, free = world[Person], np.ones(run.space.size, bool)
        free[person.cell] = False
        unhappy, free = (~happy(world, run.space)).nonzero()[0], free.nonzero()[0]
        if len(unhappy) and len(free):
            wanted = free[world.below(unhappy, MOVE, len(free))]
            gets = winners(wanted, unhappy)
            person.cell[unhappy[gets]] = wanted[gets]


def happy(world, grid):
    """Return who has at least four tenths of neighbours like itself, `[n] bool`."""
    person, here = world[Person], np.zeros((2, grid.size), np.int8)
    here[person.group, person.cell] = 1
    around = np.stack([grid.sum_around(each)[person.cell] for each in here])
    return around[person.group, np.arange(world.n)] * 10 >= 4 * around.sum(0)


class Town(Domain):
    """Two groups in a town."""

    settings, components, systems = TownSettings, (Person,), (Move,)
    metrics = {"happy": lambda world: int(happy(world, world.run.space).sum())}

    def spaces(self, run):
        return {"town": Grid(self.settings.side, self.settings.side, many=False)}

    def setup(self, world, run):
        count = run.space.size * self.settings.full // 1000
        cells = world.order_at(np.arange(run.space.size), PLACE)[:count]
        world.spawn({Person: {"cell": cells, "group": np.arange(count) % 2}}, count=count)

    def invariants(self, world):
        assert len(np.unique(world[Person].cell)) == world.n, "two people live on one cell"
