"""The engine alone: a model on a plain `World`, without a domain, a scenario or a replay."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim import Component, Grid, Resource, System, World, column, i32, purpose
from sim.engine.digest import state_digest

PLACE, ENERGY, STEP, BREED = map(purpose, ("place", "energy", "step", "breed"))
MEADOW = Grid(20, 20, torus=True)
REGROW = 30


class Animal(Component):
    """Where an animal is, and what it has eaten."""

    cell: i32
    energy: i32


class Sheep(Component):
    """A mark."""


class Wolf(Component):
    """A mark."""


class Grass(Resource):
    """Ticks until the grass of a cell has grown again."""

    left: i32 = column(per="cell")


class Life(System):
    """Animals move, eat, breed and die. Reads and writes Animal and Grass."""

    def process(self, world: World, run: Any) -> None:
        animal, left = world[Animal], world[Grass].left
        left[left > 0] -= 1
        animal.cell[:] = MEADOW.step(animal.cell, world.below(world.rows(), STEP, 2**32), moore=False)
        animal.energy -= 1
        sheep, wolves = world.rows(Sheep), world.rows(Wolf)
        grazing = sheep[left[animal.cell[sheep]] == 0]
        ate = grazing[world.claim(animal.cell[grazing], grazing, MEADOW.size)]
        animal.energy[ate] += 4
        left[animal.cell[ate]] = REGROW
        hunting = wolves[world.claim(animal.cell[wolves], wolves, MEADOW.size)]
        prey = np.full(MEADOW.size, -1)
        prey[animal.cell[sheep][::-1]] = sheep[::-1]
        caught = prey[animal.cell[hunting]]
        animal.energy[hunting[caught >= 0]] += 20
        dead = animal.energy < 0
        dead[caught[caught >= 0]] = True
        world.kill(dead)
        for kind, permille in ((Sheep, 40), (Wolf, 50)):
            rows = world.rows(kind)
            parents = rows[world.chance(rows, BREED, permille) & ~dead[rows]]
            animal.energy[parents] //= 2
            values = {"cell": animal.cell[parents], "energy": animal.energy[parents]}
            world.spawn({Animal: values, kind: {}}, count=len(parents), like=parents)


def meadow(seed: int) -> World:
    """Build a world of 100 sheep and 50 wolves."""
    world = World([Animal, Sheep, Wolf], resources=[Grass], sizes={"cell": MEADOW.size}, seed=seed)
    for kind, count, energy in ((Sheep, 100, 8), (Wolf, 50, 40)):
        world.spawn({Animal: {}, kind: {}}, count=count)
        world.flush()
        born = world.rows(kind)
        world[Animal].cell[born] = world.below(born, PLACE, MEADOW.size)
        world[Animal].energy[born] = 1 + world.below(born, ENERGY, energy)
    world.install([Life()])
    return world


def tick(world: World) -> str:
    """Run one tick and return the hash of the state after it."""
    world.process(None)
    root = state_digest(world).root
    world.tick += 1
    return root


def test_a_plain_world_comes_to_the_same_states_again_and_after_a_restore_at_every_tick() -> None:
    """Two worlds of one seed agree at each of 40 ticks, one restored before every tick; another seed differs."""
    with meadow(7) as one, meadow(7) as two, meadow(8) as other:
        differ = False
        for _ in range(40):
            state = two.snapshot()
            tick(two)
            two.restore(state)
            two.tick = state.tick
            root = tick(one)
            assert tick(two) == root
            differ |= tick(other) != root
        assert differ
        assert len(one.rows(Sheep)) != 100
        assert one.next_key > 200
