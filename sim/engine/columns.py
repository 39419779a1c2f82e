"""Columns: the declarations of components and resources. `sim.engine.tables` has the arrays.

A component is a class whose annotations name columns:

| annotation | array | values that `spawn` and an agent's attributes take |
| --- | --- | --- |
| `i8`, `i16`, `i32`, `i64` | of that integer | integers |
| `boolean` or `bool` | bool | booleans |
| `float = column(scale=100)` | int64 steps of 1/100 | numbers, rounded half away from zero |
| an `IntEnum`, a `StrEnum` | the smallest integer that holds the values (`IntEnum`) or positions | members |
| `f64` | float64; the run is then `exact` | numbers |
| `str` | int32 places in the world's table of texts | texts |
| `tuple[str, ...] = column(limit=8)` | the same, `[limit, n]` | tuples of texts |

`column(per="goods")` gives a value for each name of a table, `column(shape=(6,))` several values. A strict
type checker takes the annotation literally, so strictly checked code declares a fixed-point column as
`i64 = column(scale=100)` and an enumeration as `i8 = column(enum=Mood)`. The columns are the same, and the checker also
sees arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Container
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from sim.engine.values import codes, codes_of, fit, steps
from sim.errors import WorldError

Kind = Literal["number", "fixed", "enum", "text", "texts"]
"""The kind of value that the numbers of a column represent."""
SCALE_MAX: Final = 10**9
"""The most steps that a fixed-point column may have in one unit."""
LIMIT_MAX: Final = 1024
"""The most texts that one agent may remember in one column."""


@dataclass(frozen=True, slots=True)
class Column:
    """Marks an annotation as a column of one dtype; `i32` and the similar aliases are made with it."""

    dtype: type[np.generic]


# Lower case on purpose: these are written where other languages write the name of a type.
i8: TypeAlias = Annotated[NDArray[np.int8], Column(np.int8)]  # noqa: PYI042
i16: TypeAlias = Annotated[NDArray[np.int16], Column(np.int16)]  # noqa: PYI042
i32: TypeAlias = Annotated[NDArray[np.int32], Column(np.int32)]  # noqa: PYI042
i64: TypeAlias = Annotated[NDArray[np.int64], Column(np.int64)]  # noqa: PYI042
f64: TypeAlias = Annotated[NDArray[np.float64], Column(np.float64)]  # noqa: PYI042
boolean: TypeAlias = Annotated[NDArray[np.bool_], Column(np.bool_)]  # noqa: PYI042

_MARKERS: Final = {"i8": i8, "i16": i16, "i32": i32, "i64": i64, "f64": f64, "boolean": boolean}
_FORMS: Final = (
    "i8, i16, i32, i64, boolean, f64, float with column(scale=...), an IntEnum or StrEnum, str, or tuple[str, ...] "
    "with column(limit=...)"
)


@dataclass(frozen=True, slots=True)
class _Options:
    default: Any = None
    scale: int | None = None
    per: str | None = None
    shape: tuple[int, ...] = ()
    limit: int | None = None
    unit: str | None = None
    used_by: str | None = None
    enum: type[Enum] | None = None


def column(
    default: Any = None,
    *,
    scale: int | None = None,
    per: str | None = None,
    shape: tuple[int, ...] = (),
    limit: int | None = None,
    unit: str | None = None,
    used_by: str | None = None,
    enum: type[Enum] | None = None,
) -> Any:
    """Declare the properties of a column that its annotation does not give.

    Args:
        default: the value of a spawned entity if `spawn` gives none; 0, False, the first member or no text unless set.
        scale: the array holds steps of 1/scale.
        per: a table of names of the world, or a size such as `cell`: the column has one value for each.
        shape: inner dimensions, after that of `per`. A component's array is `[per, *shape, n]`.
        limit: the number of texts that an agent remembers.
        unit: the unit that people read beside a value: "coins".
        used_by: an integer column of the same component. Its largest value says how many entries along the first inner
            axis are in use; those beyond must be zeros, and they are neither hashed, moved nor kept.
        enum: the enumeration whose numbers an integer column holds.

    >>> class Route(Component):
    ...     length: i8
    ...     cells: i32 = column(shape=(16,), used_by="length")
    """
    if not isinstance(shape, tuple | list):
        raise WorldError(f"column(shape={shape!r}): write a tuple of sizes, as in shape=(6,)")
    return _Options(default, scale, per, tuple(shape), limit, unit, used_by, enum)


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """The declaration of one column.

    Attributes:
        name: the attribute.
        label: "Component.column".
        kind: the kind of value that the numbers represent.
        dtype: the array's dtype.
        shape: all inner dimensions once a world has resolved `per`; before that, those of `shape` and `limit`.
        default: the number that a spawned entity starts with.
        used_by: the column that says how many entries are in use.
        per: the table or size that gives the first inner dimension.
        scale: steps in a unit; 1 unless `fixed`.
        enum: the enumeration of an `enum` column.
        unit: the unit of a value.
    """

    name: str
    label: str
    kind: Kind
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    default: int | float
    used_by: str | None = None
    per: str | None = None
    scale: int = 1
    enum: type[Enum] | None = None
    unit: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether the numbers represent texts."""
        return self.kind in ("text", "texts")

    def resolved(self, sizes: dict[str, int]) -> ColumnSpec:
        """Return the column with the dimension that `per` stands for.

        Raises:
            WorldError: there is no such table or size.
        """
        if self.per is None:
            return self
        if self.per not in sizes:
            raise WorldError(
                f"{self.label}: no table or size is called {self.per!r}, only {', '.join(sorted(sizes)) or 'none'}; "
                "name it in `tables`; 'cell' needs one Grid in a domain's spaces, or `sizes` of a world"
            )
        return replace(self, shape=(sizes[self.per], *self.shape))


