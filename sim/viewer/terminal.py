"""A world in a terminal: a picture with a character for each agent, and how many agents of each kind live.

A grid or a plane is a map. A terminal has fewer places than most maps have cells, so one character may stand for
several cells. It shows one of the agents on them, by the first look, and the colour of the lowest layer. A network is
drawn as its nodes in order, line by line, so that neighbours in a ring stand beside each other. Agents without a place
are a table of their values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from sim.engine.columns import ColumnSpec
from sim.engine.values import codes_of
from sim.messages import shown
from sim.run.portrayal import COLOUR, GROUP, KEY, Layer, Look, cells_of, columns_of, look_of_rows
from sim.run.simulation import Simulation
from sim.run.world import World

PALETTE: Final = (
    "#2a6f97", "#e07a1f", "#4f9d69", "#b5446e", "#7b5ea7", "#c9a227", "#3fa7a0", "#8d6a4f", "#5b7bd5", "#d1495b",
)  # fmt: skip
"""Colours of categories, as in pages."""
RAMP: Final = " .:#"
"""Characters from the lowest value of a layer to the highest."""
KINDS_MAX: Final = 12
"""Kinds of agents that are counted one by one."""
COLUMNS_MAX: Final = 8
"""Columns of a table of agents."""


@dataclass(slots=True)
class Drawn:
    """A world as a terminal shows it.

    Attributes:
        lines: the map, the nodes or the table, a line of characters each.
        counts: kinds of agents: character, colour, name, number.
    """

    lines: list[Text] = field(default_factory=list)
    counts: list[tuple[str, str, str, int]] = field(default_factory=list)


def drawn(simulation: Simulation, width: int = 78, height: int = 24) -> Drawn:
    """Draw a world as it is now into at most this many characters a line, and lines."""
    world, looks = simulation.world, simulation.portrayal.looks
    of = look_of_rows(world, looks)
    agents = _Agents(of, np.full(world.n, -1, np.int32), [])
    counts: Counter[tuple[str, str, str]] = Counter()
    taken = {look.mark for look in looks}
    for number, look in enumerate(looks):
        rows = (of == number).nonzero()[0]
        kinds, index = _kinds(simulation, look, number, rows)
        # The last place is for values that have no name.
        numbers = np.bincount(index, minlength=len(kinds) + 1).tolist()
        agents.kinds[rows] = index + len(agents.every)
        for (colour, name), count in zip(kinds, numbers, strict=False):
            mark = look.mark if len(kinds) == 1 else _mark(name, taken)
            agents.every.append((mark, colour))
            counts[mark, colour, name] += count
        agents.every.append((look.mark, ""))
    found = [(mark, colour, name, count) for (mark, colour, name), count in counts.items() if count]
    lines = _picture(simulation, agents, width, height)
    return Drawn(lines, sorted(found, key=lambda each: -each[3])[:KINDS_MAX])


def legend(counts: Sequence[tuple[str, str, str, int]]) -> Text:
    """Return the kinds of agents on one line."""
    return Text("  ").join(
        Text.assemble((mark, colour), f" {shown(name)} ", (f"{number:,}", "bold"))
        for mark, colour, name, number in counts
    )


@dataclass(slots=True)
class _Agents:
    """How each row is drawn: the number of its look, `[n]`, and of its kind, `[n]`; every kind's mark and colour."""

    looks: NDArray[np.int8]
    kinds: NDArray[np.int32]
    every: list[tuple[str, str]]

    def put(self, marks: Any, styles: Any, codes: NDArray[np.int32]) -> None:
        """Write marks and colours where a place has the number of a kind; a colour keeps the ground that is there."""
        for at in zip(*(codes >= 0).nonzero(), strict=True):
            mark, colour = self.every[codes[at]]
            _, on, ground = styles[at].rpartition("on ")
            marks[at], styles[at] = mark, f"bold {colour} {on}{ground}".strip()


def _mark(name: str, taken: set[str]) -> str:
    """Return a character for a kind: the first of its name that no other kind has; where all are taken, a star."""
    small = [each for each in name.lower() if each.isascii() and each.isalnum()]
    mark = next((each for each in [*small, *map(str.upper, small)] if each not in taken), "*")
    taken.add(mark)
    return mark


