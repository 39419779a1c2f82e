"""The layout of an observation: everything that follows from its declaration, read once when its class is made."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Final, ForwardRef, Union, get_args, get_origin

import numpy as np

from ai.canonical import little_endian, without_empty
from ai.errors import ContractError
from ai.observation.facts import REQUIRED, Cell, Entry, Fact, Id
from ai.observation.leaves import (
    MEMBERS_MAX,
    NEVER_ABSENT,
    Choice,
    Column,
    Counts,
    Flags,
    Key,
    Leaf,
    Name,
    Number,
    Place,
    Shared,
    Text,
)

LIST_MAX: Final = 4096
"""Entries that a list may be declared to hold, and that one object may give."""
OWN_PLACE: Final = "pos"
"""The name of the cell at which an agent is."""


@dataclass(slots=True, eq=False)
class Group:
    """Fields that belong together: one entry (`limit` 0), or a list of at most `limit`.

    `marker` is the column that says whether an entry is there: its value is at least `least`. It is empty for a group
    that is always there. `key` is the column of its ids, `place` its cell, where it has them. A `plain` list holds one
    leaf: texts, cells, ids, names or numbers. `by_name` has the fields by their names, the one of a plain list as "".
    `whole` is None, as no one array is a group.
    """

    path: str
    fact: Fact
    kind: Any
    optional: bool
    limit: int
    fields: tuple[Leaf | Group, ...]
    columns: tuple[Column, ...]
    marker: str
    least: int
    key: Key | None
    place: Place | None
    plain: bool
    sayings: tuple[Saying, ...] = ()
    by_name: Mapping[str, Leaf | Group] = field(init=False)
    whole: None = None

    def __post_init__(self) -> None:
        self.by_name = {"": self.fields[0]} if self.plain else {one.name: one for one in self.fields}

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]

    @property
    def space(self) -> str:
        """Whose ids its entries have; empty where they have none."""
        return self.key.space if self.key is not None else ""

    def declared(self) -> dict[str, Any]:
        """Return the part of it that a recording needs, as plain data."""
        if not self.limit:
            return {"kind": "group", "optional": self.optional}
        return {"kind": "list", "limit": self.limit, "order": "nearest" if self.fact.nearest else "given"}


class Saying:
    """How a prompt words one field: `form` with `{}` for each of the paths in `inner`, or `members` by member.

    A form of a table keeps `{name}`, for the name.
    """

    __slots__ = ("form", "inner", "members", "of")

    def __init__(self, of: Leaf | Group, leaves: Mapping[str, Leaf]) -> None:
        said, name = of.fact.say, of.name.replace("_", " ")
        self.of = of
        self.members: dict[str, str] = dict(said) if isinstance(said, Mapping) else {}
        if self.members:
            known = of.members if isinstance(of, Choice) else ()
            strange = sorted(set(self.members) - set(known))
            if strange:
                raise ContractError(f"{of.path}: say: there is no member {strange[0]!r}; known: {', '.join(known)}")
        written = said if isinstance(said, str) else _usual_form(of, name)
        before = of.path.rpartition(".")[0]
        inner: list[str] = []
        form = ""
        for literal, key, spec, conversion in _parsed(of.path, written):
            form += literal.replace("{", "{{").replace("}", "}}")
            if key is None:
                continue
            if spec or conversion:
                raise ContractError(f"{of.path}: say: {written!r} formats a value; name it alone, as in {{{key}}}")
            if key == "name" and isinstance(of, Counts):
                form += "{name}"
                continue
            form += "{}"
            inner.append(f"{before}.{key}".lstrip(".") if key else of.path)
            if key and inner[-1] not in leaves:
                raise ContractError(f"{of.path}: say: {written!r} names {key!r}, which is not a field beside it")
        self.form, self.inner = form, tuple(inner)


def _usual_form(of: Leaf | Group, name: str) -> str:
    if isinstance(of, Flags) or (isinstance(of, Group) and not of.limit):
        return "{}" if isinstance(of, Flags) else f"{name} {{}}"
    if isinstance(of, Counts):
        return f"{name} {{name}} {{}}"  # with the field: two tables of an agent may have the same names
    return name if isinstance(of, Number) and of.kind is bool else f"{name} {{}}"


def _parsed(path: str, form: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(form))
    except ValueError as error:
        raise ContractError(f"{path}: say: {form!r} is not a form: {error}") from None


class Layout:
    """The columns of an observation and how they are read.

    Attributes:
        name: the class's name.
        path: empty, as its fields stand at the top.
        fields: the declared fields in their order; the wording follows it.
        by_name: the declared fields by their names.
        leaves: every field of one value by path.
        groups: every entry and list by path.
        columns: every column by path, in path order.
        hashed: the columns that digests follow: the agents' own, then each list with its columns: path, field where
            values stand for texts or shared ones, and the bytes of a value that was not given, empty where it is not
            absent.
        place: where the agent itself is, None for a domain without places.
        tables: the names of the tables that fields come from, sorted.
        sayings: how a prompt words the fields, in their order.
        awaited: the fields that a batch must be given, or that it has to keep something for.
        meanings: by path of a field of texts or shared values, what `ObservationBatch.digest` keeps of them.
    """

    path: Final = ""

    def __init__(self, of: type[Entry], reserved: Iterable[str]) -> None:
        self.name = of.__name__
        self.leaves: dict[str, Leaf] = {}
        self.groups: dict[str, Group] = {}
        self.meanings: dict[str, Any] = {}
        self._usual: dict[tuple[str, int], int] = {}
        self._columns: list[Column] = []
        taken = sorted(set(of.model_fields) & set(reserved))
        if taken:
            raise ContractError(f"{of.__name__}.{taken[0]}: a batch has something of that name; choose another")
        self.fields = self._fields(of, "", "")
        self.by_name: Mapping[str, Leaf | Group] = {one.name: one for one in self.fields}
        self.columns: dict[str, Column] = {c.path: c for c in sorted(self._columns, key=lambda column: column.path)}
        self.hashed = tuple(
            (
                self.groups.get(path),
                tuple(self._hashed(column) for column in self.columns.values() if column.list == path),
            )
            for path in sorted({column.list for column in self.columns.values()})
        )
        self.tables = tuple(sorted({leaf.fact.table for leaf in self.leaves.values() if leaf.fact.table}))
        self.place = self._own_place()
        far = next((g.path for g in self.groups.values() if g.fact.nearest and self.place is None), None)
        if far is not None:
            raise ContractError(
                f"{of.__name__}.{far}: nearest to what? the agent itself needs a Cell named {OWN_PLACE}"
            )
        self.sayings = self._sayings(self.fields)
        self.awaited = tuple(
            leaf for leaf in self.leaves.values() if leaf.fact.default is REQUIRED or isinstance(leaf, Shared)
        )
        for leaf in self.leaves.values():
            if leaf.fact.by and leaf.fact.by not in self.leaves:
                raise ContractError(f"{of.__name__}.{leaf.path}: by: there is no field {leaf.fact.by!r}")
        for group in self.groups.values():
            if group.fact.by and group.fact.by not in self.leaves:
                raise ContractError(f"{of.__name__}.{group.path}: by: there is no field {group.fact.by!r}")

    # -- reading the declaration -----------------------------------------------------------------------------------

    def _fields(self, of: type[Entry], at: str, listed: str) -> tuple[Leaf | Group, ...]:
        found: list[Leaf | Group] = []
        for name, info in of.model_fields.items():
            said = of.__facts__.get(name, Fact(default=REQUIRED if info.is_required() else info.get_default()))
            where = f"{of.__name__}.{name}"
            found.append(self._field(where, at + name, said, _read(info.annotation, info.metadata), listed))
        return tuple(found)

    def _field(self, where: str, path: str, said: Fact, read: tuple[Any, bool], listed: str) -> Leaf | Group:
        kind, optional = read
        if said.shared:
            return self._leaf(Shared(path, said, kind, optional=optional, listed=listed))
        if get_origin(kind) is tuple:
            return self._several(where, path, said, kind, listed)
        if isinstance(kind, type) and issubclass(kind, Entry):
            if listed:
                raise ContractError(f"{where}: an entry inside a list has no columns; declare its fields in the list")
            return self._group(where, path, said, kind, optional=optional)
        if get_origin(kind) is dict:
            return self._counts(where, path, said, kind, listed, optional=optional)
        return self._leaf(_leaf(where, path, said, kind, optional=optional, listed=listed))

    def _several(self, where: str, path: str, said: Fact, kind: Any, listed: str) -> Leaf | Group:
        inner = get_args(kind)
        if len(inner) != 2 or inner[1] is not Ellipsis:
            raise ContractError(f"{where}: a list is written tuple[X, ...]")
        item, no_item = _read(inner[0], ())
        if no_item:
            raise ContractError(f"{where}: entries of a list are never None")
        if isinstance(item, type) and issubclass(item, StrEnum):
            if len(item) > MEMBERS_MAX:
                raise ContractError(f"{where}: {item.__name__} has {len(item)} members; at most {MEMBERS_MAX} fit")
            return self._leaf(Flags(path, said, item, optional=False, listed=listed))
        inside = "table" if get_origin(item) is dict else "list"
        if listed or get_origin(item) in (tuple, dict):
            raise ContractError(f"{where}: a {inside} inside a list has no columns")
        if not 1 <= said.limit <= LIST_MAX:
            raise ContractError(f"{where}: a list needs a limit from 1 to {LIST_MAX}: fact(limit=8)")
        return self._group(where, path, said, item, optional=False)

    def _counts(self, where: str, path: str, said: Fact, kind: Any, listed: str, *, optional: bool) -> Leaf:
        if listed:
            raise ContractError(f"{where}: a table inside a list has no columns")
        name, number = get_args(kind)
        if name is not str or number not in (int, float) or optional:
            raise ContractError(f"{where}: a table is written dict[str, int] or dict[str, float], without None")
        if not said.table:
            raise ContractError(f'{where}: a dictionary needs a table of its names: fact(table="goods")')
        return self._leaf(Counts(path, _scaled(where, said, number), number, optional=False, listed=listed))

    def _leaf(self, leaf: Leaf) -> Leaf:
        self.leaves[leaf.path] = leaf
        self._columns += leaf.columns
        return leaf

    def _group(self, where: str, path: str, said: Fact, kind: Any, *, optional: bool) -> Group:
        start, listed = len(self._columns), path if said.limit else ""
        plain = not (isinstance(kind, type) and issubclass(kind, Entry))
        fields: tuple[Leaf | Group, ...]
        if plain:
            inner = replace(said, limit=0, say="{}", default=REQUIRED, nearest=False)
            fields = (self._leaf(_leaf(where, path, inner, kind, optional=False, listed=listed, plain=True)),)
        else:
            fields = self._fields(kind, f"{path}.", listed)
        keys = [leaf for leaf in fields if isinstance(leaf, Key) and (plain or leaf.name == "id")]
        places = [leaf for leaf in fields if isinstance(leaf, Place)]
        key = keys[0] if keys else None
        place = places[0] if places else None
        if key is not None and key.optional:
            raise ContractError(f"{where}: the id of an entry is never None")
        own = tuple(self._columns[start:])
        marker, least = key.path if key is not None else "", 0
        if plain and isinstance(fields[0], Text | Name):
            marker = path
        elif not marker and (said.limit or optional):
            marker, least = f"{path}.there", 1
            self._columns.append(Column(marker, np.dtype("?"), NEVER_ABSENT, listed))
        elif not said.limit and not optional:
            marker = ""
        if said.nearest and (key is None or place is None):
            raise ContractError(
                f"{where}: entries of a list that is nearest first need an id and a Cell; without cells, leave nearest "
                f"out: the list keeps the order of observe, and pick('fewest:FIELD') picks by a field"
            )
        if said.limit:
            self._columns.append(Column(f"{path}.more", np.dtype("i4"), 0))
        group = Group(path, said, kind, optional, said.limit, fields, own, marker, least, key, place, plain)
        head = [f"{path}.{name}" for _, name, _, _ in _parsed(path, getattr(kind, "head", "")) if name]
        strange = sorted(set(head) - set(self.leaves))
        if strange:
            raise ContractError(
                f"{where}: head names {strange[0].rpartition('.')[2]!r}, which is not a field of the entry"
            )
        spoken = {*head, *([key.path] if key is not None else []), *([place.path] if key and place else [])}
        if not said.limit and not optional:
            spoken = {f"{path}.{OWN_PLACE}"}  # a group that is always there has no head; the agent's row has one
        group.sayings = self._sayings(f for f in fields if f.path not in spoken)
        self.groups[path] = group
        return group

    def _sayings(self, fields: Iterable[Leaf | Group]) -> tuple[Saying, ...]:
        found: list[Saying] = []
        for one in fields:
            if one.fact.say == "" or one is self._place_in(one):
                continue
            if isinstance(one, Group) and not one.limit and not one.optional:
                found += one.sayings  # a group that is always there is only a name space
            else:
                found.append(Saying(one, self.leaves))
        return tuple(found)

    def _place_in(self, one: Leaf | Group) -> Leaf | None:
        return one if isinstance(one, Place) and one.path == OWN_PLACE else None

    def _own_place(self) -> Place | None:
        """Find the cell of the agent itself: a field `pos`, or one of a group that is always there."""
        always = [OWN_PLACE, *(f"{g.path}.{OWN_PLACE}" for g in self.groups.values() if not g.limit and not g.optional)]
        found = (self.leaves.get(path) for path in always)
        return next((leaf for leaf in found if isinstance(leaf, Place) and not leaf.optional), None)

    def _hashed(self, column: Column) -> tuple[str, Text | Shared | None, bytes]:
        meant = self.leaves.get(column.path)
        blank = b""
        with suppress(ContractError):  # the position of a name depends on the batch
            if self.usual(column, 1) == column.absent and not column.table:
                blank = little_endian(np.array([column.absent], column.dtype))
        if not isinstance(meant, Text | Shared):
            return column.path, None, blank
        return column.path, meant, bytes(8 * bool(blank))

    def leaf_of(self, column: Column) -> tuple[Leaf | None, int]:
        """Return the field that a column belongs to, and the column's place among the field's."""
        leaf = self.leaves.get(column.path) or self.leaves.get(column.path.rpartition(".")[0])
        if leaf is None or column not in leaf.columns:
            return None, 0
        return leaf, leaf.columns.index(column)

    def usual(self, column: Column, ticks_per_second: int) -> int:
        """Return the value that a column holds for an agent or entry whose field was not given."""
        found = self._usual.get((column.path, ticks_per_second))
        if found is None:
            leaf, place = self.leaf_of(column)
            plain = leaf is None or leaf.plain
            found = column.absent if plain or leaf is None else int(leaf.stored_default(ticks_per_second)[place])
            self._usual[column.path, ticks_per_second] = found
        return found

    # -- its account of itself -------------------------------------------------------------------------------------

    @cached_property
    def declaration(self) -> dict[str, Any]:
        """The declaration in a recording's header: each field with its columns, as plain data, without its wording."""
        found: dict[str, Any] = {}
        for path in sorted({*self.leaves, *self.groups}):
            leaf, group = self.leaves.get(path), self.groups.get(path)
            found[path] = {**(leaf.declared() if leaf else {}), **(group.declared() if group else {})}
            if leaf is not None and group is not None:
                found[path]["of"] = leaf.declared()["kind"]
            found[path] = without_empty(found[path])
        return found

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits over the declaration: they change when recorded columns would be read otherwise."""
        return _digest(self.declaration)

    @cached_property
    def wording(self) -> str:
        """Sixteen hex digits over how the fields are worded, in their order; it never makes a recording unreadable."""
        spoken: list[Any] = []
        every: list[Leaf | Group] = [*self.leaves.values(), *self.groups.values()]
        for one in every:
            said = one.fact
            spoken.append(
                [one.path, said.say, said.quiet, said.by, said.unit, said.meaning, getattr(one.kind, "head", "")]
            )
        return _digest([[one.path for one in self.fields], spoken])

    def unknown(self, path: str) -> str:
        """Return the sentence that says that there is no such field."""
        known = list(dict.fromkeys([*self.leaves, *self.groups]))
        near = difflib.get_close_matches(path, known, n=1, cutoff=0.8)
        rest = f"did you mean {near[0]!r}?" if near else f"it declares {', '.join(known)}"
        return f"{self.name} declares no {path!r}; {rest}"


def _read(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, bool]:
    """Return a type without None and markers, an `Id` for ids, and whether it may be None."""
    optional = False
    while get_origin(annotation) in (Union, UnionType, Annotated):
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata = [*metadata, *more]
        else:
            inner = [part for part in get_args(annotation) if part is not NoneType]
            if len(inner) != 1 or len(inner) == len(get_args(annotation)):
                return annotation, optional
            annotation, optional = inner[0], True
    return next((marker for marker in metadata if isinstance(marker, Id)), annotation), optional


def _scaled(where: str, said: Fact, kind: Any) -> Fact:
    """Check scale and type of a number."""
    try:
        dtype = np.dtype(said.dtype)
    except TypeError:
        dtype = np.dtype("O")
    if dtype.kind != "i":
        raise ContractError(f"{where}: dtype {said.dtype!r} is not a signed integer type; use i1, i2, i4 or i8")
    if kind is float and not said.ticks and (said.scale is None or said.scale < 1):
        raise ContractError(f"{where}: a float needs the stored steps in one unit, or ticks: fact(scale=100)")
    if kind is not float and (said.ticks or said.scale is not None):
        raise ContractError(f"{where}: only a float has a scale or ticks")
    low = -math.inf if said.low is None else said.low
    high = math.inf if said.high is None else said.high
    if low > high:
        raise ContractError(f"{where}: low {low} is above high {high}")
    if isinstance(said.default, int | float) and not low <= said.default <= high:
        raise ContractError(f"{where}: the default {said.default!r} is not from {low} to {high}")
    return said


def _leaf(where: str, path: str, said: Fact, kind: Any, *, optional: bool, listed: str, plain: bool = False) -> Leaf:
    if isinstance(kind, Id):
        return Key(path, said, kind, optional=optional, listed=listed, plain=plain)
    if said.table and kind is str:
        return Name(path, said, kind, optional=optional, listed=listed, plain=plain)
    if kind is str:
        return Text(path, said, kind, optional=optional, listed=listed, plain=plain)
    if kind is Cell:
        return Place(path, said, kind, optional=optional, listed=listed, plain=plain)
    if kind is bool and said.quiet is None and said.say is None:
        said = replace(said, quiet=False)
    if kind in (int, float, bool):
        leaf = Number(path, _scaled(where, said, kind), kind, optional=optional, listed=listed, plain=plain)
        try:
            leaf.stored_default()
        except (TypeError, ValueError, ContractError):
            raise ContractError(
                f"{where}: the default {said.default!r} does not fit {kind.__name__}, {said.dtype}"
            ) from None
        return leaf
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Choice(path, said, kind, optional=optional, listed=listed)
    if isinstance(kind, str | ForwardRef):
        name = kind if isinstance(kind, str) else kind.__forward_arg__
        raise ContractError(f"{where}: there is no {name} yet; write its class above {where.partition('.')[0]}")
    shown = getattr(kind, "__name__", kind)
    raise ContractError(
        f"{where}: an observation cannot hold {shown}; it holds int, bool, float, str, StrEnum, AgentId, Cell, Entry, "
        f"tuple[X, ...], dict[str, int] and, with fact(shared=True), any frozen value"
    )


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def first_difference(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> str | None:
    """Return the sentence that names the first field in which two declarations differ, None where none does."""
    for path in sorted({*recorded, *current}):
        old, new = recorded.get(path), current.get(path)
        if old == new:
            continue
        if old is None:
            return f"the field {path!r} is new"
        if new is None:
            return f"the field {path!r} is missing here"
        for part in sorted({*old, *new}):
            if old.get(part) != new.get(part):
                return f"the field {path!r} has another {part}: {new.get(part)}, recorded {old.get(part)}"
    return None
