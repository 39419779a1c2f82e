"""From decoded steps to steps: the one place where a registry meets what a reply wrote.

A decoded step is an object with named arguments, `{"act": "MoveTo", "x": 3, "y": 4}`, or a list with the same in the
order of the registry, `["MoveTo", 3, 4]`; there null stands for an argument that is not given, and trailing ones may be
left out. The fields of a nested object stand one after another; lists and records stand whole, after the others.

`StepReader.parse` gives the step as the registry does, by pydantic. `StepReader.encode` gives its integers, by tables
wherever these decide alone, and through `parse` otherwise: the results are the same, the tables are for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import Field
from pydantic.fields import FieldInfo

from ai.actions import (
    ARGS_MAX,
    CELLS_MAX,
    NONE,
    PAYLOAD_BYTES_MAX,
    STEPS_MAX,
    AbilityName,
    ActionStep,
    AllyId,
    Arg,
    ArgSpec,
    BriefSeconds,
    Cell,
    CellX,
    CellY,
    Count,
    Distance,
    EncodedStep,
    EnemyId,
    ItemName,
    ListShape,
    ObjectId,
    Payload,
    Radius,
    Seconds,
    Share,
    Slot,
    ToolRegistry,
    ToolSpec,
    WeaponName,
)
from ai.errors import ParseError

T = TypeVar("T")
Reader = Callable[[Any], int | None]
"""Turns a decoded value into its stored integer, or says None: ask pydantic."""
PayloadReader = Callable[[Any], bytes | None]
"""Turns a decoded list into the canonical bytes of a payload, or says None: ask pydantic."""

READERS_MAX: Final = 64
"""Registries whose tables are kept."""


@dataclass(frozen=True, slots=True)
class _Table:
    """One kind's arguments: the reader of each place, what stands there by default, places by field name.

    There is a default for each of the stored arguments; None must be given. `payload` reads the list that follows the
    arguments, if the kind has one; `payload_name` is its field.
    """

    code: int
    readers: tuple[Reader, ...]
    defaults: tuple[int | None, ...]
    fields: dict[str, int]
    nested: dict[str, dict[str, int]]
    payload: PayloadReader | None = None
    payload_name: str = ""


class StepReader:
    """Reads decoded steps for one registry."""

    def __init__(self, registry: ToolRegistry) -> None:
        self._registry = registry
        self._tables = {spec.name: table for spec in registry if (table := _table_of(spec, registry)) is not None}
        self._specs = {spec.name: spec for spec in registry}

    def parse(self, data: object) -> ActionStep:
        """Return a decoded step as an object.

        Raises:
            ParseError: it is no step that the registry offers; the message names the field.
        """
        return self._registry.parse_step(self._as_object(data))

    def encode(self, data: object) -> EncodedStep:
        """Return a decoded step as integers: those of `parse`, without making the object where tables decide.

        Raises:
            ParseError: as `parse`.
        """
        if type(data) is dict:
            encoded = self._of_names(data)
        elif type(data) is list:
            encoded = self._of_places(data)
        else:
            encoded = None
        return self._registry.parse_encoded(self._as_object(data)) if encoded is None else encoded

    def _as_object(self, data: object) -> object:
        """Return a decoded step as the registry takes it."""
        return self._named(data) if isinstance(data, list) else data

    def _named(self, values: list[Any]) -> object:
        """Return a list of values in the order of the registry as an object with names."""
        name = values[0] if values else None
        spec = self._specs.get(name) if isinstance(name, str) else None
        if spec is None:
            return {"act": name}  # the registry says what is wrong with the verb
        names = places(spec)
        if len(values) > len(names) + 1:
            raise ParseError(f"{name} takes at most {len(names)} arguments, not {len(values) - 1}")
        data: dict[str, Any] = {"act": name}
        for place, value in zip(names, values[1:], strict=False):
            if value is None:
                continue
            owner = data
            *path, last = place.split(".")
            for part in path:
                owner = owner.setdefault(part, {})
            owner[last] = value
        return data

    def _of_names(self, data: dict[str, Any]) -> EncodedStep | None:
        act = data.get("act")
        table = self._tables.get(act) if type(act) is str else None
        if table is None:
            return None
        values, payload = list(table.defaults), None
        for name, value in data.items():
            place = table.fields.get(name)
            if place is not None:
                stored = table.readers[place](value)
                if stored is None:
                    return None
                values[place] = stored
            elif table.payload is not None and name == table.payload_name:
                payload = table.payload(value)
            elif name != "act":
                inner = table.nested.get(name)
                if inner is None or not (value is None or _read_nested(table, inner, value, values)):
                    return None
        return _encoded(table, values, payload)

    def _of_places(self, data: list[Any]) -> EncodedStep | None:
        act = data[0] if data else None
        table = self._tables.get(act) if type(act) is str else None
        if table is None or len(data) > len(table.readers) + 1 + (table.payload is not None):
            return None
        values, payload = list(table.defaults), None
        if table.payload is not None and len(data) == len(table.readers) + 2:
            *data, last = data
            payload = table.payload(last)
        for place in range(len(data) - 1):
            value = data[place + 1]
            if value is None:
                continue
            stored = table.readers[place](value)
            if stored is None:
                return None
            values[place] = stored
        for inner in table.nested.values():
            given = [values[place] not in (None, NONE) for place in inner.values()]
            if any(given) and not all(given):
                return None
        return _encoded(table, values, payload)


@lru_cache(maxsize=READERS_MAX)
def reader_of(registry: ToolRegistry) -> StepReader:
    """Return the reader of a registry; made once."""
    return StepReader(registry)


def places(spec: ToolSpec) -> tuple[str, ...]:
    """Return the dotted names of a kind's arguments in the order in which a list of values gives them."""
    return (*(arg.name for arg in spec.args), *(field.name for field in spec.payload))