def _kinds(
    simulation: Simulation, look: Look, number: int, rows: NDArray[np.intp]
) -> tuple[list[tuple[str, str]], NDArray[np.int64]]:
    """Return the colours and names that a look tells apart, and which of them each row is."""
    world, colour = simulation.world, look.colour
    names, groups = simulation.domain.groups(world)
    if colour in ("", GROUP) and len(names):
        group: NDArray[np.int64] = groups[rows].astype(np.int64)
        return [(PALETTE[n % len(PALETTE)], name) for n, name in enumerate(names)], group
    spec = columns_of(world).get(colour)
    told = dict(enumerate(look.names))
    if spec is not None and spec.enum is not None:
        told = {code: member.name.lower() for member, code in codes_of(spec.enum).items()}
    if spec is None or not told:
        fixed = colour if COLOUR.fullmatch(colour) else PALETTE[number % len(PALETTE)]
        return [(fixed, look.title)], np.zeros(len(rows), np.int64)
    values = _values(world, colour)[rows]
    kinds = [(PALETTE[code % len(PALETTE)], name) for code, name in told.items()]
    index = np.full(len(rows), len(kinds))
    for place, code in enumerate(told):
        index[values == code] = place
    return kinds, index


def _values(world: World, label: str) -> NDArray[Any]:
    """Return the values of a column by its label."""
    if label == KEY:
        return world.keys
    component, _, column = label.partition(".")
    found = next(each for each in world.components if each.__name__ == component)
    values: NDArray[Any] = getattr(world[found], column)
    return values


def _picture(simulation: Simulation, agents: _Agents, width: int, height: int) -> list[Text]:
    portrayal = simulation.portrayal
    names = [look.space for look in portrayal.looks if look.places] + [layer.space for layer in portrayal.layers]
    if not names:
        return _table(simulation, agents, width, height)
    space = simulation.run_context.spaces.get(names[0])
    if getattr(space, "kind", "grid") == "network":
        return _nodes(simulation, names[0], agents, width, height)
    return _map(simulation, names[0], agents, width, height)


def _table(simulation: Simulation, agents: _Agents, width: int, height: int) -> list[Text]:
    """Return the values of the first agents; columns that the portrayal names come first."""
    world, looks = simulation.world, simulation.portrayal.looks
    components = {each.__name__: each for each in simulation.domain.components}
    specs = {
        label: spec
        for label, spec in columns_of(world).items()
        if not spec.shape and label.partition(".")[0] in components
    }
    named = [label for look in looks for label in (look.label, look.colour, look.size) if label in specs]
    labels = list(dict.fromkeys([*named, *specs]))[:COLUMNS_MAX]
    count = world.n if world.n <= height - 1 else max(height - 2, 0)
    texts = [["", *(label.partition(".")[2] for label in labels)]]
    columns = [_told(simulation, label, specs[label], count) for label in labels]
    texts += [[str(key), *(column[row] for column in columns)] for row, key in enumerate(world.keys[:count].tolist())]
    wide = [max(len(line[n]) for line in texts) for n in range(len(labels) + 1)]
    drawn_as = [("", ""), *(agents.every[kind] if kind >= 0 else ("", "") for kind in agents.kinds[:count].tolist())]
    lines = []
    for line, (mark, colour) in zip(texts, drawn_as, strict=True):
        values = "  ".join((shown(text) if text else "").rjust(size) for text, size in zip(line, wide, strict=True))
        lines.append(Text.assemble((f"{mark:1} ", f"bold {colour}".strip()), values[: width - 2], no_wrap=True))
    return lines if count == world.n else [*lines, Text(f"and {world.n - count:,} more")]


def _told(simulation: Simulation, label: str, spec: ColumnSpec, count: int) -> list[str]:
    """Return the values of a column for the first rows, as text; empty where an agent has no such component."""
    world = simulation.world
    component = next(each for each in world.components if each.__name__ == label.partition(".")[0])
    values = _values(world, label)[:count]
    values = (values / spec.scale if spec.scale != 1 else values).tolist()
    names = {} if spec.enum is None else {code: member.name.lower() for member, code in codes_of(spec.enum).items()}
    for look in simulation.portrayal.looks:
        if look.colour == label and look.names:
            names = dict(enumerate(look.names))
    rows = world.rows(component)
    own = set(rows[rows < count].tolist())
    return [
        "" if row not in own else names.get(value, f"{value:g}" if isinstance(value, float) else str(value))
        for row, value in enumerate(values)
    ]


