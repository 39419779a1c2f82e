"""Arrays that a domain gives: checked against the declaration and brought into the form of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ai.errors import ContractError
from ai.observation.batch import Keys, ObservationBatch
from ai.observation.facts import REQUIRED
from ai.observation.layout import Group, Layout
from ai.observation.leaves import Array, Column, Counts, Leaf, Number, Place, Shared
from ai.observation.lists import Flat, listed

ROWS = "rows"
"""The key under which a list of flat entries says whose each is."""
MORE = "more"
"""The key of a list's count of entries that were cut."""
THERE = "there"
"""The key under which a list without ids says which places are in use."""


class Given:
    """Collects the columns of one batch."""

    def __init__(
        self,
        layout: Layout,
        keys: Keys,
        tables: Mapping[str, tuple[str, ...]],
        shared: Mapping[str, Sequence[Any]],
        ticks_per_second: int,
        *,
        arranged: bool,
    ) -> None:
        if keys.dtype != np.int64 or keys.ndim != 1:
            raise ContractError(f"{layout.name}: keys are int64[n], not {keys.dtype}{list(keys.shape)}")
        if np.count_nonzero(keys[1:] <= keys[:-1]):
            raise ContractError(f"{layout.name}: keys must be ascending, each once")
        self.layout, self.n, self.tables, self.arranged = layout, len(keys), tables, arranged
        self._shape = keys.shape
        self.ticks_per_second = ticks_per_second
        self.columns: dict[str, Array] = {}
        self.shared = {path: tuple(values) for path, values in shared.items()}
        self._lists: list[tuple[Group, Mapping[str, Any]]] = []

    def fields(self, owner: Layout | Group, values: Mapping[str, Any]) -> None:
        """Take fields of the observation, or of one of its groups, by their names."""
        shape, columns, by_name = self._shape, self.columns, owner.by_name
        for name, value in values.items():
            one = by_name.get(name)
            if one is not None and type(value) is np.ndarray and value.dtype is one.whole and value.shape == shape:
                columns[one.path] = value  # the usual case
            elif isinstance(one, Leaf):
                self._leaf(one, value, shape, columns)
            elif one is None:
                path = f"{owner.path}.{name}".lstrip(".")
                if name != THERE or path not in self.layout.columns:
                    raise ContractError(self.layout.unknown(path))
                columns[path] = self._array(self._column(path), value, shape)
            elif one.limit:
                self._lists.append((one, self._parts(one, value)))
            elif isinstance(value, dict | Mapping):  # an abstract class alone is slow to ask for
                self.fields(one, value)
            else:
                raise self._wrong(one.path, "is a group; give a mapping of its fields")

    def finish(self, batch: ObservationBatch[Any]) -> None:
        """Arrange lists, check that nothing is missing, and blank values without an owner."""
        for group, parts in self._lists:
            self._list(group, parts)
        for leaf in self.layout.awaited:
            if leaf.columns[0].path in self.columns:
                continue
            if isinstance(leaf, Shared):
                self._usual(leaf.path, leaf)
            elif self._needed(leaf.path, leaf):
                raise self._wrong(leaf.path, "was not given and has no default")
        if self.arranged:
            return
        for group in self.layout.groups.values():
            if group.optional:
                there = batch.there(group)
                for column in group.columns:
                    if there is not None and column.path in self.columns and column.path != group.marker:
                        self.columns[column.path] = np.where(
                            there, self.columns[column.path], column.dtype.type(column.absent)
                        )

    # -- fields ----------------------------------------------------------------------------------------------------

    def _leaf(self, leaf: Leaf, value: Any, shape: tuple[int, ...], into: dict[str, Array]) -> None:
        if isinstance(leaf, Place):
            if type(value) is not tuple and isinstance(value, Mapping):
                value = value["x"], value["y"]
            if len(value) != 2:
                raise self._wrong(leaf.path, "is a cell; give two arrays, x and y")
            x, y = leaf.columns
            into[x.path], into[y.path] = self._array(x, value[0], shape), self._array(y, value[1], shape)
            return
        if isinstance(leaf, Shared) and not isinstance(value, np.ndarray):
            self.shared[leaf.path] = (value,)
            value = np.zeros(shape, np.int32)
        if isinstance(leaf, Counts):
            shape = (*shape, self._names(leaf))
        if isinstance(leaf, Number) and leaf.kind is float and np.asarray(value).dtype.kind == "f":
            value = leaf.quantised(np.asarray(value), self)
        into[leaf.path] = self._array(leaf.columns[0], value, shape)

    def _array(self, column: Column, value: Any, shape: tuple[int, ...]) -> Array:
        if type(value) is np.ndarray and value.dtype is column.dtype and value.shape == shape:
            return value  # the usual case
        array = np.asarray(value)
        if array.ndim == 0 and array.dtype.kind in "iub":
            array = array.astype(column.dtype) if int(array) == int(array.astype(column.dtype)) else array
        if array.ndim < len(shape):
            try:
                array = np.broadcast_to(array, shape)
            except ValueError:
                raise self._misshapen(column, array, shape) from None
        if array.shape != shape:
            raise self._misshapen(column, array, shape)
        if array.dtype == column.dtype:
            return array
        if array.dtype.kind in "iu" and column.dtype.kind == "i":
            bounds = np.iinfo(column.dtype)
            low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
            if low < bounds.min or high > bounds.max:
                raise self._wrong(column.path, f"is {low} to {high}; {column.dtype} holds {bounds.min} to {bounds.max}")
        elif not np.can_cast(array.dtype, column.dtype, "safe"):
            raise self._misshapen(column, array, shape)
        return array.astype(column.dtype)

    def _misshapen(self, column: Column, array: Array, shape: tuple[int, ...]) -> ContractError:
        wanted = ["agents", *(["places"] if column.list else []), *([column.table] if column.table else [])]
        numbers = ", ".join(f"{size} {what}" for size, what in zip(shape, wanted, strict=False))
        hint = "convert it" if array.shape == shape else "give one value for each, or one for all"
        return self._wrong(column.path, f"is {array.dtype}{list(array.shape)}, not {column.dtype}[{numbers}]; {hint}")

    def _names(self, leaf: Leaf) -> int:
        names = self.tables.get(leaf.fact.table)
        if names is None:
            raise self._wrong(leaf.path, f"needs the table {leaf.fact.table!r}; give it in `tables`")
        return len(names)

    def _usual(self, path: str, leaf: Shared) -> None:
        """Give all agents the value that stands alone in `shared`, or the default."""
        if len(self.shared.get(path, ())) != 1:
            if leaf.fact.default is REQUIRED:
                raise self._wrong(path, "was not given and has no default")
            if leaf.fact.default is None:
                return
            self.shared[path] = (leaf.fact.default,)
        self.columns[path] = np.zeros(self.n, np.int32)

    def _needed(self, path: str, leaf: Leaf) -> bool:
        """Return whether any agent has the owner of a field."""
        owner = self.layout.groups.get(leaf.columns[0].list or path.rpartition(".")[0])
        if owner is None or not (owner.optional or owner.limit):
            return True
        marker = self.columns.get(owner.marker)
        return marker is not None and marker.size > 0

    def _column(self, path: str) -> Column:
        return self.layout.columns[path]

    def _wrong(self, path: str, why: str) -> ContractError:
        return ContractError(f"{self.layout.name}.{path} {why}")

    # -- lists -----------------------------------------------------------------------------------------------------

    def _parts(self, group: Group, value: Any) -> Mapping[str, Any]:
        if isinstance(value, dict | Mapping):
            return value
        if group.plain and isinstance(group.fields[0], Place):
            return {"x": value[0], "y": value[1]}
        if group.plain:
            return {"": value}
        raise self._wrong(group.path, "is a list; give a mapping of its fields")

    def _list(self, group: Group, parts: Mapping[str, Any]) -> None:
        """Take the fields of a list, flat or in places."""
        first = next((np.asarray(part) for name, part in parts.items() if name not in (ROWS, MORE)), None)
        if first is None:
            raise self._wrong(group.path, "was given without any of its fields")
        rows = parts.get(ROWS)
        shape = first.shape[:1] if rows is not None else first.shape[:2]
        own: dict[str, Array] = {}
        by_name = group.by_name
        cells = group.plain and isinstance(group.fields[0], Place)
        if cells:
            assert isinstance(group.fields[0], Leaf)
            self._leaf(group.fields[0], (parts["x"], parts["y"]), shape, own)
        for name, part in parts.items():
            leaf = by_name.get(name)
            if leaf is not None and type(part) is np.ndarray and part.dtype is leaf.whole and part.shape == shape:
                own[leaf.path] = part  # the usual case
            elif isinstance(leaf, Leaf):
                self._leaf(leaf, part, shape, own)
            elif name == ROWS or (cells and name in ("x", "y")):
                continue
            elif name == MORE:
                path = f"{group.path}.{MORE}"
                self.columns[path] = self._array(self._column(path), part, self._shape)
            elif name == THERE and group.least:
                own[group.marker] = self._array(self._column(group.marker), part, shape)
            else:
                raise ContractError(self.layout.unknown(f"{group.path}.{name}"))
        if rows is None and (len(shape) != 2 or shape[0] != self.n):
            raise self._wrong(group.path, f"has arrays of shape {list(shape)}, not [{self.n} agents, places]")
        if group.marker not in own and not (rows is not None and group.least):
            name = group.marker.rpartition(".")[2]
            raise self._wrong(group.path, f"needs {name!r}, which says which places are in use")
        if self.arranged and rows is None:
            self.columns |= own
            return
        self.columns |= self._arranged(group, rows, own)

    def _arranged(self, group: Group, rows: Any, own: dict[str, Array]) -> dict[str, Array]:
        if rows is None:
            marker = own[group.marker]
            used = marker if group.least else marker >= 0
            whose, _ = used.nonzero()
            own = {path: array[used] for path, array in own.items()}
        else:
            whose = np.asarray(rows)
            if whose.size and whose.dtype.kind not in "iu":
                raise self._wrong(group.path, f"has rows of {whose.dtype}; give the index of each entry's agent")
            whose = whose.astype(np.intp, copy=False)
        for column in group.columns:
            if column.path not in own:
                own[column.path] = np.full(len(whose), self._entry_default(column), column.dtype)
        given = self.columns.get(f"{group.path}.{MORE}")
        made = listed(self.layout, group, self.n, Flat(whose, own), self.columns)
        if given is not None:
            made[f"{group.path}.{MORE}"] = made[f"{group.path}.{MORE}"] + given
        return made

    def _entry_default(self, column: Column) -> Any:
        leaf, place = self.layout.leaf_of(column)
        assert leaf is not None
        if leaf.fact.default is REQUIRED:
            raise self._wrong(column.path, "was not given and has no default")
        return leaf.stored_default()[place]
