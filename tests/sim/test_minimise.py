"""What fails becomes as small as it can while it fails in the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.cli import invoke
from sim.replay import second_pass
from sim.replay.minimise import Candidate, minimise, to_toml
from sim.replay.verify import verify
from sim.scenario import Scenario, available, from_toml
from tests.sim.recordings import rules, scenario
from tests.sim.test_second_pass import PLANTED, altered, recorded

ARENA = PLANTED.parent / "arena.toml"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the other processes, which take long to start."""
    monkeypatch.setattr(second_pass, "PROCESSES", ())


def fails_with_a_wave(candidate: Candidate) -> int | None:
    """Fail in tick 10 where a wave comes and blue has somebody."""
    blue = [team for team in candidate.scenario.teams if team.name == "blue"]
    wave = [timed for timed in candidate.scenario.inputs if timed.input.kind == "spawn_wave"]
    return 10 if blue and wave and candidate.ticks > 10 else None


def start() -> Candidate:
    """Return a run with two teams and nine inputs."""
    return Candidate(scenario().canonical(), 12)


def test_only_what_the_failure_needs_is_left() -> None:
    """One agent of the one team, the one input, and no tick after the failing one."""
    found = minimise(start(), fails_with_a_wave)
    assert found is not None
    assert found.best.size == {"agents": 1, "ticks": 11, "inputs": 1}
    assert [team["name"] for team in found.best.data["teams"]] == ["blue"]
    assert not found.stopped
    again = minimise(start(), fails_with_a_wave)
    assert again == found


@pytest.mark.parametrize("runs", [1, 2, 5, 9])
def test_a_search_that_is_cut_short_still_fails(runs: int) -> None:
    """However few runs are allowed, no more are made, and what is left fails."""
    made: list[Candidate] = []

    def counted(candidate: Candidate) -> int | None:
        made.append(candidate)
        return fails_with_a_wave(candidate)

    found = minimise(start(), counted, runs=runs)
    assert found is not None
    assert (len(made), found.runs, found.stopped) == (runs, runs, True)
    assert fails_with_a_wave(found.best) is not None


def test_who_stops_keeps_the_best_so_far() -> None:
    """After a stop no more candidates are run."""
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) > 3

    found = minimise(start(), fails_with_a_wave, stopped=stopped)
    assert found is not None
    assert (found.runs, found.stopped) == (3, True)
    assert fails_with_a_wave(found.best) is not None


def test_what_does_not_fail_is_not_minimised() -> None:
    """There is nothing to find where the first run does not fail."""
    assert minimise(start(), lambda _candidate: None) is None


@pytest.mark.parametrize("name", [name for name, _ in available()])
def test_scenarios_keep_their_meaning_as_toml(name: str) -> None:
    """What is written as TOML is read as the same scenario."""
    found: Scenario = dict(available())[name]
    assert from_toml(to_toml(found), "written") == found


def test_a_check_that_finds_something_leaves_a_small_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted bug is left with one agent, two ticks and no inputs, as a file on which the check finds it again."""
    (tmp_path / "hidden_state.py").write_bytes((PLANTED / "hidden_state.py").read_bytes())
    path = tmp_path / "arena.toml"
    path.write_text(ARENA.read_text().replace('ends = "never"', 'ends = "never"\nplugins = ["hidden_state.py"]'))
    command = ["minimise", str(path), "--check", "restore", "--ticks", "3", "--json"]
    assert invoke(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["left"] == {"agents": 1, "ticks": 2, "inputs": 0}
    assert invoke(["doctor", said["out"], "--check", "restore", "--ticks", "2"]) == 1
    assert invoke(command) == 64  # what stands there is not overwritten unasked


def test_unstable_code_is_recorded_anew_and_smaller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay of code that differs from itself is left with one agent and one tick, and still differs."""
    bug = PLANTED / "escaped_clock.py"
    path, out = tmp_path / "a.replay.jsonl", tmp_path / "b.replay.jsonl"
    path.write_bytes(recorded(bug))
    assert invoke(["minimise", str(path), "--plugin", str(bug), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == {"agents": 1, "ticks": 1, "inputs": 0}
    assert verify(out, plugin_files=[bug]).verdict == "diverged"


def test_of_a_record_that_stable_code_contradicts_only_ticks_are_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cut replay ends with the tick that differs, shows the same difference, and the reason is told."""
    replay = altered(rules(), 5, lambda body: body.update(root="0" * 16))
    path, out = tmp_path / "a.replay.jsonl", tmp_path / "b.replay.jsonl"
    path.write_bytes(replay)
    assert invoke(["minimise", str(path), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["left"] == {"agents": 6, "ticks": 5, "inputs": 9}
    assert "only ticks were cut" in said["why"]
    assert verify(out) == verify(replay)


def test_nothing_to_minimise_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay that matches, a check that finds nothing, and an unknown check are told, with their exit codes."""
    path = tmp_path / "a.replay.jsonl"
    path.write_bytes(rules())
    for args, code in (
        (["minimise", str(path)], 1),
        (["minimise", "skirmish", "--check", "rerun", "--ticks", "1"], 1),
        (["minimise", "skirmish", "--check", "returns"], 64),
        (["minimise", str(tmp_path / "b.replay.jsonl")], 64),
    ):
        assert invoke(args) == code
        assert capsys.readouterr().err.count("\n") == 1
