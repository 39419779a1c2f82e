"""`run --group NAME=llm:SPEC`: groups of one run that are played by models of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai.fake.server import FakeSettings, serving
from sim.cli.common import FAILED, OK, USAGE
from tests.support.shell import Shell


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a way to run command lines in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.mark.parametrize("more", [(), ("--think", "10", "--every", "10")])
def test_two_models_play_in_one_run(shell: Shell, more: tuple[str, ...]) -> None:
    """Each group asks its own model, the rest plans by rules, and the recording verifies with no server."""
    with serving(FakeSettings(slots=2)) as one, serving(FakeSettings(slots=4)) as two:
        specs = [f"{name}=llm:openai:fake@{each.openai_url}" for name, each in (("red", one), ("blue", two))]
        words = (
            "run",
            "skirmish",
            "--ticks",
            "30",
            "--out",
            "a.replay.jsonl",
            "--group",
            specs[0],
            "--group",
            specs[1],
        )
        value = shell.json(*words, *more)
        assert one.counts.calls > 1
        assert two.counts.calls > 1
        shell.json("run", "skirmish", "--ticks", "20", "--out", "b.replay.jsonl", "--group", specs[0], *more)
    tiers = value["llm"]["by_tier"]
    assert {"simplified_llm@red", "simplified_llm@blue"} <= set(tiers)
    first = [calls for name, calls in tiers.items() if name.startswith("simplified_llm")]
    again = value["llm"]["again"]["calls"]
    assert again <= sum(calls["calls"] for calls in tiers.values()) - len(first)  # first calls of both models are first
    assert value["llm"]["agents_per_call"] > 1
    assert all(tiers[name]["prompt_tokens"] > 0 for name in tiers)
    report = json.loads(Path("a.report.json").read_text())
    assert set(report["endpoint"]) == {"red", "blue"}
    assert shell("verify", "a.replay.jsonl", "b.replay.jsonl") == OK, shell.err
    alone = shell.json("show", "b.replay.jsonl")
    assert alone["model"] == "red=openai:fake"
    assert {"simplified_llm@red", "heuristic"} <= set(alone["tiers"])
    assert not any("blue" in tier for tier in alone["tiers"])


def test_a_run_of_two_models_goes_on(shell: Shell) -> None:
    """A stopped run is resumed with the same models, and not with others."""
    with serving(FakeSettings(slots=2)) as server:
        groups = [f"{name}=llm:openai:fake@{server.openai_url}" for name in ("red", "blue")]
        both = ("--group", groups[0], "--group", groups[1])
        shell.json("run", "skirmish", "--ticks", "30", "--out", "a.replay.jsonl", *both)
        lines = Path("a.replay.jsonl").read_bytes().splitlines(keepends=True)
        Path("a.replay.jsonl").write_bytes(b"".join(lines[:20]))
        assert shell("run", "--resume", "a.replay.jsonl", "--group", groups[0]) == FAILED
        assert "was recorded with the model 'blue=openai:fake, red=openai:fake'" in shell.err
        assert shell("run", "--resume", "a.replay.jsonl", "--group", "red=goap") == USAGE
        shell.json("run", "--resume", "a.replay.jsonl", *both)
        assert shell("fork", "a.replay.jsonl", "--at", "10", "--llm", groups[0][8:], "--out", "c.replay.jsonl") == OK
    assert shell("verify", "a.replay.jsonl", "c.replay.jsonl") == OK, shell.err


def test_wrong_models_of_groups_get_one_sentence(shell: Shell) -> None:
    """An unknown group or model, money without a price, and a domain without groups are refused at once."""
    for words, said in (
        (("skirmish", "--group", "rad=llm:openai:x"), "did you mean 'red'"),
        (("skirmish", "--group", "red=llm:gpt"), "gpt"),
        (("skirmish", "--group", "red=llm:openai:x", "--max-cost", "1"), "the model of red has no known price"),
        (("market", "--group", "red=llm:openai:x"), "'market' has no groups"),
        (("skirmish", "--group", "red"), "as in red=goap,heuristic or red=llm:MODEL"),
        (("skirmish", "--tiers", "goap@red"), "no planner 'goap@red'"),
    ):
        assert shell("run", *words) == USAGE, words
        assert said in shell.err
        assert shell.err.count("\n") == 1
    assert shell("estimate", "skirmish", "--llm", "openai:x", "--group", "red=llm:openai:y") == USAGE
    assert not list(Path().iterdir())
