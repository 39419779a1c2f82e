"""The difference of two states: every value that changed, once, in a fixed order."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.tactics.inputs import Order, Remove, SetCells, Spawn
from scenarios.tactics.testing.arenas import inputs, scenarios
from sim.engine.state import WorldState
from sim.engine.state_diff import RESOURCE_KEY, Change, changes
from sim.run.simulation import Simulation
from tests.reference.stage import Stage


def test_equal_states_have_no_changes() -> None:
    """A state differs in nothing from itself."""
    with Stage("a.b") as stage:
        state = stage.sim.snapshot()
        assert changes(state, state) == ()
        stage.tick()
        assert changes(state, state) == ()


def test_a_change_names_column_key_and_the_value_after() -> None:
    """One value written is one change; a column with inner dimensions is told whole."""
    with Stage("a.b") as stage:
        before = stage.sim.snapshot()
        stage[1, "Health.hp"] = 7
        stage.cool(0, scan=5)
        found = changes(before, stage.sim.snapshot())
        assert [(change.column, change.key, change.value) for change in found] == [
            ("Health.hp", 1, 7),
            ("Cooldowns.groups", 0, 2),
            ("Cooldowns.ready_at", 0, [0, 5]),
        ]


def test_the_gone_are_none_and_the_new_are_told_whole() -> None:
    """Every column of an agent that left is None, every column of one that came is its value."""
    with Stage("a.b") as stage:
        stage.tick()
        before = stage.sim.snapshot()
        stage.sim.inject(Remove(agent=0))
        stage.sim.inject(Spawn(squad="a", count=1, x=0, y=0))
        stage.tick()
        found = changes(before, stage.sim.snapshot())
        columns = set(before.columns)
        assert {change.column for change in found if change.key == 0 and change.value is None} == columns
        assert {change.column for change in found if change.key == 2 and change.value is not None} == columns


def test_all_may_leave_in_one_tick() -> None:
    """A state that shares no agent with the one before, or has none at all, has a difference as well."""
    with Stage("ab") as stage:
        before = stage.sim.snapshot()
        stage.sim.inject(Remove(agent=0))
        stage.sim.inject(Remove(agent=1))
        stage.tick()
        empty = stage.sim.snapshot()
        gone = [change for change in changes(before, empty) if change.column == "Health.hp"]
        assert gone == [Change("Health.hp", 0, None), Change("Health.hp", 1, None)]
        stage.sim.inject(Spawn(squad="a", count=1, x=0, y=0))
        stage.tick()
        born = [change for change in changes(empty, stage.sim.snapshot()) if change.column == "Health.hp"]
        assert born == [Change("Health.hp", 2, 100)]
        assert changes(empty, empty) == ()


def test_a_draw_can_be_reported_in_full() -> None:
    """The last two kill each other, and the tick's changes are told all the same."""
    with Stage("ab", ends="last_team") as stage:
        stage.sim.detail = "full"
        stage[0, "Health.hp"] = stage[1, "Health.hp"] = 0
        report = stage.tick()
        assert report is not None
        assert report.outcome == "draw"
        assert Change("Health.hp", 0, None) in report.changes


def test_resources_tell_places_or_the_whole() -> None:
    """A resource of the same size tells changed places, one of another size its whole column."""
    with Stage("a..", "...") as stage:
        stage.tick()
        before = stage.sim.snapshot()
        stage.sim.inject(SetCells(cell="cover", x=1, y=1))
        stage.sim.inject(Order(squad="a", text="go"))
        stage.tick()
        found = [change for change in changes(before, stage.sim.snapshot()) if "." in change.column]
        named = {change.column: change for change in found if change.column.split(".")[0] in ("Grid", "Texts")}
        assert named["Grid.terrain"] == Change("Grid.terrain", 4, 1)
        assert named["Texts.bytes"] == Change("Texts.bytes", RESOURCE_KEY, list(b"go"))


def _apply(state: WorldState, found: tuple[Change, ...], keys: list[int]) -> dict[str, dict[int, Any]]:
    """Rebuild every column by key from an earlier state and the changes."""
    rebuilt = {
        name: {int(key): column[..., row].ravel().tolist() for row, key in enumerate(state.keys)}
        for name, column in state.columns.items()
    }
    for change in found:
        if change.column not in rebuilt:
            continue
        if change.value is None:
            del rebuilt[change.column][change.key]
        else:
            rebuilt[change.column][change.key] = np.ravel(change.value).tolist()
    assert all(sorted(column) == keys for column in rebuilt.values())
    return rebuilt


@settings(max_examples=10)
@given(data=st.data())
def test_a_state_can_be_rebuilt_from_the_one_before_and_the_changes(data: st.DataObject) -> None:
    """Nothing that changed is missing, in any tick of any small world."""
    scenario = data.draw(scenarios())
    timeline = data.draw(inputs(scenario, 8))
    with Simulation(scenario, detail="full") as simulation:
        before = simulation.snapshot()
        for tick in range(10):
            if simulation.outcome is not None:
                break
            for item in timeline.get(tick, ()):
                simulation.inject(item)
            report = simulation.tick()
            after = simulation.snapshot()
            rebuilt = _apply(before, report.changes, after.keys.tolist())
            for name, column in after.columns.items():
                for row, key in enumerate(after.keys.tolist()):
                    # Places that are not in use are zeros and may be left out.
                    pairs = zip_longest(rebuilt[name][key], column[..., row].ravel().tolist(), fillvalue=0)
                    assert all(left == right for left, right in pairs)
            before = after
