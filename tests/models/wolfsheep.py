"""Wolves, sheep and grass, written agent by agent: nobody is a soldier, and grass is a resource of one value a cell."""

from pydantic import Field

from sim import Component, Domain, Grid, Resource, Settings, System, column, i32, purpose

PLACE, ENERGY, STEP, BREED, GROWN = map(purpose, ("place", "energy", "step", "breed", "grown"))


class Animal(Component):
    """Where an animal is, and what it has eaten."""

    cell: i32
    energy: i32


class Sheep(Component):
    """A mark."""


class Wolf(Component):
    """A mark."""


class Grass(Resource):
    """Ticks until the grass of a cell has grown again; 0 is grass."""

    left: i32 = column(per="cell")


class MeadowSettings(Settings):
    """The meadow."""

    side: int = Field(12, ge=1, le=200, description="Cells along each side.")
    sheep: int = Field(40, ge=0, le=10_000, description="Sheep at the start.")
    wolves: int = Field(15, ge=0, le=10_000, description="Wolves at the start.")
    regrow: int = Field(20, ge=1, le=1000, description="Ticks that grass takes to grow.")


class Graze(System):
    """Sheep move, eat, starve and breed. Reads and writes Animal and Grass."""

    def process(self, world, run):
        left = world[Grass].left
        left[left > 0] -= 1
        move(world, run, world.rows(Sheep))
        for sheep in world.agents(Sheep, Animal):
            animal = sheep[Animal]
            if left[animal.cell] == 0:
                left[animal.cell] = run.settings.regrow
                animal.energy += 4
        breed(world, world.rows(Sheep), Sheep, 40)


class Hunt(System):
    """Wolves move, eat the first sheep on their cell, starve and breed. Reads and writes Animal."""

    def process(self, world, run):
        move(world, run, world.rows(Wolf))
        prey = {}
        for row in world.rows(Sheep).tolist():
            prey.setdefault(int(world[Animal].cell[row]), []).append(row)
        eaten = []
        for wolf in world.agents(Wolf, Animal):
            found = prey.get(int(wolf[Animal].cell))
            if found:
                eaten.append(found.pop(0))
                wolf[Animal].energy += 20
        world.kill(sorted(eaten))
        breed(world, world.rows(Wolf), Wolf, 50)


def move(world, run, rows):
    """Each goes to a random neighbour, at the cost of one unit of energy."""
    animal = world[Animal]
    words = world.draws(rows, STEP)[:, 0]
    animal.cell[rows] = run.space.step(animal.cell[rows], words, moore=False)
    animal.energy[rows] -= 1


def breed(world, rows, kind, permille):
    """The starved die; some of the others share their energy with a child at the same place."""
    animal = world[Animal]
    starved = animal.energy[rows] < 0
    world.kill(rows[starved])
    parents = rows[world.chance(rows, BREED, permille) & ~starved]
    animal.energy[parents] //= 2
    values = {"cell": animal.cell[parents], "energy": animal.energy[parents]}
    world.spawn({Animal: values, kind: {}}, count=len(parents), like=parents)


class Meadow(Domain):
    """A meadow."""

    settings = MeadowSettings
    components, resources, systems = (Animal, Sheep, Wolf), (Grass,), (Graze, Hunt)
    metrics = {
        "sheep": lambda world: len(world.rows(Sheep)),
        "wolves": lambda world: len(world.rows(Wolf)),
        "grass": lambda world: int((world[Grass].left == 0).sum()),
    }

    def spaces(self, run):
        return {"meadow": Grid(self.settings.side, self.settings.side, torus=True)}

    def setup(self, world, run):
        for kind, count, energy in ((Sheep, self.settings.sheep, 8), (Wolf, self.settings.wolves, 40)):
            world.spawn({Animal: {}, kind: {}}, count=count)
            world.flush()
            born = world.rows(kind)
            world[Animal].cell[born] = world.below(born, PLACE, run.space.size)
            world[Animal].energy[born] = 1 + world.below(born, ENERGY, energy)
        world[Grass].left[:] = world.below_at(range(run.space.size), GROWN, self.settings.regrow)

    def invariants(self, world):
        left = world[Grass].left
        assert ((left >= 0) & (left <= self.settings.regrow)).all(), "grass grows longer than it may"

    @classmethod
    def examples(cls):
        yield cls.settings()
        yield cls.settings(side=1, sheep=1, wolves=0)
