"""A world runs its systems in order in a context of its own, and notices what would break its promises."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager

import esper
import numpy as np
import pytest

from sim.engine.esper_adapter import Row
from sim.engine.system import System
from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import ALL, Board, Position, Route, Wealth, everything


class Recorder(System):
    def process(self, world, frame):
        frame.append(self.name)


class First(Recorder):
    reads = (Position,)


class Second(Recorder):
    name = "the second"
    priority = 99


class Third(Recorder):
    pass


def test_systems_run_in_the_installed_order_and_are_reported(five):
    """Order is the schedule's, whatever priorities say, also over several installs."""
    five.install([First(), Second()])
    five.install([Third()])
    frame, done = [], []
    five.process(frame, done.append)
    five.process(frame)
    assert frame == ["first", "the second", "third"] * 2
    assert done == ["first", "the second", "third"]
    assert [system.name for system in five.systems] == done


def test_a_system_or_name_twice_is_refused(five):
    """esper loses one of two processors of a type."""
    five.install([First()])
    with pytest.raises(WorldError, match="installed twice"):
        five.install([First()])

    class Other(Recorder):
        name = "first"

    with pytest.raises(WorldError, match="installed twice"):
        five.install([Other()])
    assert len(five.systems) == 1


def test_an_error_in_a_system_leaves_a_usable_world(five):
    """After an exception the world can be restored and run again, and esper's context is the old one."""

    class Broken(System):
        def process(self, world, frame):
            world.kill([0])
            if frame is None:
                raise ValueError("mine")

    five.install([Broken()])
    state = five.snapshot()
    with pytest.raises(ValueError, match="mine"):
        five.process(None)
    assert esper.current_world == "default"
    five.restore(state)
    five.process([])
    assert five.keys.tolist() == [1, 2, 3, 4]


class Undertaker(System):
    """Kills the first row, and reports who lives."""

    def process(self, world, run):
        run.append(world.n)
        world.kill([0])
        world.spawn({}, like=1)
        run.append(world.n)


class Census(Recorder):
    def process(self, world, run):
        run.append(world.keys.tolist())


def test_births_and_deaths_take_effect_at_the_end_of_a_system(five):
    """The system itself works on the rows it began with; the next one meets who lives now."""
    five.install([Undertaker(), Census()])
    seen, counts = [], []
    five.process(seen, lambda name: counts.append((name, five.n, five.pending)))
    assert seen == [5, 5, [1, 2, 3, 4, 5]]
    assert counts == [("undertaker", 5, False), ("census", 5, False)]


def test_a_system_may_flush_only_if_it_says_so(five):
    """A flush in mid-system would make rows stale, so it is refused but to those that declare it."""

    class Hasty(System):
        def process(self, world, run):
            world.kill([0])
            world.flush()

    class Inputs(Hasty):
        flushes = True

    five.install([Inputs()])
    five.process(None)
    assert five.n == 4
    five.install([Hasty()])
    with pytest.raises(WorldError, match=r"system 'hasty' called flush\(\): births and deaths take effect at the end"):
        five.process(None)


class Constants(System):
    """Holds what no tick can change."""

    limits = (1, 2)
    table = Position

    def __init__(self):
        self.rate = 3


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("kept", [], "list"), ("kept", {}, "dict"), ("kept", {1}, "set"), ("kept", np.zeros(2), "ndarray"),
        ("board", Board(), "Board"),
    ],
)  # fmt: skip
def test_a_system_that_could_keep_state_is_refused(five, name, value, kind):
    """What changes belongs where it is hashed and restored; the sentence names system, attribute and type."""
    five.install([Constants()])
    of_class = type("OfClass", (System,), {name: value})()
    of_object = type("OfObject", (System,), {})()
    setattr(of_object, name, value)
    for system in (of_class, of_object):
        with pytest.raises(WorldError, match=rf"system '{system.name}' .*holds {name}, a {kind}, which no snapshot"):
            five.install([system])
    assert [each.name for each in five.systems] == ["constants"]


