"""Ecology: who is born, who dies, who eats what, and when grass is back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import scenarios.ecology
from scenarios.ecology.domain import UNIT, Animal, Ecology, EcologySettings, Grass, Graze, Sheep, Wolf, forage
from sim import Simulation, verify
from sim.run.scenario_file import Scenario
from sim.testing import assert_deterministic
from tests.support.code_lines import code_lines_of
from tests.support.recording import recorded

SEEDS = st.integers(0, 1000)
SETTINGS = st.builds(
    EcologySettings,
    width=st.integers(1, 6),
    height=st.integers(1, 6),
    sheep=st.integers(0, 20),
    wolves=st.integers(0, 8),
    sheep_breed=st.sampled_from((0, 40, 500, 1000)),
    wolf_breed=st.sampled_from((0, 50, 500, 1000)),
    sheep_gain=st.integers(0, 4),
    wolf_gain=st.integers(0, 20),
    regrow=st.integers(1, 5),
)


def simulated(seed: int = 1, **values: Any) -> Simulation:
    return Simulation(Ecology(**values), seed=seed)


def placed(simulation: Simulation, cells: dict[type, list[int]], energy: int = 100) -> None:
    """Put the sheep and wolves of a run on cells."""
    world = simulation.world
    world[Animal].energy[:] = energy * UNIT
    for kind, places in cells.items():
        world[Animal].cell[world.rows(kind)] = places


def alive(simulation: Simulation, kind: type) -> dict[int, int]:
    """Return the energy of the animals of a kind, by key."""
    world = simulation.world
    rows = world.rows(kind)
    return dict(zip(world.keys[rows].tolist(), world[Animal].energy[rows].tolist(), strict=True))


@given(SETTINGS, SEEDS)
def test_animals_change_by_births_and_deaths_alone(settings: EcologySettings, seed: int) -> None:
    """The dead starved, or were sheep beside wolves; the new have a parent each; nobody changes its kind."""
    with Simulation(Ecology(settings), seed=seed) as simulation:
        for _ in range(6):
            sheep, wolves, next_key = alive(simulation, Sheep), alive(simulation, Wolf), simulation.world.next_key
            simulation.tick()
            sheep_now, wolves_now = alive(simulation, Sheep), alive(simulation, Wolf)
            assert sorted([*sheep_now, *wolves_now]) == simulation.world.keys.tolist()
            for before, now in ((sheep, sheep_now), (wolves, wolves_now)):
                born = [key for key in now if key not in before]
                assert all(key >= next_key for key in born)
                assert len(born) <= len(before)
            assert all(wolves[key] < UNIT for key in wolves if key not in wolves_now)
            eaten = [key for key in sheep if key not in sheep_now and sheep[key] >= UNIT]
            assert len(eaten) <= len(wolves)


@given(SETTINGS, SEEDS)
def test_the_living_have_energy_a_place_and_grass_in_its_bounds(settings: EcologySettings, seed: int) -> None:
    """After a tick no energy is negative, every cell is on the map, and grass needs 0 to `regrow` ticks."""
    with Simulation(Ecology(settings), seed=seed) as simulation:
        for _ in range(6):
            simulation.tick()
            animal, left = simulation.world[Animal], simulation.world[Grass].left
            assert (animal.energy >= 0).all()
            assert ((animal.cell >= 0) & (animal.cell < settings.width * settings.height)).all()
            assert ((left >= 0) & (left <= settings.regrow)).all()


@given(SETTINGS, SEEDS)
def test_energy_comes_from_food_and_goes_by_one_a_tick(settings: EcologySettings, seed: int) -> None:
    """A survivor has what it had, less one, with or without one meal, halved if it gave birth; no other amount."""
    with Simulation(Ecology(settings), seed=seed) as simulation:
        world = simulation.world
        for _ in range(6):
            before = dict(zip(world.keys.tolist(), world[Animal].energy.tolist(), strict=True))
            simulation.tick()
            is_sheep = np.isin(np.arange(world.n), world.rows(Sheep))
            for key, energy, sheep in zip(world.keys.tolist(), world[Animal].energy, is_sheep, strict=True):
                if key in before:
                    gain = settings.sheep_gain if sheep else settings.wolf_gain
                    hungry, fed = before[key] - UNIT, before[key] - UNIT + gain * UNIT
                    assert energy in (hungry, fed, hungry // 2, fed // 2)


@given(SETTINGS, SEEDS)
def test_sheep_step_to_a_cell_beside_theirs_and_never_to_a_wolf(settings: EcologySettings, seed: int) -> None:
    """A sheep that moves goes one step, onto a cell without wolves."""
    with Simulation(Ecology(settings), seed=seed) as simulation:
        world, grid = simulation.world, simulation.run_context.space
        sheep = world.rows(Sheep)
        before = world[Animal].cell[sheep].copy()
        Graze().process(world, simulation.run_context)
        after = world[Animal].cell[sheep]
        assert (grid.manhattan(before, after) <= 1).all()
        wolves = world[Animal].cell[world.rows(Wolf)]
        assert not np.isin(after[after != before], wolves).any()


@given(SETTINGS, SEEDS, st.data())
def test_food_is_eaten_as_long_as_somebody_hungry_stands_beside_it(
    settings: EcologySettings, seed: int, data: st.DataObject
) -> None:
    """No piece is eaten twice, each animal eats one at most, and those without are beside no food that is left."""
    with Simulation(Ecology(settings), seed=seed) as simulation:
        world, grid = simulation.world, simulation.run_context.space
        food = np.array(data.draw(st.lists(st.integers(0, 2), min_size=grid.size, max_size=grid.size)), np.int64)
        rows = world.rows(Sheep)
        before = world[Animal].cell.copy()
        fed, pieces = forage(world, grid, rows, world.draws(rows, 1), food=food)
        cells = world[Animal].cell
        assert len(set(fed.tolist())) == len(fed)
        assert len(set(zip(cells[fed].tolist(), pieces.tolist(), strict=True))) == len(fed)
        assert (pieces < food[cells[fed]]).all()
        rest = food - np.bincount(cells[fed], minlength=grid.size)
        hungry = np.setdiff1d(rows, fed)
        assert not (grid.gather(rest, grid.neighbours(before[hungry], moore=False)) > 0).any()


def test_grass_is_back_for_the_tick_after_regrow_ticks() -> None:
    """On the only cell, a sheep eats in one tick of `regrow + 1`."""
    with simulated(width=1, height=1, sheep=1, wolves=0, sheep_breed=0, sheep_gain=100, regrow=3) as simulation:
        simulation.world[Grass].left[:] = 0
        grown = []
        for _ in range(9):
            simulation.tick()
            grown.append(simulation.metrics()["grass"])
    assert grown == [0, 0, 0, 1, 0, 0, 0, 1, 0]


def test_of_several_sheep_one_eats_a_tuft() -> None:
    """Three sheep around the only tuft: one goes there and eats, the others walk on."""
    with simulated(width=3, height=3, sheep=3, wolves=0, sheep_breed=0) as simulation:
        world = simulation.world
        placed(simulation, {Sheep: [1, 3, 5]})
        world[Grass].left[:] = 30
        world[Grass].left[4] = 0
        simulation.tick()
        energies = sorted(world[Animal].energy.tolist())
        assert energies == [99 * UNIT, 99 * UNIT, 103 * UNIT]
        assert world[Animal].cell[world[Animal].energy.argmax()] == 4


def test_wolves_that_come_too_late_look_for_another_sheep() -> None:
    """Two wolves between two sheep eat both, in whatever order they choose."""
    for seed in range(20):
        with simulated(seed, width=7, height=7, sheep=2, wolves=2, sheep_breed=0, wolf_breed=0, sheep_gain=0) as run:
            # All wolves stand beside both sheep, which cannot leave: their neighbours are wolves or each other's.
            world = run.world
            placed(run, {Sheep: [23, 25], Wolf: [24, 24]})
            sheep, wolves = world.rows(Sheep), world.rows(Wolf)
            fed, _ = forage(world, run.run_context.space, wolves, world.draws(wolves, 1),
                            food=np.bincount(world[Animal].cell[sheep], minlength=49))  # fmt: skip
            assert len(fed) == 2
            assert sorted(world[Animal].cell[fed].tolist()) == [23, 25]


def test_one_sheep_feeds_one_wolf() -> None:
    """Three wolves around one sheep that has nowhere to go: it dies once, and one wolf has eaten."""
    with simulated(width=3, height=1, sheep=1, wolves=3, wolf_breed=0, sheep_breed=0, wolf_gain=20) as run:
        placed(run, {Sheep: [1], Wolf: [0, 2, 2]})
        run.tick()
        assert run.metrics()["sheep"] == 0
        assert sorted(run.world[Animal].energy.tolist()) == [99 * UNIT, 99 * UNIT, 119 * UNIT]


def test_the_starved_die_and_do_not_breed() -> None:
    """Without food everybody dies in the tick in which the energy falls below 0."""
    with simulated(sheep=5, wolves=0, sheep_gain=0, sheep_breed=1000) as run:
        run.world[Animal].energy[:] = 0
        run.tick()
        assert run.world.n == 0


def test_a_birth_halves_the_energy_and_stays_at_its_place() -> None:
    """Parent and child have half each, on the parent's cell."""
    with simulated(width=5, height=5, sheep=1, wolves=0, sheep_gain=0, sheep_breed=1000) as run:
        placed(run, {Sheep: [12]}, energy=11)
        run.tick()
        animal = run.world[Animal]
        assert animal.energy.tolist() == [5 * UNIT, 5 * UNIT]
        assert animal.cell[0] == animal.cell[1]


@given(SETTINGS, SEEDS)
def test_a_recording_is_proven(settings: EcologySettings, seed: int) -> None:
    """Any run verifies."""
    verdict = verify(recorded(Ecology(settings), seed=seed, ticks=8))
    assert verdict.verdict == "match", verdict.reason


def test_scenario_and_seed_decide_a_run() -> None:
    """All checks of determinism hold."""
    assert_deterministic(Scenario.of(Ecology()), ticks=8)


def test_it_is_short() -> None:
    """The domain has at most 120 lines of code."""
    assert code_lines_of(Path(scenarios.ecology.__file__).parent) <= 120
