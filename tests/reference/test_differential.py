"""The simulation against the slow reference: every column of every agent, after every tick."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.actions.base import Refused
from sim.inputs import Move, Order, Remove, SetCells, Spawn
from sim.scenario import Scenario, load
from tests.reference.arenas import arenas, inputs_for
from tests.reference.lockstep import Mismatch, random_plans, run_in_step
from tests.reference.slow_tick import CODES, KIND_NAMES, SlowWorld


def test_skirmish_is_what_the_rules_say_to_its_end() -> None:
    """The shipped skirmish, planned by its rules, equals the reference in every tick until it is decided."""
    scenario = load("skirmish")
    slow = run_in_step(scenario, ticks=scenario.ticks)
    assert slow.outcome() is not None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_small_world_planned_by_rules_equals_the_reference(data: st.DataObject) -> None:
    """Drawn maps, teams, kit, rules and inputs: what agents know, plan and do equals the reference."""
    scenario = data.draw(arenas())
    run_in_step(scenario, ticks=40, inputs=data.draw(inputs_for(scenario, 30)))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), script=st.integers(0, 1000))
def test_any_small_world_with_random_plans_equals_the_reference(data: st.DataObject, script: int) -> None:
    """Plans of any kind with any target and cell, refused when the step runs or not, equal the reference."""
    scenario = data.draw(arenas())
    plans = random_plans(script, scenario.agents + 2, scenario.map.width, scenario.map.height)
    run_in_step(scenario, ticks=40, inputs=data.draw(inputs_for(scenario, 30)), choose=plans)
