"""The world: who exists, what they are made of, and when that may change. The only importer of esper.

esper holds identity, membership, processors and contexts; NumPy holds the values. Rules of this file:

- **Rows are entities in ascending key order**, always. A key is given once and never again. esper's own ids, its
  queries (set order) and its events (order by address) reach nobody.
- **A column is stored as [*shape, capacity]** and handed out as a view of the n living rows. Views are valid until the
  next flush that changes something; after it the view object raises, and `world[Component]` gives a fresh one.
- **Structure changes only in `flush`.** spawn, kill, attach and detach queue, and check everything while queueing, so
  that a flush cannot fail half way. The order inside a flush: attach and detach in the order they were queued, then
  one order-preserving compaction without the dead, then spawns by (issuer, sequence), merged into key order, then
  esper's mirror, then key to row, then caches and `version`.
- **Entities without a component have zeros in its columns**, and entries of a column beyond those in use are zeros, so
  that equal states have equal bytes.
- **esper's current context is global.** It is switched on every access that touches esper and switched back after it;
  nothing may await or switch in between.

What must change together: a new kind of state goes into `sim.state.WorldState`, `snapshot`, `restore`, `sim.digest` and
`check`.
"""

from __future__ import annotations

import copy
import itertools
import threading
import weakref
from abc import abstractmethod
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, Self, TypeVar, get_args, get_type_hints

import esper
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ai.guard import Watch, foreign
from sim.columns import Component, Store, Table, fit, limits
from sim.digest import canonical
from sim.entity import EntityView
from sim.errors import WorldError
from sim.events import EVENTS_MAX, EventQueue
from sim.state import WorldState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

C = TypeVar("C", bound="Component")
T = TypeVar("T")

DENSE_KEYS_MAX: Final = 50_000_000
"""Up to this next key, key to row is one dense array; beyond it, a binary search."""

LAST_ROW: Final = int(np.iinfo(np.intp).max)
"""Behind every row."""

FEW_ROWS: Final = 2000
"""Below this many rows a flush moves a column in one step, from it on line by line; only speed differs."""


class Row:
    """The one component of an entity in esper: its key."""

    __slots__ = ("key",)

    def __init__(self, key: int) -> None:
        self.key = key


class System(esper.Processor):
    """Is the base of all systems: one phase of a tick, a pure function over columns and resources.

    Attributes:
        name: how reports and digests call it; the class name in lower case unless set.
        reads: the components it reads.
        writes: the components it writes.
        after: the system that a plug-in's system follows.
    """

    name: ClassVar[str] = "system"
    after: ClassVar[str] = "upkeep"
    reads: ClassVar[tuple[type, ...]] = ()
    writes: ClassVar[tuple[type, ...]] = ()

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()

    @abstractmethod
    def process(self, world: World, frame: Any) -> None:
        """Do this phase's work for one tick.

        Args:
            world: the world, active while this runs.
            frame: what this tick's systems hand to each other; it is gone after the tick.
        """
        raise NotImplementedError


class _Mark(esper.Processor):
    """Runs after each system: reports it, and notices when esper did not run the systems in the installed order."""

    def __init__(self, position: int, name: str) -> None:
        self.position = position
        self.name = name

    def process(self, world: World, frame: Any) -> None:
        del frame
        world.passed(self.position, self.name)


class Resource(Protocol):
    """Is state that belongs to no entity: a map, a payload store. Hashed and snapshotted with the world."""

    name: str
    stamp: int
    """Changes whenever the content changes."""

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Hand out the content as arrays by name."""
        ...

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take over content that `columns` handed out earlier; the arrays must be copied."""
        ...


