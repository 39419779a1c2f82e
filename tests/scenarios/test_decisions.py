"""Shipped scenarios come to a decision when agents plan by rules alone."""

from __future__ import annotations

import pytest

from sim.run.scenario_file import Scenario, available, load
from sim.run.simulation import Simulation

NAMES = [name for name, _ in available()]
SEEDS = 20
DECIDED_MIN = 18
"""Of so many seeds so many are decided."""
CROWD = 100
"""From so many agents on one seed has to do for the gate."""


def decided(scenario: Scenario, seed: int) -> bool:
    """Run to the end and say whether somebody won."""
    with Simulation(scenario, seed=seed) as simulation:
        outcome = simulation.run().outcome
    return outcome is not None and outcome.endswith(" wins")


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_is_decided_by_rules(name: str) -> None:
    """Somebody wins in the first seeds."""
    scenario = load(name)
    assert all(decided(scenario, seed) for seed in range(1, 2 if scenario.agents >= CROWD else 3))


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_is_decided_in_nearly_every_seed(name: str) -> None:
    """Of twenty seeds at least eighteen are decided: no endless draws."""
    scenario = load(name)
    assert sum(decided(scenario, seed) for seed in range(SEEDS)) >= DECIDED_MIN
