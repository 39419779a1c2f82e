"""Segregation: one move after the other, as a slow model has it, and one person on a cell."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import scenarios.segregation
from scenarios.segregation.domain import MOVE, TURN, Person, Segregation, SegregationSettings
from sim import Simulation, verify
from sim.run.scenario_file import Scenario
from sim.testing import assert_deterministic
from tests.support.code_lines import code_lines_of
from tests.support.recording import recorded

SEEDS = st.integers(0, 1000)
SETTINGS = st.builds(
    SegregationSettings,
    width=st.integers(1, 6),
    height=st.integers(1, 6),
    density=st.sampled_from((1, 300, 800, 1000)),
    minority=st.sampled_from((0, 300, 500, 1000)),
    wanted=st.sampled_from((0, 1, 400, 500, 1000)),
)


def one_by_one(simulation: Simulation) -> list[int]:
    """Return the cells after the next tick, as a model has it in which one person moves after the other."""
    world, size = simulation.world, simulation.run_context.space.size
    person = world[Person]
    cells = person.cell.tolist()
    free = [cell for cell in range(size) if cell not in cells]
    for row in world.order((person.happy == 0).nonzero()[0], TURN).tolist():
        if free:
            place = int(world.below([row], MOVE, len(free))[0])
            cells[row], free[place] = free[place], cells[row]
    return cells


def is_happy(simulation: Simulation, row: int) -> bool:
    """Judge one person by looking at everybody else."""
    person, settings = simulation.world[Person], simulation.domain.settings
    x, y = person.cell % settings.width, person.cell // settings.width
    near = (abs(x - x[row]) <= 1) & (abs(y - y[row]) <= 1)
    near[row] = False
    like = int((near & (person.group == person.group[row])).sum())
    return like * 1000 >= settings.wanted * near.sum() if near.any() else settings.wanted == 0


@given(SETTINGS, SEEDS)
def test_it_is_the_model_of_one_move_after_the_other(settings: SegregationSettings, seed: int) -> None:
    """Every tick comes to what a plain loop over the unhappy comes to, each moving to one of the cells free by then."""
    with Simulation(Segregation(settings), seed=seed) as simulation:
        while simulation.outcome is None and simulation.world.tick < 6:
            expected = one_by_one(simulation)
            simulation.tick()
            assert simulation.world[Person].cell.tolist() == expected


@given(SETTINGS, SEEDS)
def test_one_person_lives_on_a_cell_and_the_happy_stay(settings: SegregationSettings, seed: int) -> None:
    """Cells stay different and on the map, groups do not change, and nobody who was happy has moved."""
    with Simulation(Segregation(settings), seed=seed) as simulation:
        world = simulation.world
        groups = world[Person].group.copy()
        while simulation.outcome is None and world.tick < 6:
            cells, happy = world[Person].cell.copy(), world[Person].happy.copy()
            simulation.tick()
            now = world[Person].cell
            assert len(set(now.tolist())) == world.n == settings.agents
            assert ((now >= 0) & (now < settings.width * settings.height)).all()
            assert (now[happy == 1] == cells[happy == 1]).all()
            assert (world[Person].group == groups).all()


@given(SETTINGS, SEEDS)
def test_happiness_is_that_of_the_place_after_the_move(settings: SegregationSettings, seed: int) -> None:
    """At the start and after a tick, everybody's judgement is of the town as it then is."""
    with Simulation(Segregation(settings), seed=seed) as simulation:
        for _ in range(2):
            judged = simulation.world[Person].happy.tolist()
            assert judged == [is_happy(simulation, row) for row in range(simulation.world.n)]
            if simulation.outcome is None:
                simulation.tick()


def test_nobody_moves_in_a_full_town() -> None:
    """Without a free cell the unhappy stay, and the run goes on."""
    with Simulation(Segregation(density=1000, wanted=1000), seed=1) as simulation:
        before = simulation.world[Person].cell.copy()
        assert simulation.tick().outcome is None
        assert (simulation.world[Person].cell == before).all()


def test_a_lonely_person_looks_for_company() -> None:
    """Somebody without neighbours is unhappy, unless no like neighbours are wanted."""
    for wanted, happy in ((1, 0), (0, 1)):
        with Simulation(Segregation(width=3, height=3, density=1, wanted=wanted), seed=1) as simulation:
            assert simulation.world[Person].happy.tolist() == [happy]


def test_groups_come_apart() -> None:
    """In a large town nearly everybody is soon happy, and the like live together more than before."""
    with Simulation(Segregation(width=50, height=50, minority=500), seed=1) as simulation:
        before = simulation.metrics()["happy"] / simulation.world.n
        simulation.run(15)
        assert before < 0.8
        assert simulation.metrics()["happy"] / simulation.world.n > 0.99


@given(SETTINGS, SEEDS)
def test_a_recording_is_proven(settings: SegregationSettings, seed: int) -> None:
    """Any run verifies."""
    verdict = verify(recorded(Segregation(settings), seed=seed, ticks=8))
    assert verdict.verdict == "match", verdict.reason


def test_scenario_and_seed_decide_a_run() -> None:
    """All checks of determinism hold."""
    assert_deterministic(Scenario.of(Segregation()), ticks=8)


def test_it_is_short() -> None:
    """The domain has at most 60 lines of code."""
    assert code_lines_of(Path(scenarios.segregation.__file__).parent) <= 60
