"""The knowledge of n agents, as arrays: the one form that prompts, rules, planners and legality read.

Rows are agents in ascending key order. `batch.money` is a column `[n]`, `batch.people.mood` one of a list `[n, width]`,
`batch.people.more` how many entries were cut, `batch.goal.x` half of a cell. Places of a list are filled from the first
on; unused ones hold the column's absent value, so that equal knowledge has equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ai.canonical import array_digest, little_endian
from ai.errors import ContractError
from ai.observation.counting import any_place, places_held
from ai.observation.facts import AGENTS
from ai.observation.layout import Group, Layout
from ai.observation.leaves import Array, Bools, Column, Key, Leaf, Text

if TYPE_CHECKING:
    from ai.observation.observation import Observation

Keys = NDArray[np.int64]
Rows = NDArray[np.intp]
Seen = TypeVar("Seen", bound="Observation")

SELF: Final = "self"
"""The source of targets that stands for the agent itself."""
FEW: Final = 8
"""Up to this many texts or shared values, all get their numbers, in use or not."""
KEPT_MAX: Final = 4096
"""Shared values of which the meaning is kept."""
_kept: dict[int, tuple[Any, int]] = {}


@dataclass(frozen=True, slots=True)
class Groups:
    """Which group each agent of a batch belongs to: `index [n]`, a position in `names`, -1 for none.

    Groups decide which tiers plan for an agent; they are no knowledge and are neither hashed nor worded.
    """

    names: tuple[str, ...]
    index: NDArray[np.integer[Any]]


class Meanings:
    """The numbers that stand for texts or shared values in digests.

    Attributes:
        values: the texts or shared values.
        numbers: `[values + 1] uint64`; the last stands for none and is 0.
        unknown: which numbers are not computed yet, None when all are known.
    """

    __slots__ = ("numbers", "unknown", "values")

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values
        self.numbers = np.zeros(len(values) + 1, np.uint64)
        self.unknown: Bools | None = np.arange(len(values) + 1) < len(values)

    def learn(self, column: Array, meaning: Callable[[Any], int]) -> None:
        """Compute the numbers that a column needs, or all of few."""
        unknown = self.unknown
        if unknown is None:
            return  # another thread has learnt the rest
        places = unknown.nonzero()[0] if len(self.values) <= FEW else np.unique(column[unknown[column]])
        for place in places.tolist():
            self.numbers[place], unknown[place] = meaning(self.values[place]), False
        if not np.count_nonzero(unknown):
            self.unknown = None


class View:
    """The columns of one group as attributes."""

    __slots__ = ("_batch", "_path")

    def __init__(self, batch: ObservationBatch[Any], path: str) -> None:
        self._batch, self._path = batch, path

    def __getattr__(self, name: str) -> Any:
        return self._batch.column_or_view(f"{self._path}.{name}")

    def __len__(self) -> int:
        return len(self._batch)


@dataclass(eq=False, slots=True)
class ObservationBatch(Generic[Seen]):
    """The knowledge of n agents, as arrays; `Observation.batch` and `from_objects` make it.

    Attributes:
        of: the declaration.
        keys: `[n] int64`, the agents' ids, ascending.
        columns: the arrays by path. A declared one that was not given is made when it is asked for.
        tick: the tick of the run at which they know it.
        ticks_per_second: how long a tick is.
        texts: the texts that columns of texts point into.
        tables: the names that columns of names point into, by table.
        shared: the distinct values that columns of shared facts point into, by path.
        attached: further values for domain code: a function of hashed state; neither hashed nor put into prompts.
        groups: which group each agent belongs to, None where there are none.
    """

    of: type[Seen]
    keys: Keys
    columns: dict[str, Array]
    tick: int = 0
    ticks_per_second: int = 1
    texts: tuple[str, ...] = ()
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shared: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    attached: Mapping[str, Any] = field(default_factory=dict)
    groups: Groups | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def layout(self) -> Layout:
        """The layout that follows from the declaration."""
        return self.of.layout

    # -- columns ---------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.column_or_view(name)

    def column_or_view(self, path: str) -> Any:
        """Return a column, or the columns of a group as attributes.

        Raises:
            AttributeError: nothing is declared under this path; the message lists the declared ones.
        """
        found = self.columns.get(path)
        if found is not None:
            return found
        layout = self.of.layout
        if path in layout.columns:
            return self.column(path)
        if path in layout.groups or path in layout.leaves:
            return View(self, path)
        raise AttributeError(layout.unknown(path))

    def column(self, path: str) -> Array:
        """Return the column of a path, `[n]`, `[n, width]` in a list, `[n, T]` of a table.

        Raises:
            ContractError: nothing is declared under this path.
        """
        found = self.columns.get(path)
        if found is None:
            declared = self.of.layout.columns.get(path)
            if declared is None:
                raise ContractError(self.of.layout.unknown(path))
            found = self.columns[path] = self._default(declared)
        return found

    def of_leaf(self, leaf: Leaf) -> list[Array]:
        """Return the columns of a field."""
        return [self.column(column.path) for column in leaf.columns]

    def there(self, group: Group) -> Bools | None:
        """Return where entries of a group are, `[n]` or `[n, width]`; None where it is always there."""
        if not group.marker:
            return None
        marker = self.column(group.marker)
        return marker >= 0 if group.key is not None or (group.plain and group.least == 0) else marker

    def width(self, path: str) -> int:
        """Return how many places the lists of one field have in this batch."""
        marker = self.columns.get(self.of.layout.groups[path].marker)
        return 0 if marker is None else int(marker.shape[1])

    def _default(self, column: Column) -> Array:
        """Return a column that was not given."""
        shape: tuple[int, ...] = (len(self.keys),)
        if column.list:
            shape += (self.width(column.list),)
        if column.table:
            shape += (len(self.tables.get(column.table, ())),)
        value = column.absent if 0 in shape else self.of.layout.usual(column, self.ticks_per_second)
        made = np.full(shape, value, column.dtype)
        if column.list and value != column.absent:
            there = self.there(self.of.layout.groups[column.list])
            made[~there if there is not None else ()] = column.absent
        return made

    # -- parts and digest ------------------------------------------------------------------------------------------

    def take(self, rows: Rows | slice) -> Self:
        """Return the batch of some agents; `rows` ascending. Texts, tables and shared values stay whole."""
        groups = self.groups
        return replace(
            self,
            keys=self.keys[rows],
            columns={path: column[rows] for path, column in self.columns.items()},
            groups=None if groups is None else Groups(groups.names, groups.index[rows]),
        )

    def digest(self) -> str:
        """Return sixteen hex digits over everything that the agents know.

        They are the same on every machine and however texts and shared values were interned. Only places in use are
        hashed, so spare width changes nothing.
        """
        layout, n, columns = self.of.layout, len(self.keys), self.columns
        head = f"{layout.digest},{self.tick},{self.ticks_per_second},{n},"
        tables = tuple(tuple(self.tables.get(name, ())) for name in layout.tables)
        parts = [head.encode(), _names_bytes(tables), little_endian(self.keys)]
        for group, declared in layout.hashed:
            width = 1 if group is None else self._places_used(group)
            parts.append(b"%d," % width)
            if not width:
                continue
            for path, meant, blank in declared:
                array = columns.get(path)
                if array is None:
                    if blank:
                        parts.append(blank * (n * width))  # the bytes of the column without making it
                        continue
                    array = self.column(path)
                if group is not None:
                    array = array[:, :width]
                parts.append(little_endian(array if meant is None else self._meanings(meant, array)))
        return array_digest("tickweave-seen", parts)

    def _places_used(self, group: Group) -> int:
        """Return the number of places that the longest list uses; places are filled from the first on."""
        there = self.there(group) if group.marker in self.columns else None
        if there is not None:
            for width in range(there.shape[1], 0, -1):
                if np.count_nonzero(there[:, width - 1]):
                    return width
        return 0

    def _meanings(self, leaf: Leaf, column: Array) -> NDArray[np.uint64]:
        """Return for each text or shared value a number that depends on its content alone, 0 for none."""
        values: Sequence[Any] = self.texts if isinstance(leaf, Text) else self.shared.get(leaf.path, ())
        # The ticks of one run mostly share their texts and shared values, and then the numbers too.
        kept = self.of.layout.meanings.get(leaf.path)
        if kept is None or kept.values is not values:
            kept = self.of.layout.meanings[leaf.path] = Meanings(values)
        kept.learn(column, _text_meaning if isinstance(leaf, Text) else _shared_meaning)
        found: NDArray[np.uint64] = kept.numbers.take(column)
        return found

    # -- objects ---------------------------------------------------------------------------------------------------

    def to_objects(self) -> list[Seen]:
        """Return the knowledge of each agent as an object, in key order."""
        from ai.observation.objects import to_objects

        return to_objects(self)

    def to_object(self, row: int) -> Seen:
        """Return the knowledge of one agent as an object."""
        return self.take(slice(row, row + 1)).to_objects()[0]

    # -- targets ---------------------------------------------------------------------------------------------------

    def ids(self, *sources: str) -> list[Array]:
        """Return the columns of ids that some sources stand for: lists, entries, single ids, or `self`.

        Raises:
            ContractError: there is no such source.
        """
        layout, found = self.of.layout, []
        for source in sources:
            group, leaf = layout.groups.get(source), layout.leaves.get(source)
            if source == SELF:
                found.append(self.keys)
            elif group is not None and group.key is not None:
                found.append(self.column(group.key.path))
            elif isinstance(leaf, Key):
                found.append(self.column(source))
            else:
                raise ContractError(
                    f"{layout.name} has no ids under {source!r}; it has {', '.join(sources_of(layout))}"
                )
        return found

    def knows(self, rows: Rows | slice, ids: Array, sources: Sequence[str]) -> Bools:
        """Return for each agent of `rows` whether it knows the id in `ids`, `[len(ids)]`."""
        found: Bools | None = None
        for column in self.ids(*sources):
            if column.ndim > 1:
                # Most name the first; only the others are looked up among all.
                if not column.shape[1]:
                    continue
                hit = column[:, 0][rows] == ids
                rest = (~hit).nonzero()[0] if found is None else (~(hit | found)).nonzero()[0]
                if len(rest):
                    among = column[rows][rest] if isinstance(rows, slice) else column[rows[rest]]
                    hit[rest] = any_place(among == ids[rest, None])
            else:
                hit = column[rows] == ids
            found = hit if found is None else found | hit
        # Unused places hold -1, which is not an id.
        return np.zeros(len(ids), np.bool_) if found is None else found & (ids >= 0)

    def targets(self, *sources: str) -> list[tuple[int, ...]]:
        """Return the ids that each agent may name, ascending and once each, as the schema of its reply offers them."""
        columns = [column if column.ndim > 1 else column[:, None] for column in self.ids(*sources)]
        keys = np.concatenate(columns, axis=1)
        keys.sort(axis=1)
        wanted = keys >= 0
        wanted[:, 1:] &= keys[:, 1:] != keys[:, :-1]
        ids, ends = keys[wanted].tolist(), places_held(wanted).cumsum().tolist()
        if not ids:
            return [()] * len(self)
        return [tuple(ids[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def sources_of(layout: Layout) -> list[str]:
    """Return the paths that have ids, and `self`."""
    lists = [path for path, group in layout.groups.items() if group.key is not None]
    return [
        SELF,
        *lists,
        *(path for path, leaf in layout.leaves.items() if isinstance(leaf, Key) and not leaf.columns[0].list),
    ]


def space_of(layout: Layout, source: str) -> str:
    """Return whose ids a source has.

    Raises:
        KeyError: there is no such source.
    """
    if source == SELF:
        return AGENTS
    group, leaf = layout.groups.get(source), layout.leaves.get(source)
    if group is not None and group.key is not None:
        return group.key.space
    if isinstance(leaf, Key):
        return leaf.space
    raise KeyError(source)


@lru_cache(maxsize=256)
def _names_bytes(tables: tuple[tuple[str, ...], ...]) -> bytes:
    return json.dumps(tables, ensure_ascii=False).encode(errors="surrogatepass")


@lru_cache(maxsize=65536)
def _text_meaning(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _shared_meaning(value: Any) -> int:
    """Return the number of a shared value, kept by its identity: to compare it costs more than to hash a tick."""
    kept = _kept.get(id(value))
    if kept is None or kept[0] is not value:
        if len(_kept) >= KEPT_MAX:
            _kept.clear()
        text = json.dumps(content(value), separators=(",", ":"), ensure_ascii=False)
        kept = _kept[id(value)] = value, _text_meaning(text)
    return kept[1]


def content(value: Any) -> Any:
    """Return a frozen value as plain data that depends on its content alone.

    Raises:
        ContractError: it is or contains an object whose content cannot be determined.
    """
    if isinstance(value, Enum):
        return content(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, BaseModel):
        return {name: content(getattr(value, name)) for name in sorted(type(value).model_fields)}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: content(part) for name, part in sorted(asdict(value).items())}
    if isinstance(value, tuple | list):
        return [content(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): content(value[key]) for key in sorted(value)}
    if isinstance(value, frozenset | set):
        return sorted((content(part) for part in value), key=repr)
    raise ContractError(
        f"a shared fact holds a {type(value).__name__}, whose content cannot be hashed; "
        f"use a pydantic model, a dataclass, tuples, texts and numbers"
    )
