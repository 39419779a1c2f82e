"""What a person chooses for a run on the command line, and what `new` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim.cli.common import OK, USAGE
from sim.replay import read
from sim.run.scenario_file import Scenario
from tests.support.shell import Shell

ROOT = Path(__file__).parents[3]
WEALTH = str(ROOT / "tests" / "models" / "wealth.py")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a way to run command lines in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


def header(file: str) -> Any:
    found = read(file).header
    assert found is not None
    return found


def test_settings_are_set_by_key(shell: Shell) -> None:
    """`--set` writes settings of the domain and keys of the planning, and the replay holds them."""
    value = shell.json(
        "run", "market", "--ticks", "2", "--set", "agents=5", "--set", "planning.ttl_s=7", "--out", "a.replay.jsonl"
    )
    assert value["agents"] == 5
    scenario = header("a.replay.jsonl").scenario
    assert (scenario["settings"]["agents"], scenario["planning"]["ttl_s"]) == (5, 7)
    assert shell("verify", "a.replay.jsonl") == OK
    assert shell.json("run", WEALTH, "--ticks", "2", "--set", "agents=7")["agents"] == 7


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("agnts=5", "did you mean 'agents'"),
        ("planning.tt=5", "did you mean 'planning.ttl_s'"),
        ("agents", "is not of the form KEY=VALUE"),
        ("=5", "is not of the form KEY=VALUE"),
        ("agents=many", "valid integer"),
        ("agents=2.5", "valid integer"),
        ("agents=-1", "greater than or equal to"),
        ("agents.x=1", "no key 'agents.x'"),
        (f"agents={'9' * 20_000}", "longer than"),
        ("agents=" + "[" * 5_000, "valid integer"),
    ],
)
def test_a_wrong_setting_gets_one_sentence(shell: Shell, choice: str, said: str) -> None:
    """A key or value that does not fit ends the command before the run, with the key that was meant."""
    assert shell("run", "market", "--set", choice) == USAGE
    assert shell.err.startswith("tickweave: --set: ")
    assert said in shell.err
    assert shell.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_tiers_are_chosen(shell: Shell) -> None:
    """`--tiers` names who plans; the tier that cannot fail is added."""
    value = shell.json("run", "foraging", "--ticks", "3", "--tiers", "utility,heuristic", "--out", "a.replay.jsonl")
    assert set(value["tiers"]) == {"utility"}
    assert header("a.replay.jsonl").tiers == ["utility", "heuristic", "emergency"]
    assert shell("verify", "a.replay.jsonl") == OK
    assert shell("run", "market", "--tiers", "utilty") == USAGE
    assert "did you mean 'utility'" in shell.err
    assert shell("run", WEALTH, "--tiers", "goap") == USAGE
    assert "do not plan" in shell.err


def test_groups_have_tiers_of_their_own(shell: Shell) -> None:
    """`--group` names who plans for one group; a domain without groups says so."""
    shell.json("run", "skirmish", "--ticks", "3", "--group", "red=goap,heuristic", "--out", "a.replay.jsonl")
    assert header("a.replay.jsonl").scenario["planning"]["groups"]["red"]["tiers"] == ["goap", "heuristic", "emergency"]
    for words, said in (
        (("market", "--group", "red=goap"), "has no groups of agents by name; choose tiers for all"),
        (("skirmish", "--group", "rd=goap"), "did you mean 'red'"),
        (("skirmish", "--group", "red"), "not of the form NAME=TIERS"),
    ):
        assert shell("run", *words) == USAGE
        assert said in shell.err
        assert shell.err.count("\n") == 1


def test_a_plugin_is_added(shell: Shell) -> None:
    """`--plugin` adds a file's metrics and planners; a missing file and an unknown name get one sentence."""
    Path("more.py").write_text("METRICS = {'twice': lambda world: 2 * world.n}\n")
    value = shell.json("run", "market", "--ticks", "2", "--plugin", "more.py", "--out", "a.replay.jsonl")
    assert value["metrics"]["twice"] == 2 * value["agents"]
    assert shell("verify", "a.replay.jsonl", "--plugin", "more.py") == OK
    for name, said in (("gone.py", "cannot be read"), ("gone", "is installed")):
        assert shell("run", "market", "--plugin", name) == USAGE
        assert said in shell.err


def test_choices_of_a_recorded_run_stand_in_its_replay(shell: Shell) -> None:
    """`--resume` goes on with what the replay says; another choice beside it is refused."""
    shell.json("run", "market", "--ticks", "2", "--out", "a.replay.jsonl")
    for option in (("--set", "agents=5"), ("--tiers", "goap"), ("--group", "a=goap")):
        assert shell("run", "--resume", "a.replay.jsonl", *option) == USAGE
        assert option[0] in shell.err


@pytest.mark.parametrize("source", ["skirmish", "market", "segregation", WEALTH, WEALTH.replace(".py", ".toml")])
def test_a_copy_of_something_shipped_runs(shell: Shell, source: str) -> None:
    """`new --from` writes files that run and verify as they stand, by a name of their own."""
    assert shell("new", "mine", "--from", source) == OK
    main = next(line.split()[-1] for line in shell.out.splitlines() if "tickweave run" in line)
    value = shell.json("run", main, "--ticks", "2", "--out", "a.replay.jsonl")
    assert value["scenario"] == "mine"
    local = [
        word
        for path in Path("mine").glob("*.py")
        if not path.name.startswith("test_")
        for word in ("--plugin", str(path))
    ]
    assert shell("verify", "a.replay.jsonl", *local) == OK, shell.err
    assert (Path("mine") / "test_mine.py").exists()


def test_what_cannot_be_copied_is_named(shell: Shell) -> None:
    """A package of several files and an unknown name get one sentence, and no folder is made."""
    for source, said in (
        ("tactics", "several files"),
        ("skirmsh", "did you mean 'skirmish'"),
        ("gone.toml", "gone.toml"),
    ):
        assert shell("new", "mine", "--from", source) == USAGE
        assert said in shell.err
        assert not Path("mine").exists()


def test_a_scenario_is_written_back_as_it_was_read() -> None:
    """A choice changes its own key and nothing else."""
    from sim.run.choices import with_values
    from sim.run.scenario_file import load

    before = load("skirmish")
    after = with_values(before, {"planning.ttl_s": 9})
    changed = before.canonical()
    changed["planning"]["ttl_s"] = 9
    assert json.dumps(after.canonical()) == json.dumps(changed)
    assert isinstance(after, Scenario)


def test_a_scenario_where_a_replay_belongs_is_told(shell: Shell) -> None:
    """The name of a scenario in place of a replay says what it is and what to do."""
    for words, said in (
        (("verify", "skirmish"), "`run` makes a replay"),
        (("export", "market"), "`run` makes a replay"),
        (("minimise", "skirmish"), "--check NAME"),
    ):
        assert shell(*words) == USAGE
        assert "is a scenario" in shell.err
        assert said in shell.err
