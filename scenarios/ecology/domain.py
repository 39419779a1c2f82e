"""Wolf-sheep predation: sheep graze, wolves hunt, grass grows back.

The rules are those of the predation model of U. Wilensky (NetLogo, 1997) as in Mesa's example, with one difference:
Mesa's animals choose one after another in a random order. Here all sheep choose at once, then all wolves. Animals whose
food is gone choose again, until no hungry animal is beside food. The populations agree within chance
(`benchmarks/page`).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from sim import Component, Domain, Grid, Resource, Run, Settings, System, World, column, i16, i32, purpose
from sim.run.portrayal import Layer, Look, Portrayal

ACT, AGAIN, PLACE, ENERGY, GROWN = map(purpose, ("act", "again", "place", "energy", "grown"))
UNIT = 1000
"""Steps of energy in one unit: a birth halves energy, so it is stored in thousandths."""


class Animal(Component):
    """The cell of an animal (`run.space` makes addresses), and its energy, thousandths."""

    cell: i32
    energy: i32


class Sheep(Component):
    """Marks a sheep."""


class Wolf(Component):
    """Marks a wolf."""


class Grass(Resource):
    """The ticks that each cell needs until its grass can be eaten; 0 means grown."""

    left: i16 = column(per="cell")


class EcologySettings(Settings):
    """The size of the pasture, the animals at the start, and their births, energy and food."""

    width: int = Field(20, ge=1, le=2048, description="Cells from west to east.")
    height: int = Field(20, ge=1, le=2048, description="Cells from north to south.")
    sheep: int = Field(100, ge=0, le=500_000, description="Sheep at the start.")
    wolves: int = Field(50, ge=0, le=500_000, description="Wolves at the start.")
    sheep_breed: int = Field(40, ge=0, le=1000, description="Chance that a sheep gives birth in a tick, per-mille.")
    wolf_breed: int = Field(50, ge=0, le=1000, description="Chance that a wolf gives birth in a tick, per-mille.")
    sheep_gain: int = Field(4, ge=0, le=1000, description="Energy that a tuft of grass gives.")
    wolf_gain: int = Field(20, ge=0, le=1000, description="Energy that a sheep gives.")
    regrow: int = Field(30, ge=1, le=10_000, description="Ticks until eaten grass has grown back.")

    @property
    def agents(self) -> int:
        """The number of animals at the start."""
        return self.sheep + self.wolves


class Graze(System):
    """Sheep move away from wolves and towards grass, eat, starve and breed.

    Reads: Wolf. Writes: Animal, Grass, Sheep. Order: before Hunt.
    """

    reads: ClassVar = (Wolf,)
    writes: ClassVar = (Animal, Grass, Sheep)

    def process(self, world: World, run: Run) -> None:
        """Keep sheep off the cells of wolves."""
        animal, left, settings, sheep = world[Animal], world[Grass].left, run.settings, world.rows(Sheep)
        safe = np.ones(run.space.size, np.bool_)
        safe[animal.cell[world.rows(Wolf)]] = False
        words = world.draws(sheep, ACT)
        fed, _ = forage(world, run.space, sheep, words, food=left == 0, allowed=safe)
        # Eaten grass starts to grow in the next tick, because `Grow` still runs in this one.
        left[animal.cell[fed]] = settings.regrow + 1
        live(world, sheep, words, fed, settings.sheep_gain, settings.sheep_breed, Sheep)


class Hunt(System):
    """Wolves move towards sheep, eat one each, starve and breed.

    Reads: Sheep. Writes: Animal, Sheep, Wolf. Order: after Graze.
    """

    reads: ClassVar = (Sheep,)
    writes: ClassVar = (Animal, Sheep, Wolf)

    def process(self, world: World, run: Run) -> None:
        """Eat the sheep of a cell in key order."""
        settings, wolves, sheep = run.settings, world.rows(Wolf), world.rows(Sheep)
        flock = run.space.index(world[Animal].cell[sheep], rows=sheep)
        words = world.draws(wolves, ACT)
        fed, place = forage(world, run.space, wolves, words, food=flock.count)
        world.kill(flock.nth(world[Animal].cell[fed], place))
        live(world, wolves, words, fed, settings.wolf_gain, settings.wolf_breed, Wolf)


class Grow(System):
    """Grass grows. Reads and writes Grass. Order: last."""

    reads: ClassVar = (Grass,)
    writes: ClassVar = (Grass,)

    def process(self, world: World, run: Run) -> None:
        """Count down to 0."""
        world[Grass].left[world[Grass].left > 0] -= 1


def forage(world: World, grid: Grid, rows: Any, words: Any, *, food: Any, allowed: Any = None) -> tuple[Any, Any]:
    """Move animals to food beside them; animals whose food is gone choose again.

    Args:
        world: the world; `Animal.cell` is written.
        grid: the pasture.
        rows: the animals.
        words: random words of each animal; all but the third are used.
        food: pieces on each cell, `[cells]`.
        allowed: cells that may be entered; by default all.

    Returns:
        The rows that eat, and which piece of its cell each eats, counted from 0.
    """
    cells, food, eaten = world[Animal].cell, food.astype(np.int64), np.zeros(grid.size, np.int64)
    fed, pieces, again = [rows[:0]], [rows[:0]], 0
    # In each round all animals choose from the food that is left. Of those with the same choice, the first in a random
    # order eats, and the others choose again.
    order = words[:, 0].argsort(kind="stable")
    waiting, choices = rows[order], words[order][:, (1, 3)]
    while len(waiting):
        if not choices.size:
            choices, again = world.draws(waiting, AGAIN, again), again + 1
        hopeful = food > eaten
        cell = grid.step(cells[waiting], choices[:, 0], score=hopeful, allowed=allowed, moore=False)
        hopeful = hopeful[cell]
        eats = hopeful & world.claim(cell, np.arange(len(cell)), grid.size)
        settled = eats | ~hopeful
        cells[waiting[settled]] = cell[settled]
        fed.append(waiting[eats])
        pieces.append(eaten[cell[eats]])
        eaten[cell[eats]] += 1
        waiting, choices = waiting[~settled], choices[~settled, 1:]
    return np.concatenate(fed), np.concatenate(pieces)


def live(world: World, rows: Any, words: Any, fed: Any, gain: int, breed: int, kind: type[Component]) -> None:
    """Subtract a tick's energy, add that of the food, and queue deaths, and births at the parent's place."""
    animal = world[Animal]
    animal.energy[rows] -= UNIT
    animal.energy[fed] += gain * UNIT
    starved = animal.energy[rows] < 0
    world.kill(rows[starved])
    parents = rows[(words[:, 2] < 2**32 * breed // 1000) & ~starved]
    animal.energy[parents] //= 2
    values = {"cell": animal.cell[parents], "energy": animal.energy[parents]}
    world.spawn({Animal: values, kind: {}}, count=len(parents), like=parents)


class Ecology(Domain):
    """Wolves, sheep and grass on a torus."""

    settings: Any = EcologySettings
    components, resources, systems = (Animal, Sheep, Wolf), (Grass,), (Graze, Hunt, Grow)
    metrics: ClassVar = {
        "sheep": lambda world: len(world.rows(Sheep)),
        "wolves": lambda world: len(world.rows(Wolf)),
        "grass": lambda world: int((world[Grass].left == 0).sum()),
    }
    portrayal = Portrayal(
        looks=(
            Look(has=Wolf, place="Animal.cell", colour="#9d0208", size="Animal.energy", glyph="W"),
            Look(has=Sheep, place="Animal.cell", colour="#5f6caf", size="Animal.energy", glyph="s"),
        ),
        layers=(Layer(values="Grass.left", colours=("#8ab17d", "#f1ead2"), name="ticks until grass has grown"),),
    )

    def spaces(self, run: Run) -> dict[str, Any]:
        """Return the pasture."""
        return {"pasture": Grid(self.settings.width, self.settings.height, torus=True)}

    def setup(self, world: World, run: Run) -> None:
        """Scatter animals with up to twice the energy of a meal, and grass of every age."""
        settings, grid = self.settings, run.space
        for kind, count, gain in (
            (Sheep, settings.sheep, settings.sheep_gain),
            (Wolf, settings.wolves, settings.wolf_gain),
        ):
            world.spawn({Animal: {}, kind: {}}, count=count)
            world.flush()
            born = world.rows(kind)
            world[Animal].cell[born] = world.below(born, PLACE, grid.size)
            world[Animal].energy[born] = world.below(born, ENERGY, 2 * gain * UNIT + 1)
        cells = np.arange(grid.size)
        age = world.below_at(cells, GROWN, settings.regrow)
        world[Grass].left[:] = np.where(world.chance_at(cells, GROWN, 500, draw=1), 0, age)
