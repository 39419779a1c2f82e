"""`run --llm` and the server behind it: told at the start, required unless said otherwise, kept in the report."""

import json
from pathlib import Path

import pytest

from ai.fake.faults import Fault
from ai.fake.server import FakeSettings, serving
from sim.cli import invoke


def run(spec: str, replay: Path, *more: str) -> int:
    return invoke(["run", "skirmish", "--ticks", "2", "--llm", spec, "--out", str(replay), *more])


def test_the_verdict_is_told_and_kept_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr says what the server does; the report has it, the replay has no address."""
    replay = tmp_path / "a.replay.jsonl"
    with serving(FakeSettings(slots=2)) as server:
        assert run(f"ollama:fake@{server.url}", replay, "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["tiers"]["simplified_llm"] > 0
    assert "ollama:fake: ollama, 8,192 tokens of context, schemas are enforced" in err
    report = json.loads((tmp_path / "a.report.json").read_text())
    assert report["endpoint"]["schema"] == "enforced"
    assert "127.0.0.1" not in replay.read_text() + json.dumps(report)


def test_a_server_that_is_down_stops_the_run_unless_it_is_optional(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens: one sentence and exit code 1; with --llm-optional the rules plan."""
    with serving() as server:
        specs = f"openai:fake@{server.openai_url}", f"ollama:other@{server.url}"
        assert run(specs[1], tmp_path / "a.replay.jsonl") == 1
        assert "has no such model" in capsys.readouterr().err
    assert run(specs[0], tmp_path / "a.replay.jsonl") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--llm-optional" in err
    assert not (tmp_path / "a.replay.jsonl").exists()
    assert run(specs[0], tmp_path / "a.replay.jsonl", "--llm-optional", "--json") == 0
    out, err = capsys.readouterr()
    assert "rules plan" in err
    assert json.loads(out)["tiers"]["heuristic"] > 0


def test_a_server_that_ignores_schemas_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run goes on with such a server, and the person at the terminal knows what to expect."""
    with serving(FakeSettings(faults={Fault.WRONG: 1.0})) as server:
        assert run(f"openai:fake@{server.openai_url}", tmp_path / "a.replay.jsonl") == 0
    assert "schemas are IGNORED" in capsys.readouterr().err
