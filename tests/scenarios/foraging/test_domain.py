"""Foraging: berries are neither made nor lost on their way from bush to camp, and a scarce berry has one picker."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenarios.foraging.domain import Bush, Forager, Foraging, ForagingSettings, Place, Store
from sim import Simulation, verify
from sim.run.inputs import Act, Control
from sim.run.scenario_file import Scenario
from sim.testing import assert_deterministic
from tests.support.recording import recorded

SEEDS = st.integers(0, 1000)
SETTINGS = st.builds(
    ForagingSettings,
    width=st.integers(4, 12),
    height=st.integers(4, 12),
    families=st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4, unique=True).map(tuple),
    each=st.integers(1, 4),
    bushes=st.integers(1, 8),
    berries=st.integers(1, 5),
    growth=st.just(0),
    room=st.integers(1, 4),
    sight=st.integers(1, 12),
)


def berries(simulation: Simulation) -> int:
    """Count all berries: on bushes, in baskets and at the camps."""
    world = simulation.world
    return int(world[Bush].berries.sum() + world[Forager].load.sum() + world[Store].berries.sum())


@given(SETTINGS, SEEDS)
def test_berries_are_only_moved(settings: ForagingSettings, seed: int) -> None:
    """Without growth their number stays the same; baskets and bushes keep their bounds."""
    with Simulation(Foraging(settings), seed=seed) as simulation:
        world, there = simulation.world, berries(simulation)
        for _ in simulation.reports(20):
            assert berries(simulation) == there == settings.bushes * settings.berries
            assert (world[Forager].load <= settings.room).all()
            assert (world[Bush].berries >= 0).all()


def test_foragers_fill_their_camps() -> None:
    """Rules alone bring berries home, and the richest family wins at the last tick."""
    with Simulation(Foraging(), seed=1) as simulation:
        simulation.run()
        scores = simulation.domain.scores(simulation.world)
    assert min(scores.values()) > 10
    assert simulation.outcome == f"{max(scores, key=lambda name: scores[name])} wins"


def test_the_last_berry_has_one_picker() -> None:
    """Of foragers who pick the last berry of a bush at once, the one with the lowest key gets it."""
    with Simulation(Foraging(each=3, families=("A",), bushes=1, growth=0), seed=1, tiers=["emergency"]) as simulation:
        world = simulation.world
        world[Place].cell[:] = world[Place].cell[world.rows(Bush)[0]]
        world[Bush].berries[world.rows(Bush)] = 1
        for agent in range(3):
            simulation.inject(Control(agent=agent))
            simulation.inject(Act(agent=agent, step={"act": "Pick", "bush": 3}))
        simulation.tick()
        assert world[Forager].load.tolist() == [1, 0, 0, 0]
        assert world[Bush].berries.tolist() == [0, 0, 0, 0]


def test_foragers_know_the_bushes_with_berries_in_sight() -> None:
    """Nearest first, at most six, and how many more there are; empty and far bushes are unknown."""
    with Simulation(Foraging(each=1, families=("A",), bushes=10, sight=6), seed=1) as simulation:
        world, grid = simulation.world, simulation.run_context.space
        bushes = world.rows(Bush)
        world[Place].cell[0] = grid.cell(0, 0)
        world[Place].cell[bushes] = grid.cell(np.arange(10), 0)
        world[Bush].berries[bushes[2]] = 0
        batch: Any = simulation.domain.observe(world, np.array([0]))
        assert batch.bushes.id[0].tolist() == world.keys[bushes][[0, 1, 3, 4, 5, 6]].tolist()
        assert batch.bushes.more.tolist() == [0]
        world[Bush].berries[bushes[2]] = 1
        assert simulation.domain.observe(world, np.array([0])).bushes.more.tolist() == [1]


@given(SETTINGS, SEEDS)
def test_a_recording_is_proven(settings: ForagingSettings, seed: int) -> None:
    """Any run verifies."""
    verdict = verify(recorded(Foraging(settings), seed=seed, ticks=8))
    assert verdict.verdict == "match", verdict.reason


def test_scenario_and_seed_decide_a_run() -> None:
    """All checks of determinism hold."""
    assert_deterministic(Scenario.of(Foraging()), ticks=8)
