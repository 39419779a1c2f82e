"""Each hazard of esper 3.9 is shown as it is, where that is stable, and then that `World` closes it.

Each test names its hazard by number: E1 to E19.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import threading
from dataclasses import dataclass

import esper
import numpy as np
import pytest

from sim.engine.columns import Component, i32
from sim.engine.digest import state_digest
from sim.engine.system import System
from sim.engine.world import World
from sim.errors import WorldError


class Position(Component):
    x: i32


class Plan(Component):
    step: i32


class Raw:
    """A component for esper itself."""


class Other:
    """Another one."""


@pytest.fixture
def raw():
    """A context of esper's own, for showing what it does."""
    esper.switch_world("raw")
    yield esper
    esper.switch_world("default")
    esper.delete_world("raw")


@pytest.fixture
def world():
    with World([Position, Plan], debug=True, esper_entities=True) as world:
        yield world


def raw_order(ids):
    """Iteration order of esper after `Raw` was added to these of 20 entities, in this order."""
    esper.clear_database()
    for _ in range(20):
        esper.create_entity()
    for entity in ids:
        esper.add_component(entity, Raw())
    return [entity for entity, _ in esper.get_component(Raw)]


def query_keys(world, *components):
    return world.keys[world.rows(*components)].tolist()


def with_plan(keys):
    world = World([Position, Plan], debug=True)
    world.spawn({Position: {}}, count=20)
    world.flush()
    for key in keys:
        world.attach([key], Plan)
        world.flush()
    return world


def test_e01_order_is_ascending(raw):
    """esper iterates a set; World's queries ascend by key."""
    assert raw_order([8, 1, 3, 16]) == [8, 1, 3, 16]
    with with_plan([8, 1, 3, 16]) as world:
        assert query_keys(world, Plan) == [1, 3, 8, 16]


def test_e02_order_does_not_depend_on_history(raw):
    """Equal members in another order of insertion iterate otherwise in esper, and equally in World."""
    assert raw_order([1, 9, 17]) != raw_order([17, 9, 1])
    with with_plan([1, 9, 17]) as one, with_plan([17, 9, 1]) as other:
        assert query_keys(one, Plan) == query_keys(other, Plan)
        assert state_digest(one) == state_digest(other)


def test_e03_order_survives_churn(raw):
    """A hundred entities with one respawn a tick lose ascending order in esper within 600 ticks, never in World."""
    ids = [esper.create_entity(Raw()) for _ in range(100)]
    broken = False
    for tick in range(600):
        esper.delete_entity(ids.pop(tick * 7 % 100), immediate=True)
        ids.append(esper.create_entity(Raw()))
        order = [entity for entity, _ in esper.get_component(Raw)]
        broken = broken or order != sorted(order)
    assert broken
    with World([Position]) as world:
        world.spawn({Position: {}}, count=100)
        world.flush()
        for tick in range(600):
            world.kill([tick * 7 % 100])
            world.spawn({})
            world.flush()
            assert (np.diff(world.keys) > 0).all()
        world.check()


def test_e04_restore_keeps_the_order(raw):
    """Rebuilding esper's sets loses their history; a restored World iterates as the one it was taken from."""
    history = raw_order([17, 9, 1])
    assert raw_order(sorted(history)) != history
    with with_plan([17, 9, 1]) as world, World([Position, Plan]) as other:
        other.restore(world.snapshot())
        assert query_keys(other, Plan) == query_keys(world, Plan) == [1, 9, 17]


def test_e05_order_does_not_depend_on_which_component_is_rarer(raw):
    """esper iterates the smallest set and takes the first on a tie; World's order is the same for any arguments."""
    for _ in range(20):
        esper.create_entity()
    for entity in (1, 9, 17):
        esper.add_component(entity, Raw())
    for entity in (17, 9, 1):
        esper.add_component(entity, Other())
    one = [entity for entity, _ in esper.get_components(Raw, Other)]
    assert one != [entity for entity, _ in esper.get_components(Other, Raw)]
    with with_plan([17, 1, 9]) as world:
        before = query_keys(world, Position, Plan)
        assert before == query_keys(world, Plan, Position) == [1, 9, 17]
        world.detach(np.setdiff1d(np.arange(20), before), Position)
        world.flush()
        assert query_keys(world, Position, Plan) == before


def test_e06_no_set_decides_anything():
    """Set algorithms differ between interpreters, so World sorts, whatever order things came in."""
    orders = set()
    for keys in itertools.permutations([0, 8, 16, 32]):
        with World([Position, Plan]) as world:
            world.spawn({}, count=4, keys=keys)
            world.flush()
            for key in keys:
                world.attach(world.rows_of([key]), Plan)
            world.flush()
            orders.add((*world.keys.tolist(), *(agent.key for agent in world.agents(Plan)), state_digest(world).root))
    assert len(orders) == 1


