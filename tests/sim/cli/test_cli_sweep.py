"""`sweep` on the command line, and pictures of sweeps."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from sim.cli.common import FAILED, OK, TROUBLE, USAGE
from tests.support.shell import Shell

WEALTH = Path(__file__).parents[3] / "tests" / "models" / "wealth.py"


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a way to run command lines in an empty folder that holds a model of one's own."""
    monkeypatch.chdir(tmp_path)
    Path("wealth.py").write_text(WEALTH.read_text())
    Path("more.py").write_text("def twice(world):\n    return 2 * world.n\n\n\ndef both(world):\n    return [1, 2]\n")
    return Shell(capsys)


def table(folder: str) -> list[dict[str, str]]:
    with Path(folder, "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_scenario_is_swept_on_the_spot(shell: Shell) -> None:
    """Seeds and values on the command line make a sweep of a model that knows no place, no plans and no teams."""
    words = ("sweep", "wealth.py", "--seeds", "3", "--grid", "agents=5,10", "--ticks", "6", "--metric", "more.py:twice")
    value = shell.json(*words, "--metric", "more.py:both")
    assert (value["cells"], value["failed"], value["table"]) == (6, 0, "wealth.sweep/results.csv")
    assert [group["settings"] for group in value["groups"]] == [{"agents": 5}, {"agents": 10}]
    assert value["groups"][1]["metrics"]["twice"] == {"mean": 20.0, "interval": [20.0, 20.0], "sd": 0.0}
    rows = table("wealth.sweep")
    assert [(row["agents"], row["seed"], row["twice"], row["both"]) for row in rows][4] == ("10", "1", "20", "[1, 2]")
    assert shell("plot", "wealth.sweep", "--out", "w.png") == OK
    assert Path("w.png").read_bytes().startswith(b"\x89PNG")
    assert shell("sweep", "wealth.py", "--seeds", "3", "--ticks", "6", "--out", "own") == OK
    assert "3 cells, 0 failed" in shell.out
    assert shell("plot", "own") == OK


def test_one_cell_is_run_again_into_a_replay(shell: Shell) -> None:
    """`--cell` gives the replay of one row; it verifies and ends in the root of the table."""
    Path("s.toml").write_text('scenario = "wealth.py"\nticks = 5\nseeds = 2\ncases = [{agents = 4}, {agents = 9}]\n')
    assert shell("sweep", "s.toml") == OK
    row = shell.json("sweep", "s.toml", "--cell", "3")
    assert row["root"] == table("s.sweep")[3]["root"]
    assert shell("verify", row["replay"], "--plugin", "wealth.py") == OK
    assert shell("sweep", "s.toml", "--cell", "4") == USAGE
    assert "the cells 0 to 3" in shell.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds = 2\n", "scenario: is missing"),
        ('scenario = "market"\nseed = 2\n', "did you mean 'seeds'"),
        ('scenario = "market"\nseeds = "a"\n', "are no seeds"),
        ('scenario = "markt"\n', "did you mean 'market'"),
        ('scenario = "market"\ngrid.agnts = [1, 2]\n', "did you mean 'agents'"),
        ('scenario = "market"\ngrid.agents = []\n', "has no values"),
        ('scenario = "market"\nsettings.agents = 3\ngrid.agents = [1, 2]\n', "is in settings as well"),
        ('scenario = "market"\ngrid.seed = [1, 2]\n', "is not a setting"),
        ('scenario = "market"\nseeds = 100000\ngrid.agents = [1, 2]\n', "more than 100000"),
        ('scenario = "market"\n[planners]\na = "utilty"\n', "did you mean 'utility'"),
        ('scenario = "wealth.py"\n[planners]\na = "heuristic"\n', "do not plan"),
        ('scenario = "market"\nmetrics = ["coin"]\n', "did you mean 'coins'"),
        ('scenario = "market"\nmetrics = ["more.py:twce"]\n', "did you mean 'twice'"),
        ('scenario = "market"\nmodels = ["gpt"]\n', "gpt"),
        ("scenario = [", "is not TOML"),
    ],
)
def test_a_wrong_sweep_gets_one_sentence(shell: Shell, text: str, said: str) -> None:
    """A file that is not a sweep, or that fits no cell, ends the command with the key and what was meant."""
    Path("s.toml").write_text(text)
    assert shell("sweep", "s.toml") in (USAGE, FAILED)
    assert said in shell.err, shell.err
    assert all(line.startswith("tickweave: ") for line in shell.err.splitlines())


def test_wrong_words_get_one_sentence(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that go with the other form, a missing file and a folder of something else are refused."""
    Path("s.toml").write_text('scenario = "market"\n')
    for words, said in (
        (("sweep", "s.toml", "--seeds", "3"), "needs a scenario"),
        (("sweep", "market"), "add --seeds"),
        (("sweep", "gone.toml"), "gone.toml"),
        (("sweep", "market", "--seeds", "3", "--grid", "agents"), "does not have the form KEY=A,B"),
        (("sweep", "market", "--seeds", "3", "--out", "s.toml"), "is not a folder"),
        (("plot", "."), "is not the folder of a sweep"),
    ):
        assert shell(*words) == USAGE, shell.err
        assert said in shell.err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert shell("sweep", "market", "--seeds", "2", "--ticks", "2", "--executor", "ray") == TROUBLE
    assert "pip install 'tickweave[ray]'" in shell.err


def test_local_code_of_a_sweep_needs_consent(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A sweep that names Python files runs them after consent only."""
    monkeypatch.delenv("TICKWEAVE_TRUST", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    Path("s.toml").write_text('scenario = "wealth.py"\nticks = 2\nmetrics = ["more.py:twice"]\n')
    assert shell("sweep", "s.toml") == USAGE
    assert "--trust" in shell.err
    assert "more.py" in shell.err
    assert shell("sweep", "s.toml", "--trust") == OK
