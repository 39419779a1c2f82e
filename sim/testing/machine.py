"""A state machine for worlds: hypothesis tries sequences of commands and shortens one that goes wrong."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sim.engine.columns import ColumnSpec, Component, schema_of
from sim.engine.digest import state_digest
from sim.engine.system import System
from sim.engine.values import limits
from sim.engine.world import World

Values = dict[str, Any]
"""Values of one component of one entity, by column."""
Model = dict[int, dict[str, Values | None]]
"""What a world should hold: by key and component, None where an entity does not have it."""

MAGNITUDE_MAX: Final = 100
"""Largest value that is drawn for a column, up or down."""
SLOTS: Final = (0, 1)
"""The two worlds."""


def values(component: type[Component]) -> st.SearchStrategy[Values]:
    """Draw values for one entity's columns: small ones, and zeros beyond the entries that are in use."""
    specs = schema_of(component).columns
    drawn = st.fixed_dictionaries({spec.name: _of(spec, specs) for spec in specs})
    return drawn.map(lambda found: _tidy(found, specs))


def _of(spec: ColumnSpec, specs: tuple[ColumnSpec, ...]) -> st.SearchStrategy[Any]:
    counted = [other.shape[0] for other in specs if other.used_by == spec.name]
    if spec.dtype.kind == "b":
        drawn: st.SearchStrategy[Any] = st.booleans()
    elif counted:
        drawn = st.integers(0, min(counted))
    else:
        low, high = limits(spec.dtype)
        drawn = st.integers(max(low, -MAGNITUDE_MAX), min(high, MAGNITUDE_MAX))
    for size in reversed(spec.shape):
        drawn = st.lists(drawn, min_size=size, max_size=size)
    return drawn


def _tidy(found: Values, specs: tuple[ColumnSpec, ...]) -> Values:
    for spec in specs:
        if spec.used_by is not None:
            entries = np.array(found[spec.name], spec.dtype)
            entries[found[spec.used_by] :] = 0
            found[spec.name] = entries.tolist()
    return found


def _defaults(component: type[Component]) -> Values:
    return {spec.name: np.full(spec.shape, spec.default, spec.dtype).tolist() for spec in schema_of(component).columns}


PICKS: Final = st.integers(0, 30)
"""Which of the living, from the lowest key on, around and around."""
CONTENTS: Final = st.runner().flatmap(lambda machine: machine.contents())
WHICH: Final = st.runner().flatmap(lambda machine: st.sampled_from(machine.components))
GIVEN: Final = WHICH.flatmap(lambda component: st.tuples(st.just(component), values(component)))


