"""What a tick changed, value by value: the difference of two states of one world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engine.state import WorldState

RESOURCE_KEY = -1
"""The key of a change to a resource whose size changed; its value is the whole column."""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed value: the column, the agent's key (a resource's place), and the value after (None: gone)."""

    column: str
    key: int
    value: int | list[int] | None


def changes(before: WorldState, after: WorldState) -> tuple[Change, ...]:
    """Return every value that differs, columns in order, keys ascending; values of the newborn all count as changed."""
    return (*_columns(before, after), *_resources(before, after))


def _columns(before: WorldState, after: WorldState) -> Iterator[Change]:
    gone = np.setdiff1d(before.keys, after.keys)
    _, old_rows, new_rows = np.intersect1d(before.keys, after.keys, assume_unique=True, return_indices=True)
    born = np.setdiff1d(np.arange(len(after.keys)), new_rows)
    for name, new in after.columns.items():
        old = _padded(before.columns[name], new)
        new = _padded(new, before.columns[name])
        differs = old[..., old_rows] != new[..., new_rows]
        rows = new_rows[differs.any(axis=tuple(range(differs.ndim - 1)))]
        for row in np.sort(np.concatenate([rows, born])):
            yield Change(name, int(after.keys[row]), _plain(new[..., row]))
        yield from (Change(name, int(key), None) for key in gone)


def _resources(before: WorldState, after: WorldState) -> Iterator[Change]:
    for resource, content in after.resources.items():
        for column, new in content.items():
            old = before.resources[resource][column]
            if old.shape != new.shape:
                yield Change(f"{resource}.{column}", RESOURCE_KEY, _plain(new.ravel()))
                continue
            flat = new.ravel()
            for place in np.flatnonzero(flat != old.ravel()):
                yield Change(f"{resource}.{column}", int(place), int(flat[place]))


def _padded(array: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Give two columns of which different lengths are in use the same first axis; what is not in use is zero."""
    if array.ndim < 2 or array.shape[0] >= other.shape[0]:
        return array
    rest = np.zeros((other.shape[0] - array.shape[0], *array.shape[1:]), array.dtype)
    return np.concatenate([array, rest])


def _plain(values: NDArray[Any]) -> int | list[int]:
    return int(values) if values.ndim == 0 else [int(value) for value in values.ravel()]
