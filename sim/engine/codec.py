"""A `WorldState` as bytes and back: one state, one text, the same on every machine.

The first line is canonical JSON: tick, next key, the declared shape of every array, and the length of every object's
bytes. After it come the arrays, little-endian, and the objects as `canonical_bytes`. Reading trusts nothing:
every name, dtype and shape must be one that the world has, and the sizes must add up to the bytes that are there.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ai.canonical import little_endian
from sim.engine.digest import DEPTH_MAX, canonical_bytes
from sim.engine.state import WorldState
from sim.engine.world import World
from sim.errors import WorldError

DTYPES: Final = frozenset(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()  # noqa: SIM905
)
"""What an array of a state may be of."""
DIMENSIONS_MAX: Final = 8
"""Dimensions of an array of a resource."""
_NUMBER: Final = re.compile(rb"-?[0-9]{1,4000}")


def encode_state(state: WorldState) -> bytes:
    """Return the bytes of a state; equal states, and only those, have equal bytes.

    Raises:
        WorldError: an object has no canonical encoding, or a resource holds an array of another dtype.
    """
    arrays = list(_arrays(state))
    for place, array in arrays:
        if array.dtype.name not in DTYPES:
            raise WorldError(f"{'.'.join(place)} is of dtype {array.dtype}, which no state can be written with")
    objects = {name: [(key, canonical_bytes(value)) for key, value in pairs] for name, pairs in state.objects.items()}
    head = {
        "tick": state.tick,
        "next_key": state.next_key,
        "arrays": [[*place, array.dtype.name, list(array.shape)] for place, array in arrays],
        "objects": {name: [[key, len(data)] for key, data in pairs] for name, pairs in objects.items()},
    }
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), allow_nan=False)
    parts = [text.encode("ascii"), b"\n", *(little_endian(array) for _, array in arrays)]
    parts += [data for name in sorted(objects) for _, data in objects[name]]
    return b"".join(parts)


def decode_state(data: bytes, world: World) -> WorldState:
    """Return the state that bytes hold, fit to be restored into `world`.

    Raises:
        WorldError: the bytes are not a state, or one of a world with other columns, objects or resources.
    """
    try:
        return _decode(data, world)
    except WorldError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, struct.error) as error:
        raise WorldError(f"these bytes are not a state: {error}") from error


def _arrays(state: WorldState) -> Iterator[tuple[tuple[str, str], NDArray[Any]]]:
    """Yield every array of a state with its group and name, in the order in which they are written."""
    yield ("keys", ""), state.keys
    for label, column in state.columns.items():
        yield ("column", label), column
    for name, mask in sorted(state.masks.items()):
        yield ("mask", name), mask
    for name, content in sorted(state.resources.items()):
        yield ("resource", name), np.zeros(0, np.bool_)
        for column_name, array in sorted(content.items()):
            yield ("resource", f"{name}.{column_name}"), array


def _decode(data: bytes, world: World) -> WorldState:
    text, newline, rest = data.partition(b"\n")
    head = json.loads(text)
    if not newline or not isinstance(head, dict):
        raise ValueError("there is no line that says what follows")
    arrays, at = _read_arrays(head["arrays"], rest)
    n = len(arrays["keys", ""])
    columns = {label: array for (group, label), array in arrays.items() if group == "column"}
    masks = {name: array for (group, name), array in arrays.items() if group == "mask"}
    _check_columns(world, columns, masks, n)
    resources: dict[str, dict[str, NDArray[Any]]] = {}
    for (group, label), array in arrays.items():
        if group == "resource":
            name, dot, column = label.partition(".")
            resources.setdefault(name, {}).update({column: array} if dot else {})
    _check_resources(world, resources)
    objects, at = _read_objects(head["objects"], rest, at, world)
    keys = arrays["keys", ""]
    tick, next_key = head["tick"], head["next_key"]
    if at != len(rest) or type(tick) is not int or type(next_key) is not int or not 0 <= tick < 2**63:
        raise ValueError("sizes and bytes do not agree")
    if keys.dtype != np.int64 or keys.ndim != 1 or (keys[1:] <= keys[:-1]).any() or (keys < 0).any():
        raise ValueError("the keys do not ascend")
    if not (int(keys[-1]) if n else -1) < next_key < 2**63:
        raise ValueError("the next key is taken")
    return WorldState(world.declaration, tick, next_key, keys, columns, masks, objects, resources)


def _read_arrays(listed: Any, data: bytes) -> tuple[dict[tuple[str, str], NDArray[Any]], int]:
    arrays: dict[tuple[str, str], NDArray[Any]] = {}
    at = 0
    for group, name, dtype, shape in listed:
        if dtype not in DTYPES or len(shape) > DIMENSIONS_MAX or (group, name) in arrays:
            raise ValueError(f"{name} is no array of a state")
        if any(type(size) is not int or not 0 <= size <= len(data) for size in shape):
            raise ValueError(f"{name} has no such shape")
        order = np.dtype(dtype).newbyteorder("<")
        size = math.prod(shape) * order.itemsize
        if at + size > len(data):
            raise ValueError(f"{name} is longer than what is there")
        array = np.frombuffer(data, order, math.prod(shape), at).reshape(shape).astype(np.dtype(dtype))
        array.flags.writeable = False
        arrays[group, name] = array
        at += size
    return arrays, at


def _check_columns(world: World, columns: dict[str, NDArray[Any]], masks: dict[str, NDArray[Any]], n: int) -> None:
    """Check that the columns and masks are those of the world.

    Raises:
        WorldError: they are not.
    """
    stores = {store.spec.label: store for table in world.tables for store in table.stores}
    if list(columns) != list(stores):
        strange = sorted(columns.keys() ^ stores.keys()) or ["their order"]
        raise WorldError(f"the state has other columns than this world: {', '.join(strange)}")
    for label, array in columns.items():
        store = stores[label]
        shape = (*store.spec.shape, n)
        used = store.lengths is None or array.shape[:1] <= shape[:1]
        if array.dtype != store.spec.dtype or array.shape[1:] != shape[1:] or not used or array.ndim != len(shape):
            raise WorldError(
                f"{label} is {array.dtype} {array.shape} in the state; here it is {store.spec.dtype} {shape}"
            )
        if store.lengths is None and array.shape != shape:
            raise WorldError(f"{label} is of shape {array.shape} in the state; here it is {shape}")
    names = {table.schema.name for table in world.tables}
    for name, mask in masks.items():
        if name not in names or mask.dtype != np.bool_ or mask.shape != (n,):
            raise WorldError(f"the state has a membership of {name} that this world cannot have")


def _check_resources(world: World, resources: dict[str, dict[str, NDArray[Any]]]) -> None:
    """Check that the resources are those of the world; the sizes of their arrays are their own.

    Raises:
        WorldError: they are not.
    """
    if resources.keys() != world.resources.keys():
        strange = sorted(resources.keys() ^ world.resources.keys())
        raise WorldError(f"the state has other resources than this world: {', '.join(strange)} not on both sides")
    for name, content in resources.items():
        there = {column: (array.dtype, array.ndim) for column, array in content.items()}
        here = {column: (array.dtype, array.ndim) for column, array in world.resources[name].columns().items()}
        if there != here:
            raise WorldError(f"the state has other arrays of the resource {name} than this world")


def _read_objects(
    listed: Any, data: bytes, at: int, world: World
) -> tuple[dict[str, tuple[tuple[int, Any], ...]], int]:
    declared = {kind.__name__: kind for kind in world.object_types}
    if listed.keys() != declared.keys():
        raise WorldError(f"the state has other objects than this world: {sorted(listed.keys() ^ declared.keys())}")
    objects: dict[str, tuple[tuple[int, Any], ...]] = {}
    for name in sorted(declared):
        types = _types_in(declared[name])
        pairs: list[tuple[int, Any]] = []
        for key, size in listed[name]:
            if type(key) is not int or type(size) is not int or not 0 < size <= len(data) - at:
                raise ValueError(f"{name} is longer than what is there")
            pairs.append((key, decode_value(data[at : at + size], types)))
            at += size
        objects[name] = tuple(pairs)
    return {name: objects[name] for name in declared}, at


def _types_in(kind: Any, found: dict[str, type] | None = None) -> dict[str, type]:
    """Return the dataclasses and enums that a type's annotations mention, itself included, by qualified name."""
    found = {} if found is None else found
    for part in get_args(kind):
        _types_in(part, found)
    if isinstance(kind, type) and kind.__qualname__ not in found:
        if issubclass(kind, Enum):
            found[kind.__qualname__] = kind
        elif is_dataclass(kind):
            found[kind.__qualname__] = kind
            for hint in get_type_hints(kind).values():
                _types_in(hint, found)
    return found


