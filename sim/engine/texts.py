"""Texts in columns: a world's table of texts, and the canonical form that represents them by content.

A column holds places in the table, 0 for no text. The table only grows, and its order depends on the run. So hashes,
copies and files never hold such places: `canonical` numbers the texts of one column in sorted order, 1 for the first,
and lists them. Two worlds with the same texts in their columns have the same canonical columns, regardless of the other
texts in their tables and of the order in which texts were added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.errors import WorldError, short

TEXTS_MAX: Final = 1 << 20
"""The most different texts in one world."""
TEXT_BYTES_MAX: Final = 16_384
"""The most bytes of one text in UTF-8."""
TEXTS_BYTES_MAX: Final = 256 * 1024 * 1024
"""The most bytes of all texts of one world."""


class Texts:
    """A world's table of texts, each stored once. Only the texts that columns hold are state.

    >>> texts = Texts()
    >>> texts.intern("the bread is dear"), texts.intern(""), texts.intern("the bread is dear")
    (1, 0, 1)
    >>> texts.text(1)
    'the bread is dear'
    """

    def __init__(self) -> None:
        self._texts = [""]
        self._places = {"": 0}
        self._bytes = 0
        self._order: NDArray[np.intp] = np.zeros(1, np.intp)

    def __len__(self) -> int:
        """Return the number of texts, including the empty one."""
        return len(self._texts)

    def intern(self, text: str) -> int:
        """Return a text's place in the table, and add it if it is new.

        Raises:
            WorldError: it is not text or not valid Unicode, it is too long, or the table is full.
        """
        place = self._places.get(text)
        return self._add(text) if place is None else place

    def _add(self, text: str) -> int:
        try:
            size = len(text.encode())
        except AttributeError as error:
            raise WorldError(f"{short(text)} is not a text") from error
        except UnicodeEncodeError as error:
            raise WorldError(f"the text {text[:40]!r} holds half a surrogate pair, which UTF-8 cannot hold") from error
        if size > TEXT_BYTES_MAX:
            raise WorldError(f"a text of {size} bytes ({text[:40]!r}...) is longer than {TEXT_BYTES_MAX} bytes")
        if len(self._texts) > TEXTS_MAX:
            raise WorldError(f"a world holds at most {TEXTS_MAX} different texts")
        if self._bytes + size > TEXTS_BYTES_MAX:
            raise WorldError(f"the texts of a world hold at most {TEXTS_BYTES_MAX} bytes together")
        place = self._places[text] = len(self._texts)
        self._texts.append(text)
        self._bytes += size
        return place

    @property
    def all(self) -> tuple[str, ...]:
        """The texts by their places; the first one is empty."""
        return tuple(self._texts)

    def text(self, place: int) -> str:
        """Return the text at a place.

        Raises:
            WorldError: there is none.
        """
        if not 0 <= place < len(self._texts):
            raise WorldError(f"there is no text {place}; the table holds {len(self._texts)}")
        return self._texts[place]

    def places(self, values: Any, limit: int | None, label: str) -> NDArray[np.int32]:
        """Return given texts as places: `[]` or `[count]`, and with a limit `[limit]` or `[limit, count]`.

        Args:
            values: a text or a sequence of them; with a limit a sequence of texts, or a sequence of such sequences.
            limit: the most texts that one agent may have.
            label: the name of the column in errors.

        Raises:
            WorldError: the values are not texts, or there are too many for one agent.
        """
        try:
            if limit is None:
                return np.array(
                    self.intern(values) if isinstance(values, str) else [self.intern(v) for v in values], np.int32
                )
            if isinstance(values, str):
                raise WorldError(f"{short(values)} is one text; give a tuple of texts")
            if any(not isinstance(each, str) for each in values):
                return np.stack([self.places(each, limit, label) for each in values], axis=-1)
            if len(values) > limit or not all(values):
                raise WorldError(f"{len(values)} texts are more than {limit}, or one is empty")
            found = np.zeros(limit, np.int32)
            found[: len(values)] = [self.intern(each) for each in values]
        except TypeError as error:
            raise WorldError(f"{label}: {short(values)} are not texts") from error
        except WorldError as error:
            raise WorldError(f"{label}: {error}") from error
        return found

    def canonical(self, places: NDArray[np.int32]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return places in a form that depends on the texts alone: numbers from 1 on, and the texts they stand for."""
        used = np.zeros(len(self._texts), np.bool_)
        used[places] = True
        used[0] = False
        if self._order.size != used.size:
            self._order = np.array(sorted(range(used.size), key=self._texts.__getitem__), np.intp)
        listed = self._order[used[self._order]]
        numbers = np.zeros(used.size, np.int32)
        numbers[listed] = np.arange(1, listed.size + 1)
        # A single place would give a number instead of an array.
        return np.asarray(numbers[places]), tuple(self._texts[place] for place in listed.tolist())

    def localised(self, numbers: NDArray[Any], texts: Sequence[str]) -> NDArray[np.int32]:
        """Return numbers and texts that `canonical` returned, in this or another world, as places of this table.

        Raises:
            WorldError: as `intern`.
        """
        places = np.array([0, *(self.intern(text) for text in texts)], np.int32)
        return np.asarray(places[numbers])


def remember(memory: NDArray[np.int32], rows: NDArray[np.intp], places: NDArray[np.int32]) -> None:
    """Add texts after those that rows hold; a full row drops its first text.

    Args:
        memory: a column of texts, `[limit, n]`, each row's texts from place 0 on, the newest last.
        rows: `[added]`, rows that may repeat; their texts are added in this order.
        places: `[added]`, places in the table; the empty text adds nothing.
    """
    rows, places = rows[places != 0], places[places != 0]
    order = np.argsort(rows, kind="stable")
    rows, places = rows[order], places[order]
    turn = np.arange(rows.size) - np.searchsorted(rows, rows)
    for number in range(int(turn.max(initial=-1)) + 1):
        now, what = rows[turn == number], places[turn == number]
        held = memory[:, now]
        count = np.count_nonzero(held, axis=0)
        full = count == len(memory)
        held[:-1, full] = held[1:, full]
        held[np.where(full, count - 1, count), np.arange(now.size)] = what
        memory[:, now] = held
