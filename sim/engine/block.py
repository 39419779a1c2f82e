"""The memory of a world's columns: one piece, so that all of them are copied, or compared, in one go.

A world has some sixty columns of which most are small. To copy or to compare them one by one costs sixty calls a tick;
at a thousand agents that is most of the price.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import ColumnSpec

WORD_BYTES: Final = 8
"""Columns start at multiples of this."""


class Block:
    """Holds the columns that have no `used_by`, as `[*shape, capacity]` each, behind one another.

    Args:
        specs: every column of the world; those with `used_by` have memory of their own, as seldom much of it is used.
        capacity: how many rows there is room for.

    Attributes:
        columns: the columns in here, in order.
        starts: where each of them starts, in words of eight bytes.
        words: everything, as words.
    """

    __slots__ = ("_capacity", "_places", "columns", "starts", "words")

    def __init__(self, specs: Sequence[ColumnSpec], capacity: int) -> None:
        self.columns = tuple(spec for spec in specs if spec.used_by is None)
        self._capacity = capacity
        self._places: dict[str, tuple[ColumnSpec, int, int]] = {}
        starts, words = [], 0
        for spec in self.columns:
            size = math.prod(spec.shape) * spec.dtype.itemsize * capacity
            self._places[spec.label] = spec, words * WORD_BYTES, words * WORD_BYTES + size
            starts.append(words)
            words += -(-size // WORD_BYTES)
        self.starts: NDArray[np.intp] = np.array(starts, np.intp)
        self.words: NDArray[np.uint64] = np.zeros(words, np.uint64)

    def column(self, label: str) -> NDArray[Any]:
        """Return a column, `[*shape, capacity]`, as a view.

        Raises:
            KeyError: it is not in here.
        """
        spec, start, end = self._places[label]
        return self.words.view(np.uint8)[start:end].view(spec.dtype).reshape(*spec.shape, self._capacity)

    def copy(self) -> Self:
        """Return the same columns with memory of their own that cannot be written."""
        twin = copy(self)
        twin.words = self.words.copy()
        twin.words.setflags(write=False)
        return twin


class CopiedColumns(Mapping[str, "NDArray[Any]"]):
    """Columns of n rows as they were when they were copied, by "Component.column", in the order declared.

    A copy is made in every tick and nearly never read; so single columns are only cut out when they are asked for.
    """

    def __init__(self, labels: Sequence[str], block: Block, others: Mapping[str, NDArray[Any]], n: int) -> None:
        self._labels = labels
        self._block = block
        self._others = others
        self._n = n

    def __getitem__(self, label: str) -> NDArray[Any]:
        """Return the entries in use of a column; they cannot be written."""
        other = self._others.get(label)
        return self._block.column(label)[..., : self._n] if other is None else other

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)