@dataclass
class Note:
    value: int = 0

    def hear(self):
        """Be a handler."""


def test_e07_query_results_cannot_be_changed(raw):
    """esper hands out its cache; what World hands out is read-only."""
    raw_order([1, 2, 3])
    esper.get_component(Raw).clear()
    assert esper.get_component(Raw) == []
    with with_plan([1, 2]) as world:
        with pytest.raises(ValueError, match="read-only"):
            world.rows(Plan)[0] = 5
        assert query_keys(world, Plan) == [1, 2]


def test_e08_events_come_in_emit_order(raw):
    """esper's handlers are called in order of address; World's events wait in one queue, in order."""
    esper.set_handler("hit", print)
    assert isinstance(esper.event_registry["hit"], set)
    with World([Position]) as world:
        for number in range(20):
            world.events.emit("hit", key=number)
        assert [event.columns["key"][0] for event in world.events.drain()] == list(range(20))


def test_e09_events_do_not_vanish(raw):
    """esper drops lambdas, refuses unhashable receivers and keeps bound methods; World's events need no receiver."""
    esper.set_handler("hit", lambda: None)
    assert "hit" not in esper.event_registry
    note = Note()
    with pytest.raises(TypeError, match="unhashable"):
        esper.set_handler("hit", note.hear)
    handler = Quiet()
    esper.set_handler("bye", handler.hear)
    esper.remove_handler("bye", handler.hear)
    assert esper.event_registry["bye"]
    with World([Position]) as world:
        world.events.emit("hit", key=1)
        with World([Position]) as other, other.active():
            pass
        assert len(world.events.drain()) == 1


class Quiet:
    def hear(self):
        """Be a handler."""


def test_e10_killing_twice_or_nobody_does_not_poison(raw, world):
    """A deferred delete of a dead entity makes every process() of esper raise; World takes it as one, or refuses it."""
    entity = esper.create_entity()
    esper.delete_entity(entity)
    esper.delete_entity(entity, immediate=True)
    for _ in range(2):
        with pytest.raises(KeyError):
            esper.process()
    world.spawn({}, count=2)
    world.flush()
    world.kill_keys([0])
    world.kill_keys([0, 0])
    world.flush()
    with pytest.raises(WorldError, match="no living entity has key 0"):
        world.kill_keys([0])
    world.process(None)
    assert world.keys.tolist() == [1]


def test_e11_the_dead_are_gone_everywhere_at_once(raw, world):
    """esper still lists entities whose deletion it deferred; after a flush nothing of World's does."""
    entity = esper.create_entity(Raw())
    esper.delete_entity(entity)
    assert not esper.entity_exists(entity)
    assert list(esper.get_entities()) == [entity] == [found for found, _ in esper.get_component(Raw)]
    world.spawn({Position: {}}, count=2)
    world.flush()
    view = world.entity(0)
    world.kill([0])
    world.flush()
    assert (world.keys.tolist(), world.row_of(0), view.alive, query_keys(world, Position)) == ([1], -1, False, [1])
    with world.active():
        assert len(list(esper.get_entities())) == 1


def test_e12_keys_are_never_given_again(raw, world):
    """esper starts again at id 1 after a clear; World's keys go on, also when everybody died."""
    first = esper.create_entity()
    esper.clear_database()
    assert esper.create_entity() == first
    world.spawn({}, count=3)
    world.flush()
    world.kill(slice(None))
    world.flush()
    with World([Position, Plan]) as other:
        other.restore(world.snapshot())
        for each in (world, other):
            each.spawn({})
            each.flush()
            assert each.keys.tolist() == [3]
    assert not hasattr(world, "clear_database")


def system(kind, log, act=None, priority=0):
    """Make a system type that logs its name, may act, and has a class-level priority."""

    def process(self, world, frame):
        log.append(kind)
        if act:
            act(world)

    return type(kind, (System,), {"process": process, "priority": priority, "name": kind})


def test_e13_systems_run_once_each_in_the_installed_order(raw):
    """esper loses a class's priority and skips or repeats on changes in mid-process; World orders and refuses."""

    class High(esper.Processor):
        priority = 9

    esper.add_processor(High())
    assert esper.get_processor(High).priority == 0
    log = []
    late = system("late", log, priority=-5)
    early = system("early", log, priority=9)
    with World([Position]) as world:
        world.install([late(), early()])
        world.process(None)
        assert log == ["late", "early"]
        with pytest.raises(WorldError, match="installed twice"):
            world.install([late()])


