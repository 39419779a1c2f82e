"""Lists of entries: assigned to their agents, put in the declared order, and cut to their limit; cuts are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from ai.errors import ContractError
from ai.observation.layout import Group, Layout
from ai.observation.leaves import Array

FAR: Final = 2**30
"""The distance along an axis from which on all cells count as equally far; the sum of two squares of it still fits."""


class Flat(NamedTuple):
    """The entries of all agents' lists: the row of the agent of each, in any order, and their columns by path."""

    rows: Array
    columns: Mapping[str, Array]


def listed(layout: Layout, group: Group, n: int, flat: Flat, own: Mapping[str, Array]) -> dict[str, Array]:
    """Return the columns of one list for n agents, `[n, width]`, with the number of entries that were cut.

    Entries of one agent keep their order, or are sorted by distance, ties by id, if the list is declared so; `own`
    then has the agents' own cells.
    """
    rows, columns = np.asarray(flat.rows, np.intp), dict(flat.columns)
    strange = rows[(rows < 0) | (rows >= n)]
    if len(strange):
        raise ContractError(f"{group.path}: an entry belongs to row {strange[0]} of {n} agents")
    if group.fact.nearest:
        assert group.place is not None
        assert group.key is not None
        assert layout.place is not None
        x, y = (
            np.minimum(np.abs(columns[theirs.path].astype(np.int64) - own[mine.path][rows]), FAR)
            for theirs, mine in zip(group.place.columns, layout.place.columns, strict=True)
        )
        order = np.lexsort((columns[group.key.path], x * x + y * y, rows))
    else:
        order = np.argsort(rows, kind="stable")
    rows = rows[order]
    counts = np.bincount(rows, minlength=n)
    place = np.arange(len(rows)) - (counts.cumsum() - counts)[rows]
    kept = place < group.limit
    width = min(int(counts.max(initial=0)), group.limit)
    chosen, at = order[kept], (rows[kept], place[kept])
    made: dict[str, Array] = {}
    for column in group.columns:
        made[column.path] = np.full((n, width), column.absent, column.dtype)
        made[column.path][at] = columns[column.path][chosen]
    if group.marker not in made:
        made[group.marker] = np.zeros((n, width), np.bool_)
        made[group.marker][at] = True
    made[f"{group.path}.more"] = np.maximum(counts - group.limit, 0).astype(np.int32)
    return made
