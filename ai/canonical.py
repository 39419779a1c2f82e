"""The bytes of arrays that digests are made of: the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

from blake3 import blake3
from numpy.typing import NDArray


def little_endian(array: NDArray[Any]) -> bytes:
    """Return an array's values in row order, little-endian on every machine."""
    return array.tobytes() if sys.byteorder == "little" else array.byteswap().tobytes()


def array_digest(purpose: str, parts: Iterable[bytes]) -> str:
    """Return sixteen hex digits over the bytes of arrays and of the data that belong to them, by purpose."""
    return blake3(b"".join(parts), key=_key_of(purpose)).hexdigest(8)


@cache
def _key_of(purpose: str) -> bytes:
    return blake3(purpose.encode()).digest()
