"""The world: who exists, what they are made of, and when that may change. The only importer of esper.

esper holds identity, membership, processors and contexts; NumPy holds the values. Rules that hold throughout:

- **Rows are entities in ascending key order**, always (`sim.engine.rows`). A key is given once and never again.
  esper's own ids, its queries (set order) and its events (order by address) reach nobody.
- **Columns are arrays of all living rows** (`sim.engine.storage`); a view of them is valid until the next flush that
  changes something, and `world[Component]` gives a fresh one.
- **Structure changes only in `flush`.** spawn, kill, attach and detach queue, and check everything while queueing
  (`sim.engine.commands`), so that a flush cannot fail half way. The order inside a flush: attach and detach in the
  order they
  were queued, then one order-preserving compaction without the dead, then spawns by (issuer, sequence), merged into key
  order, then key to row and caches, then esper's dead, then `version`.
- **esper's current context is global.** It is switched on every access that touches esper and switched back after it;
  nothing may await or switch in between.

What must change together: a new kind of state goes into `sim.engine.state.WorldState`, `snapshot`, `restore`,
`sim.engine.digest` and `check`.
"""

from __future__ import annotations

import copy
import itertools
import threading
import weakref
from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import esper
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ai.guard import Watch, foreign
from sim.engine.block import Block
from sim.engine.closing import Closing
from sim.engine.columns import Component, Store, fit, frozen_copy
from sim.engine.commands import Commands
from sim.engine.conflicts import Claims, scatter_add
from sim.engine.entity import EntityView
from sim.engine.events import EVENTS_MAX, EventQueue
from sim.engine.object_components import ObjectComponents
from sim.engine.resources import Resource, ResourceCopies
from sim.engine.rows import Rows
from sim.engine.state import WorldState, declaration_of
from sim.engine.storage import Storage
from sim.errors import WorldError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

C = TypeVar("C", bound="Component")
T = TypeVar("T")


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


