"""Leaves: the fields of an observation that hold one value, each with its columns.

A leaf works on flat columns, one place a value, and knows nothing of lists: the entries of all lists of a batch are one
flat run of values. To add a type of field, write its leaf here and make `layout` choose it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ai.errors import ContractError
from ai.observation.facts import Cell, Fact, Id

Array = NDArray[Any]
Bools = NDArray[np.bool_]

TEXT_CHARS_MAX: Final = 4000
"""Characters that one text of an observation may have."""
MEMBERS_MAX: Final = 31
"""Members of an enumeration that fit the bits of one column."""
NEVER_ABSENT: Final = 0
"""The value in unused places of a column whose values are never absent."""


@dataclass(frozen=True, slots=True)
class Column:
    """One stored array: its path, its type, and the value of unused places.

    `list` is the list whose places are its second dimension, `table` the table whose names are its last.
    """

    path: str
    dtype: np.dtype[Any]
    absent: int
    list: str = ""
    table: str = ""


class Tables(Protocol):
    """The parts of a batch that leaves need: its texts, tables and shared values, and how long a tick is."""

    texts: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]
    shared: Mapping[str, tuple[Any, ...]]
    ticks_per_second: int


@dataclass(slots=True)
class Interning:
    """The tables that grow while objects become columns: texts and shared values, each once."""

    places: Mapping[str, Mapping[str, int]]
    ticks_per_second: int
    texts: dict[str, int] = field(default_factory=dict)
    shared: dict[str, dict[Any, int]] = field(default_factory=dict)


class Leaf:
    """A field of one value: `columns` are its arrays, `encode` and `decode` go from values to them and back.

    `whole` is the type of an array, one place a value, that is its column as it stands; None where there is not one.
    """

    wide = False
    """Whether its column has a dimension for the names of a table."""

    def __init__(self, path: str, said: Fact, kind: Any, *, optional: bool, listed: str = "", plain: bool = False):
        self.path, self.fact, self.kind, self.optional, self.plain = path, said, kind, optional, plain
        self.name = path.rpartition(".")[2]
        table = said.table if self.wide else ""
        self.columns = tuple(
            Column(path + suffix, np.dtype(dtype), absent, listed, table) for suffix, dtype, absent in self.stored()
        )
        self.whole = self.columns[0].dtype if len(self.columns) == 1 and not self.wide else None

    def stored(self) -> list[tuple[str, str, int]]:
        """Return suffix, type and absent value of each column."""
        raise NotImplementedError

    def encode(self, values: list[Any], within: Interning) -> list[Array]:
        """Return the columns of some values.

        Raises:
            ContractError: a value does not fit; the message has the path.
        """
        raise NotImplementedError

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Return the values of some columns."""
        raise NotImplementedError

    def there(self, arrays: Sequence[Array]) -> Bools | None:
        """Return where there is a value, None for everywhere."""
        return arrays[0] != self.columns[0].absent if self.optional else None

    def shown(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Return the form of each value in text."""
        return self.decode(arrays, batch)

    def stored_default(self, ticks_per_second: int = 1) -> list[Any]:
        """Return the value that each column holds for an agent whose field was not given.

        Raises:
            ContractError: the default cannot be stored.
        """
        value = self.fact.default
        if value is ... or value is None or value == "" or value == () or value == {}:
            return [column.absent for column in self.columns]
        return [array[0] for array in self.encode([value], Interning({}, ticks_per_second))]

    def declared(self) -> dict[str, Any]:
        """Return the data that a recording needs to read the columns, as plain data."""
        columns = [{"name": c.path, "dtype": c.dtype.str.lstrip("<>|="), "absent": c.absent} for c in self.columns]
        found: dict[str, Any] = {"kind": type(self).__name__.lower(), "columns": columns, "optional": self.optional}
        if self.columns[0].list:
            found["list"] = self.columns[0].list
        return found

    def fails(self, why: str) -> ContractError:
        """Return the error for a value that does not fit."""
        return ContractError(f"{self.path}: {why}")


class Number(Leaf):
    """A whole number, a truth value, or a number in whole steps of its unit."""

    def __init__(self, path: str, said: Fact, kind: Any, *, optional: bool, listed: str = "", plain: bool = False):
        super().__init__(path, said, kind, optional=optional, listed=listed, plain=plain)
        bounds = np.iinfo(self.columns[0].dtype) if self.columns[0].dtype.kind == "i" else None
        self._low = 0 if bounds is None else int(bounds.min) + (1 if optional else 0)
        self._high = 1 if bounds is None else int(bounds.max)

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column; an absent number is the least of its type."""
        if self.kind is bool and not self.optional:
            return [("", "?", 0)]
        dtype = "i1" if self.kind is bool else self.fact.dtype
        return [("", dtype, int(np.iinfo(dtype).min) if self.optional else NEVER_ABSENT)]

    def scale(self, batch: Any) -> int:
        """Return the stored steps in one unit."""
        return batch.ticks_per_second if self.fact.ticks else self.fact.scale or 1

    def encode(self, values: list[Any], within: Interning) -> list[Array]:
        """Round to whole steps, halves away from zero, ticks up."""
        there = None
        if None in values:
            there = np.array([value is not None for value in values], np.bool_)
            values = [0 if value is None else value for value in values]
        if self.kind is float:
            stored = self.quantised(np.array(values, np.float64), within)
        else:
            try:
                stored = self.fitted(np.array(values, np.int64))
            except OverflowError:
                raise self.fails(f"a value does not fit {self.columns[0].dtype}") from None
        return [
            stored if there is None else np.where(there, stored, self.columns[0].dtype.type(self.columns[0].absent))
        ]

    def quantised(self, values: Array, batch: Any) -> Array:
        """Return numbers in their unit as whole steps; NaN is absent.

        Raises:
            ContractError: one is not finite, or too large for the column.
        """
        scale = self.scale(batch)
        steps = values.astype(np.float64) * scale
        absent = np.isnan(steps)
        if absent.any() and not self.optional:
            raise self.fails("NaN stands for nothing, and this field must have a value; declare it `float | None`")
        steps[absent] = 0
        if self.fact.ticks:
            near = np.rint(steps)
            steps = np.where(np.abs(steps - near) <= 1e-9 * np.maximum(np.abs(steps), 1), near, np.ceil(steps))
        else:
            steps = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
        if len(steps) and (steps.min() < self._low or steps.max() > self._high):
            raise self.fails(f"a value does not fit {self.columns[0].dtype} with {scale} steps a unit")
        stored = steps.astype(self.columns[0].dtype)
        if self.optional:
            stored[absent] = self.columns[0].absent
        return stored

    def fitted(self, values: Array) -> Array:
        """Return whole numbers in the column's type.

        Raises:
            ContractError: one does not fit.
        """
        if values.size and (values.min() < self._low or values.max() > self._high):
            raise self.fails(f"a value does not fit {self.columns[0].dtype}")
        return values.astype(self.columns[0].dtype)

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Return numbers in their unit."""
        absent, scale = self.columns[0].absent, self.scale(batch)
        values = arrays[0].tolist()
        if self.kind is float:
            return [None if self.optional and value == absent else value / scale for value in values]
        if self.optional:
            make = bool if self.kind is bool else int
            return [None if value == absent else make(value) for value in values]
        return list(values)

    def shown(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Show seconds as whole ones, rounded up, and steps without trailing zeros."""
        if self.fact.ticks:
            return (-(-arrays[0] // batch.ticks_per_second)).tolist()  # type: ignore[no-any-return] # numpy says Any
        if self.scale(batch) == 1:
            return list(arrays[0].tolist())
        return [f"{value / self.scale(batch):.10g}" for value in arrays[0].tolist()]

    def declared(self) -> dict[str, Any]:
        """Add how steps stand to units."""
        more: dict[str, Any] = {"ticks": True} if self.fact.ticks else {"scale": self.fact.scale or 1}
        return {**super().declared(), "type": self.kind.__name__, **more}


class Key(Leaf):
    """An id: `kind` is the space it belongs to."""

    @property
    def space(self) -> str:
        """Whose id it is."""
        marked: Id = self.kind
        return marked.space

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column; -1 is not an id."""
        return [("", "i8", -1)]

    def encode(self, values: list[Any], within: Interning) -> list[Array]:  # noqa: ARG002
        """Take ids as they are."""
        try:
            keys = np.array([-1 if value is None else value for value in values], np.int64)
        except OverflowError:
            raise self.fails("an id is a whole number from 0 to 2**63 - 1") from None
        wrong = [value for value in values if value is not None and value < 0] if (keys < 0).any() else []
        if wrong:
            raise self.fails(f"an id is a whole number from 0 to 2**63 - 1, not {wrong[0]}")
        return [keys]

    def there(self, arrays: Sequence[Array]) -> Bools | None:
        """Return where there is an id."""
        found: Bools = arrays[0] >= 0
        return found

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:  # noqa: ARG002
        """Return ids, None for none."""
        return [None if self.optional and key < 0 else key for key in arrays[0].tolist()]

    def declared(self) -> dict[str, Any]:
        """Add the space."""
        return {**super().declared(), "space": self.space}


class Choice(Leaf):
    """A member of an enumeration, stored as its position."""

    def __init__(self, path: str, said: Fact, kind: type[StrEnum], *, optional: bool, listed: str = ""):
        self.members = tuple(str(member) for member in kind)
        self.place = {member: place for place, member in enumerate(self.members)}
        super().__init__(path, said, kind, optional=optional, listed=listed)

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column; -1 is not a member."""
        return [("", "i4", -1 if self.optional else NEVER_ABSENT)]

    def encode(self, values: list[Any], within: Interning) -> list[Array]:  # noqa: ARG002
        """Look positions up."""
        return [np.array([-1 if value is None else self.place[value] for value in values], np.int32)]

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:  # noqa: ARG002
        """Return members."""
        members = [*self.kind, None]
        return [members[place] for place in arrays[0].tolist()]

    def shown(self, arrays: list[Array], batch: Tables) -> list[Any]:  # noqa: ARG002
        """Show the members' texts."""
        members = [*self.members, ""]
        return [members[place] for place in arrays[0].tolist()]

    def declared(self) -> dict[str, Any]:
        """Add the members."""
        return {**super().declared(), "members": list(self.members)}


class Flags(Choice):
    """Some members of an enumeration, stored as bits."""

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column; no bit is not a member."""
        return [("", "i4", 0)]

    def encode(self, values: list[Any], within: Interning) -> list[Array]:  # noqa: ARG002
        """Set a bit for each member."""
        if not any(values):
            return [np.zeros(len(values), np.int32)]
        return [np.array([sum(1 << self.place[m] for m in set(value)) if value else 0 for value in values], np.int32)]

    def there(self, arrays: Sequence[Array]) -> Bools | None:
        """Return where there is any member."""
        found: Bools = arrays[0] != 0
        return found

    def _of(self, bits: Array, members: Sequence[Any]) -> list[tuple[Any, ...]]:
        each = bits.tolist()
        known = {b: tuple(m for place, m in enumerate(members) if b >> place & 1) for b in set(each)}
        return [known[b] for b in each]

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:  # noqa: ARG002
        """Return members in the order of the enumeration."""
        return self._of(arrays[0], list(self.kind))

    def shown(self, arrays: list[Array], batch: Tables) -> list[Any]:  # noqa: ARG002
        """Show the members' texts."""
        return [" ".join(members) for members in self._of(arrays[0], self.members)]


class Place(Leaf):
    """A cell, stored as x and y."""

    def stored(self) -> list[tuple[str, str, int]]:
        """Return two columns; the least number is not a cell, as cells may be negative."""
        absent = -(2**31) if self.optional else NEVER_ABSENT
        return [(".x", "i4", absent), (".y", "i4", absent)]

    def encode(self, values: list[Any], within: Interning) -> list[Array]:  # noqa: ARG002
        """Take coordinates as they are; `Cell` holds none that does not fit."""
        absent = self.columns[0].absent
        return [
            np.array([absent if value is None else getattr(value, axis) for value in values], np.int32) for axis in "xy"
        ]

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:  # noqa: ARG002
        """Return cells."""
        absent, make = self.columns[0].absent if self.optional else None, Cell.model_construct
        pairs = zip(arrays[0].tolist(), arrays[1].tolist(), strict=True)
        return [None if x == absent else make(x=x, y=y) for x, y in pairs]

    def shown(self, arrays: list[Array], batch: Tables) -> list[Any]:  # noqa: ARG002
        """Show `x,y`."""
        return [f"{x},{y}" for x, y in zip(arrays[0].tolist(), arrays[1].tolist(), strict=True)]


class Text(Leaf):
    """A text, stored as its position among the batch's texts; an empty one is none, except in a list."""

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column; -1 is not text."""
        return [("", "i4", -1)]

    def encode(self, values: list[Any], within: Interning) -> list[Array]:
        """Intern texts."""
        known = within.texts
        longest = max((len(value) for value in values if value), default=0)
        if longest > TEXT_CHARS_MAX:
            raise self.fails(f"a text has {longest} characters; at most {TEXT_CHARS_MAX} are kept")
        places = [
            known.setdefault(value, len(known)) if value or (self.plain and value == "") else -1 for value in values
        ]
        return [np.array(places, np.int32)]

    def there(self, arrays: Sequence[Array]) -> Bools | None:
        """Return where there is a text."""
        found: Bools = arrays[0] >= 0
        return found

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Look texts up."""
        texts = (*batch.texts, None if self.optional else "")
        return [texts[place] for place in arrays[0].tolist()]


class Name(Leaf):
    """A name, stored as its position in a table."""

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column; -1 is not a name."""
        return [("", "i4", -1 if self.optional or self.plain else NEVER_ABSENT)]

    def names(self, values: list[Any]) -> Iterable[str]:
        """Return the names that some values have."""
        return (value for value in values if value is not None)

    def encode(self, values: list[Any], within: Interning) -> list[Array]:
        """Look positions up."""
        places, absent = within.places[self.fact.table], self.columns[0].absent
        try:
            return [np.array([absent if value is None else places[value] for value in values], np.int32)]
        except KeyError as error:
            raise self.unknown(error.args[0], places) from None

    def unknown(self, name: str, places: Iterable[str]) -> ContractError:
        """Return the error for a name that no table has."""
        return self.fails(f"no {self.fact.table} named {name!r}; known: {', '.join(places) or 'none'}")

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Look names up."""
        names = (*batch.tables.get(self.fact.table, ()), None)
        return [names[place] for place in arrays[0].tolist()]

    def stored_default(self, ticks_per_second: int = 1) -> list[Any]:
        """Refuse a named default: its position differs from table to table."""
        if isinstance(self.fact.default, str) and self.fact.default:
            raise self.fails(f"it was not given, and the position of its default {self.fact.default!r} is not known")
        return super().stored_default(ticks_per_second)

    def declared(self) -> dict[str, Any]:
        """Add the table."""
        return {**super().declared(), "table": self.fact.table}


class Counts(Number, Name):
    """A number for each name of a table, `[n, T]`."""

    wide = True

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column of the number's type."""
        return [("", self.fact.dtype, NEVER_ABSENT)]

    def names(self, values: list[Any]) -> Iterable[str]:
        """Return the names that some values have."""
        return chain.from_iterable(value for value in values if value)

    def encode(self, values: list[Any], within: Interning) -> list[Array]:
        """Write numbers at the places of their names."""
        places = within.places[self.fact.table]
        found = np.zeros((len(values), len(places)), self.columns[0].dtype)
        having = [(row, name, count) for row, value in enumerate(values) if value for name, count in value.items()]
        if having:
            rows, names, counts = zip(*having, strict=True)
            try:
                at = [places[name] for name in names]
            except KeyError as error:
                raise self.unknown(error.args[0], places) from None
            found[rows, at] = super().encode(list(counts), within)[0]
        return [found]

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Return dictionaries without zeros."""
        names, scale = batch.tables.get(self.fact.table, ()), self.scale(batch)
        whole = self.kind is not float
        return [
            {name: value if whole else value / scale for name, value in zip(names, row, strict=True) if value}
            for row in arrays[0].tolist()
        ]

    def stored_default(self, ticks_per_second: int = 1) -> list[Any]:  # noqa: ARG002 - the same at any pace
        """Begin with zeros."""
        if self.fact.default not in (..., {}, None):
            raise self.fails("a table that is not given is empty; its default must be {}")
        return [0]


class Shared(Leaf):
    """Any value that many agents have alike, stored as its position among the batch's distinct ones."""

    def stored(self) -> list[tuple[str, str, int]]:
        """Return one column; -1 is not a value."""
        return [("", "i4", -1 if self.optional else NEVER_ABSENT)]

    def encode(self, values: list[Any], within: Interning) -> list[Array]:
        """Number distinct values."""
        known = within.shared.setdefault(self.path, {})
        try:
            return [np.array([-1 if v is None else known.setdefault(v, len(known)) for v in values], np.int32)]
        except TypeError:
            raise self.fails("a shared value must be hashable: use a frozen model, a tuple or a text") from None

    def decode(self, arrays: list[Array], batch: Tables) -> list[Any]:
        """Look values up."""
        values = (*batch.shared.get(self.path, ()), None)
        return [values[place] for place in arrays[0].tolist()]

    def stored_default(self, ticks_per_second: int = 1) -> list[Any]:  # noqa: ARG002 - the same at any pace
        """Leave the value out, or refuse: a batch keeps its shared values itself."""
        if self.fact.default is None:
            return [-1]
        if self.fact.default == ():
            return [0]
        raise self.fails("it was not given; a batch needs the shared value")
