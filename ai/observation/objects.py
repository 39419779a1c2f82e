"""Observations as objects and as arrays: from one to the other and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np

from ai.errors import ContractError
from ai.observation.batch import Groups, ObservationBatch, Seen
from ai.observation.counting import places_held
from ai.observation.layout import LIST_MAX, Group, Layout
from ai.observation.leaves import Array, Interning, Leaf, Name
from ai.observation.lists import Flat, listed


def from_objects(
    of: type[Seen],
    pairs: Sequence[tuple[int, Seen]],
    *,
    tick: int,
    ticks_per_second: int,
    tables: Mapping[str, Sequence[str]] | None,
    groups: tuple[Sequence[str], Sequence[int]] | None,
) -> ObservationBatch[Seen]:
    """Return a batch of one object per agent, in any order; `Observation.from_objects` says what it promises."""
    for key, _ in pairs:
        if type(key) is not int or not 0 <= key < 2**63:
            raise ContractError(f"agent ids are whole numbers from 0 to 2**63 - 1, not {key!r}")
    order = sorted(range(len(pairs)), key=lambda place: pairs[place][0])
    keys = np.array([pairs[place][0] for place in order], np.int64)
    if len(keys) > 1 and bool((keys[1:] == keys[:-1]).any()):
        raise ContractError(f"agent {keys[1:][keys[1:] == keys[:-1]][0]} was asked for twice in one batch")
    layout = of.layout
    objects = [pairs[place][1] for place in order]
    strange = next((one for one in objects if not isinstance(one, of)), None)
    if strange is not None:
        raise ContractError(f"an agent's knowledge is a {type(strange).__name__}, not {of.__name__}")
    gathered = _Gathered()
    gathered.fields(layout.fields, objects)
    known = _tables(layout, gathered.values, tables)
    places = {name: {one: place for place, one in enumerate(names)} for name, names in known.items()}
    interning = Interning(places, ticks_per_second)
    columns: dict[str, Array] = dict(gathered.there)
    for path, values in gathered.values.items():
        leaf = layout.leaves[path]
        for column, array in zip(leaf.columns, leaf.encode(values, interning), strict=True):
            columns[column.path] = array
    for path, counts in gathered.counts.items():
        _into_lists(layout, layout.groups[path], counts, columns)
    member = None
    if groups is not None:
        names, index = groups
        member = Groups(tuple(names), np.array(index, np.int32)[order])
    return ObservationBatch(
        of,
        keys,
        columns,
        tick,
        ticks_per_second,
        tuple(interning.texts),
        known,
        {path: tuple(values) for path, values in interning.shared.items()},
        groups=member,
    )


class _Gathered:
    """The values of each field, flat: one per agent, or one per entry of all agents' lists."""

    def __init__(self) -> None:
        self.values: dict[str, list[Any]] = {}
        self.there: dict[str, Array] = {}
        self.counts: dict[str, Array] = {}

    def fields(self, fields: Sequence[Leaf | Group], owners: list[Any]) -> None:
        missing = None in owners
        for one in fields:
            get = attrgetter(one.name)
            values = [None if owner is None else get(owner) for owner in owners] if missing else list(map(get, owners))
            if isinstance(one, Leaf):
                self.values[one.path] = values
            elif one.limit:
                self.entries(one, values)
            else:
                self.fields(one.fields, values)
                if one.marker and one.key is None:
                    self.there[one.marker] = np.array([value is not None for value in values], np.bool_)

    def entries(self, group: Group, values: list[Any]) -> None:
        counts = np.array([len(value) if value else 0 for value in values], np.intp)
        if len(counts) and counts.max() > LIST_MAX:
            raise ContractError(f"{group.path}: a list has {counts.max()} entries; at most {LIST_MAX} are taken")
        self.counts[group.path] = counts
        flat = list(chain.from_iterable(value for value in values if value))
        if group.plain:
            self.values[group.path] = flat
        else:
            self.fields(group.fields, flat)


def _tables(
    layout: Layout, values: Mapping[str, list[Any]], given: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """Return the tables that the host gave, and for others the names that the objects have, sorted."""
    found = {name: tuple(names) for name, names in (given or {}).items()}
    for table in layout.tables:
        if table not in found:
            leaves = (leaf for leaf in layout.leaves.values() if isinstance(leaf, Name) and leaf.fact.table == table)
            found[table] = tuple(sorted(set(chain.from_iterable(leaf.names(values[leaf.path]) for leaf in leaves))))
    return found


def _into_lists(layout: Layout, group: Group, counts: Array, columns: dict[str, Array]) -> None:
    """Put the flat entries of a list at the places of their agents."""
    own = {column.path: columns.pop(column.path) for column in group.columns}
    columns.update(listed(layout, group, len(counts), Flat(np.repeat(np.arange(len(counts)), counts), own), columns))


def to_objects(batch: ObservationBatch[Seen]) -> list[Seen]:
    """Return the knowledge of each agent as an object, in key order."""
    return _objects(batch.layout.fields, batch.of, batch, batch.column)


def _objects(
    fields: Sequence[Leaf | Group], kind: type[Any], batch: ObservationBatch[Any], get: Callable[[str], Array]
) -> list[Any]:
    found: dict[str, list[Any]] = {}
    for one in fields:
        if isinstance(one, Leaf):
            found[one.name] = one.decode([get(column.path) for column in one.columns], batch)
        elif one.limit:
            found[one.name] = _listed_objects(one, batch)
        else:
            objects = _objects(one.fields, one.kind, batch, get)
            there = batch.there(one)
            if one.optional and there is not None:
                objects = [o if t else None for o, t in zip(objects, there.tolist(), strict=True)]
            found[one.name] = objects
    names, build = list(found), kind.model_construct
    return [build(**dict(zip(names, values, strict=True))) for values in zip(*found.values(), strict=True)]


def _listed_objects(group: Group, batch: ObservationBatch[Any]) -> list[tuple[Any, ...]]:
    there = batch.there(group)
    if there is None or not there.any():
        return [()] * len(batch)
    if group.plain:
        leaf = group.fields[0]
        assert isinstance(leaf, Leaf)
        flat = leaf.decode([batch.column(column.path)[there] for column in leaf.columns], batch)
    else:
        flat = _objects(group.fields, group.kind, batch, lambda path: batch.column(path)[there])
    ends = places_held(there).cumsum().tolist()
    return [tuple(flat[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
