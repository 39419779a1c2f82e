"""The content of a world's arrays at the last look, as bytes: one copy serves snapshots, comparisons and hashes.

An array that did not change keeps its bytes object, so it is neither copied nor hashed again. The comparison is of
content, so it does not depend on a flag that a system could forget to set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Kept:
    """One array as it was at the last look.

    Attributes:
        raw: its values in row order; a new object if and only if they changed.
        dtype: its dtype.
        shape: the array's shape.
    """

    __slots__ = ("dtype", "raw", "shape")

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.raw = b""
        self.shape: tuple[int, ...] = ()

    def look(self, array: NDArray[Any]) -> None:
        """Compare an array with the kept content, and keep it if it differs."""
        if array.shape != self.shape:
            self.raw, self.shape = array.tobytes(), array.shape
        elif not array.flags.c_contiguous:
            raw = array.tobytes()
            if raw != self.raw:
                self.raw = raw
        elif not self.raw.startswith(array):  # type: ignore[arg-type] # any buffer; compares without a copy
            self.raw = array.tobytes()

    def array(self) -> NDArray[Any]:
        """Return the values; they cannot be written."""
        return np.frombuffer(self.raw, self.dtype).reshape(self.shape)


class KeptColumns(Mapping[str, "NDArray[Any]"]):
    """Columns as they were at one look, by "Component.column", in the order declared.

    One is made in every tick and hardly ever read, so arrays are made only on demand.

    Args:
        labels: the position of each column in `kept`.
        kept: the kept content of each column; its current bytes are used, also later.
        others: arrays to use in place of some columns.
    """

    __slots__ = ("_kept", "_labels", "_others", "_raws")

    def __init__(self, labels: Mapping[str, int], kept: Sequence[Kept], others: Mapping[str, NDArray[Any]]) -> None:
        self._labels = labels
        self._raws = [(one.raw, one.shape) for one in kept]
        self._kept = kept
        self._others = others

    def __getitem__(self, label: str) -> NDArray[Any]:
        """Return the entries in use of a column; they cannot be written."""
        other = self._others.get(label)
        if other is not None:
            return other
        place = self._labels[label]
        raw, shape = self._raws[place]
        return np.frombuffer(raw, self._kept[place].dtype).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)
