"""Conversion of values for columns: a value is converted without loss, or refused with a sentence.

NumPy itself silently truncates 1.5, wraps 300 and takes -1 for the last row.
"""

from __future__ import annotations

import operator
from enum import Enum
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.errors import WorldError, no_array, short

NAN: Final = np.float64("nan")
"""The one NaN that a column may hold."""


def integer(value: Any, low: int, high: int, label: str) -> int:
    """Return a whole number of any library as Python's own.

    Raises:
        WorldError: it is not one (nor is a bool), or out of range; the message starts with the label.

    >>> integer(np.int16(7), 0, 9, "ticks")
    7
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        found = operator.index(value)
    except TypeError:
        raise WorldError(f"{label}: {short(value)} is not a whole number") from None
    if not low <= found <= high:
        raise WorldError(f"{label}: {found} is not in {low}..{high}")
    return found


def native(value: Any) -> Any:
    """Return plain data with every number and array of NumPy as Python's own, at any depth.

    >>> native({"agents": [np.int64(3), np.array([1, 2])]})
    {'agents': [3, [1, 2]]}
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {name: native(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(native(each) for each in value) if type(value) in (list, tuple) else value
    return value


def fit(values: ArrayLike, dtype: np.dtype[Any], label: str) -> NDArray[Any]:
    """Convert to a column's dtype without loss; floats become canonical.

    Raises:
        WorldError: a value is not a number of that kind or does not fit; the message starts with the label.

    >>> fit([1, 300], np.dtype(np.int16), "Animal.energy").dtype.name
    'int16'
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        raise no_array(values, label) from None
    if dtype.kind == "f":
        if array.dtype.kind not in "biuf" and array.size:
            raise WorldError(f"{label}: {array.ravel().tolist()[0]!r} is not a number")
        return canonical_floats(array.astype(dtype))
    if array.dtype == dtype:
        return array
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind not in "biu":
        listed = array.ravel().tolist()
        offender = next((v for v in listed if not isinstance(v, int)), listed[0])
        if not isinstance(offender, int):
            raise WorldError(f"{label}: {offender!r} is not an integer")
        smallest, largest = min(listed), max(listed)
    else:
        smallest, largest = int(array.min()), int(array.max())
    check_range(smallest, largest, dtype, label)
    return array.astype(dtype)


def check_range(smallest: int, largest: int, dtype: np.dtype[Any], label: str) -> None:
    """Check that all integers from the smallest to the largest fit a dtype.

    Raises:
        WorldError: one does not; the message starts with the label.
    """
    low, high = limits(dtype)
    if smallest < low or largest > high:
        raise WorldError(f"{label}: {smallest if smallest < low else largest} does not fit {dtype} ({low}..{high})")


@cache
def limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the smallest and the largest integer that a column's dtype holds."""
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def steps(values: ArrayLike, scale: int, dtype: np.dtype[Any], label: str) -> NDArray[Any]:
    """Convert numbers to whole steps of 1/scale, rounding half away from zero.

    Raises:
        WorldError: a value is not a finite number, or its steps do not fit the dtype; the message starts with the
            label.

    >>> steps([1.25, -1.25, 2], 10, np.dtype(np.int32), "Purse.money").tolist()
    [13, -13, 20]
    """
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind in "biu":
        check_range(int(array.min()) * scale, int(array.max()) * scale, dtype, label)
        whole: NDArray[Any] = array.astype(dtype) * dtype.type(scale)
        return whole
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        listed = array.ravel().tolist()
        strange = [v for v in listed if not isinstance(v, int | float) or v - v != 0]
        if strange:
            raise WorldError(f"{label}: {strange[0]!r} is not a finite number")
        counts = [step(v, scale) for v in listed]
        check_range(min(counts), max(counts), dtype, label)
        return np.array(counts, dtype).reshape(array.shape)
    scaled = array.astype(np.float64) * scale
    towards_zero = np.trunc(scaled)
    # The part after the decimal point is exact, whereas adding 0.5 before truncating would round.
    rounded = towards_zero + np.copysign(np.abs(scaled - towards_zero) >= 0.5, scaled)
    check_range(int(rounded.min()), int(rounded.max()), dtype, label)
    return rounded.astype(dtype)


def step(value: float, scale: int) -> int:
    """Return one number as steps, as `steps` does.

    >>> step(-0.125, 100)
    -13
    """
    if isinstance(value, int):
        return value * scale
    scaled = value * scale
    towards_zero = int(scaled)
    return towards_zero + (abs(scaled - towards_zero) >= 0.5) * (1 if scaled > 0 else -1)


def codes_of(kind: type[Enum]) -> dict[Enum, int]:
    """Return the number that stands for each member: its value if that is an integer, else its position."""
    return {m: int(m.value) if issubclass(kind, int) else place for place, m in enumerate(kind)}


def codes(values: Any, kind: type[Enum], dtype: np.dtype[Any], label: str) -> NDArray[Any]:
    """Convert members of an enumeration, their texts or their numbers to numbers.

    Raises:
        WorldError: a value is not a member; the message starts with the label.
    """
    known = codes_of(kind)
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        strange = array.ravel()[~np.isin(array, list(known.values())).ravel()].tolist()
    else:
        array = np.asarray(values, dtype=object)
        by_text = {str(member.value): number for member, number in known.items()}
        listed = array.ravel().tolist()
        found = [by_text.get(str(value)) if isinstance(value, str) else known.get(value) for value in listed]
        strange = [value for value, number in zip(listed, found, strict=True) if number is None]
        array = array if strange else np.array(found).reshape(array.shape)
    if strange:
        members = ", ".join(f"{kind.__name__}.{member.name}" for member in known)
        raise WorldError(f"{label}: {strange[0]!r} is not one of {members}")
    return array.astype(dtype)


def canonical_floats(array: NDArray[Any]) -> NDArray[Any]:
    """Replace -0.0 by 0.0 and every NaN by the one NaN, in place, so that equal states have equal bytes."""
    array += 0.0
    if np.isnan(array).any():
        array[np.isnan(array)] = NAN
    return array


def indices(rows: Any, size: int, label: str) -> NDArray[np.intp]:
    """Turn an index, indices, a mask or a slice into checked indices.

    Raises:
        WorldError: a row is not in 0..size-1; the message starts with the label.

    >>> indices([True, False, True], 3, "kill").tolist()
    [0, 2]
    """
    if isinstance(rows, slice):
        try:
            return np.arange(size, dtype=np.intp)[rows]
        except TypeError:
            raise WorldError(f"{label}: {short(rows)} is not a slice of rows") from None
    try:
        array = np.asarray(rows)
    except (TypeError, ValueError):
        raise no_array(rows, label) from None
    if array.ndim == 0:
        array = array[np.newaxis]
    if array.dtype.kind == "b":
        if array.shape != (size,):
            raise WorldError(f"{label}: a mask of shape {array.shape} for {size} rows")
        return array.nonzero()[0]
    if array.size == 0:
        return np.zeros(0, dtype=np.intp)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise WorldError(f"{label}: {array.dtype} of shape {array.shape} are not row indices")
    places = array.astype(np.intp, copy=False)
    # Read as unsigned numbers, negative ones are too large as well.
    if np.count_nonzero(places.view(np.uintp) >= size):
        gone = "; -1 stands for an agent that is gone" if array.min() == -1 else ""
        raise WorldError(f"{label}: rows {array.min()}..{array.max()} are not in 0..{size - 1}{gone}")
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
