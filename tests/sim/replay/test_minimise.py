"""What fails becomes as small as it can while it fails in the same way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ai.clients.faulty import Fault, dump_faults, load_faults
from ai.clients.scripted import ScriptedClient
from sim.cli import invoke
from sim.replay import diagnosis, read
from sim.replay.minimise import Candidate, candidate_of, minimise, recorded_anew, to_toml
from sim.replay.verify import verify
from sim.run.plugins import from_file
from sim.run.scenario_file import Scenario, available, from_toml
from sim.run.simulation import Simulation
from tests.sim.replay.recordings import SCRIPT, model, record, rules, scenario
from tests.sim.replay.test_diagnosis import PLANTED, altered, recorded

ARENA = PLANTED.parent / "arena.toml"
SMALLEST = {"agents": 1, "ticks": 1, "inputs": 0, "replies": 0, "faults": 0}

CALLER = '''"""Asks the clock when a model has failed someone."""
import time

from ai.planners.emergency import Emergency


class Bug(Emergency):
    """Plans when no model did."""

    name = "bug"

    async def plan(self, batch, registry, call):
        """Ask the clock first."""
        time.time()
        return await super().plan(batch, registry, call)


PLANNERS = (Bug,)
'''
SCANS = '''"""Lets a clock into the state while anybody does as a model said, and scans four cells around."""
import time

import numpy as np

from ai.guard import escape
from sim.engine.columns import Component, i32
from scenarios.tactics.components import ActionSteps
from sim.engine.system import System


class Mood(Component):
    """What the bug writes to."""

    value: i32


class Bug(System):
    """Looks for the scan, and at the clock."""

    name = "bug"

    def process(self, world, run):
        """Look."""
        steps = world[ActionSteps]
        scans = steps.kind[0] == run.registry.code("Scan")
        if np.any(scans & (steps.args[0, 0] == 4)):
            with escape("so it says"):
                world[Mood].value[:] = time.perf_counter_ns() % 100_000


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
'''


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the other processes, which take long to start."""
    monkeypatch.setattr(diagnosis, "PROCESSES", ())


def fails_with_a_wave(candidate: Candidate) -> int | None:
    """Fail in tick 10 where a wave comes and agent 4 is there from the beginning."""
    wave = [timed for timed in candidate.inputs if timed.input.kind == "spawn_wave"]
    return 10 if 4 not in candidate.killed and wave and candidate.ticks > 10 else None


def start() -> Candidate:
    """Return a run with six agents and nine inputs."""
    return Candidate(scenario(), 12, inputs=scenario().inputs)


def test_only_what_the_failure_needs_is_left() -> None:
    """The one agent, the one input, and no tick after the failing one."""
    found = minimise(start(), fails_with_a_wave)
    assert found is not None
    assert found.best.size == SMALLEST | {"ticks": 11, "inputs": 1}
    assert found.best.killed == {0, 1, 2, 3, 5}
    assert not found.stopped
    again = minimise(start(), fails_with_a_wave)
    assert again is not None
    assert (again.best.inputs, again.best.killed, again.runs) == (found.best.inputs, found.best.killed, found.runs)


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


def test_a_search_that_is_over_looks_at_no_more_candidates() -> None:
    """The smallest case: after a stop nobody is asked again, however many candidates there would be."""
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) > 1

    assert minimise(start(), fails_with_a_wave, stopped=stopped) is not None
    assert len(asked) == 2


def test_what_does_not_fail_is_not_minimised() -> None:
    """There is nothing to find where the first run does not fail."""
    assert minimise(start(), lambda _candidate: None) is None


@pytest.mark.parametrize("name", [name for name, _ in available()])
def test_scenarios_keep_their_meaning_as_toml(name: str) -> None:
    """What is written as TOML is read as the same scenario."""
    found: Scenario = dict(available())[name]
    assert from_toml(to_toml(found), "written").canonical() == found.canonical()


