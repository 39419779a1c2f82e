"""Portrayals: what is guessed, what is refused in one sentence, and what the shipped domains say."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from ai.errors import ContractError
from sim import Component, Domain, Grid, Layer, Look, Network, Plane, Portrayal, Resource, Simulation, column, i16, i32
from sim.run.domains import available_domains, find_domain
from sim.run.portrayal import cells_of, look_of_rows


class Spot(Component):
    """Where something is."""

    cell: i32
    name: str


class Point(Component):
    """Where something else is."""

    x: i32
    y: i32


class Wet(Component):
    """A mark, with values by good."""

    stock: i32 = column(per="goods")


class Marked(Component):
    """Marks something."""


class Rain(Resource):
    """Rain by cell."""

    fallen: i16 = column(per="cell")
    clouds: i16


class Field(Domain):
    """Spots on a field in the rain."""

    components, resources = (Spot, Point, Wet), (Rain,)
    tables: ClassVar = {"goods": ("bread", "fish")}

    def spaces(self, run: Any) -> dict[str, Any]:
        return {"field": Grid(4, 3)}

    def setup(self, world: Any, run: Any) -> None:
        world.spawn({Spot: {}, Wet: {}}, count=2)
        world.spawn({Spot: {}, Point: {}})


def drawn(portrayal: Any, base: type[Domain] = Field) -> Portrayal:
    """Return the portrayal of a run of `base` with another one."""
    kind = type(base.__name__, (base,), {"portrayal": portrayal, "name": "field"})
    with Simulation(kind()) as simulation:
        return simulation.portrayal


def one(**parts: Any) -> Portrayal:
    return Portrayal(looks=(Look(**parts),))


def layer(**parts: Any) -> Portrayal:
    return Portrayal(layers=(Layer(**parts),))


WRONG = [
    (5, r"portrayal is 5; write Portrayal\(looks="),
    (Portrayal(looks=Look()), r"portrayal.looks is .*; write \(Look\(...\),\)"),  # type: ignore[arg-type]
    (Portrayal(layers=(Look(),)), r"portrayal.layers is .*; write \(Layer\(...\),\)"),  # type: ignore[arg-type]
    (Portrayal(looks=(Look(),) * 33), "portrayal.looks has 33 entries; at most 32"),
    (one(has=Domain), "portrayal.looks.0.: has: no such component; components: Spot, Point, Wet"),
    (one(place="Spot.cel"), "place: there is no column 'Spot.cel'; did you mean 'Spot.cell'?"),
    (one(size="Rain.clouds"), "size: there is no column 'Rain.clouds'"),
    (one(place="Spot.name"), "place: Spot.name holds no numbers"),
    (one(place=5), "place is 5; name a column, or two for x and y"),
    (one(place=("Spot.cell", 5)), r"place\[1\] is 5; give a text"),
    (one(place=("Spot.cell", "Point.x", "Point.y")), "a place on a grid is 1 or 2 columns"),
    (one(place="Spot.cell", space="town"), "space: there is no space 'town'; spaces: field"),
    (one(size="Wet.stock"), "size: Wet.stock holds several values per agent"),
    (one(colour="#fff"), "colour is '#fff'; write six digits, as in #2a9d8f"),
    (one(colour="red"), "colour: there is no column 'red'"),
    (one(colour="Spot.cell", names="good"), "names: there is no table 'good'; did you mean 'goods'?"),
    (one(label="Spot.nam"), "label: there is no column 'Spot.nam'; did you mean 'Spot.name'?"),
    (one(glyph="ab"), "glyph is 'ab'; give one character"),
    (one(glyph="\n"), "glyph is .*; give one character"),
    (layer(values="Rain.falle"), "no resource has 'Rain.falle'; did you mean 'Rain.fallen'?"),
    (layer(values="Snow.deep"), "no resource has 'Snow.deep'; columns of resources: Rain.fallen, Rain.clouds"),
    (layer(values="Rain.clouds"), "Rain.clouds has 1 values, and the space 'field' 12"),
    (layer(values="Rain.fallen", colours=("#ffffff",)), "colours is .*; give two or more"),
    (layer(values="Rain.fallen", colours=("red", "blue")), "colours is .*; give two or more, as in #2a9d8f"),
]


@pytest.mark.parametrize(("portrayal", "sentence"), WRONG, ids=[sentence[:40] for _, sentence in WRONG])
def test_a_wrong_portrayal_is_refused_in_one_sentence(portrayal: Any, sentence: str) -> None:
    """The sentence names the domain, the part, and what there is instead."""
    with pytest.raises(ContractError, match=sentence) as caught:
        drawn(portrayal)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("domain 'field' (Field, ")


def test_a_place_needs_a_space_that_is_clear() -> None:
    """Of two spaces one has to be named; a plane takes two columns, a network one."""

    class Two(Field):
        def spaces(self, run: Any) -> dict[str, Any]:
            return {"field": Grid(4, 3), "net": Network(3), "plane": Plane(2, 2), "other": object()}

    class Nowhere(Domain):
        components = (Spot,)

    with pytest.raises(ContractError, match="the space is not clear: there are field, net, plane; name one"):
        drawn(one(place="Spot.cell"), Two)
    with pytest.raises(ContractError, match="a place on a plane is 2 columns"):
        drawn(one(place="Spot.cell", space="plane"), Two)
    with pytest.raises(ContractError, match=r"a place on a network is 1 column$"):
        drawn(one(place=("Point.x", "Point.y"), space="net"), Two)
    with pytest.raises(ContractError, match="the space is not clear: the domain has no space"):
        drawn(one(place="Spot.cell"), Nowhere)
    assert drawn(one(place="key", space="net"), Two).looks[0].places == ("key",)


def test_what_is_left_open_is_guessed() -> None:
    """One space and columns of the usual names give a place; otherwise a table is all there is."""

    class Flat(Domain):
        components = (Point,)

        def spaces(self, run: Any) -> dict[str, Any]:
            return {"plane": Plane(2, 2)}

    class Bare(Domain):
        components = (Point,)

    assert drawn(Portrayal()).looks[0].place == "Spot.cell"
    assert drawn(Portrayal(), Flat).looks[0].place == ("Point.x", "Point.y")
    assert drawn(Portrayal(), Bare).looks[0] == Look()

    class Herd(Field):
        components = (Spot, Point, Marked)

        def setup(self, world: Any, run: Any) -> None:
            world.spawn({Spot: {}, Marked: {}})

    assert [(look.title, look.place) for look in drawn(Portrayal(), Herd).looks] == [
        ("Marked", "Spot.cell"),
        ("Agent", "Spot.cell"),
    ]
    look = drawn(one(has=Wet, colour="Spot.cell", names="goods")).looks[0]
    assert (look.title, look.mark, look.names) == ("Wet", "w", ("bread", "fish"))


def test_the_first_look_that_fits_counts() -> None:
    """An agent without any of the components is drawn by none."""
    looks = (Look(has=Wet), Look(has=Point))
    with Simulation(Field()) as simulation:
        assert look_of_rows(simulation.world, looks).tolist() == [0, 0, 1]
        assert look_of_rows(simulation.world, looks[1:]).tolist() == [-1, -1, 0]
        fallen = cells_of(simulation.world, "Rain.fallen")
        assert fallen is not None
        assert fallen.shape == (12,)


@pytest.mark.parametrize("name", available_domains())
def test_every_shipped_domain_says_how_it_is_drawn(name: str) -> None:
    """None of them relies on guesses, and each that has a space places its agents."""
    kind = find_domain(name).kind
    assert kind.portrayal.looks
    with Simulation(kind(next(iter(kind.examples())))) as simulation:
        assert (look_of_rows(simulation.world, simulation.portrayal.looks) >= 0).all()
        if simulation.run_context.spaces:
            assert all(look.places for look in simulation.portrayal.looks)
