"""A plug-in: whoever is dead tired drinks coffee."""

from sim import Component, System, i16
from studygroup.domain import Student


class Cups(Component):
    """Cups that a student has had."""

    count: i16


class Coffee(System):
    """The tired drink. Reads and writes Student and Cups. Order: at the end."""

    reads = (Student, Cups)
    writes = (Student, Cups)

    def process(self, world, run):
        tired = world[Student].tired > 60
        world[Student].tired[tired] -= 20
        world[Cups].count[tired] += 1


COMPONENTS, SYSTEMS = (Cups,), (Coffee,)
METRICS = {"cups": lambda world: int(world[Cups].count.sum())}
