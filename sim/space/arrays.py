"""Helpers that all spaces share: checks of arrays from callers, random words to numbers, sorting by place.

All numbers are integers. A *word* is a random integer in 0..2**32-1, as the engine draws it; spaces draw nothing
themselves.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.errors import WorldError, no_array, short

Ints = NDArray[np.int64]
"""An array of cells, nodes, rows, offsets or lengths."""
UNREACHABLE: Final = 2**31 - 1
"""The distance of a place from which no goal can be reached."""
PAIRS_MAX: Final = 50_000_000
"""The most pairs, or neighbours of places, that one call may return."""
ROWS_MAX: Final = 2**31 - 1
"""Row numbers stay below this."""


def whole(value: object, name: str, low: int, high: int) -> int:
    """Return `value` as an int, if it is a whole number in `low..high`.

    Raises:
        WorldError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise WorldError(f"{name} is {short(value)}; it must be a whole number in {low}..{high}")
    return int(value)


def integers(values: ArrayLike, name: str) -> Ints:
    """Return `values` as int64; an empty list of any type is allowed.

    Raises:
        WorldError: the values are not integers, or do not fit into 64 bits.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        raise no_array(values, name) from None
    if array.dtype.kind not in "iu" and array.size:
        raise WorldError(f"{name} must be integers, not {array.dtype}")
    if array.dtype == np.uint64 and array.size and int(array.max()) > 2**63 - 1:
        raise WorldError(f"{name} hold {array.max()}, which does not fit into 64 bits with a sign")
    return array.astype(np.int64, copy=False)


def flat(values: ArrayLike, name: str) -> Ints:
    """Return `values` as a flat int64 array.

    Raises:
        WorldError: as `integers`, or the array is not flat.
    """
    array = integers(values, name)
    if array.ndim != 1:
        raise WorldError(f"{name} must be a flat array, not one of shape {array.shape}")
    return array


def numbers_below(values: ArrayLike, bound: int, name: str, low: int = 0) -> Ints:
    """Return `values` as int64, if all are in `low..bound-1`.

    Raises:
        WorldError: as `integers`, or one is out of range.
    """
    array = integers(values, name)
    # Read as unsigned numbers, those below `low` are too large as well.
    if array.size and int((array - low if low else array).view(np.uint64).max()) >= bound - low:
        wrong = array[(array < low) | (array >= bound)]
        raise WorldError(f"{name} hold {wrong.ravel()[0]}; they must be in {low}..{bound - 1}")
    return array


def per_place(values: ArrayLike, size: int, name: str) -> NDArray[Any]:
    """Return one integer or boolean per cell or node.

    Raises:
        WorldError: the array has another length or type.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        raise no_array(values, name) from None
    if array.shape != (size,):
        raise WorldError(f"{name} must have one value for each of the {size} places, not shape {array.shape}")
    if array.dtype.kind not in "bi" and not (array.dtype.kind == "u" and array.dtype.itemsize < 8):
        raise WorldError(f"{name} must be booleans or signed integers, not {array.dtype}")
    return array


def mask_of(values: ArrayLike, size: int, name: str) -> NDArray[np.bool_]:
    """Return one boolean per cell or node; integers other than 0 count as true.

    Raises:
        WorldError: as `per_place`.
    """
    return per_place(values, size, name).astype(np.bool_, copy=False)


def together(what: str, *arrays: NDArray[Any]) -> None:
    """Refuse arrays that cannot be combined element by element.

    Raises:
        WorldError: their shapes do not match.
    """
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise WorldError(f"{what} differ in length: shapes {shapes}") from None


def below(words: ArrayLike, bound: int | NDArray[np.integer[Any]]) -> Ints:
    """Return `(word * bound) >> 32`: an integer in 0..bound-1 for each word, 0 where the bound is 0.

    Args:
        words: random integers in 0..2**32-1.
        bound: 0 to 2**31 - 1, one for all or one per word. The bias is at most `bound / 2**32`.

    Raises:
        WorldError: a word is out of range.
    """
    word = words if isinstance(words, np.ndarray) else integers(words, "words")
    product = (word.astype(np.int64) if word.dtype == np.uint32 else numbers_below(word, 2**32, "words")) * bound
    product >>= 32
    return product


def by_place(places: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return places and rows, sorted by place and then by row; both are at least 0, rows at most `ROWS_MAX`."""
    # Sorting one number per pair is many times faster than a stable sort, and the order of equal numbers does not
    # matter.
    bits = int(rows.max(initial=0)).bit_length()
    keys = np.sort((places << bits) | rows)
    return keys >> bits, keys & ((1 << bits) - 1)


def runs(first: Ints, count: Ints) -> Ints:
    """Return `first[0], first[0] + 1, ...` (`count[0]` numbers), then the same for `first[1]`, and so on."""
    ends = count.cumsum()
    places = np.arange(int(ends[-1]) if len(ends) else 0)
    places += (first - ends + count).repeat(count)
    return places


def sliding(values: NDArray[Any], count: int, step: int = 1) -> NDArray[Any]:
    """Return the sums of `count` values that are `step` apart, for each first one; the time grows with its logarithm.

    Args:
        values: `[k]`.
        count: the number of values in a sum, at least 1.
        step: the distance between two of them.

    Returns:
        `[k - (count - 1) * step]`.
    """
    if count == 1:
        return values
    half = count // 2
    sums: NDArray[Any] = sliding(values, half, step)
    sums = sums[: -half * step] + sums[half * step :]
    if count % 2:
        sums = sums[:-step]
        sums += values[(count - 1) * step :]
    return sums


def bounded(pairs: int, what: str) -> None:
    """Refuse a result that is too large.

    Raises:
        WorldError: more than `PAIRS_MAX`.
    """
    if pairs > PAIRS_MAX:
        raise WorldError(f"{what}: {pairs:,} pairs; at most {PAIRS_MAX:,}: take a smaller radius or fewer agents")
