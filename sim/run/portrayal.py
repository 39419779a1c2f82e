"""How viewers draw a world: where agents are, their colours, sizes, labels and glyphs, and what lies under them.

A portrayal names columns and computes nothing, so every viewer (a page, a terminal) can draw it. The rest is
guessed from the declarations: a world without any portrayal is shown by its `cell` or `x` and `y` columns if it has
one space, and as a table otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.errors import ContractError
from sim.engine.columns import ColumnSpec, Component
from sim.messages import quoted, suggestion

if TYPE_CHECKING:
    from sim.run.domain import Domain
    from sim.run.world import World

COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")
"""How a fixed colour is written."""
KEY: Final = "key"
"""Stands for an agent's key where a column could stand."""
GROUP: Final = "group"
"""Stands for an agent's group as a colour."""
LOOKS_MAX: Final = 32
"""Looks of one portrayal, and layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the agents with one component are drawn; the first look that fits an agent counts.

    Columns are written "Component.column" and hold one value per agent.

    Attributes:
        has: the component; None for every agent.
        place: the column of cells, of nodes, or the two columns of x and y; "key" where keys are the nodes. Agents
            without a place stand in the table alone.
        space: the name of the space that the place is in; by default the only one.
        colour: a column, "group", or a fixed "#rrggbb"; by default the group, or a colour for each look.
        names: names for the numbers of the colour's column: a table's name, or the names.
        size: a column whose largest value is drawn as the full size.
        label: a column; by default the key.
        glyph: one character for a terminal; by default the first letter of the look's name.
        name: the name in the legend; by default the component's name.

    >>> Look(place="Animal.cell", colour="#7f5539", glyph="w").glyph
    'w'
    """

    has: type[Component] | None = None
    place: str | tuple[str, str] = ""
    space: str = ""
    colour: str = ""
    names: str | Sequence[str] = ()
    size: str = ""
    label: str = KEY
    glyph: str = ""
    name: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """The columns of the place: none, one or two."""
        return (self.place,) if isinstance(self.place, str) and self.place else tuple(self.place)

    @property
    def title(self) -> str:
        """The name in the legend."""
        return self.name or (self.has.__name__ if self.has is not None else "Agent")

    @property
    def mark(self) -> str:
        """The character for a terminal."""
        return self.glyph or self.title[:1].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Values of cells, drawn under the agents.

    Attributes:
        values: "Resource.column", a value for each cell or node of a space, or an array `[height, width]`.
        space: the name of the space; by default the only one.
        colours: colours "#rrggbb" from the lowest value to the highest, two or more.
        low: the value of the first colour; by default the lowest that occurs.
        high: the value of the last colour; by default the highest that occurs.
        name: the name in the legend; by default `values`.
    """

    values: str
    space: str = ""
    colours: Sequence[str] = ("#f4f1e8", "#6a994e")
    low: float | None = None
    high: float | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """The name in the legend."""
        return self.name or self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrayal:
    """How a world is drawn: looks of agents, and layers of cells, the lowest first.

    >>> Portrayal(looks=(Look(place="Person.cell"),)).layers
    ()
    """

    looks: Sequence[Look] = ()
    layers: Sequence[Layer] = ()


# -- checking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Within:
    """How messages name a part: its place, which is looked up when the message is written, and its own name."""

    whole: object
    part: str

    def __str__(self) -> str:
        return f"{self.whole}: {self.part}"


def checked_portrayal(domain: Domain, world: World, spaces: Mapping[str, Any], where: object) -> Portrayal:
    """Return a domain's portrayal with everything guessed that it leaves open.

    Args:
        domain: whose portrayal.
        world: a world of it, set up.
        spaces: the spaces of the run.
        where: how messages name the domain.

    Raises:
        ContractError: it names something that is not there; one sentence.
    """
    given: object = domain.portrayal
    if not isinstance(given, Portrayal):
        raise ContractError(f"{where}: portrayal is {quoted(given)}; write Portrayal(looks=(Look(...),))")
    spaces = {
        name: space for name, space in spaces.items() if getattr(space, "kind", "") in ("grid", "network", "plane")
    }
    for part, kind in (("looks", Look), ("layers", Layer)):
        items: object = getattr(given, part)
        if not isinstance(items, Sequence) or not all(isinstance(item, kind) for item in items):
            raise ContractError(f"{where}: portrayal.{part} is {quoted(items)}; write ({kind.__name__}(...),)")
        if len(items) > LOOKS_MAX:
            raise ContractError(f"{where}: portrayal.{part} has {len(items)} entries; at most {LOOKS_MAX}")
    columns = columns_of(world)
    looks = given.looks or _guessed(world, columns, spaces)
    return Portrayal(
        looks=[
            _checked_look(look, columns, world, spaces, Within(where, f"portrayal.looks[{n}]"))
            for n, look in enumerate(looks)
        ],
        layers=[
            _checked_layer(layer, world, spaces, Within(where, f"portrayal.layers[{n}]"))
            for n, layer in enumerate(given.layers)
        ],
    )


def columns_of(world: World) -> dict[str, ColumnSpec]:
    """Return the columns of components by "Component.column"."""
    tables = (world.storage.table(component) for component in world.components)
    return {spec.label: spec for table in tables for spec in table.schema.columns}


def _guessed(world: World, columns: Mapping[str, ColumnSpec], spaces: Mapping[str, Any]) -> list[Look]:
    """Return how agents of which nothing is said are drawn: a look for each component that is a mark, and the rest."""
    place = _guessed_place(columns, spaces)
    marks = [each for each in world.components if not world.storage.table(each).schema.columns]
    return [*(Look(has=mark, place=place) for mark in marks[: LOOKS_MAX - 1]), Look(place=place)]


def _guessed_place(columns: Mapping[str, ColumnSpec], spaces: Mapping[str, Any]) -> str | tuple[str, str]:
    flat = [label for label, spec in columns.items() if not spec.shape and spec.dtype.kind == "i"]
    ends = {name: [label for label in flat if label.endswith(f".{name}")] for name in ("cell", "node", "x", "y")}
    kind = next(iter(spaces.values())).kind if len(spaces) == 1 else ""
    if kind == "network" and len(ends["node"]) == 1:
        return ends["node"][0]
    if kind == "grid" and len(ends["cell"]) == 1:
        return ends["cell"][0]
    if kind in ("grid", "plane") and len(ends["x"]) == len(ends["y"]) == 1:
        return ends["x"][0], ends["y"][0]
    return ""


def _checked_look(
    look: Look, columns: Mapping[str, ColumnSpec], world: World, spaces: Mapping[str, Any], where: object
) -> Look:
    texts = {part: getattr(look, part) for part in ("space", "colour", "size", "label", "glyph", "name")}
    place: object = look.place
    if not isinstance(place, str | tuple):
        raise ContractError(f"{where}: place is {quoted(place)}; name a column, or two for x and y")
    texts |= {"place": place} if isinstance(place, str) else {f"place[{n}]": each for n, each in enumerate(place)}
    _check_texts(texts, where)
    if look.has is not None and look.has not in world.components:
        known = [component.__name__ for component in world.components]
        raise ContractError(f"{where}: has: no such component; {suggestion(_name(look.has), known, 'components')}")
    for part, label in (*(("place", place) for place in look.places), ("size", look.size), ("label", look.label)):
        if label not in ("", KEY):
            spec = _column(columns, label, Within(where, part))
            if part != "label" and (spec.is_text or spec.enum is not None):
                raise ContractError(f"{where}: {part}: {label} holds no numbers; name a column of numbers")
    if look.colour not in ("", GROUP) and not COLOUR.fullmatch(look.colour):
        if look.colour.startswith("#"):
            raise ContractError(f"{where}: colour is {quoted(look.colour)}; write six digits, as in #2a9d8f")
        _column(columns, look.colour, Within(where, "colour"))
    names = look.names
    if isinstance(names, str):
        if names not in world.tables:
            hint = suggestion(names, sorted(world.tables), "tables")
            raise ContractError(f"{where}: names: there is no table {quoted(names)}; {hint}")
        names = world.tables[names]
    if not all(isinstance(name, str) for name in names):
        raise ContractError(f"{where}: names is {quoted(names)}; name a table, or give names")
    if len(look.mark) != 1 or not look.mark.isprintable():
        raise ContractError(f"{where}: glyph is {quoted(look.glyph)}; give one character")
    space = look.space
    if look.places:
        space = _space(look.space, spaces, where, needed=len(look.places) == 1)
        kind = spaces[space].kind if space else "grid"
        wanted = {"network": (1,), "grid": (1, 2), "plane": (2,)}[kind]
        if len(look.places) not in wanted:
            raise ContractError(
                f"{where}: place is {quoted(look.place)}; a place on a {kind} is {' or '.join(map(str, wanted))} "
                f"column{'s' if wanted[-1] > 1 else ''}"
            )
    return replace(look, space=space, names=tuple(names))


def _checked_layer(layer: Layer, world: World, spaces: Mapping[str, Any], where: object) -> Layer:
    _check_texts({part: getattr(layer, part) for part in ("values", "space", "name")}, where)
    colours: Sequence[object] = layer.colours
    if len(colours) < 2 or not all(isinstance(each, str) and COLOUR.fullmatch(each) for each in colours):
        raise ContractError(f"{where}: colours is {quoted(list(layer.colours))}; give two or more, as in #2a9d8f")
    array = cells_of(world, layer.values)
    if array is None:
        known = [f"{name}.{column}" for name, each in world.resources.items() for column in each.columns()]
        hint = suggestion(layer.values, known, "columns of resources")
        raise ContractError(f"{where}: values: no resource has {quoted(layer.values)}; {hint}")
    if array.dtype.kind not in "biuf":
        raise ContractError(f"{where}: values: {layer.values} holds no numbers; name a column of numbers")
    space = _space(layer.space, spaces, where, needed=array.ndim != 2)
    if space and array.size != getattr(spaces[space], "size", -1):
        raise ContractError(
            f"{where}: values: {layer.values} has {array.size} values, and the space {space!r} "
            f"{getattr(spaces[space], 'size', 'no cells')}; name a column with a value for each cell"
        )
    return replace(layer, space=space)


def _check_texts(parts: Mapping[str, object], where: object) -> None:
    for part, value in parts.items():
        if not isinstance(value, str):
            raise ContractError(f"{where}: {part} is {quoted(value)}; give a text")


def cells_of(world: World, values: str) -> NDArray[Any] | None:
    """Return the array of a layer; None where there is no such resource or column."""
    name, _, column = values.partition(".")
    resource = world.resources.get(name)
    return None if resource is None else resource.columns().get(column)


def _column(columns: Mapping[str, ColumnSpec], label: str, where: object) -> ColumnSpec:
    if label not in columns:
        raise ContractError(
            f"{where}: there is no column {quoted(label)}; {suggestion(label, list(columns), 'columns')}"
        )
    if columns[label].shape:
        raise ContractError(f"{where}: {label} holds several values per agent; name a column of one value")
    return columns[label]


def _space(name: str, spaces: Mapping[str, Any], where: object, *, needed: bool) -> str:
    """Return the name of the space that is meant; empty where there is none and none is needed."""
    if name and name not in spaces:
        hint = suggestion(name, list(spaces), "spaces")
        raise ContractError(f"{where}: space: there is no space {quoted(name)}; {hint}")
    if name or len(spaces) == 1:
        return name or next(iter(spaces))
    if spaces or needed:
        known = f"there are {', '.join(spaces)}; name one with space=" if spaces else "the domain has no space"
        raise ContractError(f"{where}: the space is not clear: {known}")
    return ""


def _name(given: object) -> str:
    return str(getattr(given, "__name__", given))


def look_of_rows(world: World, looks: Sequence[Look]) -> NDArray[np.int8]:
    """Return which look draws each row, `[n]`; -1 for none."""
    found = np.full(world.n, -1, np.int8)
    for number, look in reversed(list(enumerate(looks))):
        found[slice(None) if look.has is None else world.rows(look.has)] = number
    return found
