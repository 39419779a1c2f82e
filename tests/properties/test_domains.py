"""What is promised of determinism holds for every domain that is shipped, not for the game alone."""

from __future__ import annotations

from typing import Final

import pytest

from sim.run.domains import available_domains
from sim.run.scenario_file import load
from sim.testing.checks import CHECKS, Case, examine
from sim.testing.checks.processes import dispatched

TICKS: Final = 12
SCENARIOS: Final = {"tactics": "skirmish"}
"""The scenario of a domain that has no defaults."""
SILENT: Final = {"ecology", "epidemic", "segregation"}
"""Domains whose agents do not plan."""
PLANS: Final = {"parts", "replies"}
"""Checks about planning."""


@pytest.mark.parametrize("name", available_domains())
def test_every_domain_runs_the_same_in_every_way_of_the_doctor(name: str) -> None:
    """Second run, other processes, restored, spawned in another order, planned in parts: the same, none untested."""
    results = {each.check: each for each in examine(Case(load(SCENARIOS.get(name, name)), ticks=TICKS), CHECKS)}
    expected = {check.name: "same" for check in CHECKS}
    if name in SILENT:
        expected |= dict.fromkeys(PLANS, "not applicable")
    if name != "tactics":
        # Only the game promises that unrelated agents change nothing.
        expected["bystanders"] = "not applicable"
    if not dispatched():
        del expected["processor"], results["processor"]
    assert {check: each.result for check, each in results.items()} == expected, [
        each.finding.sentence for each in results.values() if each.finding is not None
    ]
