"""`check`: the contents of a scenario, and probable mistakes in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.tactics.scenario.lint import advice
from sim.cli import invoke
from sim.cli.common import OK
from sim.run.scenario_file import available, load

ODD = """
domain = "tactics"
name = "odd"
description = "Valid, and probably mistaken"
ticks = 20

[planning]
tiers = ["heuristic", "goap", "emergency"]

[settings.map]
rows = ["..#..", "..#..", "..#.."]
places = [{ name = "far", x = 4, y = 1 }]

[settings.archetypes.walker]

[[settings.teams]]
name = "a"
goal = "far"
squads = [{ name = "a1", archetype = "walker", count = 1, area = { x = 0, y = 0, width = 2, height = 3 } }]

[[rules]]
when = "always"
then = { act = "Wait" }

[[rules]]
when = "enemies"
then = { act = "Scan", radius = 3 }

[[inputs]]
tick = 20
input = { kind = "order", squad = "a1", text = "go" }
"""


@pytest.mark.parametrize("name", [name for name, scenario in available() if scenario.agents <= 1000])
def test_shipped_scenarios_need_no_advice(name: str) -> None:
    """They have no probable mistakes."""
    assert advice(load(name)) == ()


def test_what_is_surely_not_meant_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each sentence names the key, and the file is valid all the same."""
    path = tmp_path / "odd.toml"
    path.write_text(ODD)
    assert advice(load(path)) == (
        "planning.tiers: 'goap' is hardly ever reached: rules give every agent a plan",
        "rules[1]: is never reached: rule 0 always holds, and its steps are always possible",
        "inputs[0].tick: 20 comes after the last tick, 19",
        "settings.teams[0].squads[0]: 'a1' cannot reach its goal 'far' on foot",
    )
    assert invoke(["check", str(path)]) == OK
    said = capsys.readouterr().out
    assert said.startswith("odd: valid, 1 agents, 20 ticks, 1 inputs, ")
    assert said.count("probably a mistake: ") == 4


def test_one_object_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` has the domain, groups, tiers, verbs and advice."""
    assert invoke(["check", "skirmish", "--json"]) == OK
    value = json.loads(capsys.readouterr().out)
    assert (value["domain"], value["agents"], value["advice"]) == ("tactics", 20, [])
    assert [group["group"] for group in value["groups"]] == ["red", "blue"]
    assert all(group["tiers"] == value["tiers"] for group in value["groups"])
    assert "Attack" in value["verbs"]
