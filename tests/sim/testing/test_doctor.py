"""The doctor's command line: what it prints, its exit codes, and that it looks at a user's own code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ai.actions import CELLS_MAX
from scenarios.tactics.testing.flat import flat, flattened
from sim.cli import invoke
from sim.cli.common import FAILED, OK, USAGE
from sim.run.scenario_file import load
from sim.testing.checks import CHECKS, Case, bystanders, examine

MUTANTS = Path(__file__).parents[2] / "mutants"


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    """A user's scenario whose plug-in counts in an attribute."""
    shutil.copy(MUTANTS / "planted" / "hidden_state.py", tmp_path / "rules.py")
    text = (MUTANTS / "arena.toml").read_text().replace("ticks = 24", 'ticks = 24\nplugins = ["rules.py"]')
    (tmp_path / "ill.toml").write_text(text)
    return tmp_path / "ill.toml"


def test_a_sound_scenario_is_found_sound(capsys: pytest.CaptureFixture[str]) -> None:
    """Every check is run and named, and the exit code says that nothing was found."""
    assert invoke(["doctor", "skirmish", "--ticks", "4", "--json"]) == OK
    value = json.loads(capsys.readouterr().out)
    assert (value["scenario"], value["ticks"]) == ("skirmish", 4)
    assert [entry["check"] for entry in value["checks"]] == [check.name for check in CHECKS]
    assert all(entry["finding"] is None for entry in value["checks"])


def test_a_bug_in_a_users_own_system_is_named(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says the tick, the system, the field and both values, and where to look."""
    assert invoke(["doctor", str(ill), "--check", "restore", "--check", "rerun", "--ticks", "6"]) == FAILED
    said = " ".join(capsys.readouterr().out.split())
    assert "tick 1, system 'bug', Mood.value, agent 0, 2 became 1" in said
    assert "look at: state in no component" in said


def test_a_bug_that_the_guard_sees_stops_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code that cannot run under the guard has no plain run to compare with."""
    shutil.copy(MUTANTS / "planted" / "wall_clock.py", tmp_path / "rules.py")
    text = (MUTANTS / "arena.toml").read_text().replace("ticks = 24", 'ticks = 24\nplugins = ["rules.py"]')
    (tmp_path / "ill.toml").write_text(text)
    assert invoke(["doctor", str(tmp_path / "ill.toml"), "--json"]) == FAILED
    first, *others = json.loads(capsys.readouterr().out)["checks"]
    assert "system 'bug' called time.time_ns()" in first["finding"]["said"]
    assert {entry["skipped"] for entry in others} == {"the guard stops the run"}


def test_a_map_without_room_for_bystanders_is_no_finding() -> None:
    """What cannot be run on a scenario is told as not run, with the reason."""
    data = flattened(load(MUTANTS / "arena.toml"))
    data["map"]["rows"] = ["." * 16] * CELLS_MAX
    (examined,) = examine(Case(flat(data), ticks=1), [bystanders.CHECK])
    assert examined.finding is None
    assert examined.skipped is not None
    assert examined.skipped.startswith("bystanders find no place: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "no scenario 'nowhere'"),
        (["skirmish", "--check", "restor"], "--check: no check 'restor'; did you mean 'restore'?"),
        (["skirmish", "--llm", "gpt"], "--llm:"),
        (["skirmish", "--ticks", "0"], "--ticks"),
    ],
)
def test_wrong_usage_gets_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is named, with exit code 64."""
    assert invoke(["doctor", *arguments]) == USAGE
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
