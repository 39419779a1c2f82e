"""A state machine for worlds: hypothesis tries sequences of commands and shortens a failing one."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from sim.engine.codec import decode_state, encode_state
from sim.engine.columns import ColumnSpec, Component, Schema, schema_of
from sim.engine.digest import state_digest
from sim.engine.resources import DeclaredResource, Resource, rows_max_of
from sim.engine.system import System
from sim.engine.values import codes_of, limits, step
from sim.engine.world import World

Values = dict[str, Any]
"""Values of one component of one entity, or of one resource, by column."""
Model = dict[int, dict[str, Values | None]]
"""The expected content of a world: by key and component, None if an entity does not have it."""
Contents = dict[str, Values]
"""The expected content of declared resources, by name; a list of values per column for a resource with rows."""

MAGNITUDE_MAX: Final = 100
"""The largest absolute value that is drawn for a column."""
SLOTS: Final = (0, 1)
"""The two worlds."""
WORDS: Final = ("bread", "rain", "dear \u00e9t\u00e9", "x")
"""The texts that are drawn."""
FLOATS: Final = (0.0, -0.0, 1.5, -2.0, float("inf"), float("nan"))
"""The floats that are drawn."""


def values(schema: Schema) -> st.SearchStrategy[Values]:
    """Draw values for one entity's columns, as in `spawn`: small ones, and zeros beyond the entries in use."""
    specs = schema.columns
    drawn = st.fixed_dictionaries({spec.name: _of(spec, specs) for spec in specs})
    return drawn.map(lambda found: _tidy(found, specs))


def _of(spec: ColumnSpec, specs: Sequence[ColumnSpec]) -> st.SearchStrategy[Any]:
    counted = [other.shape[0] for other in specs if other.used_by == spec.name]
    if spec.kind == "texts":
        return st.lists(st.sampled_from(WORDS), max_size=spec.shape[0]).map(tuple)
    if spec.kind == "text":
        return st.sampled_from(("", *WORDS))
    if spec.enum is not None:
        drawn: st.SearchStrategy[Any] = st.sampled_from(list(spec.enum))
    elif spec.dtype.kind == "b":
        drawn = st.booleans()
    elif spec.dtype.kind == "f":
        drawn = st.sampled_from(FLOATS)
    else:
        low, high = limits(spec.dtype)
        low, high = max(low, -MAGNITUDE_MAX), min(high, MAGNITUDE_MAX)
        drawn = st.integers(0, min(counted)) if counted else st.integers(low, high)
        if spec.kind == "fixed":
            drawn = drawn.map(lambda steps: steps / spec.scale)
    for size in reversed(spec.shape):
        drawn = st.lists(drawn, min_size=size, max_size=size)
    return drawn


def _tidy(found: Values, specs: Sequence[ColumnSpec]) -> Values:
    for spec in specs:
        if spec.used_by is not None:
            entries = np.array(found[spec.name], spec.dtype)
            entries[found[spec.used_by] :] = 0
            found[spec.name] = entries.tolist()
    return found


def _kept(spec: ColumnSpec, given: Any) -> Any:
    """Return the value that a column stores for a given value, in the form that `_read` returns."""
    if isinstance(given, list):
        return [_kept(spec, each) for each in given]
    if spec.enum is not None:
        return codes_of(spec.enum)[given]
    if spec.kind == "fixed":
        return step(given, spec.scale)
    if spec.dtype.kind == "f":
        return "nan" if given != given else given + 0.0
    return given


def _read(world: World, spec: ColumnSpec, numbers: NDArray[Any]) -> Any:
    """Read one entity's value, or one of a resource, in a form that can be compared."""
    if spec.kind == "texts":
        return tuple(world.texts.text(number) for number in numbers.tolist() if number)
    if spec.kind == "text":
        return world.texts.text(int(numbers))
    if spec.dtype.kind == "f":
        # Both zeros count as equal, and so do all NaN values.
        return _kept(spec, numbers.tolist()) if numbers.ndim else _kept(spec, numbers.item())
    return numbers.tolist()


