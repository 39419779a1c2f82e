"""All state of a world as one value, to restore or to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engine.declaration import Declaration


@dataclass(frozen=True, eq=False)
class WorldState:
    """A copy of all state of a world, to restore or to compare. Two states are equal if their content is.

    Attributes:
        declaration: the world's declaration.
        tick: the world's time.
        next_key: the key that the next entity gets.
        keys: `[n] int64`, ascending.
        columns: by "Component.column", the entries in use.
        masks: by component, whether each row has it: `[n] bool`; a component that all rows have is left out.
        resources: by resource, its columns.
        texts: by "Component.column" or "Resource.column", for every column of texts: the texts that its numbers stand
            for, from 1 on.
    """

    declaration: Declaration
    tick: int
    next_key: int
    keys: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    masks: Mapping[str, NDArray[np.bool_]]
    resources: Mapping[str, Mapping[str, NDArray[Any]]]
    texts: Mapping[str, tuple[str, ...]]

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
            and self.texts == other.texts
        )

    __hash__ = None  # type: ignore[assignment]

    def plain(self, label: str, array: NDArray[Any]) -> NDArray[Any]:
        """Return values of a column in a form that can be compared with another state's: texts instead of numbers."""
        texts = self.texts.get(label)
        return array if texts is None else np.asarray(np.array(["", *texts], dtype=object)[array], dtype=object)


def _same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")


def _same_arrays(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]]) -> bool:
    return left.keys() == right.keys() and all(_same(array, right[name]) for name, array in left.items())
