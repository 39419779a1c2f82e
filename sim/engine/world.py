"""The world: its entities, their components, and the rules for changing them.

NumPy arrays hold the values; esper runs the systems in the world's own context. These rules hold throughout:

- **Rows are entities in ascending key order**, always (`sim.engine.rows`). A key is given only once.
- **Columns are arrays of all living rows** (`sim.engine.storage`); a view of them is valid until the next flush that
  changes something, and `world[Component]` gives a fresh one.
- **Structure changes only in a flush**, which follows each system. spawn, kill, attach and detach queue a command and
  check it completely (`sim.engine.commands`), so that a flush cannot fail half way. The order inside a flush: attach
  and detach in the order in which they were queued; then one compaction without dead entities, which keeps the order;
  then spawns by issuer and order of calls, merged into key order; then the index from key to row and the data derived
  from it.
- **Floats are made canonical after each system**, before a digest and before a snapshot, so that equal states have
  equal bytes.

A new kind of state needs a change in all of these: `sim.engine.state.WorldState`, `snapshot`, `restore`,
`sim.engine.codec`, `sim.engine.digest` and `check`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from operator import index
from typing import Any, Final, Literal, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.engine import texts as memory
from sim.engine.columns import Component, Schema
from sim.engine.commands import Commands
from sim.engine.conflicts import Claims, scatter_add
from sim.engine.declaration import Declaration, declaration_of, first_difference
from sim.engine.draws import Draws
from sim.engine.entity import EntityView, Population, views
from sim.engine.esper_adapter import Around, Context, Mirror, Systems
from sim.engine.events import EVENTS_MAX, EventQueue
from sim.engine.resources import CustomResource, DeclaredResource, Resource, ResourceCopies
from sim.engine.rng import Rng
from sim.engine.rows import Rows
from sim.engine.state import WorldState
from sim.engine.storage import Storage
from sim.engine.system import System
from sim.engine.tables import Store, checked_names, texts_at
from sim.engine.texts import Texts
from sim.engine.values import fit, indices, integer
from sim.errors import WorldError, short

D = TypeVar("D", bound="Component | Resource")
K = TypeVar("K")

SIZE_MAX: Final = 1 << 26
"""The most places of a size that `per` names, and the most names of a table."""


class World(Draws):
    """Holds entities and their state, and lets both change only in ways that can be repeated.

    Args:
        components: every component of the world.
        resources: every declared resource; `add_resource` adds custom ones.
        tables: names by table, for columns with `per`.
        sizes: other sizes that `per` may name, such as `cell`.
        seed: the seed of random draws, 0 to 2**64 - 1.
        name: a label for error messages; never state.
        capacity: rows to make room for; storage grows as needed.
        debug: whether arrays taken before a flush become read-only after it, and every flush ends with `check`.
        entity_view: the class of the views that `entity` and `agents` return.
        events: the number of events that may wait in `events`.
        esper_entities: whether each key is also an esper entity with a `Row`.

    Attributes:
        tick: the world's time; the caller that runs the world sets it.
        rng: the random draws, counted by purpose.
        texts: the texts that columns hold.
        tables: names by table.
        sizes: the sizes that `per` may name, without the tables.
        storage: the columns; for code around a world, not for systems.
        restores: the number of restores; never state.
        events: events for observers.

    Raises:
        WorldError: two components or resources have one name, a table or size is unknown, or the seed is out of range.

    >>> from sim.engine.columns import Component, i32
    >>> class Position(Component):
    ...     x: i32
    >>> with World([Position]) as world:
    ...     world.spawn({Position: {"x": [3, 5]}}, count=2)
    ...     world.flush()
    ...     world[Position].x += 1
    ...     world.keys.tolist(), world[Position].x.tolist()
    ([0, 1], [4, 6])
    """

    def __init__(
        self,
        components: Sequence[type[Component]],
        *,
        resources: Sequence[type[Resource]] = (),
        tables: Mapping[str, Sequence[str]] | None = None,
        sizes: Mapping[str, int] | None = None,
        seed: int = 0,
        name: str | None = None,
        capacity: int = 64,
        debug: bool = False,
        entity_view: type[EntityView] = EntityView,
        events: int = EVENTS_MAX,
        esper_entities: bool = False,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise WorldError(f"name: {short(name)} is not a text")
        self.name = name or "world"
        self.components = _classes(components, Component, "components")
        self.debug = debug
        self.entity_view = entity_view
        self.events = EventQueue(events)
        self.rng = Rng(seed)
        self.texts = Texts()
        self.tables = checked_names({} if tables is None else tables)
        if sizes is not None and not isinstance(sizes, Mapping):
            raise WorldError(f"sizes: a dictionary of sizes by name is expected, not {short(sizes)}")
        self.sizes = dict(sizes or {})
        self.sizes = {each: integer(size, 1, SIZE_MAX, f"size {each}") for each, size in self.sizes.items()}
        self.tick = 0
        self.restores = 0
        self.digest_cache: object = None

        per = {**self.sizes, **{table: len(names) for table, names in self.tables.items()}}
        if len(per) != len(self.sizes) + len(self.tables):
            raise WorldError(f"sizes {self.sizes} must be of other names than tables")
        self._rows = Rows(max(integer(capacity, 0, 2**31 - 1, "capacity"), 1))
        self.storage = Storage(
            self.components, self._rows, sizes=per, names=self.tables, texts=self.texts, name=self.name, debug=debug
        )
        self._views = self.storage.views
        self._commands = Commands(self._rows, self.storage.table)
        self._population = Population(self._rows, self.storage, self._commands.kill_row)
        self._claims = Claims()
        self._resources: dict[str, CustomResource] = {}
        self._declared: dict[type[Any], DeclaredResource] = {}
        self._copies = ResourceCopies()
        self._exact = self.storage.has_floats
        self._declaration: Declaration | None = None
        self._context = Context(self.name)
        self._mirror = Mirror(self._context, wanted=esper_entities)
        self._systems = Systems(self._context.name)
        names = [component.__name__ for component in self.components]
        for twice in (each for each in names if names.count(each) > 1):
            raise WorldError(f"two components are called {twice}")
        for kind in _classes(resources, Resource, "resources"):
            resource = DeclaredResource(kind, per, self.tables, self.texts)
            self.add_resource(resource)
            self._declared[kind] = resource
            self._exact |= any(spec.dtype.kind == "f" for spec in resource.schema.columns)

    # -- esper's context and the systems ---------------------------------------------------------------------------

    def active(self) -> AbstractContextManager[None]:
        """Make this world's context esper's current one inside a `with` block, and restore the previous one after it.

        Blocks may nest, for one world or for several. Nothing may await or switch worlds inside.

        Raises:
            WorldError: on entry, the world is closed or belongs to another thread; on exit, another context is current.
        """
        return self._context

    def close(self) -> None:
        """Delete the world's context; the world cannot be used afterwards. Closing a closed world does nothing.

        Raises:
            WorldError: the world is active.
        """
        self._context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def install(self, systems: Sequence[System]) -> None:
        """Add systems, to run in exactly this order after those already installed.

        Raises:
            WorldError: a tick is running, a type or a name is installed already, or a system holds state: an array, a
                list, a dict, a set or a resource.
        """
        with self._context:
            self._systems.install(systems)

    @property
    def systems(self) -> tuple[System, ...]:
        """The installed systems, in the order they run."""
        return tuple(self._systems.installed)

    def process(self, run: Any, after: Callable[[str], None] | None = None, around: Around | None = None) -> None:
        """Run the installed systems once, in order, in this world's context, with a flush after each.

        Args:
            run: passed to every system.
            after: called with the system's name after its births and deaths have taken effect.
            around: returns, for a system, the `with` block to run it in, or None.

        Raises:
            WorldError: a tick is running already, or the systems did not run once each in the installed order.
        """
        commands, storage = self._commands, self.storage

        def done(system: System) -> None:
            if commands.pending:
                self.flush()
            if storage.has_floats:
                storage.normalise()
            if after is not None:
                after(system.name)

        with self._context:
            self.storage.normalise()
            self._systems.process(self, run, around, done)

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """The number of living entities."""
        return self._rows.n

    @property
    def keys(self) -> NDArray[np.int64]:
        """The living entities' keys: `[n] int64`, ascending, read-only, valid until the next flush."""
        return self._rows.living

    @property
    def next_key(self) -> int:
        """The key that the next entity gets; all keys given so far are below it."""
        return self._rows.next_key

    @property
    def version(self) -> int:
        """Counts structural changes; never state."""
        return self._rows.version

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """The declared components, then the resources, with `per` resolved."""
        declared = (each.schema for each in self._resources.values() if isinstance(each, DeclaredResource))
        return (*(table.schema for table in self.storage.tables), *declared)

    @property
    def declaration(self) -> Declaration:
        """The declaration as JSON. Two worlds with equal declarations accept each other's states."""
        if self._declaration is None:
            schemas = (table.schema for table in self.storage.tables)
            self._declaration = declaration_of(schemas, self._resources.values(), self.tables, self.sizes)
        return self._declaration

    @property
    def domain(self) -> Literal["portable", "exact"]:
        """`portable` if all state is integers, `exact` if a column holds floats."""
        if not self._exact:
            self._exact = any(
                array.dtype.kind == "f"
                for resource in self._resources.values()
                for array in resource.columns().values()
            )
        return "exact" if self._exact else "portable"

    def __getitem__(self, declared: type[D]) -> D:
        """Return the columns of a component, arrays `[..., n]` that are valid until the next flush, or a resource.

        Raises:
            WorldError: it is not declared.
        """
        # This reads the storage's own dictionary, because no other call is made more often.
        try:
            found: Any = self._views.get(declared)
        except TypeError:
            found = self.storage.view(declared)  # nothing without a hash is a component
        if found is None:
            resource = self._declared.get(declared)
            found = self.storage.view(declared) if resource is None else resource.resource
        view: D = found
        return view

    def rows(self, *components: type[Component]) -> NDArray[np.intp]:
        """Find the rows that have all of these components: ascending, read-only, valid until the next flush.

        Raises:
            WorldError: a component is not declared.

        >>> class Sheep(Component):
        ...     pass
        >>> with World([Sheep]) as world:
        ...     world.spawn({Sheep: {}}, count=2)
        ...     world.flush()
        ...     world.rows(Sheep).tolist()
        [0, 1]
        """
        return self.storage.rows_with(components)

    def has(self, component: type[Component]) -> NDArray[np.bool_]:
        """Return whether each row has a component: `[n] bool`, a copy.

        Raises:
            WorldError: the component is not declared.
        """
        mask = self.storage.table(component).mask
        return np.ones(self.n, dtype=np.bool_) if mask is None else mask[: self.n].copy()

    def row_of(self, key: int) -> int:
        """Find an entity's row; -1 if it is dead or was never born."""
        try:
            key = index(key)
        except TypeError:
            raise WorldError(f"key: {short(key)} is not a whole number") from None
        return int(self._rows.of(np.array([key], dtype=np.int64))[0]) if -1 < key < self.next_key else -1

    def rows_of(self, keys: ArrayLike) -> NDArray[np.intp]:
        """Find entities' rows: `[len(keys)] intp`, -1 for dead and unknown ones.

        Raises:
            WorldError: the keys are not integers.
        """
        return self._rows.of(keys)

    def entity(self, key: int) -> EntityView:
        """Return a view of one entity.

        Raises:
            WorldError: no living entity has this key.
        """
        row = self.row_of(key)
        if row < 0:
            raise WorldError(f"no living entity has key {key} at tick {self.tick}")
        return self.entity_view(self._population, int(key), row, self.version)

    def agents(self, *components: type[Component]) -> Iterator[EntityView]:
        """Yield the entities that have all of these components, one by one, in key order.

        Births and deaths in the loop take effect at the end of the system, so the loop skips entities born in it and
        still visits those that it kills.

        Raises:
            WorldError: a component is not declared.

        >>> from sim.engine.columns import Component, i32
        >>> class Animal(Component):
        ...     energy: i32
        >>> with World([Animal]) as world:
        ...     world.spawn({Animal: {"energy": [3, 0]}}, count=2)
        ...     world.flush()
        ...     for animal in world.agents(Animal):
        ...         animal[Animal].energy -= 1
        ...         if animal[Animal].energy < 0:
        ...             animal.kill()
        ...     world.flush()
        ...     world[Animal].energy.tolist()
        [2]
        """
        return views(self.entity_view, self._population, self.storage.rows_with(components))

    def _column(self, array: Any) -> Store:
        """Find the column that an array is a view of."""
        store = self._owner(array)
        if store is None:
            raise WorldError("this array is not a column of the world; give world[Component].column or a part of it")
        return store

    def _owner(self, array: object) -> Store | None:
        if not isinstance(array, np.ndarray):
            return None
        found = self.storage.owner(array)
        if found is not None:
            return found
        stores = (store for resource in self._declared.values() for store in resource.stores)
        return next((store for store in stores if np.may_share_memory(store.data, array)), None)

    # -- texts -----------------------------------------------------------------------------------------------------

    def remember(self, column: Any, rows: Any, texts: ArrayLike) -> None:
        """Add texts to agents' memories; a full memory drops its oldest text.

        Args:
            column: a column of `tuple[str, ...]`: `world[Villager].heard`.
            rows: `[added]` indices that may repeat, a mask or a slice.
            texts: numbers that `texts.intern` returned: one for all, or `[added]`. A row that is named several times
                gets its texts in this order.

        Raises:
            WorldError: the column is of another kind, or a row or a text does not exist.
        """
        store = self._column(column)
        if store.spec.kind != "texts":
            raise WorldError(f"{store.spec.label} is not a column of tuple[str, ...]")
        places = indices(rows, column.shape[-1], store.spec.label)
        given = fit(texts, np.dtype(np.int32), store.spec.label)
        if given.shape not in ((), places.shape):
            raise WorldError(f"{store.spec.label}: {given.shape} texts for {places.size} rows")
        if given.size:
            self.texts.text(int(given.min()))
            self.texts.text(int(given.max()))
        memory.remember(column, places, np.broadcast_to(given, places.shape))

    def texts_of(self, column: Any, row: int) -> tuple[str, ...]:
        """Return the texts that a row has in a column, oldest first.

        Raises:
            WorldError: it is not a column of texts, or the row does not exist.
        """
        store = self._column(column)
        if not store.spec.is_text:
            raise WorldError(f"{store.spec.label} is not a column of texts")
        places = indices(row, column.shape[-1], store.spec.label)
        if places.size != 1:
            raise WorldError(f"{store.spec.label}: texts_of takes one row, not {places.size}")
        return texts_at(store, int(places[0]))

    # -- conflicts inside a phase ----------------------------------------------------------------------------------

    def scatter_add(self, column: Any, rows: Any, values: ArrayLike) -> None:
        """Add values to places of a column; values for one place are summed, unlike with `column[rows] += values`.

        Args:
            column: a flat integer column of a component or resource, `[n]` or `[cells]`, or one line of a column.
            rows: indices that may repeat, a mask or a slice.
            values: one integer, or one for each row; steps, where the column has a scale.

        Raises:
            WorldError: a row is negative or past the end, a value is not an integer, or a sum does not fit the column,
                which is then unchanged.

        >>> from sim.engine.columns import Component, column, i32
        >>> class Animal(Component):
        ...     energy: i32 = column(default=100)
        >>> with World([Animal]) as world:
        ...     world.spawn({Animal: {}}, count=2)
        ...     world.flush()
        ...     world.scatter_add(world[Animal].energy, [1, 1], -30)
        ...     world[Animal].energy.tolist()
        [100, 40]
        """
        try:
            scatter_add(column, rows, values, "scatter_add")
        except WorldError:
            # Only an error needs the column's name, and finding it takes longer than adding.
            store = self._owner(column)
            if store is None:
                raise
            scatter_add(column, rows, values, store.spec.label)

    def claim(self, targets: NDArray[np.integer], claimants: NDArray[np.integer], size: int) -> NDArray[np.bool_]:
        """Settle claims to targets that only one row can have: the lowest row, which has the lowest key, wins.

        Args:
            targets: the claimed targets, `[claims]`, each in 0..size-1.
            claimants: the rows that claim them, `[claims]`.
            size: the number of targets.

        Returns:
            Whether each claim wins, `[claims] bool`.

        Raises:
            WorldError: a target is out of range, or the lengths differ.

        >>> with World([]) as world:
        ...     world.claim(np.array([7, 7, 2]), np.array([5, 4, 6]), size=10).tolist()
        [False, True, True]
        """
        return self._claims.winners(targets, claimants, size)

    # -- commands, and the flush that carries them out -------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether commands wait for the next flush."""
        return self._commands.pending

    def spawn(
        self,
        values: Mapping[type[Component], Mapping[str, Any]],
        count: int = 1,
        *,
        like: Any = None,
        keys: ArrayLike | None = None,
    ) -> None:
        """Queue the birth of entities.

        Args:
            values: exactly the components that the entities have, each with values by column; one value for all, or
                `[*shape, count]`. Other columns get their defaults.
            count: the number of entities.
            like: the rows of their parents: one for all, or one each. Births of one flush are ordered by the key of the
                parent, then by the order of calls; those without a parent come first.
            keys: fixed keys, in any order, for entities that a file names. They must be new: not below `next_key`.
                Without them the flush gives keys from `next_key` on, after all fixed ones.

        Raises:
            WorldError: a component or column is not declared, a value does not fit, a row does not exist, or a key was
                given before.
        """
        self._commands.spawn(values, count, like=like, keys=keys)

    def kill(self, rows: Any) -> None:
        """Queue the death of entities, by row indices, mask or slice. Killing an entity twice has no further effect.

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

    def attach(self, rows: Any, component: type[Component], values: Mapping[str, Any] | None = None) -> None:
        """Queue giving a component to entities; if an entity has it already, all of its columns are set again.

        Args:
            rows: indices, mask or slice; no index twice.
            component: the component to give.
            values: by column; one value for all, or `[*shape, rows]`. Other columns get their defaults.

        Raises:
            WorldError: a row does not exist or is named twice, or as in `spawn`.
        """
        self._commands.attach(rows, component, {} if values is None else values)

    def detach(self, rows: Any, component: type[Component]) -> None:
        """Queue taking a component from entities; its columns become zeros, so that equal states have equal bytes.

        Raises:
            WorldError: a row does not exist or the component is not declared.
        """
        self._commands.detach(rows, component)

    def flush(self) -> None:
        """Carry out all queued commands, in the order that this module's docstring states.

        Views and row indices taken before are invalid afterwards, unless nothing was queued.

        Raises:
            WorldError: another thread calls this; a system that does not declare `flushes` calls it; or, in debug mode,
                `check` fails.
        """
        self._context.check_usable()
        running = self._systems.running
        if running is not None and not running.flushes:
            raise WorldError(
                f"system {running.name!r} called flush(): births and deaths take effect at the end of a system"
            )
        if not self.pending:
            return
        queued, rows, storage = self._commands.take(), self._rows, self.storage
        storage.close_views()
        for change in queued.membership:
            storage.set_membership(change)
        if queued.dead is not None:
            self._mirror.bury(rows.keys[: rows.n][queued.dead])
            storage.compact(queued.dead)
        if queued.spawns:
            keys = rows.give_keys(*queued.births())
            storage.append(queued.spawns, keys)
            self._mirror.born(keys)
        storage.finish_flush()
        if self.debug:
            self.check()

    # -- resources -------------------------------------------------------------------------------------------------

    def add_resource(self, resource: CustomResource) -> None:
        """Make a custom resource part of the state.

        Raises:
            WorldError: its name is taken by another resource or by a component.
        """
        name = getattr(resource, "name", None)
        if isinstance(resource, type) or not isinstance(name, str):
            raise WorldError(
                f"add_resource: an object of the form CustomResource is expected, not {short(resource)}; a declared "
                "class is named in World(..., resources=[...])"
            )
        if name in self._resources or any(kind.__name__ == name for kind in self.components):
            raise WorldError(f"the name {name!r} is taken in {self.name}")
        self._resources = dict(sorted({**self._resources, name: resource}.items()))
        self._declaration = None

    @property
    def resources(self) -> Mapping[str, CustomResource]:
        """The resources by name, in name order, for digests and replays; users write `world[Grass]`."""
        return self._resources

    # -- snapshots -------------------------------------------------------------------------------------------------

    def snapshot(self, *, looked: bool = False) -> WorldState:
        """Return all state as it is now. Waiting events and installed systems are not state.

        Args:
            looked: whether nothing has changed since the last digest or snapshot, so that nothing is compared again.

        Raises:
            WorldError: commands wait for a flush.
        """
        if self.pending:
            raise WorldError("snapshot with commands waiting: flush first")
        if not looked:
            self.look()
        resources = {name: self._copies.of(resource, self.restores) for name, resource in self._resources.items()}
        texts = self.storage.texts()
        for resource in self._declared.values():
            texts.update((f"{resource.name}.{column}", found) for column, found in resource.texts().items())
        return WorldState(
            declaration=self.declaration,
            tick=self.tick,
            next_key=self.next_key,
            keys=self.storage.kept_keys.array(),
            columns=self.storage.columns(),
            masks=self.storage.masks(),
            resources=resources,
            texts=texts,
        )

    def look(self) -> None:
        """Update the content that digests and snapshots read: copy everything that changed since the last look.

        Raises:
            WorldError: a column that counts the entries in use counts more than there are.
        """
        self.storage.look()
        for declared in self._declared.values():
            declared.look()

    def restore(self, state: WorldState) -> None:
        """Take over the state of a snapshot. Waiting commands and events are dropped, installed systems stay.

        Raises:
            WorldError: the snapshot is of a world with another declaration.
        """
        self._context.check_usable()
        if not isinstance(state, WorldState):
            raise WorldError(f"restore: a snapshot is expected, not {short(state)}")
        if state.declaration != self.declaration:
            difference = first_difference(state.declaration, self.declaration)
            raise WorldError(f"the snapshot is of a world with another declaration: {difference}")
        self._commands.take()
        self.events.clear()
        self.storage.close_views()
        self.tick, self._rows.next_key = state.tick, state.next_key
        if not np.array_equal(self.keys, state.keys):
            self._mirror.become(state.keys)
            self.storage.replace_rows(state.keys)
        self.storage.restore(state.columns, state.masks, state.texts)
        for name, resource in self._resources.items():
            if isinstance(resource, DeclaredResource):
                labels = {column: f"{name}.{column}" for column in state.resources[name]}
                texts = {column: state.texts[label] for column, label in labels.items() if label in state.texts}
                resource.restore(state.resources[name], texts)
            else:
                resource.restore(state.resources[name])
        self.restores += 1

    def fork(self) -> World:
        """Make an independent world with the same declaration and state, without systems; resources are deep-copied.

        Raises:
            WorldError: commands wait for a flush.
        """
        state = self.snapshot()
        twin = World(
            self.components,
            resources=tuple(self._declared),
            tables=self.tables,
            sizes=self.sizes,
            seed=self.rng.seed,
            name=self.name,
            capacity=self._rows.capacity,
            debug=self.debug,
            entity_view=self.entity_view,
            events=self.events.limit,
            esper_entities=self._mirror.wanted,
        )
        for resource in self._resources.values():
            if not isinstance(resource, DeclaredResource):
                twin.add_resource(copy.deepcopy(resource))
        twin.restore(state)
        return twin

    def check(self) -> None:
        """Assert the rules in this module's docstring; for tests and debug mode.

        Raises:
            WorldError: keys do not ascend, esper or the key index disagrees with them, or a column is not zero where
                it must be.
        """
        self._rows.check()
        self._mirror.check(self._rows)
        self.storage.check()


def _classes(given: Any, base: type[K], what: str) -> tuple[type[K], ...]:
    """Return the classes of a declaration."""
    try:
        found = tuple(given)
    except TypeError:
        raise WorldError(f"{what}: a list of classes is expected, not {short(given)}") from None
    for each in found:
        if not (isinstance(each, type) and issubclass(each, base)):
            noun = base.__name__.lower()
            raise WorldError(f"{what}: {short(each)} is not a {noun}; list classes that extend {base.__name__}")
    return found