def _nodes(simulation: Simulation, name: str, agents: _Agents, width: int, height: int) -> list[Text]:
    """Return the nodes of a network in order, a character each or for several, a full stop for an empty one."""
    world, size = simulation.world, simulation.run_context.spaces[name].size
    each = -(-size // (width * height))
    count = -(-size // each)
    wide = min(width, count)
    places = -(-count // wide) * wide
    marks, styles, codes = np.full(places, " ", object), np.full(places, "", object), np.full(places, -1, np.int32)
    marks[:count] = "."
    for number, look in reversed(list(enumerate(simulation.portrayal.looks))):
        rows = (agents.looks == number).nonzero()[0]
        if look.places and look.space == name:
            at = np.clip(_values(world, look.places[0])[rows], 0, size - 1) // each
            codes[at] = agents.kinds[rows]
    agents.put(marks, styles, codes)
    return [_line(marks[n : n + wide].tolist(), styles[n : n + wide].tolist()) for n in range(0, places, wide)]


def _map(simulation: Simulation, name: str, agents: _Agents, width: int, height: int) -> list[Text]:
    world, portrayal = simulation.world, simulation.portrayal
    placed = [look for look in portrayal.looks if look.places]
    space = simulation.run_context.spaces.get(name)
    kind = getattr(space, "kind", "grid")
    layers = [layer for layer in portrayal.layers if layer.space == name]
    ground = None
    if kind == "plane":
        assert space is not None
        wide, high = space.points_x, space.points_y
    else:
        array = cells_of(world, layers[0].values) if layers else None
        if space is not None:
            wide, high = space.width, space.height
        elif array is not None:
            high, wide = array.shape
        else:
            places = [look.places for look in placed if len(look.places) == 2]
            wide, high = (max((int(_values(world, each[axis]).max(initial=0)) for each in places), default=0) + 1
                          for axis in (0, 1))  # fmt: skip
        ground = None if array is None else array.reshape(high, wide)
    # Characters are twice as high as they are wide.
    step = max(wide / width, high / height / 2, 1.0 if kind == "plane" else 0.5)
    columns, lines = max(int(np.ceil(wide / step)), 1), max(int(np.ceil(high / step / 2)), 1)
    marks = np.full((lines, columns), " ", object)
    styles = np.full((lines, columns), "", object)
    codes = np.full((lines, columns), -1, np.int32)
    if ground is not None:
        at_y = np.minimum(((np.arange(lines) + 0.5) * 2 * step).astype(int), high - 1)
        at_x = np.minimum(((np.arange(columns) + 0.5) * step).astype(int), wide - 1)
        share = _shares(ground[at_y[:, None], at_x[None, :]], ground, layers[0])
        # Characters that stand for values have the colour of the ground: they show where there are no colours.
        marks = np.array(list(RAMP), object)[np.rint(share * (len(RAMP) - 1)).astype(int)]
        shades = np.array([f"{each} on {each}" for each in _blended(layers[0].colours)], object)
        styles = shades[np.rint(share * (len(shades) - 1)).astype(int)]
    for number, look in reversed(list(enumerate(portrayal.looks))):
        rows = (agents.looks == number).nonzero()[0]
        if look not in placed or look.space != name or not len(rows):
            continue
        first = _values(world, look.places[0])[rows]
        x, y = (first % wide, first // wide) if len(look.places) == 1 else (first, _values(world, look.places[1])[rows])
        line, column = (y / step / 2).astype(int), ((x + (0.0 if kind == "plane" else 0.5)) / step).astype(int)
        line, column = np.clip(line, 0, lines - 1), np.clip(column, 0, columns - 1)
        codes[line, column] = agents.kinds[rows]
    agents.put(marks, styles, codes)
    return [_line(marks[n].tolist(), styles[n].tolist()) for n in range(lines)]


def _line(marks: list[str], styles: list[str]) -> Text:
    """Return a line; neighbours of one style are one piece, which a terminal draws faster."""
    pieces = groupby(zip(marks, styles, strict=True), lambda piece: piece[1])
    return Text.assemble(*(("".join(mark for mark, _ in piece), style) for style, piece in pieces), no_wrap=True)


def _shares(values: NDArray[Any], every: NDArray[Any], layer: Layer) -> NDArray[np.float64]:
    """Return where values lie between the lowest and the highest of a layer, 0 to 1."""
    low = float(every.min() if layer.low is None else layer.low)
    high = float(every.max() if layer.high is None else layer.high)
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1))


def _blended(colours: Sequence[str], count: int = 16) -> list[str]:
    """Return colours from the first to the last, evenly spread."""
    stops = np.array([[int(each[i : i + 2], 16) for i in (1, 3, 5)] for each in colours], float)
    at = np.linspace(0, len(stops) - 1, count)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)], 1)
    return ["#" + "".join(f"{round(value):02x}" for value in each) for each in mixed]
