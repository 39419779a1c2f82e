"""What the engine costs: agent by agent, and whole columns of a small model."""

from __future__ import annotations

import pytest

from sim.engine.columns import Component, boolean, column, i32
from sim.engine.digest import state_digest
from sim.engine.rng import purpose
from sim.engine.system import System
from sim.engine.world import World

AGENTS = 1000
GIVE = purpose("give")


FIELD_US_MAX = 3.0
"""The longest time for reading or writing one field of one agent, microseconds."""


class Animal(Component):
    energy: i32 = column(default=5)
    awake: boolean
    weight: float = column(scale=100, default=1.5)
    call: str = column()
    eaten: i32 = column(per="plants")


class Sheep(Component):
    """A mark."""


class Money(Component):
    coins: i32 = column(default=1)


class Trade(System):
    """Everyone who has a coin gives one to a random agent."""

    def process(self, world, run):
        coins = world[Money].coins
        givers = world.rows(Money)[coins > 0]
        world.scatter_add(coins, world.below(givers, GIVE, world.n), 1)
        coins[givers] -= 1


@pytest.fixture(scope="module")
def world():
    with World([Animal, Sheep], tables={"plants": ("clover", "grass")}) as world:
        world.spawn({Animal: {}, Sheep: {}}, AGENTS)
        world.spawn({Animal: {}}, AGENTS)
        world.flush()
        yield world


def read(world):
    for agent in world.agents(Sheep):
        _ = agent[Animal].energy


def write(world):
    for agent in world.agents(Sheep):
        agent[Animal].energy = 5


def count_down(world):
    for agent in world.agents(Sheep):
        agent[Animal].energy -= 1


def weigh(world):
    for agent in world.agents(Sheep):
        agent[Animal].weight += 0.25


def shout(world):
    for agent in world.agents(Sheep):
        agent[Animal].call = "baa"


def eat(world):
    for agent in world.agents(Sheep):
        agent[Animal].eaten["grass"] += 1


def visit(world):
    for _ in world.agents(Sheep):
        pass


@pytest.mark.parametrize(
    ("loop", "fields"), [(visit, 1), (read, 1), (write, 1), (count_down, 2), (weigh, 2), (shout, 1), (eat, 2)]
)
def test_agent_by_agent(benchmark, world, loop, fields):
    benchmark(loop, world)
    benchmark.extra_info["microseconds a field"] = cost = benchmark.stats.stats.min * 1e6 / AGENTS / fields
    assert cost <= FIELD_US_MAX


@pytest.mark.parametrize("agents", [100, 10_000])
@pytest.mark.parametrize("digest", [False, True], ids=["plain", "digest"])
def test_a_tick_of_a_small_model(benchmark, agents, digest):
    with World([Money]) as world:
        world.install([Trade()])
        world.spawn({Money: {}}, agents)
        world.flush()

        def tick():
            world.process(None)
            world.tick += 1
            if digest:
                state_digest(world)

        benchmark(tick)
