"""Resources: state that belongs to no entity, hashed and copied with the world.

`Resource` is declared as a component is: `class Grass(Resource): left: i16 = column(per="cell")`. A world makes one
instance of each, and `world[Grass].left` is its array. The world finds changes by comparing bytes, so code
need not report them.

A world works with `CustomResource` objects. It wraps a declared resource in one. A domain may write its own for state
without a fixed shape, and add it with `World.add_resource`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import Schema, parse_schema, schema_of
from sim.engine.kept import Kept
from sim.engine.tables import Names, Store, columns_shown
from sim.engine.texts import Texts
from sim.engine.values import canonical_floats, frozen_copy, indices, integer
from sim.errors import WorldError

ROWS_MAX: Final = 1 << 22
"""The most rows that one resource may have."""


class CustomResource(Protocol):
    """State that belongs to no entity, in the form that a world works with."""

    name: str

    @property
    def stamp(self) -> int:
        """Changes whenever the content changes."""
        ...

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the content as arrays by name."""
        ...

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over content that `columns` returned earlier; the arrays must be copied."""
        ...


class Resource:
    """Declares state that belongs to no entity: a value, values for each cell or name, or rows that vary in number.

    A world makes the only instance, whose attributes are the arrays: `[cells]` or `[names]` with `per`, `[]` for a
    single value, `[*shape, rows]` with rows. A single value is read and assigned directly: `world[Clock].hour = 5`,
    `world[Clock].hour += 1` (`world[Clock].hour[...] = 5` for a strict type checker). Arrays are changed in place:
    `world[Grass].left[cells] = 0`.

    Raises:
        WorldError: on a malformed declaration, when the class is made.

    >>> from sim.engine.columns import column, i16, i32
    >>> class Grass(Resource):
    ...     left: i16 = column(per="cell", default=3)
    >>> class Smoke(Resource, rows=1000):
    ...     cell: i32
    """

    _schema: ClassVar[Schema]
    _rows_max: ClassVar[int | None]
    _stores: ClassVar[dict[str, Store]]  # each instance has its own; ClassVar keeps it from being a column

    def __init_subclass__(cls, *, rows: int | None = None) -> None:
        schema = parse_schema(cls, reserved=vars(Resource))
        for spec in schema.columns:
            if spec.used_by is not None:
                raise WorldError(f"{spec.label}: used_by is for components")
        if not schema.columns:
            raise WorldError(f"{cls.__name__} declares no column")
        if rows is not None and not 1 <= rows <= ROWS_MAX:
            raise WorldError(f"{cls.__name__}: rows={rows} is not in 1..{ROWS_MAX}")
        cls._schema, cls._rows_max = schema, rows

    def __init__(self) -> None:
        """Refuse, because a world makes the instance."""
        raise WorldError(
            f"{type(self).__name__} is a declaration; name it in World(..., resources=[...]) and use "
            f"world[{type(self).__name__}]"
        )

    def __repr__(self) -> str:
        return columns_shown(type(self).__name__, {name: store.data for name, store in self._stores.items()})

    @property
    def count(self) -> int:
        """The number of rows.

        Raises:
            WorldError: the resource was declared without rows.
        """
        self._check_rows()
        return int(next(iter(self._stores.values())).data.shape[-1])

    def add(self, count: int = 1, **values: Any) -> None:
        """Add rows after the existing ones. Arrays taken before show the rows as they were.

        Args:
            count: the number of rows.
            values: by column; one value for all, or `[*shape, count]`. Other columns get their defaults.

        Raises:
            WorldError: there would be more rows than were declared, a column is unknown, or a value does not fit.
        """
        self._check_rows()
        count = integer(count, 0, ROWS_MAX, f"{type(self).__name__}.add: count")
        if self.count + count > (self._rows_max or 0):
            raise WorldError(
                f"{type(self).__name__} holds at most {self._rows_max} rows; {count} more than {self.count} do not fit"
            )
        strange = sorted(values.keys() - self._stores.keys())
        if strange:
            known = ", ".join(self._stores)
            raise WorldError(f"{type(self).__name__} has no column {strange[0]!r}, only {known}")
        added = {}
        for name, store in self._stores.items():
            fresh = np.full((*store.spec.shape, count), store.spec.default, store.spec.dtype)
            if name in values:
                fitted = np.asarray(store.fitted(values[name]))
                if fitted.shape == store.spec.shape:
                    fitted = fitted[..., np.newaxis]
                elif fitted.shape not in ((), fresh.shape):
                    raise WorldError(
                        f"{store.spec.label}: shape {fitted.shape} is neither {store.spec.shape} nor {fresh.shape}"
                    )
                fresh[...] = fitted
            added[name] = np.concatenate([store.data, fresh], axis=-1)
        self._take(added)

    def remove(self, rows: Any) -> None:
        """Remove rows, by index, indices, mask or slice; the others keep their order.

        Raises:
            WorldError: a row does not exist.
        """
        places = indices(rows, self.count, f"{type(self).__name__}.remove")
        self._take({name: np.delete(store.data, places, axis=-1) for name, store in self._stores.items()})

    def _check_rows(self) -> None:
        if self._rows_max is None:
            raise WorldError(f"{type(self).__name__} has no rows; declare it with rows=..., the most it may have")

    def _take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, array in arrays.items():
            store = self._stores[name]
            if store.data.shape == array.shape and name in self.__dict__:
                store.data[...] = array  # every holder of the array sees the new values
            else:
                store.data = self.__dict__[name] = array

    def __setattr__(self, name: str, value: Any) -> None:
        store = self._stores.get(name)
        if store is None:
            raise WorldError(f"{type(self).__name__} has no column {name!r}, only {', '.join(self._stores)}")
        if value is store.data:  # `+=` assigns the array that it changed
            return
        if store.data.ndim:
            raise WorldError(f"write into the column: {store.spec.label}[...] = values")
        fitted = store.fitted(value)
        if fitted.ndim:
            raise WorldError(f"{store.spec.label}: shape {fitted.shape} is not ()")
        store.data[...] = fitted


def rows_max_of(kind: type[Resource]) -> int | None:
    """Return the most rows that a declared resource can have; None for a resource without rows."""
    return kind._rows_max  # noqa: SLF001 - this module's own


class DeclaredResource:
    """A world's instance of a declared resource, in the form that the world works with.

    Args:
        kind: the declared class.
        sizes: the sizes that `per` may name.
        names: the tables of names.
        texts: the world's texts.

    Attributes:
        name: the class's name.
        resource: the instance.
        kept: each column as it was at the last look.
        stamp: counts the looks that found another content.
        schema: the declaration, with `per` resolved.
    """

    def __init__(self, kind: type[Resource], sizes: dict[str, int], names: Names, texts: Texts) -> None:
        self.name = kind.__name__
        self.schema = schema_of(kind).resolved(sizes)
        self.resource = object.__new__(kind)
        stores = {spec.name: Store(spec, names.get(spec.per or "", ()), texts) for spec in self.schema.columns}
        vars(self.resource)["_stores"] = self._stores = stores
        self.rows_max = rows_max_of(kind)
        self.has_rows = self.rows_max is not None
        shapes = {name: (*store.spec.shape, 0) if self.has_rows else store.spec.shape for name, store in stores.items()}
        self._restore({name: np.full(shapes[name], s.spec.default, s.spec.dtype) for name, s in stores.items()})
        self.kept = {name: Kept(store.spec.dtype) for name, store in stores.items()}
        self.stamp = 0

    @property
    def stores(self) -> tuple[Store, ...]:
        """The columns."""
        return tuple(self._stores.values())

    def look(self) -> None:
        """Update `kept`; `stamp` changes if the content does."""
        changed = False
        for name, store in self._stores.items():
            if store.spec.dtype.kind == "f":
                canonical_floats(store.data)
            kept = self.kept[name]
            before = kept.raw
            kept.look(store.data)
            changed |= kept.raw is not before
        self.stamp += changed

    def kept_columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays by name, as they were at the last look; texts by content."""
        return {
            name: self._content(store)[0] if store.spec.is_text else self.kept[name].array()
            for name, store in self._stores.items()
        }

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays by name; texts by content."""
        return {name: self._content(store)[0] for name, store in self._stores.items()}

    def texts(self) -> dict[str, tuple[str, ...]]:
        """Return the texts that the numbers of `columns` stand for, by column."""
        return {name: self._content(store)[1] for name, store in self._stores.items() if store.spec.is_text}

    def _content(self, store: Store) -> tuple[NDArray[Any], tuple[str, ...]]:
        return store.texts.canonical(store.data) if store.spec.is_text else (store.data, ())

    def restore(self, columns: Mapping[str, NDArray[Any]], texts: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Take over the content that `columns` and `texts` returned earlier."""
        self._restore(
            {
                name: store.texts.localised(columns[name], (texts or {})[name]) if store.spec.is_text else columns[name]
                for name, store in self._stores.items()
            }
        )

    def _restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self.resource._take({name: array.copy() for name, array in columns.items()})  # noqa: SLF001 - as above


class ResourceCopies:
    """Copies the columns of resources; a copy made for one snapshot serves later ones until the content changes."""

    def __init__(self) -> None:
        self._copies: dict[str, tuple[tuple[int, int], Mapping[str, NDArray[Any]]]] = {}

    def of(self, resource: CustomResource, restores: int) -> Mapping[str, NDArray[Any]]:
        """Return a read-only copy of a resource's columns; `restores` counts the restores of its world."""
        # A resource may reset its stamp in restore() and reach the same stamp again with other content.
        stamp = (resource.stamp, restores)
        copy = self._copies.get(resource.name)
        if copy is None or copy[0] != stamp:
            if isinstance(resource, DeclaredResource):
                columns = resource.kept_columns()
            else:
                columns = {column: frozen_copy(array) for column, array in resource.columns().items()}
            copy = self._copies[resource.name] = stamp, dict(sorted(columns.items()))
        return copy[1]
