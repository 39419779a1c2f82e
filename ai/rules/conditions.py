"""Conditions: texts over the declared fields of an observation, evaluated for all agents at once, `[n] bool`.

    mood < 30                     a number, compared in its unit: < <= == != >= >
    energy < 30% of energy_max    a number, compared with a share of another
    stock.bread >= 1              a number of a table
    weather == rain               a member, or a name of a table
    people >= 3                   the number of entries of a list, including those that were cut
    bushes.berries > 0            a field of any entry of a list
    bushes within 5               a cell, an entry or any entry within a straight-line distance, in cells
    places 'old mill' within 5    a named value with a cell, of a shared tuple
    marks has hurt                a member among several
    heard contains 'fire'         a text, or any text of a list, regardless of case
    debt_to                       the field has a value; a number or boolean is not 0
    after 30                      the run has lasted at least 30 seconds
    one in 3, one in 3 from 1     one of every 3 agents, chosen by id
    always

`no` before a part negates it. A field without a value meets only negated parts. `and` joins parts. Parts about one list
refer to the same entry, as in `bushes within 5 and bushes.berries > 0`; a part with `no` is tested separately. The name
of a domain's named condition can be used as a part.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from ai.errors import ContractError
from ai.observation import (
    Array,
    Bools,
    Choice,
    Counts,
    Flags,
    Group,
    Key,
    Layout,
    Leaf,
    Name,
    Number,
    ObservationBatch,
    Place,
    Shared,
    Text,
    any_place,
    places_held,
)
from ai.rules.parts import Part, parts_of

Batch = ObservationBatch[Any]
Test = Callable[[Batch], Bools]
"""A mask of the agents, `[n]`, or entries, `[n, width]`, for which something holds."""
Facts = Mapping[str, "str | Test"]
"""Named conditions: a text, or a function of the batch."""

FAR: Final = 2**30
"""The distance along an axis from which on all cells count as equally far."""

_OPS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Condition:
    """A condition as written: parts that must all hold."""

    text: str
    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition.

        Raises:
            ContractError: it cannot be read; the message has the text and the reason.
        """
        return cls(text, parts_of(text))

    def test(self, layout: Layout, facts: Facts | None = None) -> Test:
        """Return the function that tests for which agents it holds, `[n]`.

        Raises:
            ContractError: it names a field that is not declared, or that cannot be tested in this form.
        """
        return _Reading(layout, facts or {}, self.text).of_agents(self.parts)

    def holds(self, batch: Batch, facts: Facts | None = None) -> Bools:
        """Return for which agents of a batch it holds, `[n]`."""
        return self.test(batch.layout, facts)(batch)


def fact_test(name: str, facts: Facts, layout: Layout) -> Test:
    """Return the function that tests for which agents a named condition holds, `[n]`.

    In its own text, a name refers to the field of that name, so names never form a cycle.

    Raises:
        ContractError: as `Condition.test`.
    """
    fact = facts[name]
    if callable(fact):
        return fact
    return Condition.parse(fact).test(layout, {other: facts[other] for other in facts if other != name})


def entries_test(text: str, layout: Layout, group: Group, facts: Facts | None = None) -> Test:
    """Return the function that tests for which entries of a list a condition holds, `[n, width]`.

    Fields may be written without the list's name.

    Raises:
        ContractError: as `Condition.test`, or a part is about another list.
    """
    return _Reading(layout, facts or {}, text, group).of_entries(Condition.parse(text).parts)


# -- testing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """The test of one part, for a list's entries (`list` is its path) or for agents; `near` tests only the first."""

    list: str
    test: Test
    near: Test | None = None


