"""Picks: placeholders for a target or a cell in a rule, filled for all agents at once.

    nearest                         the nearest entry of the list that the argument takes its targets from
    first                           the first entry
    fewest:berries, most:berries    the entry with the least or most of a number; of equal entries the first
    nearest people                  an entry of another list; an argument that is a cell must name one
    nearest where trade == baker    the nearest among the entries for which a condition holds; fields are the entry's,
                                    fields after a comparison the agent's, as in: most:mood where mood > mood
    owner, self, debt_to            for a target: an entry that has an id, the agent itself, an id
    home, leader, pos               for a cell: a cell, or the cell of an entry
    places 'old mill'               for a cell: the cell of a named value of a shared tuple

Agents for which a pick finds nothing do not take the step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from ai.actions.arguments import Kind, Pick
from ai.actions.spec import ArgSpec
from ai.errors import ContractError
from ai.observation import SELF, Array, Bools, Group, Layout, Number, Place, Rows, Shared
from ai.rules.conditions import Batch, Facts, entries_test, named_place, squares

_PICK: Final = re.compile(
    r"\s*(?:(?P<how>nearest|first|(?:fewest|most):[\w.]+)\b)?\s*(?P<path>(?!where\b)[\w.]+)?"
    r"(?:\s+'(?P<named>[^']+)')?(?:\s*\bwhere\s+(?P<where>.+))?\s*"
)
_NOWHERE: Final = -(2**31)
_MOST: Final = 2**62

Column = Callable[[Batch, Rows], tuple[Array, Bools]]
"""For the agents of some rows, `[m]` each: the stored value of an argument, and whether there is one."""


class _Read(NamedTuple):
    how: str
    path: str
    named: str
    where: str


def column_of(pick: Pick, arg: ArgSpec, layout: Layout, facts: Facts, where: str) -> Column:
    """Return the function by which a pick fills one stored argument.

    Raises:
        ContractError: it cannot be read, or names something that the observation does not have; the message starts with
            `where`.
    """
    try:
        read = _read(pick.text)
        if arg.kind is Kind.TARGET:
            return _target(read, arg, layout, facts)
        return _coordinate(read, 0 if arg.kind is Kind.CELL_X else 1, layout, facts)
    except ContractError as error:
        raise ContractError(f"{where}: {pick.text!r}: {error}") from None


def _read(text: str) -> _Read:
    found = _PICK.fullmatch(text)
    if found is None or not text.strip():
        raise ContractError("it is not nearest, first, fewest:FIELD, most:FIELD or a field")
    return _Read(*(found[name] or "" for name in ("how", "path", "named", "where")))


def _target(read: _Read, arg: ArgSpec, layout: Layout, facts: Facts) -> Column:
    if not read.how and read.where:
        raise ContractError("say which one: nearest, first, fewest:FIELD or most:FIELD")
    if read.how:
        group = _list(read.path or _first_list(arg.sources, layout), layout)
        if group.key is None:
            raise ContractError(f"entries of {group.path!r} have no id")
        if group.path not in arg.sources:
            raise ContractError(f"{arg.name} takes ids of {', '.join(arg.sources)}, not of {group.path!r}")
        return _entry(read, group, group.key.path, layout, facts)
    if read.path not in arg.sources:
        raise ContractError(f"{arg.name} takes ids of {', '.join(arg.sources)}, not of {read.path!r}")
    if read.path == SELF:
        return lambda batch, rows: (batch.keys[rows], np.ones(len(rows), np.bool_))
    source = layout.groups.get(read.path)
    if source is not None and source.limit:
        raise ContractError(f"{read.path!r} is a list; say which one: nearest {read.path}")
    path = source.key.path if source is not None and source.key is not None else read.path

    def column(batch: Batch, rows: Rows) -> tuple[Array, Bools]:
        ids = batch.column(path)[rows]
        return ids, ids >= 0

    return column


def _first_list(sources: Sequence[str], layout: Layout) -> str:
    for source in sources:
        if source in layout.groups and layout.groups[source].limit:
            return source
    raise ContractError(f"none of {', '.join(sources)} is a list; name one of them")


def _list(path: str, layout: Layout) -> Group:
    group = layout.groups.get(path)
    if group is None or not group.limit:
        lists = [known for known, one in layout.groups.items() if one.limit]
        raise ContractError(f"{path!r} is not a list; {layout.name} has {', '.join(lists) or 'none'}")
    return group


def _coordinate(read: _Read, axis: int, layout: Layout, facts: Facts) -> Column:
    if read.how:
        if not read.path:
            raise ContractError("a cell needs the list it is taken from, as in 'nearest people'")
        group = _list(read.path, layout)
        if group.place is None:
            raise ContractError(f"entries of {group.path!r} have no cell")
        return _entry(read, group, group.place.columns[axis].path, layout, facts)
    leaf, source = layout.leaves.get(read.path), layout.groups.get(read.path)
    if read.named:
        if not isinstance(leaf, Shared):
            raise ContractError(f"{read.path!r} has no named places; it must be a shared tuple of values with a cell")
        return _named(leaf, read.named, axis)
    place = leaf if isinstance(leaf, Place) else None if source is None or source.limit else source.place
    if place is None or place.columns[0].list:
        raise ContractError(
            f"{read.path!r} is neither a cell nor an entry with one; {layout.name} has {_cells(layout)}"
        )
    owner = source if source is not None else layout.groups.get(place.path.rpartition(".")[0])
    path = place.columns[axis].path

    def column(batch: Batch, rows: Rows) -> tuple[Array, Bools]:
        values = batch.column(path)[rows]
        there = np.ones(len(rows), np.bool_) if not place.optional else values != place.columns[axis].absent
        held = None if owner is None else batch.there(owner)
        return values, there if held is None else there & held[rows]

    return column


def _cells(layout: Layout) -> str:
    return ", ".join(path for path, leaf in layout.leaves.items() if isinstance(leaf, Place)) or "none"


def _named(leaf: Shared, name: str, axis: int) -> Column:
    def column(batch: Batch, rows: Rows) -> tuple[Array, Bools]:
        values = named_place(batch, leaf, name)[axis][rows]
        return values, values != _NOWHERE

    return column


def _entry(read: _Read, group: Group, path: str, layout: Layout, facts: Facts) -> Column:
    """Return a column of the picked entry."""
    fits = entries_test(read.where, layout, group, facts) if read.where else None
    score = _score(read.how, group, layout)

    def column(batch: Batch, rows: Rows) -> tuple[Array, Bools]:
        values = batch.column(path)
        if not values.shape[1]:
            return np.full(len(rows), -1, values.dtype), np.zeros(len(rows), np.bool_)
        if fits is None and score is None:
            marker = batch.column(group.marker)[:, 0][rows]  # one index at a time: NumPy takes a tenth of the time
            return values[:, 0][rows], marker if group.least else marker >= 0
        there = batch.there(group)
        assert there is not None
        fit = there if fits is None else there & fits(batch)
        fit = fit[rows]
        best = (fit if score is None else -np.where(fit, score(batch)[rows], _MOST)).argmax(1)
        every = np.arange(len(rows))
        return values[rows, best], fit[every, best]

    return column


def _score(how: str, group: Group, layout: Layout) -> Callable[[Batch], Array] | None:
    """Return the function that the picked entry minimises, or None if the first fitting entry is picked."""
    if how == "first" or (how == "nearest" and group.fact.nearest):
        return None
    if how == "nearest":
        own, place = layout.place, group.place
        if own is None or place is None:
            raise ContractError(f"nearest needs a cell in {group.path!r} and one of the agent itself, named pos")
        x, y = (column.path for column in place.columns)
        return lambda batch: squares(batch, own, batch.column(x), batch.column(y))
    how, _, name = how.partition(":")
    leaf = layout.leaves.get(f"{group.path}.{name}") or layout.leaves.get(name)
    if not isinstance(leaf, Number) or leaf.columns[0].list != group.path:
        raise ContractError(f"{name!r} is not a number of {group.path!r}")
    if leaf.optional:
        raise ContractError(f"{name!r} may be absent, so there need not be a {how} of it")
    path, sign = leaf.path, 1 if how == "fewest" else -1
    return lambda batch: batch.column(path).astype(np.int64) * sign
