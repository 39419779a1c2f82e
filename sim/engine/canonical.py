"""Canonical bytes and hashes: equal values, and only those, give equal bytes on every machine."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from sim.errors import WorldError

DIGEST_BYTES: Final = 8
"""The number of bytes of a hash that are kept."""


def little_endian(array: NDArray[Any]) -> bytes:
    """Return an array's values in row order, little-endian, whatever the machine's own order is."""
    return array.tobytes() if sys.byteorder == "little" else array.byteswap().tobytes()


def text_bytes(*texts: str) -> bytes:
    """Return texts as bytes, each preceded by its length, so that no two sequences of texts have the same bytes.

    >>> text_bytes("ab", "")
    b'2:ab0:'
    """
    parts = []
    for text in texts:
        data = text.encode()
        parts.append(b"%d:" % len(data) + data)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def key_of(*header: str) -> bytes:
    """Return the key for hashing the bytes under a header: equal bytes under two headers have different hashes."""
    return blake3(text_bytes(*header)).digest()


def hashed(key: bytes, *parts: bytes) -> bytes:
    """Return the hash of some bytes under a key, `DIGEST_BYTES` long."""
    return blake3(parts[0] if len(parts) == 1 else b"".join(parts), key=key).digest(DIGEST_BYTES)


def array_bytes(label: str, array: NDArray[Any]) -> bytes:
    """Return the bytes of a custom resource's array; -0.0 gives those of 0.0.

    Raises:
        WorldError: the array holds NaN, or neither numbers nor booleans; the message starts with the label.
    """
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise WorldError(f"{label} holds NaN, which equals nothing and therefore cannot be compared or hashed")
        array = array + 0.0
    elif array.dtype.kind not in "biu":
        raise WorldError(
            f"{label} is of dtype {array.dtype}, which has no canonical encoding; use integers or booleans"
        )
    return little_endian(array)