def parse_steps(data: Sequence[object], registry: ToolRegistry) -> tuple[ActionStep, ...]:
    """Return decoded steps as a plan.

    Raises:
        ParseError: no steps, too many, or one that the registry refuses; the message has its number.
    """
    return _each(data, reader_of(registry).parse)


def encode_steps(data: Sequence[object], registry: ToolRegistry) -> tuple[EncodedStep, ...]:
    """Return decoded steps as a plan of integers.

    Raises:
        ParseError: as `parse_steps`.
    """
    return _each(data, reader_of(registry).encode)


def _each(data: Sequence[object], read: Callable[[object], T]) -> tuple[T, ...]:
    if not data:
        raise ParseError("the plan has no steps")
    if len(data) > STEPS_MAX:
        raise ParseError(f"the plan has {len(data)} steps; at most {STEPS_MAX} are allowed")
    found = []
    for number, step in enumerate(data, 1):
        try:
            found.append(read(step))
        except ParseError as error:
            raise ParseError(f"step {number}: {error}") from None
    return tuple(found)


def _read_nested(table: _Table, inner: dict[str, int], value: object, values: list[int | None]) -> bool:
    """Read a nested object into its places; False where tables do not decide."""
    if type(value) is not dict or value.keys() != inner.keys():
        return False
    for name, place in inner.items():
        stored = table.readers[place](value[name])
        if stored is None or stored == NONE:
            return False
        values[place] = stored
    return True


def _encoded(table: _Table, values: list[int | None], payload: bytes | None) -> EncodedStep | None:
    if None in values or (table.payload is not None and payload is None):
        return None
    return EncodedStep(table.code, tuple(values), payload or b"")  # type: ignore[arg-type] # none of them is None


# -- tables ------------------------------------------------------------------------------------------------------------


def _table_of(spec: ToolSpec, registry: ToolRegistry) -> _Table | None:
    """Return a kind's table, or None where a table would not say all: validators of its own, names, most payloads."""
    payload, payload_name = None, ""
    if spec.payload:
        payload, payload_name = _cells_reader(spec), spec.payload[0].name
        if payload is None:
            return None
    decorators = spec.kind.__pydantic_decorators__
    own_rules = decorators.field_validators or decorators.model_validators or decorators.validators
    if own_rules or spec.kind.__pydantic_post_init__ or spec.kind.model_config != ActionStep.model_config:
        return None
    readers: list[Reader] = []
    defaults: list[int | None] = []
    fields: dict[str, int] = {}
    nested: dict[str, dict[str, int]] = {}
    for arg in spec.args:
        name, _, inner = arg.name.partition(".")
        info = spec.kind.model_fields[name]
        whole = _without_none(info)
        if inner and (whole.annotation is not Cell or not (info.is_required() or info.default is None)):
            return None
        reader = _reader_of(arg, Cell.model_fields[inner] if inner else whole)
        if reader is None:
            return None
        if info.is_required():
            default = None
        else:
            default = NONE if info.default is None else reader(_as_written(info.default))
            if default is None:
                return None
        if inner:
            nested.setdefault(name, {})[inner] = len(readers)
        else:
            fields[name] = len(readers)
            reader = reader if arg.required else _or_none(reader)
        readers.append(reader)
        defaults.append(default)
    if payload is not None:
        defaults.append(0)  # its index, until someone has stored it
    defaults += [NONE] * (ARGS_MAX - len(defaults))
    return _Table(registry.code(spec.name), tuple(readers), tuple(defaults), fields, nested, payload, payload_name)