class _Reading:
    """Converts parts to tests for one layout."""

    def __init__(self, layout: Layout, facts: Facts, text: str, group: Group | None = None) -> None:
        self.layout, self.facts, self.text, self.group = layout, facts, text, group

    def wrong(self, why: str) -> ContractError:
        return ContractError(f"condition {self.text!r}: {why}")

    def of_agents(self, parts: Sequence[Part]) -> Test:
        """Return a test for which agents all parts hold; parts about one list refer to the same entry."""
        tests: list[Test] = []
        by_list: dict[str, list[_Found]] = {}
        for part in parts:
            found = self.part(part)
            if part.negated:
                tests.append(negated(_any([found]) if found.list else found.test))
            elif found.list:
                by_list.setdefault(found.list, []).append(found)
            else:
                tests.append(found.test)
        return all_of([*tests, *map(_any, by_list.values())])

    def of_entries(self, parts: Sequence[Part]) -> Test:
        """Return a test for which entries of the list all parts hold."""
        assert self.group is not None
        path, tests = self.group.path, []
        for part in parts:
            found = self.part(part)
            if found.list not in ("", path):
                raise self.wrong(f"it is about {path!r} and cannot test {found.list!r}")
            test = found.test if found.list else _column(found.test)
            tests.append(negated(test) if part.negated else test)
        return all_of(tests)

    # -- one part --------------------------------------------------------------------------------------------------

    def part(self, part: Part) -> _Found:
        """Return the test of one part, without its `no`."""
        match part.tail:
            case "always":
                return _Found("", lambda batch: np.ones(len(batch), np.bool_))
            case "after":
                return self.after(part)
            case "one in":
                return self.one_in(part)
        if not part.tail and part.field in self.facts:
            return _Found("", fact_test(part.field, self.facts, self.layout))
        path, table_name = self.path(part.field)
        leaf, group = self.layout.leaves.get(path), self.layout.groups.get(path)
        if part.tail == "within":
            return self.within(part, path)
        if group is not None and (not part.tail or (part.tail in _OPS and isinstance(part.value, Decimal))):
            return self.group_part(part, group)
        if leaf is None:
            raise self.wrong(f"{part.field!r} has fields of its own; name one of them")
        return self.leaf_part(part, leaf, table_name)

    def path(self, written: str, *, own_first: bool = False) -> tuple[str, str]:
        """Return the path of a field as written, and the name in a table that follows it.

        For the entries of a list, a name is looked up first in the entry, or in the agent if `own_first`.
        """
        layout = self.layout
        paths = [written] if self.group is None else [f"{self.group.path}.{written}", written]
        for path in reversed(paths) if own_first else paths:
            if path in layout.leaves or path in layout.groups:
                return path, ""
            table, _, name = path.rpartition(".")
            if isinstance(layout.leaves.get(table), Counts):
                return table, name
        if " " in written or written in self.facts:
            raise self.wrong(f"there is no condition named {written!r}; known: {', '.join(self.facts) or 'none'}")
        raise self.wrong(layout.unknown(written))

    def after(self, part: Part) -> _Found:
        assert isinstance(part.value, Decimal)
        seconds = part.value
        if seconds < 0:
            raise self.wrong("seconds are not negative")
        return _Found("", lambda batch: np.full(len(batch), batch.tick >= seconds * batch.ticks_per_second, np.bool_))

    def one_in(self, part: Part) -> _Found:
        assert isinstance(part.value, Decimal)
        count, offset = int(part.value), part.offset
        if not 1 <= count <= 1_000_000 or part.value != count:
            raise self.wrong("'one in' needs a whole number from 1 to 1,000,000")
        return _Found("", lambda batch: batch.keys % count == offset % count)

    def owned(self, path: str) -> tuple[str, list[Test]]:
        """Return the list that a field is in, and the tests whether its owners exist."""
        tests: list[Test] = []
        inside = ""
        owner = path.rpartition(".")[0]
        while owner:
            group = self.layout.groups.get(owner)
            if group is not None and group.marker:
                tests.append(_there(group))
                inside = owner if group.limit else inside
            owner = owner.rpartition(".")[0]
        group = self.layout.groups.get(path)
        if group is not None and group.limit:
            tests.append(_there(group))
            inside = path
        return inside, tests

    def group_part(self, part: Part, group: Group) -> _Found:
        """Test whether an entry exists, or count a list."""
        if not part.tail:
            inside, tests = self.owned(group.path)
            if not group.limit and group.marker:
                tests = [*tests, _there(group)]
            if not tests:
                raise self.wrong(f"{group.path!r} always exists")
            # Entries fill a list from its first place on.
            return _Found(inside, all_of(tests), _there_at(group, 0) if inside == group.path else None)
        if not group.limit or not isinstance(part.value, Decimal):
            raise self.wrong(f"{group.path!r} can be counted only if it is a list, with a number")
        compare, value, path = _OPS[part.tail], _plain(part.value), f"{group.path}.more"
        enough = None
        if part.value > 0 and part.value == int(part.value) and part.tail in (">=", ">"):
            enough = _there_at(group, int(part.value) - (part.tail == ">="))

        def count(batch: Batch) -> Bools:
            if enough is not None and not np.count_nonzero(batch.column(path)):
                return enough(batch)  # places are filled from the first on
            found: Bools = compare(entry_count(batch, group), value)
            return found

        return _Found("", count)

    def within(self, part: Part, path: str) -> _Found:
        """Test the distance to a cell, an entry or a named place."""
        assert isinstance(part.value, Decimal)
        if part.value < 0:
            raise self.wrong("a distance is not negative")
        if self.layout.place is None:
            raise self.wrong(f"{self.layout.name} has no place to measure from: a Cell named pos")
        most, own = int(part.value * part.value), self.layout.place
        leaf, group = self.layout.leaves.get(path), self.layout.groups.get(path)
        if part.named:
            if not isinstance(leaf, Shared):
                raise self.wrong(f"{path!r} has no named places; it must be a shared tuple of values with a cell")
            return _Found("", lambda batch: _near(batch, own, *named_place(batch, leaf, part.named), most))
        place = leaf if isinstance(leaf, Place) else None if group is None else group.place
        if place is None:
            raise self.wrong(f"{path!r} has no cell, so nothing is within any distance of it")
        inside, tests = self.owned(place.path)
        if place.optional:
            tests.append(_has_value(place))
        x, y = (column.path for column in place.columns)
        within: Test = lambda batch: _near(batch, own, batch.column(x), batch.column(y), most)  # noqa: E731
        near: Test | None = None
        if inside and self.layout.groups[inside].fact.nearest:
            there = _there_at(self.layout.groups[inside], 0)

            def first(batch: Batch) -> Bools:
                # The list is sorted by distance: either its first entry is within, or none is.
                if not batch.width(inside):
                    return np.zeros(len(batch), np.bool_)
                found: Bools = there(batch) & _near(batch, own, batch.column(x)[:, 0], batch.column(y)[:, 0], most)
                return found

            near = first
        return _Found(inside, all_of([*tests, within]), near)

    def leaf_part(self, part: Part, leaf: Leaf, table_name: str) -> _Found:
        """Test a field of one value."""
        inside, tests = self.owned(leaf.path)
        tests = [*tests, self.value_test(part, leaf, table_name)]
        if (leaf.optional or isinstance(leaf, Key | Text)) and not isinstance(leaf, Flags):
            tests.insert(-1, _has_value(leaf))
        return _Found(inside, all_of(tests))

    def value_test(self, part: Part, leaf: Leaf, table_name: str) -> Test:
        path = leaf.path
        if isinstance(leaf, Counts) and not table_name:
            raise self.wrong(f"{path!r} is a table; name one of its {leaf.fact.table}, as in {path}.NAME")
        match part.tail:
            case "":
                if isinstance(leaf, Number | Flags) and not leaf.optional:
                    return lambda batch: number_of(batch, leaf, table_name) != 0
                if not leaf.optional and not isinstance(leaf, Key | Text):
                    raise self.wrong(f"{path!r} always has a value")
                return _has_value(leaf)
            case "has":
                return self.has(part, leaf)
            case "contains":
                if not isinstance(leaf, Text):
                    raise self.wrong(f"{path!r} is not text, so it contains none")
                wanted = str(part.value).casefold()
                return lambda batch: _hits(batch, wanted)[batch.column(path)]
        return self.compare(part, leaf, table_name)

    def has(self, part: Part, leaf: Leaf) -> Test:
        if isinstance(leaf, Flags):
            bit = leaf.place.get(str(part.value))
            if bit is None:
                raise self.wrong(f"{leaf.path!r} has no member {part.value!r}; known: {', '.join(leaf.members)}")
            return lambda batch: (batch.column(leaf.path) >> bit) & 1 > 0
        if isinstance(leaf, Name):
            return self.compare(Part(part.field, "==", part.value), leaf, "")
        raise self.wrong(f"{leaf.path!r} is one value and has no members; compare it")

    def compare(self, part: Part, leaf: Leaf, table_name: str) -> Test:
        compare, value = _OPS[part.tail], part.value
        if isinstance(leaf, Choice) and not isinstance(leaf, Flags):
            place = leaf.place.get(str(value))
            if place is None or part.of:
                raise self.wrong(f"{leaf.path!r} has no member {value!r}; known: {', '.join(leaf.members)}")
            return lambda batch: compare(batch.column(leaf.path), place)
        if isinstance(leaf, Name) and not isinstance(leaf, Counts):
            if part.tail not in ("==", "!=") or not isinstance(value, str):
                raise self.wrong(f"{leaf.path!r} is a name; compare it with == or != and a name")
            return lambda batch: compare(batch.column(leaf.path), _position(batch, leaf, value))
        if not isinstance(leaf, Number | Key):
            raise self.wrong(f"{leaf.path!r} cannot be compared with {part.tail}")
        if isinstance(value, Decimal):
            return self.compare_number(compare, value, leaf, table_name)
        if isinstance(leaf, Number) and leaf.kind is bool and value in ("true", "false"):
            return lambda batch: compare(batch.column(leaf.path), value == "true")
        return self.compare_field(part, compare, leaf, table_name)

    def compare_number(self, compare: Callable[[Any, Any], Any], value: Decimal, leaf: Leaf, table_name: str) -> Test:
        if isinstance(leaf, Number) and leaf.fact.ticks:
            return lambda batch: compare(number_of(batch, leaf, table_name), _plain(value * batch.ticks_per_second))
        scaled = _plain(value * (leaf.scale(None) if isinstance(leaf, Number) else 1))
        return lambda batch: compare(number_of(batch, leaf, table_name), scaled)

    def compare_field(self, part: Part, compare: Callable[[Any, Any], Any], leaf: Leaf, table_name: str) -> Test:
        """Compare with another number or id."""
        other_path, other_name = self.path(part.of or str(part.value), own_first=True)
        other, percent = self.layout.leaves.get(other_path), part.percent
        if not isinstance(other, Number | Key) or isinstance(other, Key) != isinstance(leaf, Key):
            raise self.wrong(f"{leaf.path!r} cannot be compared with {other_path!r}")
        if isinstance(leaf, Key) and isinstance(other, Key) and leaf.space != other.space:
            raise self.wrong(f"{leaf.path!r} has ids of {leaf.space}, {other_path!r} of {other.space}")
        if isinstance(leaf, Number) and isinstance(other, Number) and leaf.fact.ticks != other.fact.ticks:
            raise self.wrong(f"only one of {leaf.path!r} and {other_path!r} is in ticks")
        inside, around = self.owned(other_path)
        if inside and inside != self.owned(leaf.path)[0]:
            raise self.wrong(f"{other_path!r} is a field of another list")
        if other.optional or isinstance(other, Key):
            around = [*around, _has_value(other)]
        mine, theirs = (
            one.scale(None) if isinstance(one, Number) and not one.fact.ticks else 1 for one in (leaf, other)
        )
        listed = bool(leaf.columns[0].list)

        def test(batch: Batch) -> Bools:
            left, right = number_of(batch, leaf, table_name), number_of(batch, other, other_name)
            if listed and right.ndim == 1:
                right = right[:, None]
            held: Bools = compare(left.astype(np.int64) * (100 * theirs), right.astype(np.int64) * (percent * mine))
            for there in around:
                known = there(batch)
                held = held & (known[:, None] if listed and known.ndim == 1 else known)
            return held

        return test


