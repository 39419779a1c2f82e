"""Optional packages: each one that is absent costs one sentence, which names the extra."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.cli import invoke
from sim.cli.common import OK

COMMANDS = [
    ("pyarrow", "tables", ["export", "a.replay.jsonl"]),
    ("matplotlib", "plot", ["plot", "a.replay.jsonl"]),
    (
        "matplotlib",
        "plot",
        ["versus", "market", "--a", "goap", "--b", "utility", "--metric", "coins", "--plot", "a.png"],
    ),
    ("ray", "ray", ["sweep", "market", "--seeds", "2", "--ticks", "2", "--executor", "ray"]),
    ("genai_prices", "cost", ["run", "market", "--llm", "openai:gpt-5@https://api.openai.com/v1", "--max-cost", "1"]),
    ("py_trees", "trees", ["run", "skirmish", "--tiers", "behaviour", "--ticks", "2"]),
]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Return a way to make a package absent, in a folder with a recording."""
    monkeypatch.chdir(tmp_path)
    assert invoke(["run", "market", "--ticks", "2", "--out", "a.replay.jsonl", "--quiet"]) == OK

    def leave_out(package: str) -> None:
        for module in [each for each in sys.modules if each.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, package, None)

    return leave_out


@pytest.mark.parametrize(("package", "name", "words"), COMMANDS, ids=[" ".join(words[:2]) for *_, words in COMMANDS])
def test_a_command_without_its_package_names_the_extra(
    without: Callable[[str], None], capsys: pytest.CaptureFixture[str], package: str, name: str, words: list[str]
) -> None:
    """One sentence, no traceback, nothing written."""
    without(package)
    assert invoke(words) != OK
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"tickweave[{name}]" in said
    assert sorted(path.name for path in Path().iterdir() if "report" not in path.name) == ["a.replay.jsonl"]
