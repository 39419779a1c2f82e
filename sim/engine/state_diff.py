"""The values that a tick changed: the difference between two states of one world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engine.state import WorldState

RESOURCE_KEY = -1
"""The key of a change to a resource whose size changed; its value is the whole column."""


Value = int | float | str
"""A number in a column, or a text."""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed value: the column, the agent's key (a resource's place), and the value after (None: gone)."""

    column: str
    key: int
    value: Value | list[Value] | None


def changes(before: WorldState, after: WorldState) -> tuple[Change, ...]:
    """Return every value that differs, columns in order, keys ascending; a new entity's values all count as changed."""
    return (*_columns(before, after), *_resources(before, after))


def value_of(state: WorldState, component: str, field: str, key: int) -> Any:
    """Return one value of a state as a change has it, None where it is not there.

    It is that of an agent, of a place of a resource, or with `RESOURCE_KEY` all of a resource's column.
    """
    label = f"{component}.{field}"
    if component in state.resources:
        flat = state.plain(label, state.resources[component][field]).ravel()
        if key == RESOURCE_KEY:
            return _plain(flat)
        return _plain(flat[key : key + 1])[0] if key < flat.size else None
    rows = (state.keys == key).nonzero()[0]
    return _plain(state.plain(label, state.columns[label][..., rows[0]])) if len(rows) else None


def _columns(before: WorldState, after: WorldState) -> Iterator[Change]:
    gone = np.setdiff1d(before.keys, after.keys)
    _, old_rows, new_rows = np.intersect1d(before.keys, after.keys, assume_unique=True, return_indices=True)
    born = np.setdiff1d(np.arange(len(after.keys)), new_rows)
    for name, new in after.columns.items():
        old, new = before.plain(name, before.columns[name]), after.plain(name, new)
        old, new = _padded(old, new), _padded(new, old)
        differs = _differ(old[..., old_rows], new[..., new_rows])
        rows = new_rows[differs.any(axis=tuple(range(differs.ndim - 1)))]
        for row in np.sort(np.concatenate([rows, born])):
            yield Change(name, int(after.keys[row]), _plain(new[..., row]))
        yield from (Change(name, int(key), None) for key in gone)


def _resources(before: WorldState, after: WorldState) -> Iterator[Change]:
    for resource, content in after.resources.items():
        for column, new in content.items():
            label = f"{resource}.{column}"
            old, new = before.plain(label, before.resources[resource][column]), after.plain(label, new)
            if old.shape != new.shape:
                yield Change(label, RESOURCE_KEY, _plain(new.ravel()))
                continue
            flat = new.ravel()
            for place in np.flatnonzero(_differ(flat, old.ravel())):
                yield Change(label, int(place), _plain(flat[place : place + 1])[0])


def _padded(array: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Pad a column's first axis with zeros to the length of the other's, if different lengths of them are in use."""
    if array.ndim < 2 or array.shape[0] >= other.shape[0]:
        return array
    rest = np.zeros((other.shape[0] - array.shape[0], *array.shape[1:]), array.dtype)
    return np.concatenate([array, rest])


def _differ(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    differs: NDArray[np.bool_] = left != right
    if left.dtype.kind == "f":
        differs &= ~(np.isnan(left) & np.isnan(right))
    return differs


def _plain(values: NDArray[Any]) -> Any:
    """Return a value as a Python number or text, or those of a row as a flat list.

    Booleans are numbers; a float that is not finite is a text, since JSON has none.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        values = np.array([v if v - v == 0 else str(v) for v in values.ravel().tolist()], object).reshape(values.shape)
    plain = values.astype(np.int8) if values.dtype.kind == "b" else values
    return plain.item() if plain.ndim == 0 else plain.ravel().tolist()
