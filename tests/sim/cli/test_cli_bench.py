"""`tickweave bench llm`: its files, its table, bad input, and what an interrupt or a budget leaves."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ai.fake.faults import Fault
from ai.fake.server import FakeSettings, serving
from sim.cli import invoke

SHORT = ("--agents", "1,2", "--rounds", "2", "--naive-rounds", "1", "--replay-ticks", "1")


def bench(spec: str, out: Path, *more: str) -> int:
    return invoke(["bench", "llm", "--llm", spec, "--out", str(out), *more])


def result(out: Path) -> dict[str, Any]:
    return json.loads((out / "bench-llm.json").read_text())


def test_a_benchmark_prints_tables_and_writes_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON with every sample, Markdown, a PNG and a replay that verifies; none of them names an address."""
    out = tmp_path / "out"
    with serving(FakeSettings(slots=2)) as server:
        assert bench(f"openai:fake@{server.openai_url}", out, *SHORT, "--note", "a test") == 0
    told, progress = capsys.readouterr()
    assert "2 agents" in told
    assert "shards line" in told
    assert "verified with the client gone: match" in told
    assert "round 2, 2 agents" in progress
    found = result(out)
    assert len(found["samples"]) == 2 * (11 + 12)
    assert {(each["way"], each["rounds"]) for each in found["figures"]} >= {("naive", 1), ("shards", 2)}
    assert all(each["valid"] == 1.0 for each in found["figures"])
    assert found["replay"]["verdict"] == "match"
    assert found["replay"]["tiers"]["simplified_llm"] > 0
    assert found["orders"]["order"] is found["orders"]["tiers"] is found["orders"]["plans"] is True
    assert len(found["orders"]["first_s"]) == 3
    assert (out / "bench-llm.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "bench-llm.md").read_text()
    assert "| naive (1 of 2 rounds) |" in page
    assert "a test" in page
    assert "## The same agents in drawn orders\n\n3 batches of the same" in page
    assert "bench-llm.png" in page
    assert invoke(["verify", str(out / "bench-llm.replay.jsonl")]) == 0
    for name in ("bench-llm.json", "bench-llm.md", "bench-llm.replay.jsonl"):
        assert "127.0.0.1" not in (out / name).read_text()
        assert str(tmp_path) not in (out / name).read_text()


def test_ways_encodings_and_scenario_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not named is left out; more agents than the small scenario has come from the large one."""
    with serving() as server:
        spec = f"openai:fake@{server.openai_url}"
        more = ("--agents", "21", "--rounds", "1", "--strategies", "singles,shards", "--encodings", "tuple", "--json")
        assert bench(spec, tmp_path, *more, "--replay-ticks", "0") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scenario"] == "crowd"
    assert [(each["way"], each["encoding"]) for each in found["figures"]] == [("singles", "tuple"), ("shards", "tuple")]
    assert found["figures"][1]["over_n"] is None
    assert found["figures"][1]["over_s"] > 0
    assert found["replay"] is None


def test_a_server_without_grammars_is_not_asked_for_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are left out where nobody named them, and refused in one sentence where somebody did."""
    more = ("--agents", "1", "--rounds", "1", "--strategies", "shards", "--replay-ticks", "0")
    with serving() as server:
        spec = f"ollama:fake@{server.url}"
        assert bench(spec, tmp_path, *more) == 0
        assert [each["encoding"] for each in result(tmp_path)["figures"]] == ["named", "tuple"]
        capsys.readouterr()
        assert bench(spec, tmp_path, *more, "--encodings", "line", "--json", "--force") == 64
    assert "takes no grammar" in capsys.readouterr().err


def test_without_the_library_for_plots_the_rest_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says how to get it."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with serving() as server:
        more = ("--agents", "1", "--rounds", "1", "--strategies", "shards", "--replay-ticks", "0")
        assert bench(f"openai:fake@{server.openai_url}", tmp_path, *more) == 0
    assert "tickweave[plot]" in capsys.readouterr().err
    assert not (tmp_path / "bench-llm.png").exists()
    assert "bench-llm.png" not in (tmp_path / "bench-llm.md").read_text()


def test_a_budget_ends_it_and_says_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The measurement under way is finished, the rest is named, and what was measured counts."""
    with serving(FakeSettings(latency_s=0.1)) as server:
        more = ("--agents", "2", "--rounds", "100", "--max-seconds", "1", "--replay-ticks", "0")
        assert bench(f"openai:fake@{server.openai_url}", tmp_path, *more) == 0
    assert "The 1 seconds were over" in capsys.readouterr().out
    found = result(tmp_path)
    assert found["samples"]
    assert len(found["samples"]) + len(found["left_out"]) == 1200


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    """The files hold the measurements that ended before; the exit code is 130."""
    with serving(FakeSettings(latency_s=0.1)) as server:
        spec = f"openai:fake@{server.openai_url}"
        command = [
            sys.executable,
            "-m",
            "sim",
            "bench",
            "llm",
            "--llm",
            spec,
            "--out",
            str(tmp_path),
            "--rounds",
            "100",
        ]
        # A shell's background jobs ignore Ctrl-C, and what they start inherits that.
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - nothing else runs here
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "round 1" in line:
                    break
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "measurements are kept" in err
    assert "Traceback" not in err
    found = result(tmp_path)
    assert found["samples"]
    assert found["reason"] == "Interrupted"


def test_a_server_that_gives_no_plan_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing legal came: exit code 1, and no ratio is shown."""
    with serving(FakeSettings(faults={Fault.WRONG: 1.0})) as server:
        more = ("--agents", "1", "--rounds", "1", "--encodings", "named", "--replay-ticks", "0")
        assert bench(f"openai:fake@{server.openai_url}", tmp_path, *more) == 1
    assert "no strategy gave a legal plan" in capsys.readouterr().err
    assert all(each["over_n"] is None for each in result(tmp_path)["figures"])


@pytest.mark.parametrize(
    "wrong",
    [
        ("--llm", "none"),
        ("--llm", "telepathy:now"),
        ("--agents", ""),
        ("--agents", "0"),
        ("--agents", "5,5"),
        ("--agents", "1001"),
        ("--agents", "-1"),
        ("--agents", ",".join(map(str, range(1, 20)))),
        ("--strategies", "magic"),
        ("--encodings", "named,morse"),
        ("--rounds", "0"),
        ("--rounds", "101"),
        ("--max-seconds", "0"),
        ("--max-seconds", "nan"),
        ("--scenario", "nowhere"),
        ("--note", "x" * 201),
        ("--agents", "21", "--scenario", "skirmish"),
    ],
)
def test_wrong_usage_gets_one_sentence_and_64(
    wrong: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong is said in one line, before a server is asked, and nothing is written."""
    out = tmp_path / "out"
    assert bench("openai:fake@http://127.0.0.1:9/v1", out, *wrong) == 64
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A result is not written over a file."""
    file = tmp_path / "a"
    file.write_text("mine")
    assert bench("openai:fake@http://127.0.0.1:9/v1", file) == 64
    assert "is not a folder" in capsys.readouterr().err
    assert file.read_text() == "mine"
