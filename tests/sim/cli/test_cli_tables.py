"""`export` and `plot` on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from sim.cli.common import FAILED, OK, TROUBLE, USAGE
from sim.viewer.page import recording
from tests.support.shell import Shell

WEALTH = Path(__file__).parents[3] / "tests" / "models" / "wealth.py"
GINI = """
import numpy as np

def gini(world):
    coins = np.sort(world[list(world.components)[0]].coins)
    n = len(coins)
    return float(2 * (np.arange(1, n + 1) * coins).sum() / (n * coins.sum()) - (n + 1) / n)

def broken(world):
    return 1 / 0

def wordy(world):
    return "many"
"""


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a way to run command lines in an empty folder that holds a recording of a model of one's own."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(capsys)
    Path("wealth.py").write_text(WEALTH.read_text())
    Path("gini.py").write_text(GINI)
    shell.json("run", "wealth.py", "--ticks", "30", "--out", "w.replay.jsonl")
    return shell


def test_a_metric_of_today_runs_on_an_old_recording(shell: Shell) -> None:
    """`export --metric` runs a function that was written after the run; the model's own metrics need no option."""
    value = shell.json("export", "w.replay.jsonl", "--metric", "gini.py:gini", "--metric", "richest")
    assert value["ticks"] == 30
    assert value["rows"]["agents"] == 3000
    metrics = pd.read_parquet("w.tables/metrics.parquet")
    assert list(metrics.columns) == ["tick", "agents", "outcome", "gini", "richest"]
    assert metrics["gini"].iloc[-1] > metrics["gini"].iloc[0]
    assert shell("export", "w.replay.jsonl", "--to", "csv", "--out", "other", "--table", "metrics") == OK
    assert sorted(path.name for path in Path("other").iterdir()) == ["metrics.csv", "tables.json"]
    assert list(pd.read_csv("other/metrics.csv").columns) == ["tick", "agents", "outcome", "richest", "poor"]


def test_a_run_has_metrics_of_a_persons_own(shell: Shell) -> None:
    """`run`, `show` and `view` have a metric of a person's own beside those of the domain."""
    value = shell.json("run", "wealth.py", "--ticks", "30", "--metric", "gini.py:gini", "--metric", "richest")
    assert list(value["metrics"]) == ["richest", "poor", "gini"]
    shown = shell.json("show", value["replay"], "--metric", "gini.py:gini")
    assert shown["metrics"] == value["metrics"]
    assert shell("show", value["replay"], "--metric", "gini.py:gini", "--tick", "3") == USAGE
    assert recording(Path(value["replay"]), [Path("wealth.py")], metrics=["gini.py:gini"]).about["metrics"] == [
        "agents", "richest", "poor", "gini"
    ]  # fmt: skip
    assert shell("view", value["replay"], "--metric", "gini.py:gini") == OK, shell.err


def test_a_metric_that_fails_leaves_a_whole_recording(shell: Shell) -> None:
    """A wrong name is refused before a recording is touched; a metric that fails at the end costs no recording."""
    before = Path("w.replay.jsonl").read_bytes()
    words = ("run", "wealth.py", "--ticks", "5", "--out", "w.replay.jsonl", "--force", "--metric")
    assert shell(*words, "gini.py:gni") == USAGE
    assert Path("w.replay.jsonl").read_bytes() == before
    assert shell(*words, "gini.py:broken") == FAILED
    assert "gini.py, line 10, in broken: ZeroDivisionError" in shell.err
    assert shell(*words, "json:dumps") == FAILED  # a library's function has no place of a person's own
    assert "metric 'dumps' raised TypeError" in shell.err
    assert shell("verify", "w.replay.jsonl") == OK


def test_metrics_are_drawn(shell: Shell) -> None:
    """`plot` writes a picture of all metrics, of chosen ones, and of several runs."""
    assert shell("plot", "w.replay.jsonl") == OK
    assert Path("w.png").read_bytes().startswith(b"\x89PNG")
    shell.json("run", "wealth.py", "--ticks", "30", "--seed", "5", "--out", "v.replay.jsonl")
    assert shell("plot", "w.replay.jsonl", "v.replay.jsonl", "--metric", "gini.py:gini", "--out", "both.svg") == OK
    assert "<svg" in Path("both.svg").read_text()


@pytest.mark.parametrize("command", ["export", "plot"])
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--metric", "gin"), USAGE, "did you mean"),
        (("--metric", "gone.py:gini"), USAGE, "cannot be read"),
        (("--metric", "gini.py:gni"), USAGE, "did you mean 'gini'"),
        (("--metric", "gini.py:"), USAGE, "is not of the form MODULE:NAME"),
        (("--metric", "no_such_module:gini"), USAGE, "no module no_such_module"),
        (("--metric", "gini.py:broken"), FAILED, "ZeroDivisionError"),
        (("--metric", "gini.py:wordy"), FAILED, "return a number"),
    ],
)
def test_a_wrong_metric_gets_one_sentence(
    shell: Shell, command: str, words: tuple[str, ...], code: int, said: str
) -> None:
    """A metric that does not exist, raises, or returns no number is named in one sentence."""
    if words[1] == "gin":
        words = ("--metric", "richst")
    assert shell(command, "w.replay.jsonl", *words) == code, shell.err
    assert said in shell.err
    assert shell.err.count("\n") == 1


def test_wrong_words_get_one_sentence(shell: Shell) -> None:
    """A missing file, an unknown table and a picture of another kind are refused before anything is run."""
    for words, said in (
        (("export", "gone.jsonl"), "cannot be read"),
        (("export", "w.replay.jsonl", "--table", "agent"), "did you mean 'agents'"),
        (("export", "w.replay.jsonl", "--out", "w.replay.jsonl"), "is not a folder"),
        (("plot", "w.replay.jsonl", "--out", "w.gif"), ".png"),
    ):
        assert shell(*words) == USAGE
        assert said in shell.err


@pytest.mark.parametrize(
    ("command", "package", "name"), [("export", "pyarrow", "tables"), ("plot", "matplotlib", "plot")]
)
def test_a_missing_package_gets_one_sentence(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str, package: str, name: str
) -> None:
    """Without the optional package the command ends with the extra that brings it."""
    for module in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    assert shell(command, "w.replay.jsonl") == TROUBLE
    assert f"pip install 'tickweave[{name}]'" in shell.err
    assert shell.err.count("\n") == 1