def test_systems_run_in_the_block_that_the_caller_gives(five):
    """A guard, or a watch, is put around each system without the engine knowing it."""
    inside = []

    @contextmanager
    def around(system):
        inside.append(f"enter {system.name}")
        yield
        inside.append(f"leave {system.name}")

    five.install([First(), Third()])
    five.process([], around=around)
    assert inside == ["enter first", "leave first", "enter third", "leave third"]


def test_contexts_nest_and_are_left_after_exceptions():
    """Two worlds live side by side, and a block in one may open the other."""
    with World([Position], name="a") as a, World([Position], name="b") as b:
        with a.active():
            mine = esper.current_world
            with b.active(), a.active():
                assert esper.current_world == mine
            assert esper.current_world == mine
            with pytest.raises(KeyError), b.active():
                raise KeyError
            assert esper.current_world == mine
        assert esper.current_world == "default"


def test_a_closed_world_leaves_no_context_and_takes_no_calls():
    """Contexts do not pile up."""
    before = set(esper.list_worlds())
    world = World([Position])
    (context,) = set(esper.list_worlds()) - before
    with pytest.raises(WorldError, match="inside active"), world.active():
        world.close()
    world.close()
    world.close()
    assert context not in esper.list_worlds()
    with pytest.raises(WorldError, match="is closed"):
        world.active().__enter__()


def test_a_forgotten_world_takes_its_context_along():
    """A world that is dropped without close() is cleaned up, even where its context was left current."""
    before = set(esper.list_worlds())
    world = World([Position])
    world.install([Recorder()])
    world.process([])
    (context,) = set(esper.list_worlds()) - before
    esper.switch_world(context)
    del world
    gc.collect()
    assert context not in esper.list_worlds()
    assert esper.current_world == "default"


def test_another_thread_is_refused(five):
    """esper has one global context and no locks."""
    errors = []

    def work():
        for call in (five.flush, lambda: five.process(None), lambda: five.active().__enter__()):
            try:
                call()
            except WorldError as error:
                errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(errors) == 3
    assert all("another thread" in error for error in errors)


def corrupt_esper(world):
    with world.active():
        esper.create_entity()


def corrupt_row(world):
    with world.active():
        esper.add_component(next(iter(esper.get_entities())), object())


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (corrupt_esper, "too many or too few"),
        (corrupt_row, "does not carry exactly its Row"),
        (lambda world: world._rows.keys.__setitem__(1, 9), "do not ascend"),
        (lambda world: world._rows.keys.__setitem__(4, 9), "not in 0"),
        (lambda world: world._rows._dense.__setitem__(1, 3), "index from key to row is wrong"),
        (lambda world: world._rows._dense.__setitem__(5, 3), "still has dead entities"),
        (lambda world: world[Route].cells.__setitem__((2, 0, 0), 3), r"Route\.cells is not zero beyond Route\.length"),
        (lambda world: world[Wealth].gold.__setitem__(0, 3), r"Wealth\.gold is not zero where Wealth is absent"),
    ],
)
def test_check_finds_what_would_break_the_promises(corrupt, message):
    """Debug mode names the invariant that does not hold."""
    with World(ALL, debug=True, esper_entities=True) as world:
        world.spawn(everything(), count=5)
        world.flush()
        world.detach([0], Wealth)
        world.flush()
        world.check()
        corrupt(world)
        with pytest.raises(WorldError, match=message):
            world.check()


def test_esper_has_no_entities_unless_they_are_wanted(five):
    """A world keeps its keys to itself; asked to, it mirrors them, also after births, deaths and a restore."""
    with five.active():
        assert list(esper.get_entities()) == []
    with World(ALL, debug=True, esper_entities=True) as world:
        world.restore(five.snapshot())
        world.kill([1])
        world.spawn({}, 2)
        world.flush()
        with world.active():
            assert [row.key for _, row in sorted(esper.get_component(Row))] == [0, 2, 3, 4, 5, 6]
