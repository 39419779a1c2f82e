"""`tickweave fake-llm`: serves until it is ended, and tells how to reach it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sim.cli import invoke


def test_a_run_is_planned_by_the_fake_server_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    """The printed spec works as it stands, the run's plans come from it, and an interrupt ends the server cleanly."""
    command = [sys.executable, "-m", "sim", "fake-llm", "--json", "--latency-ms", "0", "--tokens-per-s", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        replay = tmp_path / "a.replay.jsonl"
        code = invoke(["run", "skirmish", "--ticks", "2", "--llm", told["llm"]["openai"], "--out", str(replay), "-q"])
        server.send_signal(signal.SIGINT)
        _, stderr = server.communicate(timeout=20)
    assert (code, server.returncode) == (0, 0)
    assert "0 spoiled" in stderr
    report = json.loads((tmp_path / "a.report.json").read_text())
    assert report["llm"]["calls"] > 0
    assert report["tiers"]["simplified_llm"] > 0
    assert "127.0.0.1" not in replay.read_text()


@pytest.mark.parametrize("wrong", [["--fail", "flood=1"], ["--fail", "cut=2"], ["--port", "70000"], ["--slots", "0"]])
def test_wrong_options_are_usage_errors(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A fault or number that does not exist ends with one sentence and exit code 64."""
    assert invoke(["fake-llm", *wrong]) == 64
    assert capsys.readouterr().err.count("\n") == 1
