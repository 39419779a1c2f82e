"""The doctor's command line: what it prints, its exit codes, and that it looks at a user's own code."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ai.actions import CELLS_MAX
from ai.errors import ClientError
from ai.llm_types import LlmChunk, LlmRequest
from scenarios.tactics.testing.flat import flat, flattened
from sim.cli import invoke
from sim.cli.common import FAILED, INCONCLUSIVE, OK, USAGE
from sim.engine.columns import Component, i32
from sim.engine.system import System
from sim.engine.world import World
from sim.run.domain import Domain
from sim.run.domains import domain_file
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario, available, load
from sim.testing.checks import CHECKS, Case, bystanders, examine, processes
from sim.testing.checks.processes import dispatched
from tests.sim.run.test_domain_errors import HOOK
from tests.sim.run.test_domain_errors import MODEL as SHOP

DOMAINS = ("ecology", "epidemic", "foraging", "market", "segregation")
MUTANTS = Path(__file__).parents[2] / "mutants"
MODEL = """
from sim import Component, Domain, System, i32

class Count(Component):
    value: i32

class Add(System):
    def process(self, world, run):
        world[Count].value += 1

class Counting(Domain):
    components, systems = (Count,), (Add,)

    def setup(self, world, run):
        world.spawn({Count: {}}, count=3)
"""
LONELY = """
domain = "tactics"
name = "lonely"

[settings.map]
rows = ["...."]

[settings.archetypes.walker]

[[settings.teams]]
name = "one"
squads = [{ name = "one", archetype = "walker", count = 1, area = { x = 0, y = 0, width = 1, height = 1 } }]
"""


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


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*DOMAINS, *(name for name, _ in available())])
def test_nothing_shipped_is_convicted_by_the_doctors_defaults(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every shipped scenario and domain passes every check over the doctor's own number of ticks."""
    assert invoke(["doctor", name]) == OK, capsys.readouterr().out


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
    assert {entry["result"] for entry in others} <= {"untested", "not applicable"}
    assert {entry["reason"] for entry in others} == {"the guard stops the run"}


@pytest.mark.parametrize(
    ("text", "result", "reason"),
    [
        ("return ShopSettings(agents=2), ShopSettings(agents=5)", "same", None),
        ("return self.settings", "untested", "return settings without and with unrelated agents"),
        ("return self.settings, self.settings", "untested", "adds to 4 agents and comes to 4; add some"),
    ],
)
def test_bystanders_that_are_none_prove_nothing(text: str, result: str, reason: str | None, tmp_path: Path) -> None:
    """A domain that promises to isolate is not cleared by runs of the same agents, and not convicted by a mistake."""
    source = SHOP.replace("    settings = ShopSettings", "    isolates = True\n    settings = ShopSettings")
    source = source.replace(HOOK, f"    def bystanders(self):\n        {text}\n\n{HOOK}")
    (tmp_path / "model.py").write_text(source)
    (examined,) = examine(Case(Scenario.of(domain_file(tmp_path / "model.py").kind()), ticks=3), [bystanders.CHECK])
    assert examined.result == result
    assert (reason or "") in (examined.reason or "")


def test_a_map_without_room_for_bystanders_is_no_finding() -> None:
    """What cannot be run on a scenario is untested, with the reason."""
    data = flattened(load(MUTANTS / "arena.toml"))
    data["map"]["rows"] = ["." * 16] * CELLS_MAX
    (examined,) = examine(Case(flat(data), ticks=1), [bystanders.CHECK])
    assert examined.result == "untested"
    assert examined.reason == "the domain promises it, and its bystanders() has none for these settings"


class Count(Component):
    """What the small domain counts."""

    value: i32


class Add(System):
    """Counts."""

    def process(self, world: World, run: Any) -> None:
        world[Count].value += 1


class Counting(Domain):
    """Nobody plans, and nothing says that agents are apart."""

    components, systems = (Count,), (Add,)

    def setup(self, world: World, run: Any) -> None:
        world.spawn({Count: {}}, count=3)


