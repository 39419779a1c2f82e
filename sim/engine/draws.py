"""Random draws of a world by row or by cell; the world supplies seed, key and tick."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.engine.rng import CELLS, Rng
from sim.engine.values import indices
from sim.errors import WorldError, no_array, short


class Draws:
    """Draws for the rows of a world and for the places of its resources.

    Attributes:
        rng: the generator, which counts draws by purpose.
        tick: the tick that a draw belongs to.
    """

    rng: Rng
    tick: int

    @property
    @abstractmethod
    def n(self) -> int:
        """The number of rows."""

    @property
    @abstractmethod
    def keys(self) -> NDArray[np.int64]:
        """The key of each row."""

    def draws(self, rows: Any, purpose: int, draw: int = 0) -> NDArray[np.uint32]:
        """Draw four random words for each row: `[rows, 4] uint32`. They depend on seed, key, tick, purpose and `draw`.

        The first word alone takes less time: `below(rows, purpose, 2**32)`.

        Args:
            rows: indices, mask or slice.
            purpose: the number that `sim.engine.rng.purpose` returned for a name.
            draw: an index to count up if one agent needs more words for one purpose in one tick.

        Raises:
            WorldError: a row does not exist, or a number is too large for a counter.
        """
        return self.rng.draws(self._keys_of(rows), self.tick, purpose, draw)

    def _keys_of(self, rows: Any) -> NDArray[np.int64]:
        try:
            return self.keys[rows] if isinstance(rows, slice) else self.keys[indices(rows, self.n, "draws")]
        except TypeError:
            raise WorldError(f"draws: {short(rows)} is not a slice of rows") from None

    def below(self, rows: Any, purpose: int, bound: int | NDArray[np.integer], draw: int = 0) -> NDArray[np.int64]:
        """Draw an integer in 0..bound-1 for each row: `[rows] int64`; `bound` is one for all, or `[rows]`.

        Raises:
            WorldError: a bound is not in 1..2**32, or as `draws`.
        """
        return self.rng.below(self._keys_of(rows), self.tick, purpose, bound, draw)

    def chance(self, rows: Any, purpose: int, permille: int | NDArray[np.integer], draw: int = 0) -> NDArray[np.bool_]:
        """Draw for each row whether an event with a probability of `permille` in 1000 occurs: `[rows] bool`.

        Raises:
            WorldError: as `draws`.
        """
        return _less(self.below(rows, purpose, 1000, draw), permille)

    def order(self, rows: Any, purpose: int, draw: int = 0) -> NDArray[np.intp]:
        """Put rows into a random order; the first k of it are k random rows.

        Raises:
            WorldError: as `draws`.
        """
        places = indices(rows, self.n, "order")
        return places[_by_words(self.rng.draws(self.keys[places], self.tick, purpose, draw))]

    def draws_at(self, cells: ArrayLike, purpose: int, draw: int = 0) -> NDArray[np.uint32]:
        """Draw four random words for each place of a resource, as `draws` does for rows: `[cells, 4] uint32`.

        Raises:
            WorldError: a cell is negative, or as `draws`.
        """
        return self.rng.draws(cells, self.tick, _of_cells(purpose), draw)

    def below_at(
        self, cells: ArrayLike, purpose: int, bound: int | NDArray[np.integer], draw: int = 0
    ) -> NDArray[np.int64]:
        """Draw an integer in 0..bound-1 for each place of a resource, as `below` does for rows: `[cells] int64`.

        Raises:
            WorldError: as `below` and `draws_at`.
        """
        return self.rng.below(cells, self.tick, _of_cells(purpose), bound, draw)

    def chance_at(
        self, cells: ArrayLike, purpose: int, permille: int | NDArray[np.integer], draw: int = 0
    ) -> NDArray[np.bool_]:
        """Draw for each place of a resource whether an event occurs, as `chance` does for rows: `[cells] bool`.

        Raises:
            WorldError: as `draws_at`.
        """
        return _less(self.below_at(cells, purpose, 1000, draw), permille)

    def order_at(self, cells: ArrayLike, purpose: int, draw: int = 0) -> NDArray[np.intp]:
        """Put places of a resource into a random order, as `order` does with rows.

        Raises:
            WorldError: as `draws_at`.
        """
        order = _by_words(self.draws_at(cells, purpose, draw))
        return np.asarray(cells, dtype=np.intp)[order]


def _less(drawn: NDArray[np.int64], permille: Any) -> NDArray[np.bool_]:
    try:
        if type(permille) is not int and np.asarray(permille).dtype.kind == "f":
            # 0.5 would be half of one thousandth, although one half is meant.
            raise WorldError(f"permille: {short(permille)} is a fraction; give whole thousandths, 500 for one half")
        less: NDArray[np.bool_] = drawn < permille
    except (TypeError, ValueError):
        raise no_array(permille, "permille") from None
    return less


def _of_cells(purpose: int) -> int:
    """Return the purpose of draws for cells, which differ from those for rows."""
    try:
        return purpose | CELLS
    except TypeError:
        raise WorldError(f"purpose: {short(purpose)} is not a whole number") from None


def _by_words(words: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Sort by random words; equal words keep their order."""
    return np.lexsort((words[:, 1], words[:, 0]))
