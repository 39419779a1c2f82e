"""What the authors of the package test, as they would write it; run by pytest where the package is installed."""

from hypothesis import given
from hypothesis import settings as example_settings
from studygroup.domain import Explain, Forget, Knowledge, Read, Rest, StudyGroup

from ai.planners.heuristic import Heuristic
from sim import Simulation, load
from sim.testing import (
    assert_deterministic,
    check_action,
    check_domain,
    check_planner,
    check_system,
    plans,
    scenarios,
    settings,
    steps,
)

REGISTRY = StudyGroup().registry()
FEW = example_settings(max_examples=15, deadline=None)


def test_the_domain_keeps_every_promise():
    check_domain(StudyGroup)
    check_domain(StudyGroup(students=3))


def test_every_verb_keeps_the_rules():
    for verb in (Read, Explain, Rest):
        check_action(verb, StudyGroup)


def test_the_system_and_the_rules_keep_theirs():
    check_system(Forget, scenario=load("exam"))
    check_planner(Heuristic.of(StudyGroup().playbook()), REGISTRY, Knowledge)


def test_the_shipped_scenario_is_deterministic():
    assert_deterministic("exam")


@given(settings(StudyGroup))
@FEW
def test_all_settings_can_be_run(drawn):
    with Simulation(StudyGroup(drawn)) as simulation:
        simulation.run(5)
        simulation.domain.invariants(simulation.world)
        assert set(simulation.scores()) == {"learnt", "tired"}


@given(scenarios(StudyGroup))
@FEW
def test_all_scenarios_can_be_run(scenario):
    with Simulation(scenario) as simulation:
        simulation.run(5)


@given(steps(REGISTRY), plans(REGISTRY))
@FEW
def test_steps_and_plans_read_back(step, plan):
    for each in (step, *plan.steps):
        assert REGISTRY.parse_step(each.model_dump(mode="json")) == each


def test_the_recording_is_as_it_was(verify_replay):
    verify_replay("exam.replay.jsonl")