def test_a_check_of_what_a_domain_has_not_is_not_applicable() -> None:
    """No planners, no promise: the reason is told. Other processes are brought the classes of a test."""
    results = {each.check: each.result for each in examine(Case(Scenario.of(Counting()), ticks=3))}
    assert results == {
        "guard": "same",
        "rerun": "same",
        "restore": "same",
        "parts": "not applicable",
        "spawning": "same",
        "bystanders": "not applicable",
        "replies": "not applicable",
        "hash seed": "same",
        "allocator": "same",
        "processor": "same" if dispatched() else "not applicable",
        "resume": "same",
        "surroundings": "same",
    }


def test_what_cannot_be_brought_into_another_process_is_untested_there() -> None:
    """A class that was made inside a function has no name by which another process could find it."""

    class Local(Counting):
        """A domain of this function."""

    found = {each.check: each for each in examine(Case(Scenario.of(Local()), ticks=2), [processes.RESUME])}
    assert found["resume"].result == "untested"
    assert "cannot run in another process" in (found["resume"].reason or "")


def test_only_the_check_that_can_know_a_cause_names_it(ill: Path) -> None:
    """What differs already in a restored run is not told again as a memo of a module."""
    scenario = load(ill)
    case = Case(scenario, 6, plugins=load_plugins(scenario))
    checks = [check for check in CHECKS if check.name in ("rerun", "restore", "resume")]
    results = {each.check: each.result for each in examine(case, checks)}
    assert results == {"rerun": "same", "restore": "differs", "resume": "untested"}


def test_a_model_that_never_answers_leaves_replies_untested() -> None:
    """A client whose every call fails compares nothing, so that it proves nothing."""

    class Silent:
        label = "silent"

        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            raise ClientError("nobody is there")
            yield LlmChunk("")  # makes it a generator

    case = Case(load("skirmish"), ticks=2, client=Silent)
    (found,) = examine(case, [check for check in CHECKS if check.name == "replies"])
    assert (found.result, found.reason) == ("untested", "the model gave no reply")


def test_a_model_in_a_file_is_examined_by_every_check_that_applies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other processes find the file too, nothing is untested, and the exit code is 0."""
    monkeypatch.chdir(tmp_path)
    Path("counting.py").write_text(MODEL)
    assert invoke(["doctor", "counting.py", "--ticks", "3", "--json"]) == OK
    results = {entry["check"]: entry["result"] for entry in json.loads(capsys.readouterr().out)["checks"]}
    assert (results["hash seed"], results["allocator"], results["parts"]) == ("same", "same", "not applicable")


def test_a_planner_that_always_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It leaves every agent to the emergency tier, and so nothing that it does was compared."""
    monkeypatch.chdir(tmp_path)
    Path("broken.py").write_text(
        """
class Broken:
    name, deterministic = "broken", True

    async def plan(self, batch, registry, call):
        raise RuntimeError("not today")

PLANNERS = (Broken,)
"""
    )
    Path("broken.toml").write_text(
        'domain = "market"\nname = "broken"\nplugins = ["broken.py"]\n[planning]\ntiers = ["broken", "emergency"]\n'
    )
    words = ["doctor", "broken.toml", "--check", "rerun", "--ticks", "3"]
    assert invoke(words) == INCONCLUSIVE
    said = "planner 'broken' failed in all 36 plans it was asked for, so nothing that it does was compared"
    assert said in capsys.readouterr().out
    assert invoke([*words, "--json"]) == INCONCLUSIVE
    told = json.loads(capsys.readouterr().out)
    assert told["planners"]["broken"].startswith(said)
    assert [each["result"] for each in told["checks"]] == ["same"]


def test_a_check_that_compared_nothing_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says that nothing was proven: one agent's batch has no parts."""
    path = tmp_path / "lonely.toml"
    path.write_text(LONELY)
    assert invoke(["doctor", str(path), "--check", "parts", "--ticks", "2"]) == INCONCLUSIVE
    assert "untested" in capsys.readouterr().out


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
