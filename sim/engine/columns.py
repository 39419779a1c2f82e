"""Columns: what a component declares, and the arrays that hold it for one world.

A component is a class whose annotations name integer columns; it is a schema only. `Table` and `Store` are one
component and one column of one world, and a view hands a table's columns out as attributes.

Values enter a column through `fit`, which converts without losing anything or raises: ndarray itself truncates 1.5 and
wraps 300 silently. Entries beyond those in use are zeros, so that equal states have equal bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.errors import WorldError


@dataclass(frozen=True, slots=True)
class Column:
    """Marks an annotation as a column of one dtype; `i32` and its like are made with it."""

    dtype: type[np.generic]


# Lower case on purpose: these are written where other languages write a type's name.
i8: TypeAlias = Annotated[NDArray[np.int8], Column(np.int8)]  # noqa: PYI042
i16: TypeAlias = Annotated[NDArray[np.int16], Column(np.int16)]  # noqa: PYI042
i32: TypeAlias = Annotated[NDArray[np.int32], Column(np.int32)]  # noqa: PYI042
i64: TypeAlias = Annotated[NDArray[np.int64], Column(np.int64)]  # noqa: PYI042
boolean: TypeAlias = Annotated[NDArray[np.bool_], Column(np.bool_)]  # noqa: PYI042

_MARKERS: Final = {"i8": i8, "i16": i16, "i32": i32, "i64": i64, "boolean": boolean}


@dataclass(frozen=True, slots=True)
class _Options:
    default: int
    shape: tuple[int, ...]
    used_by: str | None


def column(default: int = 0, shape: tuple[int, ...] = (), used_by: str | None = None) -> Any:
    """Declare more about a column than its dtype.

    Args:
        default: what a spawned entity starts with where nothing is given.
        shape: inner dimensions; the view is `[*shape, n]`.
        used_by: an integer column of the same component. Its largest value says how many entries along the first inner
            axis are in use; those beyond are zeros by contract and are neither hashed, moved nor kept.

    >>> class Route(Component):
    ...     length: i8
    ...     cells: i32 = column(shape=(16,), used_by="length")
    """
    return _Options(int(default), tuple(shape), used_by)


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """What was declared about one column; `label` is "Component.column"."""

    name: str
    label: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    default: int
    used_by: str | None


@dataclass(frozen=True, slots=True)
class Schema:
    """What was declared about one component."""

    name: str
    columns: tuple[ColumnSpec, ...]


class Component:
    """Declares columns; it is a schema only and is never instantiated.

    Raises:
        WorldError: on a malformed declaration, when the class is made.

    >>> class Position(Component):
    ...     x: i32
    ...     y: i32 = column(default=-1)
    """

    __slots__ = ()
    _schema: ClassVar[Schema]

    def __init_subclass__(cls) -> None:
        cls._schema = _parse_schema(cls)

    def __new__(cls) -> Self:
        """Refuse: values live in columns."""
        raise WorldError(f"{cls.__name__} is a schema; give values to World.spawn and read World[{cls.__name__}]")


def schema_of(component: type[Component]) -> Schema:
    """Look up what a component declares.

    Raises:
        WorldError: it is not a component.
    """
    schema = getattr(component, "_schema", None)
    if not isinstance(schema, Schema):
        raise WorldError(f"{component!r} is not a component: derive it from sim.engine.columns.Component")
    return schema


def _parse_schema(cls: type[Component]) -> Schema:
    try:
        # With postponed annotations a class made inside a function sees only its module's names, not the function's.
        known = vars(sys.modules[cls.__module__])
        unseen = {name: marker for name, marker in _MARKERS.items() if name not in known}
        hints = get_type_hints(cls, localns=unseen, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise WorldError(f"{cls.__name__} has an annotation that cannot be resolved: {error}") from error
    columns = []
    for name, hint in hints.items():
        if name == "_schema":
            continue
        label = f"{cls.__name__}.{name}"
        if name.startswith("_"):
            raise WorldError(f"{label}: a column's name must not start with an underscore")
        marker = next((extra for extra in get_args(hint)[1:] if isinstance(extra, Column)), None)
        if get_origin(hint) is not Annotated or marker is None:
            raise WorldError(f"{label} is annotated {hint!r}; use i8, i16, i32, i64 or boolean of sim.engine.columns")
        dtype = np.dtype(marker.dtype)
        if dtype.kind not in "ib":
            raise WorldError(f"{label} is of dtype {dtype}; state is signed integers and booleans, quantise on entry")
        options = getattr(cls, name, _Options(0, (), None))
        if not isinstance(options, _Options):
            raise WorldError(f"{label} = {options!r}: say column(default={options!r})")
        if any(size < 1 for size in options.shape):
            raise WorldError(f"{label}: shape {options.shape} must be of positive sizes")
        fit(options.default, dtype, f"{label} default")
        columns.append(ColumnSpec(name, label, dtype, options.shape, options.default, options.used_by))
    schema = Schema(cls.__name__, tuple(columns))
    if not columns:
        raise WorldError(f"{cls.__name__} declares no column; a mark is a boolean column of a component")
    for spec in columns:
        _check_used_by(schema, spec)
    return schema


def _check_used_by(schema: Schema, spec: ColumnSpec) -> None:
    if spec.used_by is None:
        return
    lengths = next((other for other in schema.columns if other.name == spec.used_by), None)
    if lengths is None or lengths.shape or lengths.dtype.kind != "i":
        raise WorldError(f"{spec.label}: used_by={spec.used_by!r} is not a flat integer column of {schema.name}")
    if not spec.shape or spec.default != 0:
        raise WorldError(f"{spec.label}: a column with used_by needs a shape and the default 0")


def fit(values: ArrayLike, dtype: np.dtype[Any], label: str) -> NDArray[Any]:
    """Convert to a column's dtype without losing anything.

    Raises:
        WorldError: a value is not an integer or does not fit; the message starts with the label.

    >>> fit([1, 300], np.dtype(np.int16), "Health.hp").dtype.name
    'int16'
    """
    array = np.asarray(values)
    if array.dtype == dtype:
        return array
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind not in "biu":
        offender = next((v for v in array.ravel().tolist() if not isinstance(v, int)), array.ravel()[0])
        if not isinstance(offender, int):
            raise WorldError(f"{label}: {offender!r} is not an integer")
        array = _object_range(array, dtype, label)
        return array.astype(dtype)
    low, high = limits(dtype)
    smallest, largest = int(array.min()), int(array.max())
    if smallest < low or largest > high:
        raise WorldError(f"{label}: {smallest if smallest < low else largest} does not fit {dtype} ({low}..{high})")
    return array.astype(dtype)


def _object_range(array: NDArray[Any], dtype: np.dtype[Any], label: str) -> NDArray[Any]:
    low, high = limits(dtype)
    for value in array.ravel().tolist():
        if not low <= value <= high:
            raise WorldError(f"{label}: {value} does not fit {dtype} ({low}..{high})")
    return array


def limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the smallest and the largest value a column's dtype holds."""
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def indices(rows: Any, size: int, label: str) -> NDArray[np.intp]:
    """Turn an index, indices, a mask or a slice into checked indices; ndarray itself takes -1 for the last row.

    Raises:
        WorldError: they are no rows of 0..size-1; the message starts with the label.

    >>> indices([True, False, True], 3, "kill").tolist()
    [0, 2]
    """
    if isinstance(rows, slice):
        return np.arange(size, dtype=np.intp)[rows]
    array = np.atleast_1d(np.asarray(rows))
    if array.dtype == np.bool_:
        if array.shape != (size,):
            raise WorldError(f"{label}: a mask of shape {array.shape} for {size} rows")
        return np.flatnonzero(array)
    if array.size == 0:
        return np.zeros(0, dtype=np.intp)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise WorldError(f"{label}: {array.dtype} of shape {array.shape} are no row indices")
    places = array.astype(np.intp, copy=False)
    # As unsigned numbers the negative ones are too large as well.
    if np.count_nonzero(places.view(np.uintp) >= size):
        raise WorldError(f"{label}: rows {array.min()}..{array.max()} are not in 0..{size - 1}")
    return places


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written."""
    view = array.view()
    view.setflags(write=False)
    return view


def frozen_copy(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that cannot be written."""
    copied = array.copy()
    copied.setflags(write=False)
    return copied


