"""The only importer of esper: a context for each world, a processor for each system, and the check of their order.

esper is one global database with one current context and no locks. So a world's context is current only while code uses
esper, and the previous context is current again afterwards; nothing may await or switch contexts in between. Worlds of
several threads take turns: a thread holds a lock while a context is current. esper's processors run by priority. Each
system is wrapped in a processor whose priority is the system's position, and each processor notices if esper calls it
out of order.

With mirrored rows, a world's keys are also esper entities, for users who want to query them with esper. The framework
itself does not read them.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final

import esper
import numpy as np
from numpy.typing import NDArray

from sim.engine.rows import Rows
from sim.engine.system import System, check_constants
from sim.errors import WorldError, short

TURN_S: Final = 600.0
"""The longest time that a thread waits for another thread inside a world, seconds."""
_TURN: Final = threading.RLock()
Around = Callable[[System], AbstractContextManager[Any] | None]
"""Returns the `with` block that a system runs in, or None for none."""


class Row:
    """The only component of an entity in esper: its key."""

    __slots__ = ("key",)

    def __init__(self, key: int) -> None:
        self.key = key


class Context(AbstractContextManager[None]):
    """esper's context of one world: current inside a `with` block; the previous context is current again after it.

    No object that esper itself keeps may refer to it, because the context is deleted when the world is freed.

    Args:
        label: the name of the world in errors.
    """

    _numbers = itertools.count(1)

    def __init__(self, label: str) -> None:
        self.name = f"tickweave-{next(self._numbers)}-{label}"
        self._label = label
        self._thread = threading.get_ident()
        self._previous: list[str] = []
        with _TURN:
            previous = esper.current_world
            esper.switch_world(self.name)
            esper.switch_world(previous)
        self._finalizer = weakref.finalize(self, _drop_context, self.name)
        self._finalizer.atexit = False

    def check_usable(self) -> None:
        """Refuse a thread other than the one that made the world, and refuse a closed world."""
        if threading.get_ident() != self._thread:
            raise WorldError(f"{self._label} belongs to another thread; a world stays with the thread that made it")
        if not self._finalizer.alive:
            raise WorldError(f"{self._label} is closed")

    def __enter__(self) -> None:
        self.check_usable()
        if not _TURN.acquire(timeout=TURN_S):
            raise WorldError(
                f"another thread has been inside a world for {TURN_S:.0f} s, and {self._label} waits for it"
            )
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
        _TURN.release()
        if found != self.name:
            raise WorldError(
                f"esper's context was {found!r} instead of {self.name!r} at the end of active(): something inside "
                f"awaited or switched worlds"
            )

    def close(self) -> None:
        """Delete the context.

        Raises:
            WorldError: inside its own `with` block.
        """
        if self._previous:
            raise WorldError(f"{self._label} cannot be closed inside active()")
        self._finalizer()


def _drop_context(context: str) -> None:
    if context not in esper.list_worlds():
        return
    if esper.current_world == context:
        esper.switch_world("default")
    esper.delete_world(context)


class Mirror:
    """Keeps an esper entity with a `Row` for every living key; does nothing unless it is wanted.

    Args:
        context: the context of the entities.
        wanted: whether keys are mirrored at all.
    """

    def __init__(self, context: Context, *, wanted: bool) -> None:
        self.wanted = wanted
        self._context = context
        self._ids: dict[int, int] = {}

    def born(self, keys: NDArray[np.int64]) -> None:
        """Make an entity for each key, in this order."""
        if self.wanted:
            with self._context:
                for key in keys.tolist():
                    self._ids[key] = esper.create_entity(Row(key))

    def bury(self, keys: NDArray[np.int64]) -> None:
        """Delete the entities of these keys."""
        if self.wanted:
            with self._context:
                for key in keys.tolist():
                    esper.delete_entity(self._ids.pop(key), immediate=True)

    def become(self, keys: NDArray[np.int64]) -> None:
        """Change the entities to those of these keys, with as few births and deaths as possible."""
        there = np.array(sorted(self._ids), np.int64)
        self.bury(np.setdiff1d(there, keys))
        self.born(np.setdiff1d(keys, there))

    def check(self, rows: Rows) -> None:
        """Assert that esper's entities are those of the rows, each with exactly its key.

        Raises:
            WorldError: they are not.
        """
        with self._context:
            found: dict[int, tuple[object, ...]] = {
                entity: esper.components_for_entity(entity) for entity in esper.get_entities()
            }
        expected = {self._ids[key]: key for key in rows.living.tolist()} if self.wanted else {}
        if found.keys() != expected.keys():
            raise WorldError(f"esper has entities {sorted(found.keys() ^ expected.keys())} too many or too few")
        for entity, parts in found.items():
            if [getattr(part, "key", None) for part in parts] != [expected[entity]]:
                raise WorldError(f"esper entity {entity} does not carry exactly its Row({expected[entity]})")


class _Processor(esper.Processor):
    """Runs one system when esper calls it."""

    def __init__(self, systems: Systems, position: int) -> None:
        self.systems = systems
        self.position = position

    def process(self, world: Any, run: Any) -> None:
        self.systems.step(self.position, world, run)


class Systems:
    """Holds the systems of one world in the order they run.

    esper's processors keep it alive, so it holds its context by name only.

    Attributes:
        installed: the systems.
        running: the system whose `process` runs now.
    """

    def __init__(self, context: str) -> None:
        self.installed: list[System] = []
        self.running: System | None = None
        self._context = context
        self._processors: list[esper.Processor] = []
        self._position = -1
        self._around: Around | None = None
        self._done: Callable[[System], object] = id

    def install(self, systems: Sequence[System]) -> None:
        """Add systems after the installed ones; the context must be current.

        Raises:
            WorldError: a tick is running, a type or name is installed already, or a system holds state.
        """
        if self._position >= 0:
            raise WorldError("systems cannot be installed during a tick: order is meaning")
        given: Any = systems
        try:
            strange = [system for system in given if not isinstance(system, System)]
        except TypeError:
            strange = [given]
        if strange:
            raise WorldError(f"install: a list of systems is expected; {short(strange[0])} does not extend System")
        types: set[type] = {type(system) for system in self.installed}
        names = {system.name for system in self.installed}
        for system in systems:
            if type(system) in types or system.name in names:
                raise WorldError(f"system {system.name!r} ({type(system).__name__}) is installed twice")
            check_constants(system)
            types.add(type(system))
            names.add(system.name)
        for system in systems:
            position = len(self.installed)
            self.installed.append(system)
            processor = _Processor(self, position)
            esper.add_processor(processor, priority=-position)
            self._processors.append(processor)

    def process(self, world: Any, run: Any, around: Around | None, done: Callable[[System], object]) -> None:
        """Run all systems once, in order; the context must be current.

        Args:
            world: passed to every system.
            run: passed to every system.
            around: returns the `with` block that a system runs in.
            done: called after each system.

        Raises:
            WorldError: a system called this, or the systems did not run once each in the installed order.
        """
        if self._position >= 0:
            raise WorldError("process() was called from within a tick")
        self._position, self._around, self._done = 0, around, done
        try:
            esper.process(world, run)
            ran = self._position
        finally:
            # The caller's arguments may refer to the world, which esper must not keep alive.
            self._position, self.running, self._around, self._done = -1, None, None, id
        if ran != len(self.installed):
            raise WorldError(f"{ran} of {len(self.installed)} systems ran: esper's processors were changed directly")

    def step(self, position: int, world: Any, run: Any) -> None:
        """Run the system at a position, which must be the next one."""
        system = self.installed[position]
        if position == self._position:
            self.running = system
            block = None if self._around is None else self._around(system)
            if block is None:
                system.process(world, run)
            else:
                with block:
                    system.process(world, run)
        if esper.current_world != self._context:
            raise WorldError(f"system {system.name!r} switched esper's context to {esper.current_world!r}")
        # esper has no public list of its processors, and a processor added while they run makes it run a system twice.
        if position != self._position or esper._processors != self._processors:  # noqa: SLF001
            raise WorldError(f"system {system.name!r} ran out of order: esper's processors were changed directly")
        self.running = None
        self._position += 1
        self._done(system)
