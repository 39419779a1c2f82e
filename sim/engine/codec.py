"""A `WorldState` as bytes and back: one state, one text, the same on every machine.

The first line is canonical JSON: tick, next key, the texts, and the declared shape of every array. After it come the
arrays, little-endian. Reading trusts nothing: every name, dtype and shape must be one that the world has, texts must be
in canonical form, and the sizes must add up to the bytes that are there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.engine.canonical import little_endian
from sim.engine.resources import DeclaredResource
from sim.engine.state import WorldState
from sim.engine.texts import TEXT_BYTES_MAX, TEXTS_BYTES_MAX, TEXTS_MAX
from sim.engine.world import World
from sim.errors import WorldError

DTYPES: Final = frozenset(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()  # noqa: SIM905
)
"""The dtypes that an array of a state may have."""
DIMENSIONS_MAX: Final = 8
"""The most dimensions that an array of a resource may have."""


def encode_state(state: WorldState) -> bytes:
    """Return the bytes of a state; equal states, and only those, have equal bytes.

    Raises:
        WorldError: a resource holds an array of another dtype.
    """
    arrays = list(_arrays(state))
    for place, array in arrays:
        if array.dtype.name not in DTYPES:
            raise WorldError(f"{'.'.join(place)} is of dtype {array.dtype}, which cannot be written as part of a state")
    head = {
        "tick": state.tick,
        "next_key": state.next_key,
        "arrays": [[*place, array.dtype.name, list(array.shape)] for place, array in arrays],
        "texts": {label: list(texts) for label, texts in state.texts.items()},
    }
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return b"".join([text.encode("ascii"), b"\n", *(little_endian(array) for _, array in arrays)])


def decode_state(data: bytes, world: World) -> WorldState:
    """Return the state that bytes hold, fit to be restored into `world`.

    Raises:
        WorldError: the bytes are not a state, or they are the state of a world with other columns or resources.
    """
    try:
        return _decode(data, world)
    except WorldError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, IndexError) as error:
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
        raise ValueError("the first line, which describes the arrays, is missing")
    arrays = _read_arrays(head["arrays"], rest)
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
    texts = _read_texts(head["texts"], {label: array for (_, label), array in arrays.items()}, world)
    keys = arrays["keys", ""]
    tick, next_key = head["tick"], head["next_key"]
    if type(tick) is not int or type(next_key) is not int or not 0 <= tick < 2**63:
        raise ValueError("tick and next key are not numbers")
    if keys.dtype != np.int64 or keys.ndim != 1 or (keys[1:] <= keys[:-1]).any() or (keys < 0).any():
        raise ValueError("the keys do not ascend")
    if not (int(keys[-1]) if n else -1) < next_key < 2**63:
        raise ValueError("the next key is taken")
    return WorldState(world.declaration, tick, next_key, keys, columns, masks, resources, texts)


def _read_arrays(listed: Any, data: bytes) -> dict[tuple[str, str], NDArray[Any]]:
    arrays: dict[tuple[str, str], NDArray[Any]] = {}
    at = 0
    for group, name, dtype, shape in listed:
        if dtype not in DTYPES or len(shape) > DIMENSIONS_MAX or (group, name) in arrays:
            raise ValueError(f"{name} is not an array of a state")
        if any(type(size) is not int or not 0 <= size <= len(data) for size in shape):
            raise ValueError(f"{name} has no such shape")
        order = np.dtype(dtype).newbyteorder("<")
        size = math.prod(shape) * order.itemsize
        if at + size > len(data):
            raise ValueError(f"{name} needs more bytes than there are")
        array = np.frombuffer(data, order, math.prod(shape), at).reshape(shape).astype(np.dtype(dtype))
        array.flags.writeable = False
        arrays[group, name] = array
        at += size
    if at != len(data):
        raise ValueError("sizes and bytes do not agree")
    return arrays


def _check_columns(world: World, columns: dict[str, NDArray[Any]], masks: dict[str, NDArray[Any]], n: int) -> None:
    """Check that the columns and masks are those of the world.

    Raises:
        WorldError: they are not.
    """
    stores = {store.spec.label: store for table in world.storage.tables for store in table.stores}
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
    names = {table.schema.name for table in world.storage.tables}
    for name, mask in masks.items():
        if name not in names or mask.dtype != np.bool_ or mask.shape != (n,):
            raise WorldError(f"the state has a membership of {name} that this world cannot have")


def _check_resources(world: World, resources: dict[str, dict[str, NDArray[Any]]]) -> None:
    """Check that the resources are those of the world; the sizes of custom resources' arrays are their own.

    Raises:
        WorldError: they are not.
    """
    if resources.keys() != world.resources.keys():
        strange = sorted(resources.keys() ^ world.resources.keys())
        raise WorldError(f"the state has other resources than this world: {', '.join(strange)} not on both sides")
    for name, content in resources.items():
        resource = world.resources[name]
        there = {column: (array.dtype, array.ndim) for column, array in content.items()}
        here = {column: (array.dtype, array.ndim) for column, array in resource.columns().items()}
        if there != here:
            raise WorldError(f"the state has other arrays of the resource {name} than this world")
        if isinstance(resource, DeclaredResource):
            shapes = {array.shape[-1] if resource.has_rows else 0 for array in content.values()}
            if len(shapes) > 1 or max(shapes) > (resource.rows_max or 0):
                raise WorldError(f"the state has rows of the resource {name} that this world cannot have")
            for spec in resource.schema.columns:
                shape = content[spec.name].shape
                if (shape[:-1] if resource.has_rows else shape) != spec.shape:
                    raise WorldError(f"{spec.label} is of shape {shape} in the state; here it is {spec.shape}")


def _read_texts(listed: Any, arrays: dict[str, NDArray[Any]], world: World) -> dict[str, tuple[str, ...]]:
    """Check the texts: those of each column are sorted, each is used, and none exceeds the limits.

    Raises:
        WorldError: the texts belong to the columns of another world.
        ValueError: the texts are not in the form that `Texts.canonical` returns.
    """
    specs = [spec for schema in world.schemas for spec in schema.columns if spec.is_text]
    if sorted(listed) != sorted(spec.label for spec in specs):
        raise WorldError("the state has texts of other columns than this world")
    found: dict[str, tuple[str, ...]] = {}
    for spec in specs:
        texts, numbers = listed[spec.label], arrays[spec.label]
        if not isinstance(texts, list) or len(texts) > TEXTS_MAX or not all(isinstance(each, str) for each in texts):
            raise ValueError(f"{spec.label} has no list of texts")
        sizes = [len(each.encode()) for each in texts]
        if max(sizes, default=0) > TEXT_BYTES_MAX or sum(sizes) > TEXTS_BYTES_MAX:
            raise ValueError(f"the texts of {spec.label} are too long")
        if "" in texts or any(left >= right for left, right in pairwise(texts)):
            raise ValueError(f"the texts of {spec.label} are not in order")
        if not np.array_equal(np.unique(np.append(numbers, 0)), np.arange(len(texts) + 1)):
            raise ValueError(f"the numbers of {spec.label} are not those of its texts")
        if spec.kind == "texts" and ((numbers[1:] != 0) & (numbers[:-1] == 0)).any():
            raise ValueError(f"{spec.label} has a gap between its texts")
        found[spec.label] = tuple(texts)
    return found