def _cells_reader(spec: ToolSpec) -> PayloadReader | None:
    """Return the reader of a payload that is one list of cells; None where it is more, or another."""
    if len(spec.payload) > 1:
        return None
    name, shape = spec.payload[0].name, spec.payload[0].shape
    info = spec.kind.model_fields[name]
    if not isinstance(shape, ListShape):
        return None
    limits = Field(min_length=shape.low or None, max_length=shape.high)
    known = FieldInfo.from_annotation(Annotated[tuple[Cell, ...], limits, Payload()])  # type: ignore[arg-type]
    if info.annotation != known.annotation or info.metadata != known.metadata:
        return None

    def read(value: Any) -> bytes | None:
        if type(value) is not list or not shape.low <= len(value) <= shape.high:
            return None
        cells: list[str] = []
        for cell in value:
            if type(cell) is not dict or cell.keys() != _CELL:
                return None
            x, y = cell["x"], cell["y"]
            if type(x) is not int or type(y) is not int or not (0 <= x < CELLS_MAX and 0 <= y < CELLS_MAX):
                return None
            cells.append(f'{{"x":{x},"y":{y}}}')
        text = f'{{"{name}":[{",".join(cells)}]}}'
        return text.encode() if len(text) <= PAYLOAD_BYTES_MAX else None

    return read


_CELL: Final = Cell.model_fields.keys()


def _as_written(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_none(info: FieldInfo) -> FieldInfo:
    """Return the field of `T` for one of `T | None`."""
    if get_origin(info.annotation) in (Union, UnionType):
        inner = [part for part in get_args(info.annotation) if part is not NoneType]
        if len(inner) == 1:
            return FieldInfo.from_annotation(inner[0])
    return info


def _reader_of(arg: ArgSpec, info: FieldInfo) -> Reader | None:
    if arg.choices:
        plain = isinstance(info.annotation, type) and issubclass(info.annotation, StrEnum) and not info.metadata
        named = any(info.annotation is name.annotation and info.metadata == name.metadata for name in _NAMES)
        return _choice(arg.choices) if plain or named else None
    for known, reader in _KNOWN:
        if info.annotation is known.annotation and info.metadata == known.metadata:
            return reader
    return None


def _whole(low: int, high: int) -> Reader:
    return lambda value: value if type(value) is int and low <= value <= high else None


def _choice(choices: Sequence[str]) -> Reader:
    numbers = {choice: number for number, choice in enumerate(choices)}
    return lambda value: numbers.get(value) if type(value) is str else None


def _or_none(reader: Reader) -> Reader:
    return lambda value: NONE if value is None else reader(value)


def _thousandths(low: int, high: int) -> Reader:
    """Round halves up, as fields do with what is not negative; what is out of range is pydantic's business."""

    def read(value: Any) -> int | None:
        if type(value) is int or type(value) is float:
            stored = value * 1000
            return int(stored + 0.5) if low <= stored <= high else None
        return None

    return read


def _known(annotation: Any) -> tuple[FieldInfo, Reader]:
    info = FieldInfo.from_annotation(annotation)
    arg = next(marker for marker in info.metadata if isinstance(marker, Arg))
    make = _thousandths if arg.scale == 1000 else _whole
    return info, make(arg.low, arg.high)


_KNOWN: Final = [
    _known(annotation)
    for annotation in (
        CellX, CellY, EnemyId, AllyId, ObjectId, Slot, Distance, Radius, Count, Seconds, BriefSeconds, Share,
    )
]  # fmt: skip
"""The marked types whose written values tables understand."""
_NAMES: Final = [FieldInfo.from_annotation(annotation) for annotation in (WeaponName, ItemName, AbilityName)]
"""The types of names that a registry's tables list."""
