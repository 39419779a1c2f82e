"""A new fact for planners is two lines of code, and an old recording then says which fact it lacks."""

# ruff: noqa: E501 - the changes in the tables are source text

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cli import invoke
from sim.cli.common import INCONCLUSIVE, OK
from tests.sim.run.test_domain_errors import MODEL

CHANGES = {
    "a fact": (
        {
            "    coins: int = fact()\n    stock": "    coins: int = fact()\n    hunger: int = fact(low=0)\n    stock",
            "coins=purse.coins[rows], stock": "coins=purse.coins[rows],\n            hunger=purse.coins[rows] % 3, stock",
        },
        "observation.hunger is new",
    ),
    "a fact less": (
        {'    stock: dict[str, int] = fact(default={}, table="goods")\n': "", "stock=purse.stock[:, rows], ": ""},
        "observation.stock is missing here",
    ),
    "a longer list": ({"limit=4": "limit=5"}, "observation.people.limit is 5, not 4"),
    "a fact of an entry": (
        {
            "    coins: int = fact()\n\n\nclass Knowledge": "    coins: int = fact()\n    old: bool = fact(default=False)\n\n\nclass Knowledge"
        },
        "observation.people.old is new",
    ),
    "a wider argument": ({"number(1, 5)": "number(1, 6)"}, "actions.Buy"),
    "a column": ({"    stock: i32 = column": "    debt: i32\n    stock: i32 = column"}, "Purse.debt"),
    "another default": ({"column(default=5)": "column(default=6)"}, "Purse.coins: default"),
    "a longer table": ({'"fish")': '"fish", "wool")'}, "Purse.stock: shape is (2) in the recording and (3) here"),
}
"""By what is changed: the text of the model before and after, and what the sentence names."""


@pytest.mark.parametrize("name", CHANGES)
def test_an_old_recording_names_what_is_declared_otherwise(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The changed model runs and is verified; a recording from before is inconclusive, and never called diverged."""
    monkeypatch.chdir(tmp_path)
    changes, said = CHANGES[name]
    model = MODEL
    for old, new in changes.items():
        assert model.count(old) == 1
        model = model.replace(old, new)
    (tmp_path / "model.py").write_text(MODEL)
    assert invoke(["run", "model.py", "--ticks", "4", "--quiet", "--out", "old.replay.jsonl"]) == OK
    (tmp_path / "model.py").write_text(model)
    assert invoke(["run", "model.py", "--ticks", "4", "--quiet", "--out", "new.replay.jsonl"]) == OK
    assert invoke(["verify", "new.replay.jsonl"]) == OK
    capsys.readouterr()
    assert invoke(["verify", "old.replay.jsonl"]) == INCONCLUSIVE
    told = capsys.readouterr().out
    assert "old.replay.jsonl: inconclusive" in told
    assert said in told
    assert "diverged" not in told


@pytest.mark.parametrize(
    "words",
    [
        ["fork", "old.replay.jsonl", "--at", "2"],
        ["show", "old.replay.jsonl", "--tick", "2"],
        ["export", "old.replay.jsonl", "--out", "t.csv"],
        ["view", "old.replay.jsonl", "--out", "t.html"],
        ["minimise", "old.replay.jsonl"],
    ],
    ids=lambda words: words[0],
)
def test_no_command_claims_to_know_an_old_recording(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that runs a recording again ends as inconclusive too where something is declared otherwise."""
    monkeypatch.chdir(tmp_path)
    changes, said = CHANGES["a fact"]
    (tmp_path / "model.py").write_text(MODEL)
    assert invoke(["run", "model.py", "--ticks", "4", "--quiet", "--out", "old.replay.jsonl"]) == OK
    model = MODEL
    for old, new in changes.items():
        model = model.replace(old, new)
    (tmp_path / "model.py").write_text(model)
    capsys.readouterr()
    assert invoke(words) == INCONCLUSIVE
    assert said in capsys.readouterr().err
