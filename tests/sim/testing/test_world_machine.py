"""Two worlds driven by any sequence of commands agree with a dict, whatever is restored, forked or interleaved."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from sim.engine.columns import Component, boolean, column, f64, i8, i16, i32, i64
from sim.engine.resources import Resource
from sim.engine.system import System
from sim.engine.world import World
from sim.testing import WorldMachine
from sim.testing.machine import PICKS, Model


class Health(Component):
    hp: i16 = column(default=7)


class Route(Component):
    length: i8
    cells: i16 = column(shape=(3,), used_by="length")


class Purse(Component):
    gold: i64


class Mood(IntEnum):
    LOW = -1
    HIGH = 300


class Good(StrEnum):
    BREAD = "bread"
    FISH = "fish"


class Villager(Component):
    money: float = column(scale=100, default=2.5)
    mood: Mood = column(default=Mood.HIGH)
    wants: Good
    stock: i8 = column(per="goods", default=1)
    paid: i32 = column(per="goods", shape=(2,), scale=10)
    warmth: f64
    name: str
    heard: tuple[str, ...] = column(limit=3)


class Guest(Component):
    """A mark."""


class Grass(Resource):
    left: i16 = column(per="cell", default=4)
    price: i64 = column(per="goods", scale=100)
    heat: f64 = column(per="cell")
    tick: i32
    notice: str


class Smoke(Resource, rows=3):
    cell: i16
    until: i32 = column(default=9)
    marks: boolean = column(shape=(2,))
    said: tuple[str, ...] = column(limit=2)


class Toll(System):
    """Takes a piece of gold from everyone who has a purse; whoever has none left dies."""

    def process(self, world: World, frame: object) -> None:
        rows = world.rows(Purse)
        world[Purse].gold[rows] -= 1
        poor = world.has(Purse) & (world[Purse].gold < 0)
        world.kill(poor)


class Worlds(WorldMachine):
    """Adds keys that a file fixes, and harm that falls on one row several times."""

    components = (Health, Route, Purse, Villager, Guest)
    resources = (Grass, Smoke)
    tables = {"goods": ("bread", "fish")}  # noqa: RUF012 - as the base class declares it
    sizes = {"cell": 4}  # noqa: RUF012
    systems = (Toll,)

    @rule(skips=st.lists(st.integers(0, 3), min_size=1, max_size=3), turned=st.booleans())
    def spawn_fixed(self, skips: list[int], turned: bool) -> None:  # noqa: FBT001 - hypothesis calls it by name
        spawned = [key for kind, *what in self.queued[self.at] if kind == "spawn" for key in what[1]]
        taken = [key for key in spawned if key is not None]
        first = max([self.next_keys[self.at], *(key + 1 for key in taken)])
        keys = np.cumsum([first, *(skip + 1 for skip in skips)]).tolist()
        keys = keys[::-1] if turned else keys
        self.world.spawn({component: {} for component in self.components}, len(keys), keys=keys)
        self.queue("spawn", -1, keys, {component: {} for component in self.components})

    @precondition(lambda self: self.model)
    @rule(picks=st.lists(PICKS, max_size=5), harm=st.integers(-3, 3))
    def hurt(self, picks: list[int], harm: int) -> None:
        keys = [key for key in map(self.key_at, picks) if self.model[key]["Health"] is not None]
        self.world.scatter_add(self.world[Health].hp, self.world.rows_of(keys), harm)
        for key in keys:
            self.model[key]["Health"]["hp"] += harm

    def after_tick(self, before: Model) -> Model:
        for parts in before.values():
            if parts["Purse"] is not None:
                parts["Purse"]["gold"] -= 1
        return {key: parts for key, parts in before.items() if parts["Purse"] is None or parts["Purse"]["gold"] >= 0}


Worlds.TestCase.settings = settings(max_examples=settings.default.max_examples // 2, stateful_step_count=30)
TestWorlds = Worlds.TestCase


class Meter(System):
    """Counts in an attribute, which no snapshot holds."""

    def __init__(self) -> None:
        self.ticks = 0

    def process(self, world: World, frame: object) -> None:
        self.ticks += 1
        world[Purse].gold[world.rows(Purse)] = self.ticks


class Wrong(WorldMachine):
    components = (Purse,)
    systems = (Meter,)


def test_a_failure_shrinks_to_the_few_commands_that_matter() -> None:
    """A system with hidden state is found by a twin, and the report is a birth and two ticks."""
    quiet = settings(max_examples=200, deadline=None, database=None, phases=(Phase.generate, Phase.shrink))
    with pytest.raises(AssertionError, match="made again from the same state differs in Purse") as caught:
        run_state_machine_as_test(Wrong, settings=quiet)
    commands = [note.partition("(")[0] for note in caught.value.__notes__ if note.startswith("state.")]
    # Either the birth or one of the ticks comes first: the counter differs in both.
    assert sorted(name for name in commands if "_" not in name) == [
        "state.spawn",
        "state.teardown",
        "state.tick",
        "state.tick",
    ]