@dataclass(frozen=True, slots=True)
class Schema:
    """The declaration of one component or resource."""

    name: str
    columns: tuple[ColumnSpec, ...]

    def resolved(self, sizes: dict[str, int]) -> Schema:
        """Return the schema with the dimensions that `per` stands for.

        Raises:
            WorldError: there is no such table or size.
        """
        return Schema(self.name, tuple(spec.resolved(sizes) for spec in self.columns))


class Component:
    """Declares columns; it is a schema only and is never instantiated. Without columns it is a mark.

    Raises:
        WorldError: on a malformed declaration, when the class is made.

    >>> class Position(Component):
    ...     x: i32
    ...     y: i32 = column(default=-1)
    >>> class Sheep(Component):
    ...     pass
    """

    __slots__ = ()
    _schema: ClassVar[Schema]

    def __init_subclass__(cls) -> None:
        cls._schema = parse_schema(cls)

    def __new__(cls) -> Self:
        """Refuse, because values live in columns."""
        raise WorldError(f"{cls.__name__} is a schema; give values to World.spawn and read World[{cls.__name__}]")


def schema_of(component: type[Any]) -> Schema:
    """Look up what a component or resource declares.

    Raises:
        WorldError: it is neither.
    """
    schema = getattr(component, "_schema", None)
    if not isinstance(schema, Schema):
        raise WorldError(f"{component!r} is not a component: derive it from sim.engine.columns.Component")
    return schema