def decode_value(data: bytes, types: dict[str, type]) -> Any:
    """Return the value that `canonical_bytes` wrote; `types` are the dataclasses and enums in it, by name.

    Raises:
        ValueError: the bytes are not what it writes.
        WorldError: the value is of a type that is not among `types`.

    >>> decode_value(canonical_bytes({"b": 1, "a": (True, None)}), {})
    {'a': (True, None), 'b': 1}
    """
    reader = _Values(data, types)
    value = reader.value(0)
    if reader.at != len(data) or canonical_bytes(value) != data:
        raise ValueError("an object is not in canonical form")
    return value


class _Values:
    """Reads values from canonical bytes, one after the other."""

    def __init__(self, data: bytes, types: dict[str, type]) -> None:
        self.data = data
        self.types = types
        self.at = 0

    def value(self, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise ValueError("an object nests too deep")
        match self.take(1):
            case b"N":
                return None
            case b"T":
                return True
            case b"F":
                return False
            case b"i":
                return self.number(b";")
            case b"s":
                return self.text()
            case b"b":
                return self.take(self.number(b":"))
            case b"f":
                return struct.unpack("<d", self.take(8))[0]
            case b"(":
                return tuple(self.items(b")", depth))
            case b"[":
                return self.items(b"]", depth)
            case b"{":
                flat = self.items(b"}", depth)
                return dict(zip(flat[::2], flat[1::2], strict=True))
            case b"e":
                return self.kind()(self.value(depth + 1))
            case b"D":
                return self.instance(depth)
            case mark:
                raise ValueError(f"{mark!r} begins no value")

    def instance(self, depth: int) -> Any:
        kind = self.kind()
        self.expect(b"{")
        value = object.__new__(kind)
        for field in fields(kind):
            if self.text() != field.name:
                raise WorldError(f"{kind.__qualname__} has other fields than in the state")
            object.__setattr__(value, field.name, self.value(depth + 1))
        self.expect(b"}")
        return value

    def kind(self) -> Any:
        name = self.text()
        if name not in self.types:
            raise WorldError(f"the state holds a {name}, which no declared object component mentions")
        return self.types[name]

    def items(self, end: bytes, depth: int) -> list[Any]:
        found: list[Any] = []
        while self.data[self.at : self.at + 1] != end:
            found.append(self.value(depth + 1))
        self.at += 1
        return found

    def number(self, end: bytes) -> int:
        match = _NUMBER.match(self.data, self.at)
        if match is None:
            raise ValueError("a number was due")
        self.at = match.end()
        self.expect(end)
        return int(match[0])

    def text(self) -> str:
        return self.take(self.number(b":")).decode("utf-8", "surrogatepass")

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError("an object ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def expect(self, mark: bytes) -> None:
        if self.take(len(mark)) != mark:
            raise ValueError(f"{mark!r} was due")