def _defaults(schema: Schema) -> Values:
    nothing = {"texts": (), "text": ""}
    return {
        spec.name: nothing[spec.kind] if spec.is_text else np.full(spec.shape, spec.default).tolist()
        for spec in schema.columns
    }


PICKS: Final = st.integers(0, 30)
"""The position of a living entity in key order, modulo their number."""
CONTENTS: Final = st.runner().flatmap(lambda machine: machine.contents())
WHICH: Final = st.runner().flatmap(lambda machine: st.sampled_from(machine.components))
GIVEN: Final = st.runner().flatmap(
    lambda machine: st.sampled_from(machine.components).flatmap(
        lambda component: st.tuples(st.just(component), values(machine.schema(component)))
    )
)
PLACE: Final = st.runner().flatmap(lambda machine: machine.places())
ROWS: Final = st.runner().flatmap(lambda machine: machine.rows())


class WorldMachine(RuleBasedStateMachine):
    """Drives two worlds with any sequence of commands, and keeps plain dictionaries that must agree with them.

    Derive from it, set `components` and perhaps `systems`, and add your own rules; the test is the class's `TestCase`.
    The dictionaries follow the order of a flush (members first, then deaths, then births by issuer) and ignore
    rows. A tick runs the systems in the world and in its twin, which must give the same result; the dictionaries take
    it over, unless `after_tick` returns the expected result.

    Attributes:
        components: the components of the worlds; at least one.
        resources: the resources of the worlds.
        tables: names by table, for columns with `per`.
        sizes: other sizes that `per` may name.
        systems: the systems of a tick, in this order.
        worlds: the two worlds; `world` is the one that receives commands.
        models: the expected content of each; `model` is that of the current one.
        queued: commands since the last flush, for each world.

    >>> from sim.engine.columns import i16
    >>> class Purse(Component):
    ...     gold: i16
    >>> class Purses(WorldMachine):
    ...     components = (Purse,)
    >>> TestPurses = Purses.TestCase
    """

    components: ClassVar[tuple[type[Component], ...]] = ()
    resources: ClassVar[tuple[type[Resource], ...]] = ()
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    sizes: ClassVar[Mapping[str, int]] = {}
    systems: ClassVar[tuple[type[System], ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.worlds = [
            self._equipped(
                World(
                    self.components,
                    resources=self.resources,
                    tables=self.tables,
                    sizes=self.sizes,
                    capacity=1,
                    debug=True,
                )
            )
            for _ in SLOTS
        ]
        self.models: list[Model] = [{} for _ in SLOTS]
        self.held: list[Contents] = [self._held(place) for place in SLOTS]
        self.next_keys = [0 for _ in SLOTS]
        self.queued: list[list[tuple[Any, ...]]] = [[] for _ in SLOTS]
        self.saved: list[tuple[Any, Model, Contents] | None] = [None for _ in SLOTS]
        self.at = 0

    def teardown(self) -> None:
        """Close both worlds."""
        for world in self.worlds:
            world.close()

    # -- for subclasses ------------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The world that receives commands."""
        return self.worlds[self.at]

    @property
    def model(self) -> Model:
        """The expected content of the current world."""
        return self.models[self.at]

    def contents(self) -> st.SearchStrategy[dict[type[Component], Values | None]]:
        """Draw the components of a newborn: values by component, an empty dictionary for defaults, None for none."""
        return st.fixed_dictionaries(
            {each: st.just({}) | values(self.schema(each)) | st.none() for each in self.components}
        )

    def schema(self, declared: type[Any]) -> Schema:
        """Return the schema of a component or resource in these worlds."""
        return schema_of(declared).resolved(
            {**self.sizes, **{table: len(names) for table, names in self.tables.items()}}
        )

    def places(self) -> st.SearchStrategy[tuple[type[Resource], ColumnSpec, Any]]:
        """Draw a resource without rows, one of its columns, and a value for the whole column."""
        found = [
            st.tuples(st.just(kind), st.just(spec), _of(spec, ()))
            for kind in self.resources
            if rows_max_of(kind) is None
            for spec in self.schema(kind).columns
        ]
        return st.one_of(found)

    def rows(self) -> st.SearchStrategy[tuple[type[Resource], list[Values]]]:
        """Draw a resource with rows, and a row or two for it."""
        found = [
            st.tuples(st.just(kind), st.lists(values(self.schema(kind)), min_size=1, max_size=2))
            for kind in self.resources
            if rows_max_of(kind) is not None
        ]
        return st.one_of(found)

    def frame(self) -> Any:
        """Return the object that the systems of a tick receive."""
        return None

    def after_tick(self, before: Model) -> Model | None:
        """Return the expected model after the systems, or None to take over the world's content."""
        del before
        return None

    def key_at(self, pick: int) -> int:
        """Return the key of a living entity."""
        living = sorted(self.model)
        return living[pick % len(living)]

    def queue(self, *command: Any) -> None:
        """Record a command for the next flush."""
        self.queued[self.at].append(command)

    def _equipped(self, world: World) -> World:
        world.install([system() for system in self.systems])
        return world

    def _twin(self) -> World:
        return self._equipped(self.world.fork())

    # -- commands ------------------------------------------------------------------------------------------------------

    @rule(to=st.sampled_from(SLOTS))
    def switch(self, to: int) -> None:
        """Continue with the other world."""
        self.at = to

    @rule(count=st.integers(1, 3), parent=st.none() | PICKS, contents=CONTENTS)
    def spawn(self, count: int, parent: int | None, contents: Mapping[type[Component], Values | None]) -> None:
        """Queue births, with a living parent or without a parent."""
        has = {component: given for component, given in contents.items() if given is not None}
        issuer = self.key_at(parent) if parent is not None and self.model else -1
        self.world.spawn(has, count, like=None if issuer < 0 else self.world.row_of(issuer))
        self.queue("spawn", issuer, [None] * count, has)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, times=st.integers(1, 2))
    def kill(self, pick: int, times: int) -> None:
        """Kill an entity, perhaps twice."""
        key = self.key_at(pick)
        for _ in range(times):
            self.world.kill_keys([key])
            self.queue("kill", key)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, given=GIVEN)
    def attach(self, pick: int, given: tuple[type[Component], Values]) -> None:
        """Give an entity a component, even if it has it already."""
        key, (component, found) = self.key_at(pick), given
        self.world.attach([self.world.row_of(key)], component, found)
        self.queue("member", key, component, found)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, component=WHICH)
    def detach(self, pick: int, component: type[Component]) -> None:
        """Take a component from an entity, even if it does not have it."""
        key = self.key_at(pick)
        self.world.detach([self.world.row_of(key)], component)
        self.queue("member", key, component, None)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, given=GIVEN)
    def write(self, pick: int, given: tuple[type[Component], Values]) -> None:
        """Write to the columns of an entity, if it has them."""
        key, (component, found) = self.key_at(pick), given
        if self.model[key][component.__name__] is None:
            return
        for name, value in found.items():
            setattr(self.world.entity(key)[component], name, value)
        self.model[key][component.__name__] = self._as_kept(component, found)

    @precondition(lambda self: self.model)
    @rule(picks=st.lists(st.tuples(PICKS, st.sampled_from(WORDS)), min_size=1, max_size=4))
    def remember(self, picks: list[tuple[int, str]]) -> None:
        """Add texts to the memories of some entities, perhaps several to one, in every column of texts."""
        keyed = [(self.key_at(pick), text) for pick, text in picks]
        for component in self.components:
            has = [(key, text) for key, text in keyed if self.model[key][component.__name__] is not None]
            for spec in self.schema(component).columns:
                if spec.kind != "texts" or not has:
                    continue
                places = [self.world.texts.intern(text) for _, text in has]
                column = getattr(self.world[component], spec.name)
                self.world.remember(column, self.world.rows_of([key for key, _ in has]), places)
                for key, text in has:
                    parts = self.model[key][component.__name__]
                    assert parts is not None
                    parts[spec.name] = (*parts[spec.name], text)[-spec.shape[0] :]

    @precondition(lambda self: any(rows_max_of(kind) is None for kind in self.resources))
    @rule(place=PLACE)
    def fill(self, place: tuple[type[Resource], ColumnSpec, Any]) -> None:
        """Write a column of a resource."""
        kind, spec, value = place
        store = next(each for each in self._declared(self.at, kind).stores if each.spec.name == spec.name)
        array = getattr(self.world[kind], spec.name)
        array[...] = store.fitted(value)
        self.held[self.at][kind.__name__][spec.name] = _kept(spec, value)

    @precondition(lambda self: any(rows_max_of(kind) is not None for kind in self.resources))
    @rule(rows=ROWS)
    def add_rows(self, rows: tuple[type[Resource], list[Values]]) -> None:
        """Add rows to a resource, one after another, unless it is full."""
        kind, found = rows
        for given in found:
            if self.world[kind].count == rows_max_of(kind):
                return
            self.world[kind].add(**given)
            for spec in self.schema(kind).columns:
                self.held[self.at][kind.__name__][spec.name].append(_kept(spec, given[spec.name]))

    @precondition(lambda self: any(rows_max_of(kind) is not None for kind in self.resources))
    @rule(rows=ROWS, pick=PICKS)
    def remove_row(self, rows: tuple[type[Resource], list[Values]], pick: int) -> None:
        """Remove a row of a resource, if there is one."""
        kind, _ = rows
        if self.world[kind].count:
            row = pick % self.world[kind].count
            self.world[kind].remove(row)
            for column in self.held[self.at][kind.__name__].values():
                del column[row]

    @rule()
    def flush(self) -> None:
        """Carry out the queued commands."""
        self.world.flush()
        queued, self.queued[self.at] = self.queued[self.at], []
        for _, key, component, found in [command for command in queued if command[0] == "member"]:
            self.model[key][component.__name__] = None if found is None else self._as_kept(component, found)
        for _, key in [command for command in queued if command[0] == "kill"]:
            self.model.pop(key, None)
        births = sorted((command for command in queued if command[0] == "spawn"), key=lambda command: int(command[1]))
        fixed = [key + 1 for _, _, keys, _ in births for key in keys if key is not None]
        following = max([self.next_keys[self.at], *fixed])
        for _, _, keys, has in births:
            for key in keys:
                if key is None:
                    key, following = following, following + 1
                self.model[key] = {
                    component.__name__: self._as_kept(component, has[component]) if component in has else None
                    for component in self.components
                }
        self.next_keys[self.at] = following

    @rule()
    def tick(self) -> None:
        """Run the systems, in the world and in a twin."""
        self.flush()
        twin = self._twin()
        try:
            for world in (self.world, twin):
                world.process(self.frame())
                world.flush()
                world.tick += 1
            ours, theirs = state_digest(self.world).components, state_digest(twin).components
            differ = [name for name, value in ours.items() if theirs[name] != value]
            assert not differ, f"a tick made again from the same state differs in {', '.join(differ)}"
        finally:
            twin.close()
        expected = self.after_tick(copy.deepcopy(self.model)) if self.systems else self.model
        self.models[self.at] = self._seen() if expected is None else expected
        self.held[self.at] = self._held(self.at)
        self.next_keys[self.at] = self.world.next_key

    @precondition(lambda self: not self.queued[self.at])
    @rule()
    def snapshot(self) -> None:
        """Keep the state."""
        state = self.world.snapshot()
        for world in self.worlds:
            assert decode_state(encode_state(state), world) == state, "a state is another one after it was written"
        self.saved[self.at] = state, copy.deepcopy(self.model), copy.deepcopy(self.held[self.at])

    @precondition(lambda self: any(self.saved))
    @rule(source=st.sampled_from(SLOTS))
    def restore(self, source: int) -> None:
        """Restore a kept state of this world or of the other one."""
        kept = self.saved[source]
        if kept is None:
            return
        state, model, held = kept
        self.world.restore(state)
        assert self.world.snapshot() == state, "a snapshot of a restored world is another one"
        self.models[self.at], self.next_keys[self.at] = copy.deepcopy(model), state.next_key
        self.held[self.at] = copy.deepcopy(held)
        self.queued[self.at].clear()

    @precondition(lambda self: not self.queued[self.at])
    @rule()
    def fork(self) -> None:
        """Replace the world by a fork of it."""
        twin = self._twin()
        assert state_digest(twin) == state_digest(self.world), "a fork has another digest"
        self.world.close()
        self.worlds[self.at] = twin

    # -- promises ------------------------------------------------------------------------------------------------------

    @invariant()
    def worlds_hold_what_they_should(self) -> None:
        """Both worlds agree with their dictionaries, including the one that did not change."""
        for place, (world, model) in enumerate(zip(self.worlds, self.models, strict=True)):
            world.check()
            assert world.next_key == self.next_keys[place]
            assert self._seen(place) == model
            assert self._held(place) == self.held[place]

    @invariant()
    def equal_states_have_equal_roots(self) -> None:
        """Two worlds have equal digests if and only if their content is equal."""
        one, two = self.worlds
        alike = (
            self.models[0] == self.models[1]
            and self.held[0] == self.held[1]
            and self.next_keys[0] == self.next_keys[1]
            and one.tick == two.tick
        )
        assert (state_digest(one) == state_digest(two)) == alike
        if not any(self.queued):
            assert (one.snapshot() == two.snapshot()) == alike
            assert (encode_state(one.snapshot()) == encode_state(two.snapshot())) == alike

    def _as_kept(self, component: type[Component], given: Values) -> Values:
        """Return the content of an entity with these values and defaults for the rest."""
        schema = self.schema(component)
        kept = {spec.name: _kept(spec, given[spec.name]) for spec in schema.columns if spec.name in given}
        return {**_defaults(schema), **kept}

    def _declared(self, place: int, kind: type[Resource]) -> DeclaredResource:
        resource = self.worlds[place].resources[kind.__name__]
        assert isinstance(resource, DeclaredResource)
        return resource

    def _held(self, place: int) -> Contents:
        """Read a world's declared resources."""
        world = self.worlds[place]
        held: Contents = {}
        for kind in self.resources:
            held[kind.__name__] = {}
            for spec in self.schema(kind).columns:
                array = getattr(world[kind], spec.name)
                if rows_max_of(kind) is None:
                    held[kind.__name__][spec.name] = _read(world, spec, array)
                else:
                    rows = [_read(world, spec, array[..., row]) for row in range(world[kind].count)]
                    held[kind.__name__][spec.name] = rows
        return held

    def _seen(self, place: int | None = None) -> Model:
        """Read a world into a dictionary; an entity without a component must have zeros in its columns."""
        world = self.worlds[self.at if place is None else place]
        seen: Model = {key: {} for key in world.keys.tolist()}
        for component in self.components:
            has, columns = world.has(component), world[component]
            specs = self.schema(component).columns
            for row, key in enumerate(seen):
                found = {spec.name: getattr(columns, spec.name)[..., row] for spec in specs}
                if not has[row]:
                    assert not any(np.any(value) for value in found.values())
                read = {spec.name: _read(world, spec, found[spec.name]) for spec in specs}
                seen[key][component.__name__] = read if has[row] else None
        return seen
