"""Maps in a terminal: agents stand where they are, ground shows without colours, and names are harmless."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from sim import (
    Component,
    Domain,
    Grid,
    Layer,
    Look,
    Network,
    Plane,
    Portrayal,
    Resource,
    Simulation,
    column,
    i16,
    i32,
    load,
)
from sim.run.domains import available_domains
from sim.viewer.terminal import RAMP, drawn, legend


class Spot(Component):
    """Where something is."""

    cell: i32


class Big(Component):
    """A mark."""


class Hill(Resource):
    """Height by cell."""

    height: i16 = column(per="cell")


class Land(Domain):
    """Three small things and a big one on a slope."""

    components, resources = (Spot, Big), (Hill,)
    portrayal = Portrayal(
        looks=(Look(has=Big, place="Spot.cell", glyph="B", colour="#112233"), Look(place="Spot.cell", glyph="s")),
        layers=(Layer(values="Hill.height", low=0, high=3),),
    )

    def spaces(self, run: Any) -> dict[str, Any]:
        return {"land": Grid(4, 2)}

    def setup(self, world: Any, run: Any) -> None:
        world[Hill].height[:] = np.arange(8) % 4
        world.spawn({Spot: {"cell": [0, 5, 7]}}, count=3)
        world.spawn({Spot: {"cell": 7}, Big: {}})


def test_agents_stand_on_their_cells() -> None:
    """A cell is two characters wide where there is room; the first look is on top, and the ground is a ramp."""
    with Simulation(Land()) as simulation:
        found = drawn(simulation)
    assert [line.plain for line in found.lines] == [" s..::##", "  .s::#B"]
    assert found.counts == [("s", "#e07a1f", "Agent", 3), ("B", "#112233", "Big", 1)]
    assert legend(found.counts).plain == "s Agent 3  B Big 1"
    assert RAMP[0] == " "


def test_a_large_map_fits() -> None:
    """No line is longer than asked for, and there are no more lines; everybody is counted."""
    with Simulation(load("ecology")) as simulation:
        for width, height in ((78, 24), (30, 8), (5, 3)):
            found = drawn(simulation, width, height)
            assert len(found.lines) <= height
            assert max(len(line.plain) for line in found.lines) <= width
            assert sum(count for *_, count in found.counts) == simulation.world.n


def test_ground_without_agents_is_a_map() -> None:
    """A domain whose agents have no place still shows its layers, and one without agents as well."""

    class Bare(Land):
        """Nobody lives here."""

        portrayal: ClassVar[Portrayal] = Portrayal(looks=(Look(),), layers=(Layer(values="Hill.height"),))

    with Simulation(Bare()) as simulation:
        simulation.world.kill(slice(None))
        simulation.world.flush()
        found = drawn(simulation)
    assert [line.plain for line in found.lines] == ["  ..::##"] * 2
    assert found.counts == []


def test_a_plane_is_a_map_as_well() -> None:
    """Positions in points become places on the map, the south-east corner included."""

    class Point(Component):
        """Where something is, points."""

        x: i32
        y: i32

    class Flat(Domain):
        """Two in opposite corners."""

        components = (Point,)
        portrayal = Portrayal(looks=(Look(place=("Point.x", "Point.y"), glyph="o"),))

        def spaces(self, run: Any) -> dict[str, Any]:
            return {"plane": Plane(10, 10, scale=100)}

        def setup(self, world: Any, run: Any) -> None:
            world.spawn({Point: {"x": [0, 999], "y": [0, 999]}}, count=2)

    with Simulation(Flat()) as simulation:
        lines = [line.plain for line in drawn(simulation, 20, 10).lines]
    assert (lines[0], lines[-1]) == ("o" + " " * 19, " " * 19 + "o")
    assert len(lines) == 10


@pytest.mark.parametrize("name", available_domains())
def test_every_domain_is_drawn(name: str) -> None:
    """Every domain has a picture of its size: a map, the nodes of a network, or a table of agents without a place."""
    with Simulation(load({"tactics": "skirmish"}.get(name, name))) as simulation:
        found = drawn(simulation.run(3), 60, 20)
        assert 0 < len(found.lines) <= 20
        assert max(len(line.plain) for line in found.lines) <= 60
        assert sum(count for *_, count in found.counts) == simulation.world.n


class Hut(Component):
    """A node, and what is in it."""

    node: i32
    sort: i16
    wood: float = column(scale=10)


class Street(Domain):
    """Huts of two sorts on a ring; one agent has none."""

    components = (Hut, Big)
    portrayal = Portrayal(looks=(Look(has=Hut, place="Hut.node", colour="Hut.sort", names=("brick", "brown")),))

    def spaces(self, run: Any) -> dict[str, Any]:
        return {"street": Network.ring(7)}

    def setup(self, world: Any, run: Any) -> None:
        world.spawn({Hut: {"node": [0, 1, 6], "sort": [0, 1, 0], "wood": [1.5, 2, 30]}}, count=3)
        world.spawn({Big: {}})


def test_a_network_is_its_nodes_in_order() -> None:
    """A character stands for a node, or for several if the picture lacks room; kinds have letters of their own."""
    with Simulation(Street()) as simulation:
        found = drawn(simulation)
        assert [line.plain for line in found.lines] == ["br....b"]
        assert [line.plain for line in drawn(simulation, 3, 2).lines] == ["r..", "b  "]
        assert [line.plain for line in drawn(simulation, 4, 2).lines] == ["br..", "..b "]
    assert [(mark, name, count) for mark, _, name, count in found.counts] == [("b", "brick", 2), ("r", "brown", 1)]


def test_agents_without_a_place_are_a_table() -> None:
    """Columns that the portrayal names come first; an agent without the component has no values; many are cut."""

    class Shed(Street):
        """The same without a street."""

        portrayal: ClassVar[Portrayal] = Portrayal(looks=(Look(size="Hut.wood"),))

        def spaces(self, run: Any) -> dict[str, Any]:
            return {}

    with Simulation(Shed()) as simulation:
        assert [line.plain.rstrip() for line in drawn(simulation).lines] == [
            "     wood  node  sort",
            "a 0   1.5     0     0",
            "a 1     2     1     1",
            "a 2    30     6     0",
            "a 3",
        ]
        assert [line.plain.rstrip() for line in drawn(simulation, 8, 4).lines][-1] == "and 2 more"


def test_names_from_a_domain_cannot_act_on_a_terminal() -> None:
    """Characters that a terminal acts on are shown by number."""

    class Loud(Land):
        """Has an odd name for its agents."""

        portrayal: ClassVar[Portrayal] = Portrayal(looks=(Look(name="\x1b[31mred\u202e", glyph="x"),))

    with Simulation(Loud()) as simulation:
        assert "\\x1b[31mred\\u202e" in legend(drawn(simulation).counts).plain
