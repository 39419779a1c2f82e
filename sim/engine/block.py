"""The memory of a world's columns: one block, so that one call copies or compares all of them.

A world has some sixty columns, and most of them are small. Copying or comparing them one by one takes sixty calls a
tick; at a thousand agents that is most of the cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import ColumnSpec

WORD_BYTES: Final = 8
"""Columns start at multiples of this."""


class Block:
    """Holds the columns that have no `used_by`, each as `[*shape, capacity]`, one after another.

    Args:
        specs: every column of the world; those with `used_by` have memory of their own, because little of it is usually
        in use. capacity: number of rows to make room for.

    Attributes:
        columns: the columns in this block, in order.
        starts: where each of them starts, in words of eight bytes.
        words: the whole block, as words.
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
            KeyError: the column is not in this block.
        """
        spec, start, end = self._places[label]
        return self.words.view(np.uint8)[start:end].view(spec.dtype).reshape(*spec.shape, self._capacity)

    def copy(self) -> Self:
        """Return the same columns with memory of their own that cannot be written."""
        twin = object.__new__(type(self))
        twin.columns, twin.starts, twin._capacity, twin._places = (
            self.columns,
            self.starts,
            self._capacity,
            self._places,
        )
        twin.words = self.words.copy()
        twin.words.setflags(write=False)
        return twin


class CopiedColumns(Mapping[str, "NDArray[Any]"]):
    """Columns of n rows as they were when they were copied, by "Component.column", in the order declared.

    A copy is made in every tick and hardly ever read, so a column is cut out only when somebody asks for it.
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