# -- small tests -------------------------------------------------------------------------------------------------------


def all_of(tests: Sequence[Test]) -> Test:
    """Return a test whether all of one or more tests hold; it stops at the first that leaves none."""
    if len(tests) == 1:
        return tests[0]
    first, *rest = tests

    def test(batch: Batch) -> Bools:
        held = first(batch)
        for other in rest:
            if not np.count_nonzero(held):
                break
            held = held & other(batch)
        return held

    return test


def _any(parts: Sequence[_Found]) -> Test:
    """Return a test for which agents any entry meets all parts about a list."""
    if len(parts) == 1 and parts[0].near is not None:
        return parts[0].near
    entries = all_of([part.test for part in parts])

    def test(batch: Batch) -> Bools:
        return any_place(entries(batch))

    return test


def negated(test: Test) -> Test:
    """Return a test whether another one does not hold."""
    return lambda batch: ~test(batch)


def _column(test: Test) -> Test:
    return lambda batch: test(batch)[:, None]


def _there(group: Group) -> Test:
    def test(batch: Batch) -> Bools:
        there = batch.there(group)
        assert there is not None
        return there

    return test


def _there_at(group: Group, place: int) -> Test:
    """Return a test for which agents a list has an entry at a place."""

    def test(batch: Batch) -> Bools:
        if batch.width(group.path) <= place:
            return np.zeros(len(batch), np.bool_)
        entry = batch.column(group.marker)[:, place]
        return entry if group.least else entry >= 0

    return test


