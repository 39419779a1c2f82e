"""Tables and stores: a table holds one component of one world, and a store one column, with its array.

A view gives the columns of a table as attributes; a cell gives the values of one agent as Python values. Entries beyond
those in use are zeros, so that equal states have equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import ColumnSpec, Component, Schema, schema_of
from sim.engine.texts import Texts
from sim.engine.values import check_range, codes, codes_of, fit, limits, step, steps
from sim.errors import WorldError, short

Names = Mapping[str, tuple[str, ...]]
"""Tables of names, by name."""


class Store:
    """Holds one column of one world: `data` is `[*shape, capacity]`, of which the first n rows live.

    Args:
        spec: the declaration, with `per` resolved.
        names: the names of the table that gives its first inner dimension, if any.
        texts: the world's texts.

    Attributes:
        lengths: the column that counts the entries in use.
    """

    __slots__ = ("_living", "data", "lengths", "names", "spec", "texts")

    def __init__(self, spec: ColumnSpec, names: tuple[str, ...], texts: Texts) -> None:
        self.spec = spec
        self.names = names
        self.texts = texts
        self.lengths: Store | None = None
        self.take(np.zeros((*spec.shape, 0), dtype=spec.dtype))

    def take(self, data: NDArray[Any]) -> None:
        """Use this array from now on, `[*shape, capacity]`."""
        self.data = data
        self._living = data[..., :0]

    def living(self, n: int) -> NDArray[Any]:
        """Return the first n rows, `[*shape, n]`; the view is kept, because n seldom changes."""
        if self._living.shape[-1] != n:
            self._living = self.data[..., :n]
        return self._living

    def used(self, n: int) -> NDArray[Any]:
        """Return the entries in use of the first n rows: `[used, ..., n]`, or `[..., n]` without `used_by`.

        Raises:
            WorldError: the column that counts the entries in use counts more than there are.
        """
        if self.lengths is None:
            return self.living(n)
        lengths = self.lengths.living(n)
        most = max(int(lengths[lengths.argmax()]), 0) if n else 0
        if most > self.spec.shape[0]:
            raise WorldError(
                f"{self.lengths.spec.label} says that {most} entries of {self.spec.label} are in use; "
                f"there are {self.spec.shape[0]}"
            )
        return self.data[:most, ..., :n]

    # -- converting values ---------------------------------------------------------------------------------------------

    def fitted(self, values: Any) -> NDArray[Any]:
        """Convert given values to the column's numbers; they may have any shape.

        Raises:
            WorldError: a value does not fit; the message names the column.
        """
        if isinstance(values, Mapping):
            return self._by_name(values)
        try:
            return self._numbers(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise WorldError(f"{self.spec.label}: {error}") from error

    def _numbers(self, values: Any) -> NDArray[Any]:
        spec = self.spec
        match spec.kind:
            case "number":
                return fit(values, spec.dtype, spec.label)
            case "fixed":
                return steps(values, spec.scale, spec.dtype, spec.label)
            case "enum":
                assert spec.enum is not None
                return codes(values, spec.enum, spec.dtype, spec.label)
            case "text" | "texts":
                return self.texts.places(values, spec.shape[0] if spec.shape else None, spec.label)

    def _by_name(self, values: Mapping[str, Any]) -> NDArray[Any]:
        """Convert a value for some names of a table; the others get the default."""
        if not self.names:
            raise WorldError(f"{self.spec.label} has no names; give one value")
        strange = sorted(set(values) - set(self.names))
        if strange:
            raise WorldError(f"{self.spec.label}: {strange[0]!r} is not one of {', '.join(self.names)}")
        rest = np.full(self.spec.shape[1:], self.spec.default, self.spec.dtype)
        parts = [self.fitted(values[name]) if name in values else rest for name in self.names]
        most = max(part.ndim for part in parts)
        parts = [part if part.ndim == most else part[..., np.newaxis] for part in parts]
        return np.stack(np.broadcast_arrays(*parts))

    def plain(self, number: float) -> Any:
        """Return the Python value that a number of the column stands for."""
        spec = self.spec
        match spec.kind:
            case "fixed":
                return number / spec.scale
            case "enum":
                assert spec.enum is not None
                return next((member for member, code in codes_of(spec.enum).items() if code == number), number)
            case "text" | "texts":
                return self.texts.text(int(number))
        return number


class Table:
    """Holds one component of one world: its columns, and the rows that have it (`mask`; None if all rows do)."""

    __slots__ = ("by_name", "cell_type", "component", "mask", "schema", "stores", "view_type")

    def __init__(self, component: type[Component], sizes: dict[str, int], names: Names, texts: Texts) -> None:
        self.component = component
        self.schema: Schema = schema_of(component).resolved(sizes)
        self.stores = tuple(Store(spec, names.get(spec.per or "", ()), texts) for spec in self.schema.columns)
        self.by_name = {store.spec.name: store for store in self.stores}
        self.mask: NDArray[np.bool_] | None = None
        self.view_type: type[_View] = type(
            f"{self.schema.name}View", (_View,), {"__slots__": tuple(self.by_name), "_component": self.schema.name}
        )
        self.cell_type: type[Cell] = type(
            f"{self.schema.name}Cell",
            (Cell,),
            {"__slots__": (), "_table": self, **{name: _attribute(store) for name, store in self.by_name.items()}},
        )
        for store in self.stores:
            if store.spec.used_by is not None:
                store.lengths = self.by_name[store.spec.used_by]

    def store(self, name: str) -> Store:
        """Find a column by name.

        Raises:
            WorldError: there is none.
        """
        store = self.by_name.get(name)
        if store is None:
            known = f"only {', '.join(self.by_name)}" if self.by_name else "and no columns at all"
            raise WorldError(f"{self.schema.name} has no column {name!r}, {known}")
        return store


class _View:
    """Gives the columns of one component as attributes, for one structural version."""

    __slots__ = ()
    _component: ClassVar[str]

    def __getattr__(self, name: str) -> Any:
        # Python calls this only for an empty slot: the world empties the slots of views that a flush made stale.
        if name in type(self).__slots__:
            raise WorldError(f"this view of {self._component} is from before the last flush; take world[...] again")
        raise AttributeError(f"{self._component} has no column {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        # `view.x += 1` assigns the same array back and is allowed; `view.x = other` would not change the column.
        if getattr(self, name) is not value:
            raise WorldError(f"write into the column: view.{name}[...] = values; view.{name} = values changes nothing")

    def __repr__(self) -> str:
        names: tuple[str, ...] = type(self).__slots__
        try:
            return columns_shown(self._component, {name: getattr(self, name) for name in names})
        except WorldError:
            return f"{self._component}, from before the last flush"


class Cell:
    """Gives one agent's values of one component as attributes: Python values, which can be assigned.

    Args:
        agent: the view of the agent; its `row_in(table)` finds the row or raises an error.
    """

    __slots__ = ("_agent",)
    _table: ClassVar[Table]

    def __init__(self, agent: Any) -> None:
        object.__setattr__(self, "_agent", agent)

    def __getattr__(self, name: str) -> Any:
        self._table.store(name)
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._table.store(name)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._table.by_name)
        return f"{self._table.schema.name}({shown})"


def _attribute(store: Store) -> property:
    """Make the property of a cell that reads and writes one column; each kind has its own function, for speed."""
    spec = store.spec
    if spec.kind == "texts":
        return property(partial(_get_texts, store), partial(_set_any, store))
    if spec.shape:
        return property(partial(_get_inner, store), partial(_set_any, store))
    if spec.kind == "number" and spec.dtype.kind == "i":
        low, high = limits(spec.dtype)

        def set_integer(cell: Cell, value: Any) -> None:
            if type(value) is int and low <= value <= high:
                store.data[_row(cell)] = value
            else:
                _set_any(store, cell, value)

        return property(partial(_get_number, store), set_integer)
    if spec.kind == "number":
        return property(partial(_get_number, store), partial(_set_any, store))
    if spec.kind == "fixed":
        scale = spec.scale

        def set_fixed(cell: Cell, value: Any) -> None:
            if type(value) not in (int, float) or value - value != 0:
                _set_any(store, cell, value)
                return
            number = step(value, scale)
            check_range(number, number, spec.dtype, spec.label)
            store.data[_row(cell)] = number

        return property(lambda cell: store.data.item(_row(cell)) / scale, set_fixed)
    if spec.enum is not None:
        members = {code: member for member, code in codes_of(spec.enum).items()}
        known = codes_of(spec.enum)

        def set_member(cell: Cell, value: Any) -> None:
            if isinstance(value, spec.enum):  # type: ignore[arg-type]  # checked above, outside of this function
                store.data[_row(cell)] = known[value]
            else:
                _set_any(store, cell, value)

        return property(lambda cell: members.get(number := store.data.item(_row(cell)), number), set_member)
    return property(lambda cell: store.texts.text(store.data.item(_row(cell))), partial(_set_any, store))


def _row(cell: Cell) -> int:
    row: int = cell._agent.row_in(cell._table)  # noqa: SLF001 - this module's own
    return row


def _get_number(store: Store, cell: Cell) -> Any:
    return store.data.item(_row(cell))


def _get_inner(store: Store, cell: Cell) -> Any:
    inner = store.data[..., _row(cell)]
    return Named(store, inner) if store.names else inner


def _get_texts(store: Store, cell: Cell) -> tuple[str, ...]:
    return texts_at(store, _row(cell))


def _set_any(store: Store, cell: Cell, value: Any) -> None:
    fitted = store.fitted(value)
    if fitted.shape not in ((), store.spec.shape):
        raise WorldError(f"{store.spec.label}: shape {fitted.shape} is not {store.spec.shape}")
    store.data[..., _row(cell)] = fitted


def texts_at(store: Store, row: int) -> tuple[str, ...]:
    """Return the texts of one row, oldest first."""
    return tuple(store.texts.text(place) for place in store.data[..., row].ravel().tolist() if place)


class Named:
    """Gives one agent's values of a column with one value for each name of a table: `stock["bread"] -= 1`.

    Args:
        store: the column.
        array: its numbers for one agent, `[names, *shape]`; assignments write into it.
    """

    __slots__ = ("_store", "array")

    def __init__(self, store: Store, array: NDArray[Any]) -> None:
        self._store = store
        self.array = array

    def _place(self, name: str) -> int:
        try:
            return self._store.names.index(name)
        except ValueError:
            known = ", ".join(self._store.names)
            raise WorldError(f"{self._store.spec.label}: {short(name)} is not one of {known}") from None

    def __getitem__(self, name: str) -> Any:
        """Return the value of a name.

        Raises:
            WorldError: the table has no such name.
        """
        number = self.array[self._place(name)]
        return number if number.ndim else self._store.plain(number.item())

    def __setitem__(self, name: str, value: Any) -> None:
        """Write the value of a name.

        Raises:
            WorldError: the table has no such name, or the value does not fit.
        """
        place, fitted = self._place(name), self._store.fitted(value)
        if fitted.shape not in ((), self.array.shape[1:]):
            raise WorldError(f"{self._store.spec.label}: shape {fitted.shape} is not {self.array.shape[1:]}")
        self.array[place] = fitted

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.names)

    def __len__(self) -> int:
        return len(self._store.names)

    def __repr__(self) -> str:
        return repr({name: self[name] for name in self})


def columns_shown(name: str, columns: Mapping[str, NDArray[Any]]) -> str:
    """Return columns as a text for people, in which long arrays are cut in the middle."""
    values = (f"{column}={np.array2string(array, threshold=12)}" for column, array in columns.items())
    return f"{name}({', '.join(values)})"


def checked_names(tables: Mapping[str, Sequence[str]]) -> Names:
    """Return tables of names as tuples.

    Raises:
        WorldError: a table is empty, or has a name twice or an empty name.
    """
    found = {}
    if not isinstance(tables, Mapping):
        raise WorldError(f"tables: a dictionary of names by table is expected, not {short(tables)}")
    for table, names in sorted(tables.items()):
        try:
            listed = tuple(names)
        except TypeError:
            listed = ()
        if not listed or len(set(listed)) != len(listed) or not all(listed):
            raise WorldError(f"table {table!r} must list different names, not {listed!r}")
        found[table] = listed
    return found
