"""Epidemic: one turn after the other, as a slow model has it, and what never happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import scenarios.epidemic
from scenarios.epidemic.domain import ACT, INFECT, WORDS, Epidemic, EpidemicSettings, Person, State
from sim import Simulation, verify
from sim.run.scenario_file import Scenario
from sim.testing import assert_deterministic
from tests.support.code_lines import code_lines_of
from tests.support.recording import recorded

SEEDS = st.integers(0, 1000)
CHANCES = st.sampled_from((0, 300, 700, 1000))


@st.composite
def all_settings(draw: st.DrawFn) -> EpidemicSettings:
    agents = draw(st.integers(2, 12))
    return EpidemicSettings(
        agents=agents,
        neighbours=draw(st.integers(0, agents)),
        infected=draw(st.integers(0, agents)),
        **{name: draw(CHANCES) for name in ("spread", "check", "recover", "resist")},
    )


def one_by_one(simulation: Simulation) -> list[int]:
    """Return the states after the next tick, as a model has it in which one person acts after the other."""
    world, network, settings = simulation.world, simulation.run_context.space, simulation.domain.settings
    state = world[Person].state.tolist()
    words = world.draws(slice(None), ACT).tolist()
    for person in sorted(range(world.n), key=lambda each: words[each][0]):
        if state[person] != State.INFECTED:
            continue
        for link in range(network.starts[person], network.starts[person + 1]):
            other = int(network.targets[link])
            infects = world.chance_at([link], INFECT, settings.spread)[0]
            if state[other] == State.SUSCEPTIBLE and infects:
                state[other] = State.INFECTED
        _, check, recover, resist = words[person]
        if check < WORDS * settings.check // 1000 and recover < WORDS * settings.recover // 1000:
            state[person] = State.RESISTANT if resist < WORDS * settings.resist // 1000 else State.SUSCEPTIBLE
    return state


@given(all_settings(), SEEDS)
def test_it_is_the_model_of_one_turn_after_the_other(settings: EpidemicSettings, seed: int) -> None:
    """Every tick comes to what a plain loop over people in the order of their turns comes to."""
    with Simulation(Epidemic(settings), seed=seed) as simulation:
        while simulation.outcome is None and simulation.world.tick < 8:
            expected = one_by_one(simulation)
            simulation.tick()
            assert simulation.world[Person].state.tolist() == expected


@given(all_settings(), SEEDS)
def test_the_resistant_stay_so_and_the_virus_goes_along_links(settings: EpidemicSettings, seed: int) -> None:
    """People are counted once, resistance lasts, and nobody is infected in a part of the network without the virus."""
    with Simulation(Epidemic(settings), seed=seed) as simulation:
        world, parts = simulation.world, simulation.run_context.space.components()
        while simulation.outcome is None and world.tick < 8:
            before = world[Person].state.copy()
            simulation.tick()
            after = world[Person].state
            assert (after[before == State.RESISTANT] == State.RESISTANT).all()
            assert np.isin(parts[after == State.INFECTED], parts[before == State.INFECTED]).all()
            assert sum(simulation.metrics().values()) == settings.agents


def test_a_hundred_thousand_people_can_be_ill() -> None:
    """Draws are numbered by link, as pairs of people would have too many numbers."""
    with Simulation(Epidemic(agents=100_000, neighbours=2, infected=1000), seed=1) as simulation:
        simulation.tick()
        assert simulation.metrics()["infected"] > 1000


def test_nobody_is_infected_where_nothing_spreads() -> None:
    """Without spread the infected can only become fewer."""
    with Simulation(Epidemic(agents=50, neighbours=8, infected=20, spread=0), seed=1) as simulation:
        first = simulation.metrics()["infected"]
        infected = [first, *(simulation.metrics()["infected"] for _ in simulation.reports(20))]
    assert infected[0] == 20
    assert sorted(infected, reverse=True) == infected


def test_a_sure_virus_reaches_all_neighbours_in_one_tick() -> None:
    """With certain spread and no recovery, everybody beside an infected person is infected after the tick."""
    with Simulation(Epidemic(agents=200, neighbours=3, infected=5, spread=1000, check=0), seed=3) as simulation:
        state, network = simulation.world[Person].state, simulation.run_context.space
        reached = network.any(state == State.INFECTED)
        simulation.tick()
        assert (simulation.world[Person].state[reached] == State.INFECTED).all()


def test_a_run_ends_when_the_virus_is_gone() -> None:
    """Everybody recovers at once and for good: the first tick is the last."""
    values: dict[str, Any] = {
        "agents": 9,
        "neighbours": 0,
        "infected": 9,
        "check": 1000,
        "recover": 1000,
        "resist": 1000,
    }
    with Simulation(Epidemic(**values), seed=1) as simulation:
        assert simulation.tick().outcome == "the virus is gone"
        assert simulation.metrics() == {"susceptible": 0, "infected": 0, "resistant": 9}


@given(all_settings(), SEEDS)
def test_a_recording_is_proven(settings: EpidemicSettings, seed: int) -> None:
    """Any run verifies."""
    verdict = verify(recorded(Epidemic(settings), seed=seed, ticks=8))
    assert verdict.verdict == "match", verdict.reason


def test_scenario_and_seed_decide_a_run() -> None:
    """All checks of determinism hold."""
    assert_deterministic(Scenario.of(Epidemic()), ticks=8)


def test_it_is_short() -> None:
    """The domain has at most 80 lines of code."""
    assert code_lines_of(Path(scenarios.epidemic.__file__).parent) <= 80
