"""The values of agents that a viewer is given: one series for each value that an agent has, and its changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import ColumnSpec, Component
from sim.engine.values import codes_of
from sim.run.plan_columns import ActionSteps, Control, Progress
from sim.run.portrayal import GROUP, KEY, Portrayal, look_of_rows
from sim.run.world import World

ABSENT: Final = -(2**63)
"""Stands for no value in the arrays of integers here: the agent does not have the component."""
EXACT_MAX: Final = 2**52
"""Larger integers lose digits in a browser and are sent as texts."""
PLACES_MAX: Final = 16
"""Values per agent of one column; longer columns are not shown."""
LOOK: Final = "look"
"""The series that says which look draws an agent."""
_PLANS: Final = {ActionSteps.__name__: (), Control.__name__: ("taken",), Progress.__name__: ("step", "status")}
"""The columns of planning that are shown."""

Strings = Callable[[str], int]
"""Gives the number that a text has in the page."""


class StringTable:
    """Numbers texts in the order in which they occur, each once; `take` gives those that are new."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._taken = 0

    def __call__(self, text: str) -> int:
        """Return the number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def take(self) -> list[str]:
        """Return the texts that are new since the last call."""
        new = list(islice(self._numbers, self._taken, None))
        self._taken += len(new)
        return new


@dataclass(slots=True)
class Series:
    """One value of every agent over time.

    Attributes:
        name: the name that people read: "Component.column", "Component.column.name" or "Component.column[place]".
        about: the data that a page needs to show its values.
        read: returns the values of a world, `[n]` int64 or float64.
        shown: whether the portrayal names it; such a series is never left out of a page.
        last: the values by key as they were sent last, for finding changes.
    """

    name: str
    about: dict[str, Any]
    read: Callable[[World], NDArray[Any]]
    shown: bool
    last: NDArray[Any] = field(default_factory=lambda: np.full(0, ABSENT))

    def changes(self, world: World) -> list[Any] | None:
        """Return what changed since the last call: gaps between keys (None: all agents), and values; None for nothing.

        Integers are differences from the value before (0 where there was none), unless a third entry 1 says that they
        are the values themselves.
        """
        keys, now = world.keys, self.read(world)
        size = world.next_key
        if len(self.last) < size:
            absent = np.nan if now.dtype.kind == "f" else ABSENT
            grown = np.full(max(size, 2 * len(self.last)), absent, now.dtype)
            grown[: len(self.last)] = self.last
            self.last = grown
        before = self.last[keys]
        differs = now != before
        if now.dtype.kind == "f":
            differs &= ~(np.isnan(now) & np.isnan(before))
        rows = differs.nonzero()[0]
        if not len(rows):
            return None
        self.last[keys[rows]] = now[rows]
        gaps = None if len(rows) == len(keys) else np.diff(keys[rows], prepend=0).tolist()
        return [gaps, *differences(now[rows], before[rows])]


def differences(now: NDArray[Any], before: NDArray[Any]) -> list[Any]:
    """Return numbers as a page takes them: differences, or the values themselves and a 1."""
    if now.dtype.kind == "f":
        return [[float(f"{value:.6g}") if isfinite(value) else None for value in now.tolist()], 1]
    if (now == ABSENT).any() or (np.abs(now) > EXACT_MAX).any() or (np.abs(before) > EXACT_MAX)[before != ABSENT].any():
        return [[None if v == ABSENT else v if abs(v) <= EXACT_MAX else str(v) for v in now.tolist()], 1]
    return [(now - np.where(before == ABSENT, 0, before)).tolist()]


def series_of(world: World, portrayal: Portrayal, groups: Sequence[str], strings: Strings) -> list[Series]:
    """Return every series of a world: its looks, its groups, and the columns of its components."""
    shown = {name for look in portrayal.looks for name in (*look.places, look.colour, look.size, look.label)} - {KEY}
    found = [Series(LOOK, {"kind": "look"}, lambda now: look_of_rows(now, portrayal.looks).astype(np.int64), True)]
    if groups:
        about = {"kind": "enum", "names": {str(number): name for number, name in enumerate(groups)}}
        found.append(Series(GROUP, about, _groups, True))
    for component in world.components:
        kept = _PLANS.get(component.__name__)
        for spec in world.storage.table(component).schema.columns:
            if kept is None or spec.name in kept:
                values = _of_column(world, component, spec, strings)
                found += [Series(name, about, read, name in shown) for name, about, read in values]
    return found


def _groups(world: World) -> NDArray[np.int64]:
    return np.asarray(world.run.domain.groups(world)[1]).astype(np.int64)


def _place(column: Any, masked: Any, place: tuple[int, ...], now: World) -> NDArray[Any]:
    """Read one of the values that a column holds for each agent."""
    values: NDArray[Any] = masked(now, column(now)[place])
    return values


Reader = tuple[str, dict[str, Any], Callable[[World], NDArray[Any]]]


def _of_column(world: World, component: type[Component], spec: ColumnSpec, strings: Strings) -> Iterator[Reader]:
    """Yield name, description and reader of each value that a column holds for an agent."""
    about: dict[str, Any] = {"kind": spec.kind, "component": component.__name__}
    if spec.dtype.kind == "b":
        about["kind"] = "bool"
    if spec.unit is not None:
        about["unit"] = spec.unit
    if spec.kind == "fixed":
        about["scale"] = spec.scale
    if spec.enum is not None:
        about["names"] = {str(code): member.name.lower() for member, code in codes_of(spec.enum).items()}

    def column(now: World) -> NDArray[Any]:
        array: NDArray[Any] = getattr(now[component], spec.name)
        return array

    def masked(now: World, values: NDArray[Any]) -> NDArray[Any]:
        values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        has = now.has(component)
        if not has.all():
            values[~has] = np.nan if values.dtype.kind == "f" else ABSENT
        return values

    if spec.is_text:
        numbers: dict[bytes, int] = {}

        def texts(now: World) -> NDArray[np.int64]:
            """Number what each agent holds: texts by content, memories as lists."""
            places = np.ascontiguousarray(np.atleast_2d(column(now)).T)
            for row, held in enumerate(map(bytes, places)):
                if held not in numbers:
                    known = [now.texts.text(place) for place in places[row].tolist() if place]
                    numbers[held] = strings("".join(known) if spec.kind == "text" else json.dumps(known))
            return masked(now, np.array([numbers[bytes(each)] for each in places], np.int64))

        yield spec.label, about, texts
        return
    if not spec.shape:
        yield spec.label, about, lambda now: masked(now, column(now))
        return
    if int(np.prod(spec.shape)) > PLACES_MAX:
        return
    names = world.tables.get(spec.per or "", ())
    for place in np.ndindex(*spec.shape):
        inner = f".{names[place[0]]}" if names else f"[{place[0]}]"
        label = spec.label + inner + "".join(f"[{each}]" for each in place[1:])
        yield label, about, partial(_place, column, masked, place)