class WorldMachine(RuleBasedStateMachine):
    """Drives two worlds with any sequence of commands, and keeps plain dictionaries that must agree with them.

    Derive from it, name `components`, and perhaps `systems`, and add rules of your own; a test is the class's
    `TestCase`. The dictionaries know the order of a flush (members first, then the dead, then the newborn by issuer)
    and nothing of rows. A tick runs the systems in the world and in its twin, which must come to the same; what they do
    is then taken over, unless `after_tick` says what it should have been.

    Attributes:
        components: what the worlds declare; at least one.
        systems: what a tick runs, in this order.
        worlds: the two worlds; `world` is the one that commands go to.
        models: what each should hold; `model` is the current one's.
        queued: commands since the last flush, for each world.

    >>> from sim.engine.columns import i16
    >>> class Purse(Component):
    ...     gold: i16
    >>> class Purses(WorldMachine):
    ...     components = (Purse,)
    >>> TestPurses = Purses.TestCase
    """

    components: ClassVar[tuple[type[Component], ...]] = ()
    systems: ClassVar[tuple[type[System], ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.worlds = [self._equipped(World(self.components, capacity=1, debug=True)) for _ in SLOTS]
        self.models: list[Model] = [{} for _ in SLOTS]
        self.next_keys = [0 for _ in SLOTS]
        self.queued: list[list[tuple[Any, ...]]] = [[] for _ in SLOTS]
        self.saved: list[tuple[Any, Model] | None] = [None for _ in SLOTS]
        self.at = 0

    def teardown(self) -> None:
        """Close both worlds."""
        for world in self.worlds:
            world.close()

    # -- what others build on ------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The world that commands go to."""
        return self.worlds[self.at]

    @property
    def model(self) -> Model:
        """What it should hold."""
        return self.models[self.at]

    def contents(self) -> st.SearchStrategy[dict[type[Component], Values | None]]:
        """Draw what a newborn has: values by component, an empty dictionary for defaults, None for not at all."""
        return st.fixed_dictionaries({each: st.just({}) | values(each) | st.none() for each in self.components})

    def frame(self) -> Any:
        """Return what the systems of a tick are handed."""
        return None

    def after_tick(self, before: Model) -> Model | None:
        """Return what the systems should have made of a model, or None to take over what the world says."""
        del before
        return None

    def key_at(self, pick: int) -> int:
        """Return the key of a living entity."""
        living = sorted(self.model)
        return living[pick % len(living)]

    def queue(self, *command: Any) -> None:
        """Note a command for the next flush."""
        self.queued[self.at].append(command)

    def _equipped(self, world: World) -> World:
        world.install([system() for system in self.systems])
        return world

    def _twin(self) -> World:
        return self._equipped(self.world.fork())

    # -- commands ------------------------------------------------------------------------------------------------------

    @rule(to=st.sampled_from(SLOTS))
    def switch(self, to: int) -> None:
        """Go on with the other world."""
        self.at = to

    @rule(count=st.integers(1, 3), parent=st.none() | PICKS, contents=CONTENTS)
    def spawn(self, count: int, parent: int | None, contents: Mapping[type[Component], Values | None]) -> None:
        """Let entities be born, of a living one or of nobody."""
        has = {component: given for component, given in contents.items() if given is not None}
        issuer = self.key_at(parent) if parent is not None and self.model else -1
        self.world.spawn(has, count, like=None if issuer < 0 else self.world.row_of(issuer))
        self.queue("spawn", issuer, [None] * count, has)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, times=st.integers(1, 2))
    def kill(self, pick: int, times: int) -> None:
        """Kill one, perhaps twice."""
        key = self.key_at(pick)
        for _ in range(times):
            self.world.kill_keys([key])
            self.queue("kill", key)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, given=GIVEN)
    def attach(self, pick: int, given: tuple[type[Component], Values]) -> None:
        """Give one a component, anew if it has it."""
        key, (component, found) = self.key_at(pick), given
        self.world.attach([self.world.row_of(key)], component, found)
        self.queue("member", key, component, found)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, component=WHICH)
    def detach(self, pick: int, component: type[Component]) -> None:
        """Take a component from one, whether or not it has it."""
        key = self.key_at(pick)
        self.world.detach([self.world.row_of(key)], component)
        self.queue("member", key, component, None)

    @precondition(lambda self: self.model)
    @rule(pick=PICKS, given=GIVEN)
    def write(self, pick: int, given: tuple[type[Component], Values]) -> None:
        """Write to the columns of one, if it has them."""
        key, (component, found) = self.key_at(pick), given
        if self.model[key][component.__name__] is None:
            return
        for name, value in found.items():
            setattr(self.world.entity(key)[component], name, value)
        self.model[key][component.__name__] = dict(found)

    @rule()
    def flush(self) -> None:
        """Carry out what was commanded."""
        self.world.flush()
        queued, self.queued[self.at] = self.queued[self.at], []
        for _, key, component, found in [command for command in queued if command[0] == "member"]:
            self.model[key][component.__name__] = None if found is None else dict(found)
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
                    component.__name__: {**_defaults(component), **has[component]} if component in has else None
                    for component in self.components
                }
        self.next_keys[self.at] = following

    @rule()
    def tick(self) -> None:
        """Run the systems, here and in a twin."""
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
        self.next_keys[self.at] = self.world.next_key

    @precondition(lambda self: not self.queued[self.at])
    @rule()
    def snapshot(self) -> None:
        """Keep the state."""
        self.saved[self.at] = self.world.snapshot(), copy.deepcopy(self.model)

    @precondition(lambda self: any(self.saved))
    @rule(source=st.sampled_from(SLOTS))
    def restore(self, source: int) -> None:
        """Go back to a state that was kept of this world or of the other one."""
        kept = self.saved[source]
        if kept is None:
            return
        state, model = kept
        self.world.restore(state)
        assert self.world.snapshot() == state, "a snapshot of a restored world is another one"
        self.models[self.at], self.next_keys[self.at] = copy.deepcopy(model), state.next_key
        self.queued[self.at].clear()

    @precondition(lambda self: not self.queued[self.at])
    @rule()
    def fork(self) -> None:
        """Go on with a fork in place of the world."""
        twin = self._twin()
        assert state_digest(twin) == state_digest(self.world), "a fork has another digest"
        self.world.close()
        self.worlds[self.at] = twin

    # -- promises ------------------------------------------------------------------------------------------------------

    @invariant()
    def worlds_hold_what_they_should(self) -> None:
        """Both worlds agree with their dictionaries, the one that was not touched too."""
        for place, (world, model) in enumerate(zip(self.worlds, self.models, strict=True)):
            world.check()
            assert world.next_key == self.next_keys[place]
            assert self._seen(place) == model

    @invariant()
    def equal_states_have_equal_roots(self) -> None:
        """Two worlds have one digest if they hold the same, and only then."""
        one, two = self.worlds
        alike = self.models[0] == self.models[1] and self.next_keys[0] == self.next_keys[1] and one.tick == two.tick
        assert (state_digest(one) == state_digest(two)) == alike

    def _seen(self, place: int | None = None) -> Model:
        """Read a world into a dictionary; who does not have a component must have zeros in its columns."""
        world = self.worlds[self.at if place is None else place]
        seen: Model = {key: {} for key in world.keys.tolist()}
        for component in self.components:
            has, columns = world.has(component), world[component]
            listed = {spec.name: getattr(columns, spec.name) for spec in schema_of(component).columns}
            for row, key in enumerate(seen):
                found = {name: column[..., row].tolist() for name, column in listed.items()}
                if not has[row]:
                    assert not any(np.any(value) for value in found.values())
                seen[key][component.__name__] = found if has[row] else None
        return seen
