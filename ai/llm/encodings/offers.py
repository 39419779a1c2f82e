"""Offers: the verbs that each agent can use, with the ids and cells that it may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import compress
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ai.actions import CELLS_MAX, KEY_MAX, Kind, ListShape, RecordShape, Shape, ToolRegistry, ToolSpec
from ai.errors import ContractError
from ai.llm.parse import SLOT_NAME, argument_names
from ai.observation import ObservationBatch

CACHED: Final = 4096
"""The number of parts of schemas and grammars that are kept, by the things that an agent can name."""


class Needs(NamedTuple):
    """The references of verbs: the sources of their targets, and their spaces."""

    sources: tuple[tuple[str, ...], ...] = ()
    spaces: tuple[str, ...] = ()


Ids: TypeAlias = tuple[tuple[int, ...], ...]
Sizes: TypeAlias = tuple[tuple[int, int], ...]
NOWHERE: Final = (0, 0)
"""The size of a space for an agent that is not in it."""


class Offer(NamedTuple):
    """Verbs with the same needs, and the needs of an agent filled in: ids by source, width and height by space.

    An agent has a few of these. Agents with the same knowledge share them, and share the parts of schemas made from
    them.
    """

    needs: Needs = Needs()
    ids: Ids = ()
    sizes: Sizes = ()

    @property
    def targets(self) -> dict[tuple[str, ...], tuple[int, ...]]:
        """The ids that may be named, ascending, by source."""
        return dict(zip(self.needs.sources, self.ids, strict=True))

    @property
    def spaces(self) -> dict[str, tuple[int, int]]:
        """Width and height by space."""
        return dict(zip(self.needs.spaces, self.sizes, strict=True))


@dataclass(frozen=True, slots=True)
class Alike:
    """Verbs with the same arguments, described once, by the first; `must` says which of their targets are required."""

    names: tuple[str, ...]
    spec: ToolSpec
    must: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Offers:
    """The offers of each agent of a batch, for verbs of `registry`.

    A verb is left out if it needs a target and the agent knows none, or needs a space that the agent is not in.
    """

    registry: ToolRegistry
    each: list[tuple[Offer, ...]]

    @classmethod
    def of(cls, batch: ObservationBatch[Any], registry: ToolRegistry) -> Self:
        """Return the offers of the agents of a batch.

        Raises:
            ContractError: a verb names a source that the observation lacks, or an argument has the name of a slot.
        """
        wanted = verbs(registry)
        n = len(batch)
        ids = {source: _targets(batch, source) for needs in wanted for source in needs.sources}
        sizes = {space: _sizes(batch, space) for needs in wanted for space in needs.spaces}
        known = {names: _by_agent([ids[name] for name in names], n) for names in {needs.sources for needs in wanted}}
        places = {names: _by_agent([sizes[name] for name in names], n) for names in {needs.spaces for needs in wanted}}
        columns = [_column(needs, alike, known[needs.sources], places[needs.spaces]) for needs, alike in wanted.items()]
        return cls(registry, [tuple(filter(None, own)) for own in zip(*columns, strict=True)])

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """Return the offers of some of the agents."""
        return replace(self, each=picked(self.each, rows))


def picked(items: list[Any], rows: NDArray[np.intp] | slice) -> list[Any]:
    """Return the items at some rows."""
    return items[rows] if isinstance(rows, slice) else [items[row] for row in rows.tolist()]


@lru_cache(maxsize=CACHED)
def verbs(registry: ToolRegistry) -> dict[Needs, list[Alike]]:
    """Return the verbs by their needs, verbs with the same arguments together, those without required targets first.

    Raises:
        ContractError: an argument has the name of a slot.
    """
    alike: dict[Needs, dict[tuple[Any, ...], list[ToolSpec]]] = {}
    for spec in registry:
        _check_names(spec)
        needs, must = _needs(spec)
        alike.setdefault(needs, {}).setdefault((must, spec.args, spec.payload), []).append(spec)
    return {
        needs: sorted(
            (Alike(tuple(spec.name for spec in specs), specs[0], key[0]) for key, specs in by_args.items()),
            key=lambda one: one.must,
        )
        for needs, by_args in sorted(alike.items())
    }


def offered(registry: ToolRegistry, offer: Offer) -> list[Alike]:
    """Return the verbs of an offer: those of which the agent knows the required targets."""
    return [alike for alike in verbs(registry)[offer.needs] if all(compress(offer.ids, alike.must))]


def _needs(spec: ToolSpec) -> tuple[Needs, tuple[bool, ...]]:
    must: dict[tuple[str, ...], bool] = {}
    spaces: set[str] = set()
    for arg in spec.shapes():
        if arg.kind is Kind.TARGET:
            must[arg.sources] = must.get(arg.sources, False) or arg.required
        elif arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
            spaces.add(arg.sources[0])
    sources = tuple(sorted(must))
    return Needs(sources, tuple(sorted(spaces))), tuple(must[source] for source in sources)


def _column(needs: Needs, alike: list[Alike], known: list[Ids], sizes: list[Sizes]) -> list[Offer | None]:
    """Return the offer of each agent, None for one that can use none of the verbs."""
    if not needs.sources:  # agents are in few spaces and share their offers
        offers = {size: Offer(needs, (), size) if NOWHERE not in size else None for size in set(sizes)}
        return [offers[size] for size in sizes]
    musts = {one.must for one in alike}
    always = any(not any(must) for must in musts)
    return [
        Offer(needs, ids, size)
        if NOWHERE not in size and (always or any(all(compress(ids, must)) for must in musts))
        else None
        for ids, size in zip(known, sizes, strict=True)
    ]


def _by_agent(columns: Sequence[list[Any]], n: int) -> list[tuple[Any, ...]]:
    return list(zip(*columns, strict=True)) if columns else [()] * n


def _targets(batch: ObservationBatch[Any], source: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Return the ids that each agent may name, without those that no step can hold."""
    found = batch.targets(*source)
    if all(column.max(initial=0) <= KEY_MAX for column in batch.ids(*source)):
        return found
    return [tuple(key for key in ids if key <= KEY_MAX) for ids in found]


def _sizes(batch: ObservationBatch[Any], space: str) -> list[tuple[int, int]]:
    """Return width and height of the space that each agent is in."""
    known = [(min(one.width, CELLS_MAX), min(one.height, CELLS_MAX)) for one in batch.shared.get(space, ())]
    return [known[place] if place >= 0 else NOWHERE for place in batch.column(space).tolist()]


def _check_names(spec: ToolSpec) -> None:
    """Refuse a verb whose arguments a scanner would mistake for slots.

    Raises:
        ContractError: an argument, or a field of a record, has the name of a slot.
    """
    names = {part for name in argument_names(spec) for part in name.split(".")}
    shapes: list[Shape] = [field.shape for field in spec.payload]
    for shape in shapes:  # the list grows in the loop
        if isinstance(shape, ListShape):
            shapes.append(shape.item)
        elif isinstance(shape, RecordShape):
            names.update(field.name for field in shape.fields)
            shapes += [field.shape for field in shape.fields]
    taken = sorted(name for name in names if SLOT_NAME.fullmatch(name))
    if taken:
        raise ContractError(f"{spec.name}.{taken[0]}: an argument must not be named like a slot (a1, a2, ...)")
