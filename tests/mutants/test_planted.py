"""The gate of the checks: each planted bug is caught by the checks that must catch it, and each check catches one.

The bugs are plug-in files as a user might write them. A check that catches none of its bugs is not a check.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.engine.world import World
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario, load
from sim.testing.checks import CHECKS, Case, Examined, examine
from sim.testing.checks.processes import dispatched

HERE = Path(__file__).parent
PLANTED = HERE / "planted"

CAUGHT_BY = {
    "address_in_a_text": ("rerun",),
    "cache_aliasing": ("restore",),
    "cache_of_a_planner": ("resume",),
    "completion_order": ("replies",),
    "count_of_the_world": ("bystanders",),
    "escaped_clock": ("rerun",),
    "event_order": ("allocator",),
    "exp_in_a_plan": ("processor",),
    "file_of_data": ("guard",),
    "float_sum_in_query_order": ("spawning",),
    "global_random": ("guard",),
    "hidden_state": ("restore",),
    "mean_of_a_batch": ("parts",),
    "memo_in_a_module": ("resume",),
    "order_by_address": ("allocator",),
    "order_of_esper_ids": ("spawning", "restore"),
    "plan_of_the_last_call": ("restore",),
    "rng_by_position": ("parts",),
    "set_of_text": ("hash seed",),
    "shared_rng_in_batch_order": ("parts",),
    "ties_of_a_sort": ("processor",),
    "unsorted_query_shared_rng": ("spawning", "restore"),
    "variable_of_the_environment": ("surroundings",),
    "wall_clock": ("guard",),
}
"""Every planted bug, and the checks that must catch it."""


def arena(bug: str | None = None) -> Case:
    """Return the small scenario with a planted bug."""
    scenario = load(HERE / "arena.toml")
    if bug is not None:
        data = {**scenario.canonical(), "plugins": [f"{bug}.py"]}
        if "PLANNERS" in (PLANTED / f"{bug}.py").read_text():
            data["planning"] = {**data["planning"], "tiers": ["bug", "heuristic", "emergency"]}
        scenario = Scenario.from_canonical(data, folder=PLANTED)
    return Case(scenario, ticks=scenario.ticks, plugins=load_plugins(scenario))


@pytest.fixture(autouse=True)
def _mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every world esper entities, which some of the bugs use."""
    monkeypatch.setitem(World.__init__.__kwdefaults__, "esper_entities", True)  # type: ignore[arg-type] # it has some


def examined(case: Case, names: tuple[str, ...]) -> dict[str, Examined]:
    """Run some checks."""
    return {each.check: each for each in examine(case, [check for check in CHECKS if check.name in names])}


def test_every_planted_bug_is_assigned() -> None:
    """No file is left out, and sixteen kinds of bugs are there."""
    assert sorted(CAUGHT_BY) == sorted(path.stem for path in PLANTED.glob("*.py"))
    assert len(CAUGHT_BY) >= 16


def test_every_check_must_catch_something() -> None:
    """A check without a bug of its own would prove nothing."""
    assert {name for names in CAUGHT_BY.values() for name in names} == {check.name for check in CHECKS}


def test_the_arena_itself_is_clean() -> None:
    """Without a bug no check finds anything, so what is found is the bug."""
    for each in examine(arena()):
        assert each.finding is None, f"{each.check}: {each.finding.sentence}"


@pytest.mark.parametrize("bug", sorted(CAUGHT_BY))
def test_a_planted_bug_is_caught(bug: str) -> None:
    """Each check that must catch it does, and names the system or the planner's column."""
    if CAUGHT_BY[bug] == ("processor",) and not dispatched():
        pytest.skip("this processor has none of the levels that NumPy dispatches to, so there is nothing to switch off")
    for name, each in examined(arena(bug), CAUGHT_BY[bug]).items():
        assert each.finding is not None, f"{name} did not catch {bug}"
        if name == "guard":
            assert "system 'bug' called" in each.finding.sentence
        elif name == "surroundings":
            assert f"{bug}.py, line " in each.finding.sentence
        else:
            assert each.finding.component in {"Mood", "ActionSteps"}
            # The values are those of one more run, which may find the same address free as the second.
            assert bug == "address_in_a_text" or None not in (each.finding.field, each.finding.key)
            assert each.finding.system in {"bug", "planning", None}