class _Context(AbstractContextManager[None]):
    """Is esper's context of one world: current inside a `with` block, and the previous one again after it.

    Nothing that esper itself holds on to may refer to it: the context is deleted when the world is not used any more.
    """

    _numbers = itertools.count(1)

    def __init__(self, label: str) -> None:
        self.name = f"tickweave-{next(self._numbers)}-{label}"
        self._label = label
        self._thread = threading.get_ident()
        self._previous: list[str] = []
        _make_context(self.name)
        self._finalizer = weakref.finalize(self, _drop_context, self.name)
        self._finalizer.atexit = False

    def check_usable(self) -> None:
        """Refuse another thread than the one that made the world, and a world that is closed."""
        if threading.get_ident() != self._thread:
            raise WorldError(f"{self._label} belongs to another thread; esper has no locks and one global context")
        if not self._finalizer.alive:
            raise WorldError(f"{self._label} is closed")

    def __enter__(self) -> None:
        self.check_usable()
        previous = esper.current_world
        if previous != self.name:
            esper.switch_world(self.name)
        self._previous.append(previous)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        previous, found = self._previous.pop(), esper.current_world
        if found != previous:
            esper.switch_world(previous)
        if found != self.name:
            raise WorldError(
                f"esper's context was {found!r} instead of {self.name!r} at the end of active(): something inside "
                f"awaited or switched worlds"
            )

    def close(self) -> None:
        if self._previous:
            raise WorldError(f"{self._label} cannot be closed inside active()")
        self._finalizer()

    def born(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Make entities that carry these keys, and return esper's ids of them."""
        with self:
            return np.array([esper.create_entity(Row(key)) for key in keys.tolist()], dtype=np.int64)

    def bury(self, ids: NDArray[np.int64]) -> None:
        """Delete entities by esper's ids."""
        with self:
            for entity in ids.tolist():
                esper.delete_entity(entity, immediate=True)

    def check(self, rows: Rows) -> None:
        """Assert that esper's entities are those of the rows, each with exactly its key."""
        with self:
            mirrored: dict[int, tuple[object, ...]] = {
                entity: esper.components_for_entity(entity) for entity in esper.get_entities()
            }
        expected = dict(zip(rows.ids[: rows.n].tolist(), rows.keys[: rows.n].tolist(), strict=True))
        if mirrored.keys() != expected.keys():
            raise WorldError(f"esper has entities {sorted(mirrored.keys() ^ expected.keys())} too many or too few")
        for entity, parts in mirrored.items():
            if [getattr(part, "key", None) for part in parts] != [expected[entity]]:
                raise WorldError(f"esper entity {entity} does not carry exactly its Row({expected[entity]})")


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


class _Mark(esper.Processor):
    """Runs after each system: reports it, and notices when esper did not run the systems in the installed order."""

    def __init__(self, order: _Order, position: int, name: str) -> None:
        self.order = order
        self.position = position
        self.name = name

    def process(self, world: World, frame: Any) -> None:
        del world, frame
        self.order.passed(self.position, self.name)


class _Order:
    """Is the systems of one world in the order they run; esper's priorities do not matter.

    Esper holds on to it through its marks, so it knows its context by name only.
    """

    def __init__(self, context: str) -> None:
        self.systems: list[System] = []
        self._context = context
        self._processors: list[esper.Processor] = []
        self._after: Callable[[str], None] | None = None
        self._position = -1
        self._watch = Watch("nothing")

    def install(self, systems: Sequence[System]) -> None:
        if self._position >= 0:
            raise WorldError("systems cannot be installed during a tick: order is meaning")
        types: set[type] = {type(system) for system in self.systems}
        names = {system.name for system in self.systems}
        for system in systems:
            if type(system) in types or system.name in names:
                raise WorldError(f"system {system.name!r} ({type(system).__name__}) is installed twice")
            types.add(type(system))
            names.add(system.name)
        for system in systems:
            position = len(self.systems)
            self.systems.append(system)
            for processor in (system, _Mark(self, position, system.name)):
                esper.add_processor(processor, priority=-len(self._processors))
                self._processors.append(processor)

    def process(self, world: World, frame: Any, after: Callable[[str], None] | None) -> None:
        if self._position >= 0:
            raise WorldError("process() was called from within a tick")
        self._position = 0
        self._after = after
        try:
            self._watch_next()
            esper.process(world, frame)
            done = self._position
        finally:
            self._watch.stop()
            self._position = -1
            self._after = None
        if done != len(self.systems):
            raise WorldError(f"{done} of {len(self.systems)} systems ran: esper's processors were changed directly")

    def passed(self, position: int, name: str) -> None:
        """Note that the system at a position is done."""
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
        if self._position < len(self.systems) and foreign(type(self.systems[self._position])):
            self._watch = Watch(f"system {self.systems[self._position].name!r}")
            self._watch.start()


class World(Closing):
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

    >>> from sim.engine.columns import Component, i32
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

        self._rows = Rows(max(capacity, 1))
        self._storage = Storage(self.components, self._rows, name=self.name, debug=debug)
        self.tables = self._storage.tables
        self._views = self._storage.views
        self._commands = Commands(self._rows, self._storage.table)
        self._claims = Claims()
        self._objects = ObjectComponents(self.object_types, self.name)
        self.declaration = declaration_of(self.tables, self.object_types)
        self._resources: dict[str, Resource] = {}
        self._copies = ResourceCopies()
        self._exact = False
        self._context = _Context(self.name)
        self._order = _Order(self._context.name)

    # -- esper's context and the systems ---------------------------------------------------------------------------

    def active(self) -> AbstractContextManager[None]:
        """Make this world esper's current one inside a `with` block, and the previous one again after it.

        Blocks nest, of one world or of several. Nothing may await or switch worlds inside.

        Raises:
            WorldError: on entry, the world is closed or belongs to another thread; on exit, another context is current.
        """
        return self._context

    def close(self) -> None:
        """Delete the world's context; the world is of no use afterwards. Closing twice is closing once.

        Raises:
            WorldError: the world is active.
        """
        self._context.close()

    def install(self, systems: Sequence[System]) -> None:
        """Add systems, to run in exactly this order after those already installed; esper priorities do not matter.

        Raises:
            WorldError: during a tick, or when a type or a name is there already.
        """
        with self._context:
            self._order.install(systems)

    @property
    def systems(self) -> tuple[System, ...]:
        """The installed systems, in the order they run."""
        return tuple(self._order.systems)

    def process(self, frame: Any, after: Callable[[str], None] | None = None) -> None:
        """Run the installed systems once, in order, in this world's context.

        Args:
            frame: handed to every system.
            after: called with the system's name when it is done.

        Raises:
            WorldError: inside a tick, or when the systems did not run once each in the installed order.
        """
        with self._context:
            self._order.process(self, frame, after)

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """How many entities live."""
        return self._rows.n

    @property
    def block(self) -> Block:
        """The memory of the columns that have no `used_by`; another one after it had to grow."""
        return self._storage.block

    @property
    def keys(self) -> NDArray[np.int64]:
        """The living entities' keys: `[n] int64`, ascending, read-only, valid until the next flush."""
        return self._rows.living

    @property
    def next_key(self) -> int:
        """The key the next entity gets; all keys ever given are below it."""
        return self._rows.next_key

    @property
    def domain(self) -> Literal["portable", "exact"]:
        """`portable` when state is integers throughout, `exact` once a float component or resource is there."""
        if not self._exact:
            self._exact = self._objects.exact or any(
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
        # The storage's own dictionary: no call is made more often.
        view = self._views.get(component)
        return self._storage.view(component) if view is None else view

    def query(self, *components: type[Component]) -> slice | NDArray[np.intp]:
        """Find the rows that have all of these components: slice(0, n) when every row has, else ascending indices.

        Raises:
            WorldError: a component is not declared.

        >>> from sim.engine.columns import Component, i32
        >>> class Position(Component):
        ...     x: i32
        >>> with World([Position]) as world:
        ...     world.query(Position)
        slice(0, 0, None)
        """
        return self._storage.query(components)

    def has(self, component: type[Component]) -> NDArray[np.bool_]:
        """Tell who has a component: `[n] bool`, a copy.

        Raises:
            WorldError: the component is not declared.
        """
        mask = self._storage.table(component).mask
        return np.ones(self.n, dtype=np.bool_) if mask is None else mask[: self.n].copy()

    def row_of(self, key: int) -> int:
        """Find an entity's row; -1 when it is dead or was never born."""
        return int(self._rows.of(np.array([key], dtype=np.int64))[0]) if -1 < key < self.next_key else -1

    def rows_of(self, keys: ArrayLike) -> NDArray[np.intp]:
        """Find entities' rows: `[len(keys)] intp`, -1 for the dead and the unknown.

        Raises:
            WorldError: the keys are not integers.
        """
        return self._rows.of(keys)

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
        value = self._store(key, component, name).data[..., self._row(key)]
        return value if value.ndim else value.item()

    def set_cell(self, key: int, component: type[Component], name: str, value: ArrayLike) -> None:
        """Write one value of one entity.

        Raises:
            WorldError: as `cell`, or the value is not an integer, does not fit the dtype or has another shape.
        """
        store = self._store(key, component, name)
        fitted = fit(value, store.spec.dtype, store.spec.label)
        if fitted.shape not in ((), store.spec.shape):
            raise WorldError(f"{store.spec.label}: shape {fitted.shape} is not {store.spec.shape}")
        store.data[..., self._row(key)] = fitted

    def _row(self, key: int) -> int:
        row = self.row_of(key)
        if row < 0:
            raise WorldError(f"no living entity has key {key} at tick {self.tick}")
        return row

    def _store(self, key: int, component: type[Component], name: str) -> Store:
        table = self._storage.table(component)
        store = table.store(name)
        if table.mask is not None and not table.mask[self._row(key)]:
            raise WorldError(f"entity {key} has no {table.schema.name}")
        return store

    # -- conflicts inside a phase ----------------------------------------------------------------------------------

    def scatter_add(self, column_view: NDArray[Any], rows: Any, values: ArrayLike) -> None:
        """Add values to rows of a column; what falls on one row is summed, which `column[rows] += values` loses.

        Args:
            column_view: a flat column, `[n]`.
            rows: indices that may repeat, a mask or a slice.
            values: one integer, or one for each row.

        Raises:
            WorldError: a row is negative or past the end, a value is not an integer, or a sum does not fit the column,
                which is then unchanged.

        >>> from sim.engine.columns import Component, column, i32
        >>> class Health(Component):
        ...     hp: i32 = column(default=100)
        >>> with World([Health]) as world:
        ...     world.spawn({}, count=2)
        ...     world.flush()
        ...     world.scatter_add(world[Health].hp, [1, 1], -30)
        ...     world[Health].hp.tolist()
        [100, 40]
        """
        scatter_add(column_view, rows, values, self._storage.label(column_view) or "scatter_add")

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
        return self._claims.won(targets, claimants, size)

    # -- commands, and the flush that carries them out -------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether commands wait for the next flush."""
        return self._commands.pending

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
        has = self.components if components is None else components
        self._commands.spawn(values, count, issuer=issuer, keys=keys, components=has)

    def kill(self, rows: Any) -> None:
        """Queue the death of entities, by row indices, mask or slice. Killing twice is killing once.

        Raises:
            WorldError: a row does not exist.
        """
        self._commands.kill(rows)

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
        self._commands.attach(rows, component, values or {})

    def detach(self, rows: Any, component: type[Component]) -> None:
        """Queue taking a component from entities; its columns become zeros, so that equal states have equal bytes.

        Raises:
            WorldError: a row does not exist or the component is not declared.
        """
        self._commands.detach(rows, component)

    def flush(self) -> None:
        """Carry out all queued commands, in the one order this module's docstring states.

        Old views are of no use afterwards, unless nothing was queued. Row indices taken before are not either.

        Raises:
            WorldError: from another thread; or, in debug mode, what `check` finds.
        """
        self._context.check_usable()
        if not self.pending:
            return
        queued, rows, storage = self._commands.take(), self._rows, self._storage
        storage.close_views()
        for change in queued.membership:
            storage.set_membership(change)
        gone = np.empty(0, dtype=np.int64)
        if queued.dead is not None:
            gone = rows.ids[: rows.n][queued.dead]
            self._objects.forget(rows.keys[: rows.n][queued.dead].tolist())
            storage.compact(queued.dead)
        if queued.spawns:
            spawns = sorted(queued.spawns, key=lambda spawn: spawn.issuer)
            keys = rows.give_keys([(spawn.keys, spawn.count) for spawn in spawns])
            storage.append(spawns, keys, self._context.born(keys))
        storage.settle()
        self._context.bury(gone)
        self.version += 1
        if self.debug:
            self.check()

    # -- resources and object components ---------------------------------------------------------------------------

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
        self._row(key)
        self._objects.attach(int(key), value)

    def detach_object(self, key: int, declared: type) -> None:
        """Take an object component from an entity, at once.

        Raises:
            WorldError: the entity has none.
        """
        self.object(key, declared)
        del self._objects.of(declared)[key]

    def object(self, key: int, declared: type[T]) -> T:
        """Hand out an entity's object component.

        Raises:
            WorldError: the type is not declared, or the entity has none.
        """
        return self._objects.get(key, declared)

    def objects(self, declared: type[T]) -> list[tuple[int, T]]:
        """List the object components of one type with their entities' keys, in key order.

        Raises:
            WorldError: the type is not declared.
        """
        return sorted(self._objects.of(declared).items(), key=lambda pair: pair[0])

    # -- going back ------------------------------------------------------------------------------------------------

    def snapshot(self) -> WorldState:
        """Copy all state. Events that wait and installed systems are not state.

        Raises:
            WorldError: commands wait for a flush.
        """
        if self.pending:
            raise WorldError("snapshot with commands waiting: flush first")
        return WorldState(
            declaration=self.declaration,
            tick=self.tick,
            next_key=self.next_key,
            keys=frozen_copy(self.keys),
            columns=self._storage.columns(),
            masks=self._storage.masks(),
            objects=self._objects.copies(),
            resources={name: self._copies.of(resource, self.restores) for name, resource in self._resources.items()},
        )

    def restore(self, state: WorldState) -> None:
        """Become what a snapshot holds. Commands and events that wait are dropped, installed systems stay.

        Raises:
            WorldError: the snapshot is of a world declared otherwise, or with other resources.
        """
        self._context.check_usable()
        if state.declaration != self.declaration:
            difference = sorted(set(state.declaration) ^ set(self.declaration)) or "the order"
            raise WorldError(f"the snapshot is of a world declared otherwise: {difference}")
        if state.resources.keys() != self._resources.keys():
            raise WorldError(f"the snapshot has resources {sorted(state.resources)}, not {sorted(self._resources)}")
        self._commands.take()
        self.events.clear()
        self._storage.close_views()
        self.tick, self._rows.next_key = state.tick, state.next_key
        if not np.array_equal(self._rows.keys[: self.n], state.keys):
            self._mirror(state.keys)
        self._storage.restore(state.columns, state.masks)
        self._objects.restore(state.objects)
        for name, resource in self._resources.items():
            resource.restore(state.resources[name])
        self.restores += 1
        self.version += 1

    def _mirror(self, keys: NDArray[np.int64]) -> None:
        """Make esper's entities and the rows those of a snapshot, by difference."""
        rows = self._rows
        places = rows.of(keys)
        living = places >= 0
        ids = np.zeros(keys.size, dtype=np.int64)
        ids[living] = rows.ids[places[living]]
        gone = np.ones(rows.n, dtype=np.bool_)
        gone[places[living]] = False
        self._context.bury(rows.ids[: rows.n][gone])
        ids[~living] = self._context.born(keys[~living])
        self._storage.replace_rows(keys, ids, gone)

    def fork(self) -> World:
        """Make an independent world of the same declaration and state, without systems; resources are deep-copied.

        Raises:
            WorldError: commands wait for a flush.
        """
        state = self.snapshot()
        twin = World(
            self.components,
            name=self.name,
            capacity=self._rows.capacity,
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
        self._rows.check()
        self._context.check(self._rows)
        self._storage.check()