def _has_value(leaf: Leaf) -> Test:
    path, absent = leaf.columns[0].path, leaf.columns[0].absent
    if isinstance(leaf, Key | Text):
        return lambda batch: batch.column(path) >= 0
    return lambda batch: batch.column(path) != absent


def entry_count(batch: Batch, group: Group) -> Array:
    """Return the number of entries of a list for each agent, including those that were cut."""
    there = batch.there(group)
    assert there is not None
    count: Array = places_held(there) + batch.column(f"{group.path}.more")
    return count


def number_of(batch: Batch, leaf: Leaf, table_name: str) -> Array:
    """Return the column of a number, or of one name of a table; zeros if the batch has no such name."""
    column = batch.column(leaf.columns[0].path)
    if not table_name:
        return column
    names = batch.tables.get(leaf.fact.table, ())
    return column[:, names.index(table_name)] if table_name in names else np.zeros(len(batch), column.dtype)


def _position(batch: Batch, leaf: Leaf, name: str) -> int:
    names = batch.tables.get(leaf.fact.table, ())
    return names.index(name) if name in names else -2


def _hits(batch: Batch, wanted: str) -> Bools:
    """Return which texts of a batch contain the wanted one, each compared once; the last entry stands for no text."""
    return np.array([*(wanted in text.casefold() for text in batch.texts), False], np.bool_)


