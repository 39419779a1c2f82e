"""The bytes of arrays that digests are made of: the same on every machine."""

from __future__ import annotations

import sys
from typing import Any

from numpy.typing import NDArray


def little_endian(array: NDArray[Any]) -> bytes:
    """Return an array's values in row order, little-endian, whatever the machine's own order is."""
    return array.tobytes() if sys.byteorder == "little" else array.byteswap().tobytes()