def grown(array: NDArray[Any], n: int, capacity: int) -> NDArray[Any]:
    """Return a copy of a flat array with room for more: its first n values, and zeros after them."""
    wider = np.zeros(capacity, dtype=array.dtype)
    wider[:n] = array[:n]
    return wider


class Store:
    """Shows one column of one world: `data` is `[*shape, capacity]`, of which the first n rows live."""

    __slots__ = ("_living", "data", "lengths", "spec")

    def __init__(self, spec: ColumnSpec) -> None:
        self.spec = spec
        self.lengths: Store | None = None
        self.take(np.zeros((*spec.shape, 0), dtype=spec.dtype))

    def take(self, data: NDArray[Any]) -> None:
        """Be these values from now on, `[*shape, capacity]`."""
        self.data = data
        self._living = data[..., :0]

    def living(self, n: int) -> NDArray[Any]:
        """Hand out the first n rows, `[*shape, n]`; the view is kept, as n seldom changes."""
        if self._living.shape[-1] != n:
            self._living = self.data[..., :n]
        return self._living

    def used(self, n: int) -> NDArray[Any]:
        """Hand out the entries in use of the first n rows: `[used, ..., n]`, or `[..., n]` without `used_by`.

        Raises:
            WorldError: the column that says how many are in use says more than there are.
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


class Table:
    """Holds one component of one world: its columns, and who has it (`mask`; None when everybody does)."""

    __slots__ = ("by_name", "component", "mask", "schema", "stores", "view_type")

    def __init__(self, component: type[Component]) -> None:
        self.component = component
        self.schema = schema_of(component)
        self.stores = tuple(Store(spec) for spec in self.schema.columns)
        self.by_name = {store.spec.name: store for store in self.stores}
        self.mask: NDArray[np.bool_] | None = None
        self.view_type: type[_View] = type(
            f"{self.schema.name}View", (_View,), {"__slots__": tuple(self.by_name), "_component": self.schema.name}
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
            raise WorldError(f"{self.schema.name} has no column {name!r}, only {', '.join(self.by_name)}")
        return store


class _View:
    """Gives the columns of one component as attributes, for one structural version."""

    __slots__ = ()
    _component: ClassVar[str]

    def __getattr__(self, name: str) -> Any:
        # Only reached when the slot is empty: the world empties the slots of views that a flush made stale.
        if name in type(self).__slots__:
            raise WorldError(f"this view of {self._component} is from before the last flush; take world[...] again")
        raise AttributeError(f"{self._component} has no column {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        # `view.x += 1` assigns the same array back and is fine; `view.x = other` would write into nothing.
        if getattr(self, name) is not value:
            raise WorldError(f"write into the column: view.{name}[...] = values; view.{name} = values changes nothing")