def parse_schema(cls: type[Any], reserved: Container[str] = ()) -> Schema:
    """Read a class's annotations as columns.

    Args:
        cls: the class with the annotations.
        reserved: names that no column can have.

    Raises:
        WorldError: an annotation is malformed; the message names the class and the attribute, and says what to write.
    """
    try:
        # With postponed annotations a class made inside a function sees only its module's names, not the function's.
        known = vars(sys.modules.get(cls.__module__, object))
        unseen = {name: marker for name, marker in _MARKERS.items() if name not in known}
        hints = get_type_hints(cls, localns=unseen, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise WorldError(
            f"{cls.__name__} has an annotation that cannot be resolved: {error}; types that it names must be known at "
            f"module level"
        ) from error
    columns = []
    for name, value in vars(cls).items():
        if isinstance(value, _Options) and name not in hints:
            raise WorldError(f"{cls.__name__}.{name} has no type; write {name}: i32 = column(...)")
    for name, hint in hints.items():
        if get_origin(hint) is ClassVar:
            continue
        label = f"{cls.__name__}.{name}"
        if name.startswith("_"):
            raise WorldError(f"{label}: a column's name must not start with an underscore")
        if name in reserved:
            raise WorldError(f"{label}: no column can be called {name}; choose another name")
        options = getattr(cls, name, _Options())
        if not isinstance(options, _Options):
            raise WorldError(f"{label} = {options!r}: say column(default={options!r})")
        columns.append(_parse_column(name, label, hint, options))
    schema = Schema(cls.__name__, tuple(columns))
    for spec in columns:
        _check_used_by(schema, spec)
    return schema


def _parse_column(name: str, label: str, hint: Any, options: _Options) -> ColumnSpec:
    kind, dtype, enum = _type_of(label, hint, options)
    shape, scale, default = options.shape, options.scale, options.default
    if any(size < 1 for size in shape):
        raise WorldError(f"{label}: shape {shape} must be of positive sizes")
    if (scale is not None) != (kind == "fixed"):
        raise WorldError(f"{label}: scale is for float and integer columns, and a float column needs one (or is f64)")
    if scale is not None and not 1 <= scale <= SCALE_MAX:
        raise WorldError(f"{label}: scale {scale} is not in 1..{SCALE_MAX}")
    if (options.limit is not None) != (kind == "texts"):
        raise WorldError(f"{label}: limit is for tuple[str, ...], which needs one")
    if kind in ("text", "texts"):
        if default or shape or options.per or options.used_by:
            raise WorldError(f"{label}: a column of texts starts without any and has no shape, per or used_by")
        limit = options.limit
        if limit is not None and not 1 <= limit <= LIMIT_MAX:
            raise WorldError(f"{label}: limit {limit} is not in 1..{LIMIT_MAX}")
        shape, default = () if limit is None else (limit,), 0
    elif enum is not None:
        start = next(iter(enum)) if default is None else default
        default = int(codes(start, enum, dtype, f"{label} default"))
    elif scale is not None:
        default = int(steps(default or 0, scale, dtype, f"{label} default"))
    else:
        default = fit(default or 0, dtype, f"{label} default").item()
    return ColumnSpec(
        name, label, kind, dtype, shape, default, options.used_by, options.per, scale or 1, enum, options.unit
    )


def _type_of(label: str, hint: Any, options: _Options) -> tuple[Kind, np.dtype[Any], type[Enum] | None]:
    """Return the kind, dtype and enumeration that an annotation declares."""
    marker = next((extra for extra in get_args(hint)[1:] if isinstance(extra, Column)), None)
    if get_origin(hint) is Annotated and marker is not None:
        dtype = np.dtype(marker.dtype)
        if dtype.kind not in "ibf" or (dtype.kind == "f" and dtype != np.float64):
            raise WorldError(f"{label} is of dtype {dtype}; a column is of signed integers, booleans or f64")
        if options.enum is not None:
            if dtype.kind != "i" or not _holds(dtype, options.enum):
                raise WorldError(f"{label}: {dtype} does not hold the numbers of {options.enum.__name__}")
            return "enum", dtype, options.enum
        return "fixed" if options.scale is not None and dtype.kind == "i" else "number", dtype, None
    if hint is bool:
        return "number", np.dtype(np.bool_), None
    if hint is float:
        return "fixed", np.dtype(np.int64), None
    if hint is str:
        return "text", np.dtype(np.int32), None
    if hint == tuple[str, ...]:
        return "texts", np.dtype(np.int32), None
    if isinstance(hint, type) and issubclass(hint, IntEnum | StrEnum) and len(hint):
        found = next((t for t in (np.int8, np.int16, np.int32, np.int64) if _holds(np.dtype(t), hint)), None)
        if found is None:
            raise WorldError(f"{label}: the numbers of {hint.__name__} do not fit int64")
        return "enum", np.dtype(found), hint
    raise WorldError(f"{label} is annotated {hint!r}; use {_FORMS}")


def _holds(dtype: np.dtype[Any], kind: type[Enum]) -> bool:
    info, numbers = np.iinfo(dtype), codes_of(kind).values()
    return info.min <= min(numbers) and max(numbers) <= info.max


def _check_used_by(schema: Schema, spec: ColumnSpec) -> None:
    if spec.used_by is None:
        return
    lengths = next((other for other in schema.columns if other.name == spec.used_by), None)
    if lengths is None or lengths.shape or lengths.per or lengths.dtype.kind != "i":
        raise WorldError(f"{spec.label}: used_by={spec.used_by!r} is not a flat integer column of {schema.name}")
    if spec.per or not spec.shape or spec.default != 0:
        raise WorldError(f"{spec.label}: a column with used_by needs a shape and the default 0")
