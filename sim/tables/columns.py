"""The columns of a world as columns of the table of agents.

A column of one value per agent keeps its name, "Component.column". One with several becomes several, named after the
table (`Purse.stock.bread`) or numbered, up to `SPREAD_MAX`; beyond that, and for texts that an agent remembers, it is
one column of lists. Fixed-point columns are numbers in their unit, enumerations and texts are texts. An agent without
the component has no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import ColumnSpec
from sim.engine.values import codes_of
from sim.extras import extra
from sim.run.plan_columns import PLANNING
from sim.run.world import World

SPREAD_MAX: Final = 64
"""Values an agent that get columns of their own."""
HIDDEN: Final = frozenset(component.__name__ for component in PLANNING)
"""Components that say how far plans are; the table of plans shows them better."""


@dataclass(frozen=True, slots=True)
class Out:
    """One column of the table: its name, the world's column, and the inner place in it (None: all, as a list)."""

    name: str
    spec: ColumnSpec
    component: int
    place: tuple[int, ...] | None = ()


def outs_of(world: World) -> tuple[Out, ...]:
    """Return the columns that the table of agents has for a world."""
    found: list[Out] = []
    for number, component in enumerate(world.components):
        schema = next(each for each in world.schemas if each.name == component.__name__)
        if schema.name not in HIDDEN:
            found += [out for spec in schema.columns for out in _outs(spec, number, world)]
    return tuple(found)


def _outs(spec: ColumnSpec, component: int, world: World) -> Iterator[Out]:
    if not spec.shape:
        yield Out(spec.label, spec, component)
    elif spec.kind == "texts" or prod(spec.shape) > SPREAD_MAX:
        yield Out(spec.label, spec, component, None)
    else:
        names = world.tables.get(spec.per, ()) if spec.per else ()
        for place in product(*map(range, spec.shape)):
            first = names[place[0]] if names else str(place[0])
            yield Out(".".join([spec.label, first, *map(str, place[1:])]), spec, component, place)


def arrow_type(out: Out) -> Any:
    """Return the Arrow type of a column."""
    pa = extra("pyarrow", "a table")
    spec = out.spec
    if spec.is_text or spec.kind == "enum":
        one = pa.string()
    elif spec.kind == "fixed":
        one = pa.float64()
    else:
        one = pa.from_numpy_dtype(spec.dtype)
    return one if out.place is not None else pa.list_(one)


def values(out: Out, world: World) -> Any:
    """Return the values of all agents now, as an Arrow array."""
    pa = extra("pyarrow", "a table")
    component = world.components[out.component]
    array = getattr(world[component], out.spec.name)
    missing = ~world.has(component)
    if out.place is None:
        flat = np.moveaxis(array, -1, 0).reshape(array.shape[-1], -1)
        kept: list[list[Any]] = [_plain(out.spec, world, row).tolist() for row in flat]
        if out.spec.kind == "texts":
            kept = [[text for text in texts if text] for texts in kept]
        lists = [None if gone else each for each, gone in zip(kept, missing.tolist(), strict=True)]
        return pa.array(lists, arrow_type(out))
    one = _plain(out.spec, world, array[out.place] if out.place else array)
    return pa.array(one, arrow_type(out), mask=missing if missing.any() else None)


def _plain(spec: ColumnSpec, world: World, array: NDArray[Any]) -> NDArray[Any]:
    if spec.is_text:
        texts = np.array(world.texts.all, dtype=object)
        return np.asarray(texts[array], dtype=object)
    if spec.kind == "fixed":
        return np.asarray(array / spec.scale)
    if spec.enum is not None:
        names = {code: str(getattr(member, "name", member)).lower() for member, code in codes_of(spec.enum).items()}
        return np.array([names.get(code, str(code)) for code in array.tolist()], dtype=object)
    return np.array(array)  # a copy: Arrow would share the memory of the world, which the next tick changes
