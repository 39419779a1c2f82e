"""Local Python files are executed after consent, once a folder, and never by `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cli import invoke
from sim.cli.common import OK, USAGE

MODEL = """
from pathlib import Path
from sim import Component, Domain, System, column, i32

Path("executed").write_text("yes")


class Count(Component):
    value: i32 = column(default=0)


class Add(System):
    def process(self, world, run):
        world[Count].value += 1


class Counting(Domain):
    components, systems = (Count,), (Add,)
    metrics = {"sum": lambda world: int(world[Count].value.sum())}

    def setup(self, world, run):
        world.spawn({Count: {}}, count=3)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a scenario of it, and nobody's consent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKWEAVE_TRUST", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "counting.py").write_text(MODEL)
    (tmp_path / "three.toml").write_text('domain = "counting.py"\nname = "three"\nticks = 4\n')
    return tmp_path


def executed() -> bool:
    """Return whether the model's code ran, and forget it."""
    mark = Path("executed")
    found = mark.exists()
    mark.unlink(missing_ok=True)
    return found


def test_a_path_that_was_typed_is_consent_for_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """`run counting.py` executes it, and from then on `verify` finds it beside the replay."""
    assert invoke(["run", "counting.py", "--ticks", "3", "--out", "a.replay.jsonl"]) == OK
    assert executed()
    assert "sum" in capsys.readouterr().out
    assert invoke(["verify", "a.replay.jsonl"]) == OK
    assert "match" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["run", "three.toml"], ["doctor", "three.toml"], ["versus", "three.toml", "--a", "x", "--b", "y"]]
)
def test_a_scenario_that_names_local_code_needs_consent(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal the command names the file and the option, and executes nothing."""
    assert invoke(command) == USAGE
    error = capsys.readouterr().err
    assert "counting.py" in error
    assert "--trust" in error
    assert not executed()


def test_consent_is_remembered_for_the_folder() -> None:
    """One `--trust` is enough for all later commands."""
    assert invoke(["run", "three.toml", "--trust", "--quiet"]) == OK
    assert invoke(["run", "three.toml", "--quiet"]) == OK


def test_a_replay_of_a_stranger_executes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The file beside a replay is executed only after consent."""
    assert invoke(["run", "three.toml", "--trust", "--quiet", "--out", "a.replay.jsonl"]) == OK
    Path("config/tickweave/trusted.json").unlink()
    assert executed()
    for command in (["verify"], ["show", "--tick", "1"], ["fork", "--at", "1"], ["bundle"], ["minimise"]):
        assert invoke([command[0], "a.replay.jsonl", *command[1:]]) == USAGE, command
        assert "--trust" in capsys.readouterr().err
    assert not executed()
    assert invoke(["verify", "a.replay.jsonl", "--trust"]) == OK


@pytest.mark.parametrize("name", ["three.toml", "counting.py"])
def test_check_executes_nobodys_code(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` says what it left out, and how to have it checked."""
    assert invoke(["check", name]) == OK
    assert "settings not checked" in capsys.readouterr().out
    assert not executed()
    assert invoke(["check", name, "--trust"]) == OK
    assert executed()
