"""Offers: the verbs that each agent can use, with the ids and cells that it may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ai.actions import CELLS_MAX, KEY_MAX, Kind, ListShape, RecordShape, Shape, ToolRegistry, ToolSpec
from ai.errors import ContractError
from ai.llm.parse import SLOT_NAME, argument_names
from ai.observation import ObservationBatch

CACHED: Final = 4096
"""The number of parts of schemas and grammars that are kept, by the things that an agent can name."""


class Needs(NamedTuple):
    """The references of verbs: the sources of their targets, the required ones among them, and their spaces."""

    sources: tuple[tuple[str, ...], ...] = ()
    must: tuple[bool, ...] = ()
    spaces: tuple[str, ...] = ()


class Offer(NamedTuple):
    """Verbs with the same needs, and the needs of an agent filled in: ids by source, width and height by space.

    An agent has a few of these. Agents with the same knowledge share them, and share the parts of schemas made from
    them.
    """

    needs: Needs = Needs()
    ids: tuple[tuple[int, ...], ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()

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
    """Verbs with the same arguments, which are described once, by the first verb."""

    names: tuple[str, ...]
    spec: ToolSpec


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
        ids = {source: _targets(batch, source) for needs in wanted for source in needs.sources}
        sizes = {space: _sizes(batch, space) for needs in wanted for space in needs.spaces}
        each: list[tuple[Offer, ...]] = [()] * len(batch)
        for needs in wanted:
            known = _by_agent([ids[source] for source in needs.sources], len(batch))
            spaces = _by_agent([sizes[space] for space in needs.spaces], len(batch))
            # Agents with the same knowledge share their offers.
            made = {pair: _offer(needs, *pair) for pair in set(zip(known, spaces, strict=True))}
            each = [own + made[pair] for own, pair in zip(each, zip(known, spaces, strict=True), strict=True)]
        return cls(registry, each)

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """Return the offers of some of the agents."""
        return replace(self, each=picked(self.each, rows))


def picked(items: list[Any], rows: NDArray[np.intp] | slice) -> list[Any]:
    """Return the items at some rows."""
    return items[rows] if isinstance(rows, slice) else [items[row] for row in rows.tolist()]


@lru_cache(maxsize=CACHED)
def verbs(registry: ToolRegistry) -> dict[Needs, list[Alike]]:
    """Return the offered verbs by their needs, verbs with the same arguments together.

    Raises:
        ContractError: an argument has the name of a slot.
    """
    alike: dict[Needs, dict[object, list[ToolSpec]]] = {}
    for spec in registry:
        _check_names(spec)
        alike.setdefault(_needs(spec), {}).setdefault((spec.args, spec.payload), []).append(spec)
    return {
        needs: [Alike(tuple(spec.name for spec in specs), specs[0]) for specs in by_args.values()]
        for needs, by_args in sorted(alike.items())
    }


def _needs(spec: ToolSpec) -> Needs:
    must: dict[tuple[str, ...], bool] = {}
    spaces: set[str] = set()
    for arg in spec.shapes():
        if arg.kind is Kind.TARGET:
            must[arg.sources] = must.get(arg.sources, False) or arg.required
        elif arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
            spaces.add(arg.sources[0])
    sources = tuple(sorted(must))
    return Needs(sources, tuple(must[source] for source in sources), tuple(sorted(spaces)))


def _offer(
    needs: Needs, ids: tuple[tuple[int, ...], ...], sizes: tuple[tuple[int, int] | None, ...]
) -> tuple[Offer, ...]:
    if None in sizes or any(must and not known for must, known in zip(needs.must, ids, strict=True)):
        return ()
    return (Offer(needs, ids, tuple(size for size in sizes if size is not None)),)


def _by_agent(columns: Sequence[list[Any]], n: int) -> list[tuple[Any, ...]]:
    return list(zip(*columns, strict=True)) if columns else [()] * n


def _targets(batch: ObservationBatch[Any], source: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Return the ids that each agent may name, without those that no step can hold."""
    found = batch.targets(*source)
    return [ids if not ids or ids[-1] <= KEY_MAX else tuple(key for key in ids if key <= KEY_MAX) for ids in found]


def _sizes(batch: ObservationBatch[Any], space: str) -> list[tuple[int, int] | None]:
    """Return width and height of the space that each agent is in."""
    known = [(min(one.width, CELLS_MAX), min(one.height, CELLS_MAX)) for one in batch.shared.get(space, ())]
    return [known[place] if place >= 0 else None for place in batch.column(space).tolist()]


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