def _plain(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


def squares(batch: Batch, own: Place, x: Array, y: Array) -> Array:
    """Return squared distances from the agents to cells `[n]` or `[n, width]`."""
    own_x, own_y = _own_cell(batch, own, x.ndim)
    along = np.empty((2, *x.shape), np.int64)
    np.subtract(x, own_x, out=along[0], dtype=np.int64)
    np.subtract(y, own_y, out=along[1], dtype=np.int64)
    np.minimum(np.abs(along, out=along), FAR, out=along)
    along *= along
    total: Array = along[0] + along[1]
    return total


def _own_cell(batch: Batch, own: Place, dimensions: int) -> tuple[Array, Array]:
    """Return where the agents are, `[n]`, or `[n, 1]` to compare with lists."""
    x, y = own.columns
    own_x, own_y = batch.column(x.path), batch.column(y.path)
    return (own_x, own_y) if dimensions == 1 else (own_x[:, None], own_y[:, None])


def _near(batch: Batch, own: Place, x: Array, y: Array, most: int) -> Bools:
    """Return whether cells are at most the root of `most` away; none away is the agent's own cell."""
    if most:
        return squares(batch, own, x, y) <= most
    own_x, own_y = _own_cell(batch, own, x.ndim)
    near: Bools = (x == own_x) & (y == own_y)
    return near


def named_place(batch: Batch, leaf: Shared, name: str) -> tuple[Array, Array]:
    """Return the cell of a named place for each agent, `[n]` each; the farthest possible cell if there is none."""
    cells = [_cell_of(value, name) for value in batch.shared.get(leaf.path, ())]
    table = np.array([*cells, (-(2**31), -(2**31))], np.int64)
    return table[batch.column(leaf.path), 0], table[batch.column(leaf.path), 1]


def _cell_of(values: Any, name: str) -> tuple[int, int]:
    for value in values if isinstance(values, tuple) else ():
        parts = [getattr(value, field) for field in type(value).model_fields]
        cell = next((part for part in parts if hasattr(part, "x") and hasattr(part, "y")), None)
        if name in (part for part in parts if isinstance(part, str)) and cell is not None:
            return cell.x, cell.y
    return -(2**31), -(2**31)