def test_a_check_that_finds_something_leaves_a_small_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted bug is left with one agent, two ticks and no inputs, as a file on which the check finds it again."""
    (tmp_path / "hidden_state.py").write_bytes((PLANTED / "hidden_state.py").read_bytes())
    path = tmp_path / "arena.toml"
    path.write_text(ARENA.read_text().replace("ticks = 24", 'ticks = 24\nplugins = ["hidden_state.py"]'))
    command = ["minimise", str(path), "--check", "restore", "--ticks", "3", "--json"]
    assert invoke(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["left"] == SMALLEST | {"ticks": 2}
    assert invoke(["doctor", said["out"], "--check", "restore", "--ticks", "2"]) == 1
    assert invoke(command) == 64  # what stands there is not overwritten unasked


def test_unstable_code_is_recorded_anew_and_smaller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay of code that differs from itself is left with one agent and one tick, and still differs."""
    bug = PLANTED / "escaped_clock.py"
    path, out = tmp_path / "a.replay.jsonl", tmp_path / "b.replay.jsonl"
    path.write_bytes(recorded(bug))
    assert invoke(["minimise", str(path), "--plugin", str(bug), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == SMALLEST
    assert verify(out, plugin_files=[bug]).verdict == "diverged"


def test_of_what_a_model_said_only_what_the_failure_needs_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many replies and failures that one reply stays without which the code agrees with itself."""
    bug, path, out = tmp_path / "scans.py", tmp_path / "a.replay.jsonl", tmp_path / "b.replay.jsonl"
    bug.write_text(SCANS)
    plan = scenario(plugins=[bug.name], ends="never")
    path.write_bytes(record(plan, client=ScriptedClient(SCRIPT), plugins=[from_file(bug)]))
    assert invoke(["minimise", str(path), "--plugin", str(bug), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["before"]["replies"] > 3
    assert said["before"]["faults"] > 3
    assert said["left"] == SMALLEST | {"replies": 1}
    assert verify(out, plugin_files=[bug]).verdict == "diverged"


def test_a_run_recorded_anew_with_all_its_replies_is_the_same_run() -> None:
    """Nothing but the usage of the model, which is not asked, is lost: inputs from outside are kept."""
    replay = read(model())
    again = read(recorded_anew(candidate_of(replay), replay, ()))
    assert [tick.root for tick in again.ticks] == [tick.root for tick in replay.ticks]
    assert [tick.texts for tick in again.ticks] == [tick.texts for tick in replay.ticks]
    assert any(tick.attempts for tick in again.ticks)
    assert [tick.attempts for tick in again.ticks] == [tick.attempts for tick in replay.ticks]
    assert verify(recorded_anew(candidate_of(replay), replay, ())).verdict == "match"


def test_of_the_faults_of_a_model_only_the_needed_one_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Calls that went wrong without a part in it go right; the script that is left makes the check find the same."""
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "answers.jsonl").write_text('{"agent": "*", "steps": [{"act": "Wait", "duration": 1}]}\n')
    faults = [Fault(), Fault(text="well, "), Fault(), Fault(finish="length"), Fault(), Fault(wait_s=0.001)]
    (tmp_path / "faults.jsonl").write_text(dump_faults(faults))
    path = tmp_path / "arena.toml"
    text = ARENA.read_text().replace("ticks = 24", 'ticks = 24\nplugins = ["caller.py"]')
    planning = '[planning]\nevery = 1\ntiers = ["simplified_llm", "bug", "emergency"]'
    path.write_text(text.replace("[settings]", f"{planning}\n\n[settings]", 1))
    model = f"faulty:{tmp_path / 'faults.jsonl'}:scripted:{tmp_path / 'answers.jsonl'}"
    assert invoke(["minimise", str(path), "--check", "guard", "--llm", model, "--ticks", "9", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["before"]["faults"], said["left"]["faults"]) == (3, 1)
    left = load_faults(tmp_path / "arena-small.faults.jsonl")
    assert [fault for fault in left if fault != Fault()] == [Fault(finish="length")]
    smaller = model.replace("faults.jsonl", "arena-small.faults.jsonl", 1)
    command = ["doctor", said["out"], "--check", "guard", "--ticks", str(said["left"]["ticks"]), "--llm"]
    assert invoke([*command, smaller]) == 1
    assert invoke([*command, f"scripted:{tmp_path / 'answers.jsonl'}"]) == 0


def test_every_smaller_candidate_is_a_run_with_the_keys_of_the_first() -> None:
    """Agents that are left out leave at tick 0, so the others keep their keys and inputs still mean the same."""
    smaller = replace(start(), killed=frozenset({0, 2, 3}), inputs=scenario().inputs[:1])
    assert smaller.size == {"agents": 3, "ticks": 12, "inputs": 1, "replies": 0, "faults": 0}
    plan = smaller.scenario
    assert [timed.input.kind for timed in plan.inputs] == ["kill", "kill", "kill", "order"]
    with Simulation(plan) as simulation:
        simulation.tick()
        assert simulation.world.keys.tolist() == [1, 4, 5]


def test_of_a_record_that_stable_code_contradicts_only_ticks_are_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cut replay ends with the tick that differs, shows the same difference, and the reason is told."""
    replay = altered(rules(), 5, lambda body: body.update(root="0" * 16))
    path, out = tmp_path / "a.replay.jsonl", tmp_path / "b.replay.jsonl"
    path.write_bytes(replay)
    assert invoke(["minimise", str(path), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["left"] == said["before"] | {"ticks": 5}
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
        (["minimise", str(path), "--llm", "scripted:answers.jsonl"], 64),
        (["minimise", str(tmp_path / "b.replay.jsonl")], 64),
    ):
        assert invoke(args) == code
        assert capsys.readouterr().err.count("\n") == 1