class _Active:
    """Makes a world's context esper's current one, and the previous one again."""

    __slots__ = ("_previous", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._previous = ""

    def __enter__(self) -> None:
        self._previous = self._world.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._world.leave(self._previous)


@dataclass(slots=True)
class _Spawn:
    issuer: int
    count: int
    keys: NDArray[np.int64] | None
    components: frozenset[type[Component]]
    values: list[tuple[Store, NDArray[Any]]]


_numbers = itertools.count(1)


def _make_context(context: str) -> None:
    previous = esper.current_world
    esper.switch_world(context)
    esper.switch_world(previous)


def _drop_context(context: str) -> None:
    if context not in esper.list_worlds():
        return
    if esper.current_world == context:
        esper.switch_world("default")
    esper.delete_world(context)


class World:
    """Holds entities and their state, and lets both change only in ways that can be repeated.

    Args:
        components: every component there is.
        name: a label for error messages; never state.
        capacity: rows to make room for; storage grows as needed.
        objects: dataclasses that may be attached to single entities.
        debug: arrays handed out before a flush become read-only after it, and every flush ends with `check`.
        entity_view: what `entity` hands out.
        events: how many events may wait in `events`.

    Attributes:
        tick: the world's time; the simulation sets it.
        version: counts structural changes; never state.
        restores: counts restores; never state.
        events: what happened, for observers.

    Raises:
        WorldError: two components of one name, or an object type that is no dataclass.

    >>> from sim.columns import Component, i32
    >>> class Position(Component):
    ...     x: i32
    >>> world = World([Position])
    >>> world.spawn({Position: {"x": [3, 5]}}, count=2)
    >>> world.flush()
    >>> world[Position].x += 1
    >>> world.keys.tolist(), world[Position].x.tolist()
    ([0, 1], [4, 6])
    >>> world.close()
    """

    def __init__(
        self,
        components: Sequence[type[Component]],
        *,
        name: str | None = None,
        capacity: int = 64,
        objects: Sequence[type] = (),
        debug: bool = False,
        entity_view: type[EntityView] = EntityView,
        events: int = EVENTS_MAX,
    ) -> None:
        self.name = name or "world"
        self.components = tuple(components)
        self.object_types = tuple(objects)
        self.debug = debug
        self.entity_view = entity_view
        self.events = EventQueue(events)
        self.tick = 0
        self.version = 0
        self.restores = 0
        self.digest_cache: object = None
        self.tables = tuple(Table(component, max(capacity, 1)) for component in self.components)
        self.declaration = self._declare()
        self._tables = {table.component: table for table in self.tables}
        self._resources: dict[str, Resource] = {}
        self._kept_resources: dict[str, tuple[tuple[int, int], Mapping[str, NDArray[Any]]]] = {}
        self._objects: dict[type, dict[int, Any]] = {declared: {} for declared in self.object_types}
        self._exact = any(_mentions_float(declared, set()) for declared in self.object_types)

        self._n = 0
        self._capacity = max(capacity, 1)
        self._next_key = 0
        self._keys = np.zeros(self._capacity, dtype=np.int64)
        self._ids = np.zeros(self._capacity, dtype=np.int64)
        # The last place is a sentinel that stays -1: keys out of range are clipped to it.
        self._padded_rows = np.full(self._capacity + 2, -1, dtype=np.intp)
        self._rows: NDArray[np.intp] | None = self._padded_rows[1:]

        self._views: dict[type[Component], Any] = {}
        self._handed: list[NDArray[Any]] = []
        self._queries: dict[tuple[type[Component], ...], slice | NDArray[np.intp]] = {}
        self._claims = np.empty(0, dtype=np.intp)
        self._key_view = _frozen(self._keys[:0])

        self._dead: NDArray[np.bool_] | None = None
        self._spawns: list[_Spawn] = []
        self._membership: list[tuple[Table, NDArray[np.intp], list[tuple[Store, NDArray[Any]]] | None]] = []
        self._claimed_keys: set[int] = set()

        self._systems: list[System] = []
        self._processors: list[esper.Processor] = []
        self._after: Callable[[str], None] | None = None
        self._position = -1
        self._watch = Watch("nothing")
        self._thread = threading.get_ident()
        self._depth = 0
        self._context = f"tickweave-{next(_numbers)}-{self.name}"
        _make_context(self._context)
        self._finalizer = weakref.finalize(self, _drop_context, self._context)
        self._finalizer.atexit = False

    def _declare(self) -> tuple[str, ...]:
        names: set[str] = set()
        lines: list[str] = []
        for table in self.tables:
            lines.extend(
                f"{spec.label} {spec.dtype.name} {spec.shape} used_by={spec.used_by}" for spec in table.schema.columns
            )
        for declared in self.object_types:
            if not is_dataclass(declared):
                raise WorldError(f"object component {declared!r} is not a dataclass")
            lines.append(f"object {declared.__qualname__}")
        for kind in (*self.components, *self.object_types):
            if kind.__name__ in names:
                raise WorldError(f"two components are called {kind.__name__}")
            names.add(kind.__name__)
        return tuple(lines)

    def active(self) -> _Active:
        """Make this world esper's current one inside a `with` block, and the previous one again after it.

        Blocks nest, of one world or of several. Nothing may await or switch worlds inside.

        Raises:
            WorldError: on entry, the world is closed or belongs to another thread; on exit, another context is current.
        """
        return _Active(self)

    def enter(self) -> str:
        """Switch to this world's context and return the previous one's name; `active` is the way to call it."""
        self._own()
        previous = esper.current_world
        if previous != self._context:
            esper.switch_world(self._context)
        self._depth += 1
        return previous

    def leave(self, previous: str) -> None:
        """Switch back; `active` is the way to call it."""
        self._depth -= 1
        found = esper.current_world
        if found != previous:
            esper.switch_world(previous)
        if found != self._context:
            raise WorldError(
                f"esper's context was {found!r} instead of {self._context!r} at the end of active(): something inside "
                f"awaited or switched worlds"
            )

    def close(self) -> None:
        """Delete the world's context; the world is of no use afterwards. Closing twice is closing once.

        Raises:
            WorldError: the world is active.
        """
        if self._depth:
            raise WorldError(f"{self.name} cannot be closed inside active()")
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _own(self) -> None:
        if threading.get_ident() != self._thread:
            raise WorldError(f"{self.name} belongs to another thread; esper has no locks and one global context")
        if not self._finalizer.alive:
            raise WorldError(f"{self.name} is closed")

    def install(self, systems: Sequence[System]) -> None:
        """Add systems, to run in exactly this order after those already installed; esper priorities do not matter.

        Raises:
            WorldError: during a tick, or when a type or a name is there already.
        """
        if self._position >= 0:
            raise WorldError("systems cannot be installed during a tick: order is meaning")
        types: set[type] = {type(system) for system in self._systems}
        names = {system.name for system in self._systems}
        for system in systems:
            if type(system) in types or system.name in names:
                raise WorldError(f"system {system.name!r} ({type(system).__name__}) is installed twice")
            types.add(type(system))
            names.add(system.name)
        with self.active():
            for system in systems:
                position = len(self._systems)
                self._systems.append(system)
                for processor in (system, _Mark(position, system.name)):
                    esper.add_processor(processor, priority=-len(self._processors))
                    self._processors.append(processor)

    @property
    def systems(self) -> tuple[System, ...]:
        """The installed systems, in the order they run."""
        return tuple(self._systems)

    def process(self, frame: Any, after: Callable[[str], None] | None = None) -> None:
        """Run the installed systems once, in order, in this world's context.

        Args:
            frame: handed to every system.
            after: called with the system's name when it is done.

        Raises:
            WorldError: inside a tick, or when the systems did not run once each in the installed order.
        """
        if self._position >= 0:
            raise WorldError("process() was called from within a tick")
        with self.active():
            self._position = 0
            self._after = after
            try:
                self._watch_next()
                esper.process(self, frame)
                done = self._position
            finally:
                self._watch.stop()
                self._position = -1
                self._after = None
        if done != len(self._systems):
            raise WorldError(f"{done} of {len(self._systems)} systems ran: esper's processors were changed directly")

    def passed(self, position: int, name: str) -> None:
        """Note that the system at a position is done; only the marks between systems call this.

        Raises:
            WorldError: the position is not the next one, or esper has other processors than were installed.
        """
        self._watch.stop()
        if esper.current_world != self._context:
            raise WorldError(f"system {name!r} switched esper's context to {esper.current_world!r}")
        # esper has no public way to list its processors, and one added in mid-process makes it run a system twice.
        if position != self._position or esper._processors != self._processors:  # noqa: SLF001
            raise WorldError(f"system {name!r} ran out of order: esper's processors were changed directly")
        self._position += 1
        if self._after is not None:
            self._after(name)
        self._watch_next()

    def _watch_next(self) -> None:
        """Put the next system under the guard, if it is one that is watched."""
        if self._position < len(self._systems) and foreign(type(self._systems[self._position])):
            self._watch = Watch(f"system {self._systems[self._position].name!r}")
            self._watch.start()

    @property
    def n(self) -> int:
        """How many entities live."""
        return self._n

    @property
    def keys(self) -> NDArray[np.int64]:
        """The living entities' keys: `[n] int64`, ascending, read-only, valid until the next flush."""
        return self._key_view

    @property
    def next_key(self) -> int:
        """The key the next entity gets; all keys ever given are below it."""
        return self._next_key

    @property
    def domain(self) -> Literal["portable", "exact"]:
        """`portable` when state is integers throughout, `exact` once a float component or resource is there."""
        if not self._exact:
            self._exact = any(
                canonical(value).has_float for held in self._objects.values() for value in held.values()
            ) or any(
                array.dtype.kind == "f"
                for resource in self._resources.values()
                for array in resource.columns().values()
            )
        return "exact" if self._exact else "portable"

    def __getitem__(self, component: type[C]) -> C:
        """Hand out the columns of a component: arrays `[..., n]`, valid until the next flush.

        Raises:
            WorldError: the component is not declared.
        """
        view = self._views.get(component)
        if view is None:
            view = self._open(self._table(component))
        return view  # type: ignore[no-any-return]

    def _open(self, table: Table) -> Any:
        view = table.view_type()
        for store in table.stores:
            array = store.data[..., : self._n]
            object.__setattr__(view, store.spec.name, array)
            if self.debug:
                self._handed.append(array)
        self._views[table.component] = view
        return view

    def _table(self, component: type[Component]) -> Table:
        table = self._tables.get(component)
        if table is None:
            name = getattr(component, "__name__", repr(component))
            raise WorldError(f"{name} is not declared in {self.name}: World([..., {name}])")
        return table

    def query(self, *components: type[Component]) -> slice | NDArray[np.intp]:
        """Find the rows that have all of these components: slice(0, n) when every row has, else ascending indices.

        Raises:
            WorldError: a component is not declared.

        >>> from sim.columns import Component, i32
        >>> class Position(Component):
        ...     x: i32
        >>> with World([Position]) as world:
        ...     world.query(Position)
        slice(0, 0, None)
        """
        found = self._queries.get(components)
        if found is None:
            masks = [mask for mask in (self._table(component).mask for component in components) if mask is not None]
            if masks:
                together = np.logical_and.reduce([mask[: self._n] for mask in masks])
                found = _frozen(np.flatnonzero(together))
            else:
                found = slice(0, self._n)
            self._queries[components] = found
        return found

    def has(self, component: type[Component]) -> NDArray[np.bool_]:
        """Tell who has a component: `[n] bool`, a copy.

        Raises:
            WorldError: the component is not declared.
        """
        mask = self._table(component).mask
        return np.ones(self._n, dtype=np.bool_) if mask is None else mask[: self._n].copy()

    def row_of(self, key: int) -> int:
        """Find an entity's row; -1 when it is dead or was never born."""
        return int(self.rows_of(np.array([key], dtype=np.int64))[0]) if -1 < key < self._next_key else -1

    def rows_of(self, keys: ArrayLike) -> NDArray[np.intp]:
        """Find entities' rows: `[len(keys)] intp`, -1 for the dead and the unknown.

        Raises:
            WorldError: the keys are not integers.
        """
        wanted = np.asarray(keys)
        if wanted.dtype.kind != "i":
            wanted = fit(wanted, np.dtype(np.int64), "keys")
        if self._rows is not None:
            # Clipped, keys below zero come to the place before the first, and those too large to the last: nobody's.
            rows: NDArray[np.intp] = self._padded_rows.take(np.add(wanted, 1, dtype=np.int64), mode="clip")
            return rows
        if self._n == 0:
            return np.full(wanted.shape, -1, dtype=np.intp)
        living = self._keys[: self._n]
        found = np.minimum(np.searchsorted(living, wanted), self._n - 1)
        return np.where(living[found] == wanted, found, -1)

    def entity(self, key: int) -> EntityView:
        """Show one entity.

        Raises:
            WorldError: no living entity has this key.
        """
        self._row(key)
        return self.entity_view(self, int(key))

    def cell(self, key: int, component: type[Component], name: str) -> Any:
        """Read one value of one entity: a Python int or bool, or a small array that writes through.

        Raises:
            WorldError: the entity is dead, does not have the component, or there is no such column.
        """
        value = self._place(key, component, name).data[..., self._row(key)]
        return value if value.ndim else value.item()

    def set_cell(self, key: int, component: type[Component], name: str, value: ArrayLike) -> None:
        """Write one value of one entity.

        Raises:
            WorldError: as `cell`, or the value is not an integer, does not fit the dtype or has another shape.
        """
        store = self._place(key, component, name)
        fitted = fit(value, store.spec.dtype, store.spec.label)
        if fitted.shape not in ((), store.spec.shape):
            raise WorldError(f"{store.spec.label}: shape {fitted.shape} is not {store.spec.shape}")
        store.data[..., self._row(key)] = fitted

    def _row(self, key: int) -> int:
        row = self.row_of(key)
        if row < 0:
            raise WorldError(f"no living entity has key {key} at tick {self.tick}")
        return row

    def _place(self, key: int, component: type[Component], name: str) -> Store:
        table = self._table(component)
        store = table.by_name.get(name)
        if store is None:
            raise WorldError(f"{table.schema.name} has no column {name!r}, only {', '.join(table.by_name)}")
        if table.mask is not None and not table.mask[self._row(key)]:
            raise WorldError(f"entity {key} has no {table.schema.name}")
        return store

    def scatter_add(self, column_view: NDArray[Any], rows: Any, values: ArrayLike) -> None:
        """Add values to rows of a column; what falls on one row is summed, which `column[rows] += values` loses.

        Args:
            column_view: a flat column, `[n]`.
            rows: indices that may repeat, a mask or a slice.
            values: one integer, or one for each row.

        Raises:
            WorldError: a row is negative or past the end, a value is not an integer, or a sum does not fit the column,
                which is then unchanged.

        >>> from sim.columns import Component, column, i32
        >>> class Health(Component):
        ...     hp: i32 = column(default=100)
        >>> with World([Health]) as world:
        ...     world.spawn({}, count=2)
        ...     world.flush()
        ...     world.scatter_add(world[Health].hp, [1, 1], -30)
        ...     world[Health].hp.tolist()
        [100, 40]
        """
        if column_view.ndim != 1 or column_view.dtype.kind != "i":
            raise WorldError(f"scatter_add needs a flat integer column, not {column_view.dtype} {column_view.shape}")
        label = self._label(column_view)
        places = _indices(rows, column_view.size, label)
        if places.size == 0:
            return
        amounts = fit(values, np.dtype(np.int64), label)
        if amounts.shape not in ((), (1,), places.shape):
            raise WorldError(f"{label}: {amounts.shape} values for {places.size} rows")
        amounts = np.broadcast_to(amounts, places.shape)
        low, high = limits(column_view.dtype)
        before = column_view[places]
        # Python's integers cannot wrap; the bound holds for every row and every order of additions.
        losses, gains = _bounded_sums(amounts)
        if int(before.min()) + losses >= low and int(before.max()) + gains <= high:
            # The cast matters: int64 into an int32 column takes add.at off its fast path, by a factor of 30.
            np.add.at(column_view, places, amounts.astype(column_view.dtype))
            return
        exact: NDArray[Any] = column_view.astype(np.int64 if column_view.itemsize < 8 else np.object_)
        np.add.at(exact, places, amounts.astype(exact.dtype))
        column_view[...] = fit(exact, column_view.dtype, label)

    def _label(self, array: NDArray[Any]) -> str:
        for table in self.tables:
            for store in table.stores:
                if np.may_share_memory(store.data, array):
                    return store.spec.label
        return "scatter_add"

    def claim(self, targets: NDArray[np.integer], claimants: NDArray[np.integer], size: int) -> NDArray[np.bool_]:
        """Settle who gets what only one can have: the lowest row, which is the lowest key, wins each target.

        Args:
            targets: what is claimed, `[claims]`, each in 0..size-1.
            claimants: the rows that claim it, `[claims]`.
            size: how many targets there are.

        Returns:
            Who wins: `[claims] bool`.

        Raises:
            WorldError: a target is out of range, or the lengths differ.

        >>> with World([]) as world:
        ...     world.claim(np.array([7, 7, 2]), np.array([5, 4, 6]), size=10).tolist()
        [False, True, True]
        """
        cells = _indices(targets, size, "claim targets")
        rows = _indices(claimants, LAST_ROW, "claim claimants")
        if cells.shape != rows.shape:
            raise WorldError(f"{rows.size} claimants for {cells.size} targets")
        if self._claims.size < size:
            self._claims = np.full(size, LAST_ROW, dtype=np.intp)
        best = self._claims
        np.minimum.at(best, cells, rows)
        won: NDArray[np.bool_] = best[cells] == rows
        # The scratch array is left as it was found: cheaper than a fresh one of the size of the map.
        best[cells] = LAST_ROW
        return won

    @property
    def pending(self) -> bool:
        """Whether commands wait for the next flush."""
        return bool(self._spawns or self._membership or self._dead is not None)

    def spawn(
        self,
        values: Mapping[type[Component], Mapping[str, ArrayLike]],
        count: int = 1,
        *,
        issuer: int = 0,
        keys: ArrayLike | None = None,
        components: Sequence[type[Component]] | None = None,
    ) -> None:
        """Queue the birth of entities.

        Args:
            values: by component and column; one value for all, or `[*shape, count]`. The rest is the columns' defaults.
            count: how many entities.
            issuer: the key of who spawns; births of one flush are ordered by (issuer, order of calls).
            keys: fixed keys, in any order, for entities that a file names. They must be new: not below `next_key`.
                Without them the flush gives keys from `next_key` on, after all fixed ones.
            components: what the entities have; every declared component unless given.

        Raises:
            WorldError: a component or column is not declared, a value does not fit, or a key was given before.
        """
        has = frozenset(self.components if components is None else components)
        for component in has:
            self._table(component)
        fitted: list[tuple[Store, NDArray[Any]]] = []
        for component, given in values.items():
            table = self._table(component)
            if component not in has:
                raise WorldError(f"spawn gives values for {table.schema.name}, which is not among the components")
            fitted += self._values(table, given, count)
        fixed = None if keys is None else self._fixed_keys(keys, count)
        if count < 0:
            raise WorldError(f"spawn of {count} entities")
        if count:
            self._spawns.append(_Spawn(int(issuer), count, fixed, has, fitted))

    def _fixed_keys(self, keys: ArrayLike, count: int) -> NDArray[np.int64]:
        fixed = np.array(fit(keys, np.dtype(np.int64), "keys"), ndmin=1)
        if fixed.shape != (count,):
            raise WorldError(f"{fixed.shape} keys for {count} entities")
        listed = fixed.tolist()
        fresh = set(listed)
        if listed and min(listed) < self._next_key:
            raise WorldError(
                f"key {min(listed)} was given before or passed over: keys from {self._next_key} on are new"
            )
        if listed and max(listed) == np.iinfo(np.int64).max:
            raise WorldError(f"key {max(listed)} leaves no next key")
        if len(fresh) != count or not fresh.isdisjoint(self._claimed_keys):
            raise WorldError("a key is given twice in the spawns of one flush")
        self._claimed_keys |= fresh
        return fixed

    def _values(self, table: Table, given: Mapping[str, ArrayLike], count: int) -> list[tuple[Store, NDArray[Any]]]:
        fitted = []
        for name, value in given.items():
            store = table.by_name.get(name)
            if store is None:
                raise WorldError(f"{table.schema.name} has no column {name!r}, only {', '.join(table.by_name)}")
            shape = store.spec.shape
            array = np.array(fit(value, store.spec.dtype, store.spec.label))
            if array.shape == shape:
                array = array[..., np.newaxis]
            elif array.shape not in ((), (*shape, count)):
                raise WorldError(f"{store.spec.label}: shape {array.shape} is neither {shape} nor {(*shape, count)}")
            fitted.append((store, array))
        return fitted

    def kill(self, rows: Any) -> None:
        """Queue the death of entities, by row indices, mask or slice. Killing twice is killing once.

        Raises:
            WorldError: a row does not exist.
        """
        places = _indices(rows, self._n, "kill")
        if places.size:
            if self._dead is None:
                self._dead = np.zeros(self._n, dtype=np.bool_)
            self._dead[places] = True

    def kill_keys(self, keys: ArrayLike) -> None:
        """Queue the death of entities, by key.

        Raises:
            WorldError: no living entity has one of the keys.
        """
        wanted = np.atleast_1d(fit(keys, np.dtype(np.int64), "keys"))
        rows = self.rows_of(wanted)
        if (rows < 0).any():
            raise WorldError(f"no living entity has key {wanted[rows < 0][0]} at tick {self.tick}")
        self.kill(rows)

    def attach(self, rows: Any, component: type[Component], values: Mapping[str, ArrayLike] | None = None) -> None:
        """Queue giving a component to entities; who has it already gets all of its columns anew.

        Args:
            rows: indices, mask or slice; no index twice.
            component: what to give.
            values: by column; one value for all, or `[*shape, rows]`. The rest is the columns' defaults.

        Raises:
            WorldError: a row does not exist or comes twice, or as in `spawn`.
        """
        table = self._table(component)
        places = _indices(rows, self._n, "attach")
        if np.unique(places).size != places.size:
            raise WorldError(f"attach of {table.schema.name} names a row twice")
        fitted = self._values(table, values or {}, places.size)
        if places.size:
            self._membership.append((table, places, fitted))

    def detach(self, rows: Any, component: type[Component]) -> None:
        """Queue taking a component from entities; its columns become zeros, so that equal states have equal bytes.

        Raises:
            WorldError: a row does not exist or the component is not declared.
        """
        table = self._table(component)
        places = _indices(rows, self._n, "detach")
        if places.size:
            self._membership.append((table, places, None))

    def flush(self) -> None:
        """Carry out all queued commands, in the one order this module's docstring states.

        Old views are of no use afterwards, unless nothing was queued. Row indices taken before are not either.

        Raises:
            WorldError: from another thread; or, in debug mode, what `check` finds.
        """
        self._own()
        if not self.pending:
            return
        spawns, self._spawns = self._spawns, []
        membership, self._membership = self._membership, []
        dead, self._dead = self._dead, None
        self._claimed_keys = set()
        self._forget_views()
        for table, rows, values in membership:
            self._set_membership(table, rows, values)
        first = self._n
        gone: list[int] = []
        if dead is not None:
            gone = self._ids[: self._n][dead].tolist()
            first = self._compact(dead)
        if spawns:
            first = min(first, self._append(spawns))
        for table in self.tables:
            if table.mask is not None and table.mask[: self._n].all():
                table.mask = None
        if gone or spawns:
            self._index(first)
        with self.active():
            for entity in gone:
                esper.delete_entity(entity, immediate=True)
        self._renew()
        if self.debug:
            self.check()

    def _set_membership(
        self, table: Table, rows: NDArray[np.intp], values: list[tuple[Store, NDArray[Any]]] | None
    ) -> None:
        if table.mask is None:
            table.mask = self._full_mask()
        table.mask[rows] = values is not None
        for store in table.stores:
            store.data[..., rows] = 0 if values is None else store.spec.default
        for store, array in values or ():
            store.data[..., rows] = array

    def _full_mask(self) -> NDArray[np.bool_]:
        mask = np.zeros(self._capacity, dtype=np.bool_)
        mask[: self._n] = True
        return mask

    def _compact(self, dead: NDArray[np.bool_]) -> int:
        """Close the gaps, keeping the order; returns the first row that moved."""
        keys = self._keys[: self._n][dead]
        if self._rows is not None:
            self._rows[keys] = -1
        for held in self._objects.values():
            if held:
                for key in keys.tolist():
                    held.pop(key, None)
        first = int(dead.argmax())
        kept = np.flatnonzero(~dead[first:])
        kept += first
        self._permute(kept, first)
        self._n = first + kept.size
        return first

    def _permute(self, order: NDArray[np.intp], first: int) -> None:
        """Put the rows `order` at `first` and after; touches nothing beyond the entries in use."""
        last = first + order.size
        # What is in use is asked of all columns before the lengths that say so move themselves.
        sources = [store.used(self._n) for table in self.tables for store in table.stores]
        sources += [table.mask[: self._n] for table in self.tables if table.mask is not None]
        sources += [self._keys[: self._n], self._ids[: self._n]]
        for source in sources:
            if order.size < FEW_ROWS:
                source[..., first:last] = source[..., order]
                continue
            # Line by line, because indexing the last axis of a whole block is several times slower for many rows.
            for inner in np.ndindex(source.shape[:-1]):
                line = source[inner]
                line[first:last] = line.take(order, mode="clip")

    def _append(self, spawns: list[_Spawn]) -> int:
        """Add the newborn and merge them into key order; returns the first row that is not where it was."""
        spawns.sort(key=lambda spawn: spawn.issuer)
        keys = self._assign_keys(spawns)
        start, self._n = self._n, self._n + keys.size
        self._reserve(self._n, start)
        self._keys[start : self._n] = keys
        with self.active():
            self._ids[start : self._n] = [esper.create_entity(Row(key)) for key in keys.tolist()]
        for table in self.tables:
            self._add_members(table, spawns, start)
        row = start
        for spawn in spawns:
            for store, array in spawn.values:
                store.data[..., row : row + spawn.count] = array
            row += spawn.count
        lowest = keys.min()
        if (keys[1:] > keys[:-1]).all() and (start == 0 or lowest > self._keys[start - 1]):
            return start
        first = int(np.searchsorted(self._keys[:start], lowest))
        order = np.argsort(self._keys[first : self._n], kind="stable")
        order += first
        self._permute(order, first)
        return first

    def _assign_keys(self, spawns: list[_Spawn]) -> NDArray[np.int64]:
        fixed = [spawn.keys for spawn in spawns if spawn.keys is not None]
        following = max([self._next_key, *(int(keys.max()) + 1 for keys in fixed)])
        parts = []
        for spawn in spawns:
            if spawn.keys is not None:
                parts.append(spawn.keys)
            else:
                parts.append(np.arange(following, following + spawn.count, dtype=np.int64))
                following += spawn.count
        self._next_key = following
        return np.concatenate(parts)

    def _add_members(self, table: Table, spawns: list[_Spawn], start: int) -> None:
        everybody = all(table.component in spawn.components for spawn in spawns)
        for store in table.stores:
            store.data[..., start : self._n] = store.spec.default
        if table.mask is None and everybody:
            return
        if table.mask is None:
            table.mask = self._full_mask()
        row = start
        for spawn in spawns:
            member = table.component in spawn.components
            table.mask[row : row + spawn.count] = member
            if not member:
                for store in table.stores:
                    store.data[..., row : row + spawn.count] = 0
            row += spawn.count

    def _reserve(self, need: int, n: int) -> None:
        """Make room for rows, keeping the first n."""
        if need <= self._capacity:
            return
        capacity = max(need, 2 * self._capacity)
        for table in self.tables:
            for store in table.stores:
                store.grow(n, capacity)
            if table.mask is not None:
                table.mask = _grown(table.mask, n, capacity)
        self._keys = _grown(self._keys, n, capacity)
        self._ids = _grown(self._ids, n, capacity)
        self._capacity = capacity

    def _index(self, first: int) -> None:
        """Bring key to row up to date for rows from `first` on; the dead are out already."""
        if self._next_key > DENSE_KEYS_MAX:
            self._rows = None
            return
        if self._rows is None or self._rows.size <= self._next_key:
            self._padded_rows = np.full(2 * self._next_key + 3, -1, dtype=np.intp)
            self._rows = self._padded_rows[1:]
            first = 0
        self._rows[self._keys[first : self._n]] = np.arange(first, self._n)

    def _forget_views(self) -> None:
        for component, view in self._views.items():
            for store in self._tables[component].stores:
                object.__delattr__(view, store.spec.name)
        self._views.clear()
        for array in self._handed:
            array.flags.writeable = False
        self._handed.clear()

    def _renew(self) -> None:
        self._queries.clear()
        self._key_view = _frozen(self._keys[: self._n])
        self.version += 1

    def add_resource(self, resource: Resource) -> None:
        """Make a resource part of the state.

        Raises:
            WorldError: its name is taken by another resource or by a component.
        """
        name = resource.name
        if name in self._resources or any(kind.__name__ == name for kind in (*self.components, *self.object_types)):
            raise WorldError(f"the name {name!r} is taken in {self.name}")
        self._resources = dict(sorted({**self._resources, name: resource}.items()))

    @property
    def resources(self) -> Mapping[str, Resource]:
        """The resources by name, in name order."""
        return self._resources

    def attach_object(self, key: int, value: object) -> None:
        """Give an entity an object component, at once; it replaces one of the same type and dies with the entity.

        Raises:
            WorldError: the type is not declared, no living entity has the key, or the value has no canonical encoding.
        """
        held = self._held(type(value))
        self._row(key)
        self._exact |= canonical(value).has_float
        held[int(key)] = value

    def detach_object(self, key: int, declared: type) -> None:
        """Take an object component from an entity, at once.

        Raises:
            WorldError: the entity has none.
        """
        self.object(key, declared)
        del self._objects[declared][key]

    def object(self, key: int, declared: type[T]) -> T:
        """Hand out an entity's object component.

        Raises:
            WorldError: the type is not declared, or the entity has none.
        """
        held = self._held(declared)
        if key not in held:
            raise WorldError(f"entity {key} has no {declared.__name__}")
        found: T = held[key]
        return found

    def objects(self, declared: type[T]) -> list[tuple[int, T]]:
        """List the object components of one type with their entities' keys, in key order.

        Raises:
            WorldError: the type is not declared.
        """
        return sorted(self._held(declared).items(), key=lambda pair: pair[0])

    def _held(self, declared: type) -> dict[int, Any]:
        held = self._objects.get(declared)
        if held is None:
            name = getattr(declared, "__name__", repr(declared))
            raise WorldError(f"object component {name} is not declared in {self.name}: World(..., objects=[{name}])")
        return held

    def snapshot(self) -> WorldState:
        """Copy all state. Events that wait and installed systems are not state.

        Raises:
            WorldError: commands wait for a flush.
        """
        if self.pending:
            raise WorldError("snapshot with commands waiting: flush first")
        n = self._n
        return WorldState(
            declaration=self.declaration,
            tick=self.tick,
            next_key=self._next_key,
            keys=_kept(self._keys[:n]),
            columns={store.spec.label: _kept(store.used(n)) for table in self.tables for store in table.stores},
            masks={table.schema.name: _kept(table.mask[:n]) for table in self.tables if table.mask is not None},
            objects={declared.__name__: tuple(copy.deepcopy(self.objects(declared))) for declared in self.object_types},
            resources={name: self._kept_resource(resource) for name, resource in self._resources.items()},
        )

    def _kept_resource(self, resource: Resource) -> Mapping[str, NDArray[Any]]:
        """Copy a resource's columns; what was copied for a snapshot serves the next ones until the content changes."""
        stamp = (resource.stamp, self.restores)
        kept = self._kept_resources.get(resource.name)
        if kept is None or kept[0] != stamp:
            columns = {column: _kept(array) for column, array in sorted(resource.columns().items())}
            kept = self._kept_resources[resource.name] = stamp, columns
        return kept[1]

    def restore(self, state: WorldState) -> None:
        """Become what a snapshot holds. Commands and events that wait are dropped, installed systems stay.

        Raises:
            WorldError: the snapshot is of a world declared otherwise, or with other resources.
        """
        self._own()
        if state.declaration != self.declaration:
            difference = sorted(set(state.declaration) ^ set(self.declaration)) or "the order"
            raise WorldError(f"the snapshot is of a world declared otherwise: {difference}")
        if state.resources.keys() != self._resources.keys():
            raise WorldError(f"the snapshot has resources {sorted(state.resources)}, not {sorted(self._resources)}")
        self._spawns, self._membership, self._dead, self._claimed_keys = [], [], None, set()
        self.events.clear()
        self._forget_views()
        self.tick, self._next_key = state.tick, state.next_key
        n = state.keys.size
        if not np.array_equal(self._keys[: self._n], state.keys):
            self._mirror(state.keys)
        for table in self.tables:
            mask = state.masks.get(table.schema.name)
            table.mask = None if mask is None else _grown(mask, n, self._capacity)
            for store in table.stores:
                kept = state.columns[store.spec.label]
                if store.lengths is None:
                    store.data[..., :n] = kept
                else:
                    store.data[: kept.shape[0], ..., :n] = kept
                    store.data[kept.shape[0] :, ..., :n] = 0
        for declared in self.object_types:
            self._objects[declared] = dict(copy.deepcopy(state.objects[declared.__name__]))
        for name, resource in self._resources.items():
            resource.restore(state.resources[name])
        self.restores += 1
        self._renew()

    def _mirror(self, keys: NDArray[np.int64]) -> None:
        """Make esper's entities and the key index those of a snapshot, by difference."""
        rows = self.rows_of(keys)
        living = rows >= 0
        ids = np.zeros(keys.size, dtype=np.int64)
        ids[living] = self._ids[rows[living]]
        gone = np.ones(self._n, dtype=np.bool_)
        gone[rows[living]] = False
        with self.active():
            for entity in self._ids[: self._n][gone].tolist():
                esper.delete_entity(entity, immediate=True)
            ids[~living] = [esper.create_entity(Row(key)) for key in keys[~living].tolist()]
        if self._rows is not None:
            self._rows[self._keys[: self._n][gone]] = -1
        self._n = keys.size
        self._reserve(keys.size, 0)
        self._keys[: self._n] = keys
        self._ids[: self._n] = ids
        self._index(0)

    def fork(self) -> World:
        """Make an independent world of the same declaration and state, without systems; resources are deep-copied.

        Raises:
            WorldError: commands wait for a flush.
        """
        state = self.snapshot()
        twin = World(
            self.components,
            name=self.name,
            capacity=self._capacity,
            objects=self.object_types,
            debug=self.debug,
            entity_view=self.entity_view,
            events=self.events.limit,
        )
        for resource in self._resources.values():
            twin.add_resource(copy.deepcopy(resource))
        twin.restore(state)
        return twin

    def check(self) -> None:
        """Assert what this module promises about itself; for tests and debug mode.

        Raises:
            WorldError: keys do not ascend, esper or the key index disagrees with them, or a column has something where
                zeros belong.
        """
        keys = self._keys[: self._n]
        if (keys[1:] <= keys[:-1]).any():
            raise WorldError("keys do not ascend")
        if keys.size and not 0 <= int(keys[0]) <= int(keys[-1]) < self._next_key:
            raise WorldError(f"keys {keys[0]}..{keys[-1]} are not in 0..{self._next_key - 1}")
        if not np.array_equal(self.rows_of(keys), np.arange(self._n)):
            raise WorldError("key to row is wrong")
        if self._rows is not None and int((self._rows >= 0).sum()) != self._n:
            raise WorldError("key to row knows the dead")
        with self.active():
            mirrored: dict[int, tuple[object, ...]] = {
                entity: esper.components_for_entity(entity) for entity in esper.get_entities()
            }
        expected = dict(zip(self._ids[: self._n].tolist(), keys.tolist(), strict=True))
        if mirrored.keys() != expected.keys():
            raise WorldError(f"esper has entities {sorted(mirrored.keys() ^ expected.keys())} too many or too few")
        for entity, parts in mirrored.items():
            if [getattr(part, "key", None) for part in parts] != [expected[entity]]:
                raise WorldError(f"esper entity {entity} does not carry exactly its Row({expected[entity]})")
        for table in self.tables:
            for store in table.stores:
                values = store.data[..., : self._n]
                if table.mask is not None and values[..., ~table.mask[: self._n]].any():
                    raise WorldError(f"{store.spec.label} is not zero where {table.schema.name} is absent")
                if store.lengths is not None:
                    lengths = store.lengths.data[: self._n]
                    places = np.arange(store.spec.shape[0]).reshape(-1, *(1,) * len(store.spec.shape))
                    if (store.used(self._n).size or values.any()) and (values * (places >= lengths)).any():
                        raise WorldError(f"{store.spec.label} is not zero beyond {store.lengths.spec.label}")


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.setflags(write=False)
    return view


def _kept(array: NDArray[Any]) -> NDArray[Any]:
    copied = array.copy()
    copied.setflags(write=False)
    return copied


def _grown(array: NDArray[Any], n: int, capacity: int) -> NDArray[Any]:
    grown = np.zeros(capacity, dtype=array.dtype)
    grown[:n] = array[:n]
    return grown


def _indices(rows: Any, size: int, label: str) -> NDArray[np.intp]:
    """Turn an index, indices, a mask or a slice into checked indices; ndarray itself takes -1 for the last row."""
    if isinstance(rows, slice):
        return np.arange(size, dtype=np.intp)[rows]
    array = np.atleast_1d(np.asarray(rows))
    if array.dtype == np.bool_:
        if array.shape != (size,):
            raise WorldError(f"{label}: a mask of shape {array.shape} for {size} rows")
        return np.flatnonzero(array)
    if array.size == 0:
        return np.zeros(0, dtype=np.intp)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise WorldError(f"{label}: {array.dtype} of shape {array.shape} are no row indices")
    places = array.astype(np.intp, copy=False)
    # As unsigned numbers the negative ones are too large as well.
    if np.count_nonzero(places.view(np.uintp) >= size):
        raise WorldError(f"{label}: rows {array.min()}..{array.max()} are not in 0..{size - 1}")
    return places


def _bounded_sums(amounts: NDArray[np.int64]) -> tuple[int, int]:
    """Bound the sums of any part of the amounts from below and above, without wrapping."""
    smallest, largest = int(amounts.min()), int(amounts.max())
    return min(smallest, 0) * amounts.size, max(largest, 0) * amounts.size


def _mentions_float(kind: Any, seen: set[Any]) -> bool:
    """Tell whether a declared type can hold a float: itself, in its arguments, or in a nested dataclass."""
    if kind is float:
        return True
    if isinstance(kind, type) and is_dataclass(kind):
        if kind in seen:
            return False
        seen.add(kind)
        return any(_mentions_float(hint, seen) for hint in get_type_hints(kind).values())
    return any(_mentions_float(argument, seen) for argument in get_args(kind))
