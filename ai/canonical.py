"""The bytes of arrays and the parts of declarations that digests are made of: the same on every machine, for ever."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray


def _swapped(array: NDArray[Any]) -> bytes:
    return array.byteswap().tobytes()


little_endian: Final[Callable[[NDArray[Any]], bytes]] = np.ndarray.tobytes if sys.byteorder == "little" else _swapped
"""Returns an array's values in row order, little-endian on every machine. Ticks call it for every column."""


def array_digest(purpose: str, parts: Iterable[bytes]) -> str:
    """Return sixteen hex digits over the bytes of arrays and of the data that belong to them, by purpose."""
    return blake3(b"".join(parts), key=_key_of(purpose)).hexdigest(8)


def without_empty(data: Any) -> Any:
    """Return plain data without the parts of dictionaries that are null or empty.

    Recorded declarations have this form. A later version may add a part, and leaves it out where nothing uses it, so
    that old recordings are declared as they were.

    >>> without_empty({"kind": "number", "per": None, "shape": [], "scale": 1, "default": 0})
    {'kind': 'number', 'scale': 1, 'default': 0}
    """
    if isinstance(data, dict):
        found = {name: without_empty(part) for name, part in data.items()}
        return {name: part for name, part in found.items() if part is not None and part not in ([], {})}
    return [without_empty(part) for part in data] if isinstance(data, list | tuple) else data


@cache
def _key_of(purpose: str) -> bytes:
    return blake3(purpose.encode()).digest()
