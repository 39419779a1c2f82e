"""All state of a world as one value: to go back to, or to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import Table
from sim.engine.digest import canonical_bytes
from sim.errors import WorldError


@dataclass(frozen=True, eq=False)
class WorldState:
    """Is a copy of all state of a world, to go back to or to compare. Equal when the canonical content is.

    Attributes:
        declaration: what components, columns and object types the world was declared with.
        tick: the world's time.
        next_key: the key the next entity gets.
        keys: `[n] int64`, ascending.
        columns: by "Component.column", the entries in use.
        masks: by component, who has it: `[n] bool`; a component that everybody has is left out.
        objects: by object type, (key, object) in key order.
        resources: by resource, its columns.
    """

    declaration: tuple[str, ...]
    tick: int
    next_key: int
    keys: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    masks: Mapping[str, NDArray[np.bool_]]
    objects: Mapping[str, tuple[tuple[int, Any], ...]]
    resources: Mapping[str, Mapping[str, NDArray[Any]]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WorldState):
            return NotImplemented
        return (
            (self.declaration, self.tick, self.next_key) == (other.declaration, other.tick, other.next_key)
            and _same(self.keys, other.keys)
            and _same_arrays(self.columns, other.columns)
            and _same_arrays(self.masks, other.masks)
            and self.resources.keys() == other.resources.keys()
            and all(_same_arrays(content, other.resources[name]) for name, content in self.resources.items())
            and self._object_bytes() == other._object_bytes()
        )

    __hash__ = None  # type: ignore[assignment]

    def _object_bytes(self) -> dict[str, list[tuple[int, bytes]]]:
        return {name: [(key, canonical_bytes(value)) for key, value in pairs] for name, pairs in self.objects.items()}


def _same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return left.dtype == right.dtype and np.array_equal(left, right)


def _same_arrays(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]]) -> bool:
    return left.keys() == right.keys() and all(_same(array, right[name]) for name, array in left.items())


def declaration_of(tables: Sequence[Table], object_types: Sequence[type]) -> tuple[str, ...]:
    """Say what a world is declared with, one line a column or object type: two that agree take each other's states.

    Raises:
        WorldError: two components of one name.
    """
    names: set[str] = set()
    lines: list[str] = []
    for table in tables:
        lines += [
            f"{spec.label} {spec.dtype.name} {spec.shape} used_by={spec.used_by}" for spec in table.schema.columns
        ]
    lines += [f"object {declared.__qualname__}" for declared in object_types]
    for kind in (*(table.component for table in tables), *object_types):
        if kind.__name__ in names:
            raise WorldError(f"two components are called {kind.__name__}")
        names.add(kind.__name__)
    return tuple(lines)