def test_e13_changes_during_a_tick_are_refused_or_noticed():
    """Installing from a system is an error, and so is going round World to esper's processors."""
    log = []
    late = system("late", log)

    class Selfish(System):
        def process(self, world, frame):
            esper._processors.pop()

    class Pushy(System):
        def process(self, world, frame):
            if not log:
                log.append("pushy")
                esper.add_processor(late(), priority=99)

    class Greedy(System):
        def process(self, world, frame):
            world.process(None)

    with World([Position]) as world:
        world.install([system("installer", log, lambda world: world.install([late()]))()])
        with pytest.raises(WorldError, match="during a tick"):
            world.process(None)
    with World([Position]) as world:
        world.install([Selfish(), late()])
        with pytest.raises(WorldError, match="changed directly"):
            world.process(None)
    log.clear()
    with World([Position]) as world:
        world.install([Pushy(), system("after", log)()])
        with pytest.raises(WorldError, match="out of order"):
            world.process(None)
    with World([Position]) as world:
        world.install([Greedy()])
        with pytest.raises(WorldError, match="within a tick"):
            world.process(None)


def test_e14_no_component_is_dropped_silently(raw):
    """esper keeps the last of two components of a type; World takes a mapping and refuses a name declared twice."""
    one, two = Raw(), Raw()
    assert esper.components_for_entity(esper.create_entity(one, two)) == (two,)
    with pytest.raises(WorldError, match="two components are called Position"):
        World([Position, Position])


def test_e15_an_await_inside_active_is_an_error(raw):
    """esper's world is global, so a coroutine resumes in another's world; World switches on access and tells."""
    where = []

    async def rude(name, other):
        esper.switch_world(name)
        other.set()
        await asyncio.sleep(0)
        where.append((name, esper.current_world))

    async def both():
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(rude("raw", one), rude("raw-2", two))

    asyncio.run(both())
    assert ("raw", "raw-2") in where
    esper.switch_world("raw")
    esper.delete_world("raw-2")

    async def inside(world):
        with world.active():
            await asyncio.sleep(0)

    async def overlapping(a, b):
        return await asyncio.gather(inside(a), inside(b), return_exceptions=True)

    with World([Position]) as a, World([Position]) as b:
        errors = asyncio.run(overlapping(a, b))
        assert any(isinstance(error, WorldError) and "awaited" in str(error) for error in errors)
        esper.switch_world("raw")
        a.spawn({}, count=2)
        b.spawn({}, count=3)
        a.flush()
        b.flush()
        a.check()
        b.check()
        assert (a.n, b.n, esper.current_world) == (2, 3, "raw")


def test_e15_a_system_that_switches_worlds_is_an_error(world):
    """A system that leaves esper in another context is named."""
    world.install([system("rude", [], lambda world: esper.switch_world("default"))()])
    with pytest.raises(WorldError, match="awaited or switched"):
        world.process(None)
    assert esper.current_world == "default"


def test_e16_other_threads_are_refused(world):
    """esper has no locks; World belongs to the thread that made it."""
    world.spawn({})
    errors = []

    def work():
        try:
            world.flush()
        except WorldError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "another thread" in errors[0]
    assert world.n == 0


def test_e17_a_snapshot_needs_nothing_of_esper(world, monkeypatch):
    """esper's state holds an itertools.count, which can no longer be copied; World's snapshot is arrays."""
    assert isinstance(esper._entity_count, itertools.count)
    world.spawn({Position: {"x": [4, 5]}}, count=2)
    world.flush()
    for name in ("get_entities", "switch_world", "components_for_entity", "get_component"):
        monkeypatch.setattr(esper, name, None)
    state = world.snapshot()
    assert copy.deepcopy(state) == state
    assert state.columns["Position.x"].tolist() == [4, 5]


def test_e18_nobody_dies_while_rows_are_walked(raw, world):
    """esper yields an entity that was deleted during the walk; in World rows stay as they are until the flush."""
    ids = [esper.create_entity(Raw()) for _ in range(3)]
    seen = []
    for entity, _ in esper.get_component(Raw):
        seen.append(entity)
        if entity == ids[0]:
            esper.delete_entity(ids[1], immediate=True)
    assert ids[1] in seen
    world.spawn({Position: {}}, count=3)
    world.flush()
    rows = world.rows(Position)
    for row in rows.tolist():
        world.kill([(row + 1) % 3])
        assert world.n == 3
        assert world.entity(row).alive
    world.flush()
    assert world.n == 0


def test_e19_no_time_reaches_the_state(raw, world):
    """esper.timed_process writes elapsed times; World never calls it and hashes nothing of the kind."""

    class Slow(esper.Processor):
        def process(self):
            """Take no time."""

    esper.add_processor(Slow())
    esper.timed_process()
    assert "Slow" in esper.process_times
    world.install([system("quick", [])()])
    before = state_digest(world)
    world.process(None)
    with world.active():
        assert esper.process_times == {}
        esper.process_times["quick"] = 12
    assert state_digest(world) == before
