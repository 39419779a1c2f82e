"""The command line: what it prints, what it writes, its exit codes, and that bad input gets one sentence."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from sim import cli
from sim.cli.common import FAILED, INCONCLUSIVE, INTERRUPTED, OK, TROUBLE, USAGE, interrupts
from sim.cli.new import MODEL
from sim.replay import scan
from sim.replay.verify import Verdict
from tests.support.shell import Shell

RUN_KEYS = [
    "scenario", "seed", "ticks", "agents", "replay", "root", "outcome", "score", "teams", "metrics", "plans", "tiers",
    "llm", "wall_s", "ticks_per_s",
]  # fmt: skip
LLM_KEYS = [
    "calls", "agents", "prompt_tokens", "completion_tokens", "errors", "agents_per_call", "prompt_tokens_per_plan",
    "again", "by_tier", "budget", "rounds", "started", "under_model", "bridged", "none", "waited_s", "retries",
    "breaker", "in_flight", "shard_size",
]  # fmt: skip
ROOT = Path(__file__).parents[3]
WAIT_S = 60.0


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a way to run command lines."""
    return Shell(capsys)


def started(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start a command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "sim", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_run_prints_one_object_with_the_promised_keys(shell: Shell) -> None:
    """`run --json` prints exactly one object on stdout, nothing on stderr, and writes replay and report."""
    value = shell.json("run", "skirmish", "--ticks", "20", "--seed", "7", "--out", "a.replay.jsonl")
    assert list(value) == RUN_KEYS
    assert list(value["llm"]) == LLM_KEYS
    assert shell.out.count("\n") == 1
    assert shell.err == ""
    assert (value["scenario"], value["seed"], value["ticks"], value["agents"]) == ("skirmish", 7, 20, 20)
    assert value["replay"] == "a.replay.jsonl"
    assert value["score"] == {team["team"]: team["score"] for team in value["teams"]}
    assert value["tiers"] == {"heuristic": value["plans"]}
    assert value["llm"] == {
        "calls": 0, "agents": 0, "prompt_tokens": None, "completion_tokens": None, "errors": {},
        "agents_per_call": None, "prompt_tokens_per_plan": None, "again": {"calls": 0, "prompt_tokens": None},
        "by_tier": {}, "budget": None,
        "rounds": 0, "started": 0, "under_model": 0, "bridged": 0, "none": 0, "waited_s": 0.0,
        "retries": 0, "breaker": {"state": "closed", "opened": 0}, "in_flight": None, "shard_size": {},
    }  # fmt: skip
    report = json.loads(Path("a.report.json").read_text())
    assert {key: report[key] for key in RUN_KEYS} == value
    assert report["phases_s"]["recording"] > 0


def test_the_same_run_twice_writes_the_same_bytes(shell: Shell) -> None:
    """Same scenario and seed, same root and same replay; another seed, another root."""
    first = shell.json("run", "skirmish", "--ticks", "80", "--out", "1.replay.jsonl")
    second = shell.json("run", "skirmish", "--ticks", "80", "--out", "2.replay.jsonl")
    other = shell.json("run", "skirmish", "--ticks", "80", "--seed", "99", "--out", "3.replay.jsonl")
    assert first["root"] == second["root"] != other["root"]
    assert Path("1.replay.jsonl").read_bytes() == Path("2.replay.jsonl").read_bytes()


def test_without_out_the_replay_gets_a_free_name(shell: Shell) -> None:
    """The replay is called after scenario and seed, and no earlier one is written over."""
    names = [shell.json("run", "skirmish", "--ticks", "1")["replay"] for _ in range(3)]
    assert names == ["skirmish-1.replay.jsonl", "skirmish-1-2.replay.jsonl", "skirmish-1-3.replay.jsonl"]
    assert all(Path(name).exists() for name in names)


@pytest.mark.parametrize("name", ["a.replay.jsonl", "a.report.json"])
def test_only_force_replaces_a_file(name: str, shell: Shell) -> None:
    """What `--out` names may not exist already, nor the report beside it, unless `--force` says so."""
    Path(name).write_text("something else")
    command = ("run", "skirmish", "--ticks", "1", "--out", "a.replay.jsonl")
    assert shell(*command) == USAGE
    assert f"{name} exists already" in shell.err
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [(name, "something else")]
    shell.json(*command, "--force")
    assert shell("verify", "a.replay.jsonl") == OK


def test_a_run_writes_lines_only(shell: Shell) -> None:
    """A name for a packed replay is refused, and the sentence says how to pack."""
    assert shell("run", "skirmish", "--out", "a.replay.jsonl.zst") == USAGE
    assert "`pack`" in shell.err


def test_the_summary_for_people(shell: Shell) -> None:
    """Without `--json` the summary names what people ask for; with `--quiet` there is none."""
    assert shell("run", "skirmish", "--ticks", "20") == OK
    for word in (
        "skirmish, seed 1",
        "20",
        " alive, 20 at the start",
        "heuristic",
        "tick limit",
        "ticks a second",
        "planning",
        "KiB",
    ):
        assert word in shell.out
    assert shell("run", "skirmish", "--ticks", "2", "--quiet") == OK
    assert (shell.out, shell.err) == ("", "")


@pytest.mark.parametrize("detail", ["hash", "full"])
def test_a_run_verifies(shell: Shell, detail: str) -> None:
    """What `run` wrote, `verify` matches, at both levels of detail."""
    shell.json("run", "skirmish", "--ticks", "25", "--detail", detail, "--out", "a.replay.jsonl")
    assert shell("verify", "a.replay.jsonl") == OK
    assert shell.out.startswith("a.replay.jsonl: match, 25 ticks")
    value = shell.json("verify", "a.replay.jsonl")
    assert (value["verdict"], value["ticks"], value["first"], value["reason"]) == ("match", 25, None, "")


def test_a_scripted_model_runs_and_is_not_needed_to_verify(shell: Shell) -> None:
    """Plans of a scripted model are counted by tier, and the replay verifies after the script is gone."""
    script = {"agent": "*", "steps": [{"act": "Wait", "duration": 1}]}
    Path("script.jsonl").write_text(json.dumps(script) + "\n")
    value = shell.json("run", "skirmish", "--ticks", "12", "--llm", "scripted:script.jsonl", "--out", "a.replay.jsonl")
    assert value["tiers"]["simplified_llm"] == value["plans"] > 0
    assert value["llm"]["calls"] > 0
    assert value["llm"]["agents"] == value["plans"]
    Path("script.jsonl").unlink()
    assert shell("verify", "a.replay.jsonl") == OK


def test_how_a_model_is_called_can_be_pinned_and_is_shown(shell: Shell) -> None:
    """Sizes, retries and limits are taken from the command line, stand in the summary and hold for the calls."""
    script = {"agent": "*", "steps": [{"act": "Wait", "duration": 1}]}
    Path("script.jsonl").write_text(json.dumps(script) + "\n")
    pinned = ("--shard-size", "3", "--in-flight", "2", "--deadline-ms", "60000", "--rate", "60000")
    value = shell.json(
        "run", "skirmish", "--ticks", "12", "--llm", "scripted:script.jsonl", "--out", "a.replay.jsonl", *pinned
    )
    assert (value["llm"]["in_flight"], value["llm"]["shard_size"]) == (2, {"simplified_llm": 3})
    assert json.loads(Path("a.report.json").read_text())["first_plan_s"]["ticks"] > 0
    assert shell("verify", "a.replay.jsonl") == OK


def test_a_broken_server_opens_the_breaker_and_the_run_goes_on(shell: Shell) -> None:
    """A server that fails every call is soon left alone; summary and replay say so, and the replay verifies."""
    Path("script.jsonl").write_text('{"agent": "*", "error": "transport"}\n')
    words = ("run", "skirmish", "--ticks", "12", "--llm", "scripted:script.jsonl", "--retries", "0", "--out", "a.jsonl")
    value = shell.json(*words)
    assert value["tiers"] == {"heuristic": value["plans"]}
    assert value["llm"]["breaker"] == {"state": "open", "opened": 1}
    assert (value["llm"]["retries"], value["llm"]["errors"]["breaker_open"] > 0) == (0, True)
    assert shell("verify", "a.jsonl") == OK
    assert shell(*words[:-2], "--out", "b.jsonl") == OK
    assert "breaker opened 1 times, now open" in " ".join(shell.out.split())


ORDER = {"tick": 3, "input": {"kind": "order", "squad": "red one", "text": "hold the line"}}
LATE = {"tick": 500, "input": {"kind": "remove", "agent": 0}}


@pytest.mark.parametrize("source", ["orders.jsonl", "-"])
def test_inputs_are_applied_and_recorded(shell: Shell, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs from a file or from standard input change the run and stand in the replay, and `verify` applies them."""
    lines = f"{json.dumps(ORDER)}\n{json.dumps(LATE)}\n"
    Path("orders.jsonl").write_text(lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    plain = shell.json("run", "skirmish", "--ticks", "6", "--out", "plain.replay.jsonl")
    value = shell.json("run", "skirmish", "--ticks", "6", "--inputs", source, "--out", "a.replay.jsonl")
    assert value["root"] != plain["root"]
    assert json.loads(Path("a.report.json").read_text())["unused_inputs"] == 1
    assert "hold the line" in Path("a.replay.jsonl").read_text()
    assert shell("verify", "a.replay.jsonl") == OK


def test_refused_inputs_are_told(shell: Shell) -> None:
    """An input that has no effect is told with its tick and reason; the run goes on."""
    Path("orders.jsonl").write_text('{"tick": 2, "input": {"kind": "remove", "agent": 4000}}\n')
    assert shell("run", "skirmish", "--ticks", "4", "--inputs", "orders.jsonl") == OK
    assert shell.err.startswith("tickweave: tick 2: remove refused: ")
    assert shell.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["fly"],
        ["run"],
        ["run", "skirmish", "--ticks", "0"],
        ["run", "skirmish", "--ticks", "many"],
        ["run", "skirmish", "--ticks", "99999999999"],
        ["run", "skirmish", "--seed", "-1"],
        ["run", "skirmish", "--seed", str(2**63)],
        ["run", "skirmish", "--detail", "all"],
        ["run", "skirmish", "--colour"],
        ["run", "skirmish", "extra"],
        ["run", "skirmish", "--llm", ""],
        ["run", "skirmish", "--llm", "oracle:delphi"],
        ["run", "skirmish", "--llm", "scripted:nowhere.jsonl"],
        ["run", "skirmish", "--out", "nowhere/a.replay.jsonl"],
        ["run", "skirmish", "--deadline-ms", "0"],
        ["run", "skirmish", "--shard-size", "0"],
        ["run", "skirmish", "--in-flight", "nan"],
        ["run", "skirmish", "--retries", "-1"],
        ["run", "skirmish", "--rate", "nan"],
        ["run", "skirmish", "--token-rate", "1e99"],
        ["run", "skirmish", "--out", "."],
        ["run", "skirmish", "--out", "/dev/full"],
        ["run", "skirmish", "--out", "a\x00b"],
        ["run", "skirmish", "--inputs", "nowhere.jsonl"],
        ["run", "skirmish", "--inputs", "/dev/zero"],
        ["run", "skirmish", "--inputs", "own.jsonl", "--out", "own.jsonl"],
        ["verify"],
        ["verify", "nowhere.replay.jsonl"],
        ["verify", "."],
        ["verify", "/dev/zero"],
        ["scenarios", "extra"],
    ],
    ids=" ".join,
)
def test_wrong_usage_gets_one_sentence_and_64(words: Sequence[str], shell: Shell) -> None:
    """Whatever is wrong with a command line is said in one printable line on stderr, and nothing is written."""
    Path("own.jsonl").write_text("")
    assert shell(*words) == USAGE
    assert shell.out == ""
    assert shell.err.startswith("tickweave: ")
    assert shell.err.count("\n") == 1
    assert shell.err.strip().isprintable()
    assert [path.name for path in Path().iterdir()] == ["own.jsonl"]


def test_no_words_at_all_show_the_help(shell: Shell) -> None:
    """`tickweave` alone is wrong usage, and the help page says what is right."""
    assert shell() == USAGE
    for command in ("run", "verify", "scenarios"):
        assert command in shell.err


def test_help_and_version(shell: Shell) -> None:
    """Both are answers, not errors."""
    assert shell("--version") == OK
    assert shell.out == f"tickweave {version('tickweave')}\n"
    assert shell("run", "--help") == OK
    for option in ("--seed", "--ticks", "--llm", "--out", "--inputs", "--detail", "--json", "--quiet"):
        assert option in shell.out


def test_scenarios_are_listed(shell: Shell) -> None:
    """`scenarios` lists what can be run; `--schema` prints the JSON schema of a domain's scenario files."""
    listed = {entry["name"]: entry for entry in shell.json("scenarios")["scenarios"]}
    assert list(listed["skirmish"]) == ["name", "domain", "agents", "ticks", "description"]
    assert listed["crowd"]["agents"] == 1000
    assert {"ecology", "epidemic", "foraging", "market", "segregation"} <= set(listed)
    assert "tactics" not in listed, "it needs settings"
    assert all(entry["description"] for entry in listed.values())
    assert shell("scenarios") == OK
    assert listed["skirmish"]["description"] in " ".join(shell.out.split())
    assert shell("scenarios", "--schema", "tactics") == OK
    schema = json.loads(shell.out)
    assert {"domain", "ticks", "planning"} <= set(schema["properties"])
    assert "teams" in schema["properties"]["settings"]["properties"]


@pytest.fixture
def replay(shell: Shell) -> Path:
    """Return a good replay of ten ticks."""
    shell.json("run", "skirmish", "--ticks", "10", "--out", "good.replay.jsonl")
    return Path("good.replay.jsonl")


def test_verify_tells_a_broken_file_from_a_missing_one(shell: Shell, replay: Path) -> None:
    """Cut and changed files are inconclusive, exit 2; they are neither a match nor wrong usage."""
    data = replay.read_bytes()
    Path("cut.replay.jsonl").write_bytes(data[: data.rindex(b"\n", 0, -1) + 1])
    Path("changed.replay.jsonl").write_bytes(data.replace(b"skirmish", b"skirmush", 1))
    Path("empty.replay.jsonl").write_bytes(b"")
    for name in ("cut", "changed", "empty"):
        assert shell("verify", f"{name}.replay.jsonl") == INCONCLUSIVE
        assert shell.out.startswith(f"{name}.replay.jsonl: inconclusive")
        assert shell("verify", f"{name}.replay.jsonl", "--json") == INCONCLUSIVE
        value = json.loads(shell.out)
        assert value["verdict"] == "inconclusive"
        assert value["reason"]


def test_the_worst_of_several_files_counts(shell: Shell, replay: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proven divergence outweighs an inconclusive file, which outweighs a match; every file is told of."""
    cut = Path("cut.replay.jsonl")
    cut.write_bytes(replay.read_bytes()[:-5])
    assert shell("verify", str(replay), str(cut), "--json") == INCONCLUSIVE
    value = json.loads(shell.out)
    assert value["verdict"] == "inconclusive"
    assert [(entry["file"], entry["verdict"]) for entry in value["files"]] == [
        (str(replay), "match"),
        (str(cut), "inconclusive"),
    ]
    assert shell("verify", str(replay), "missing.replay.jsonl") == USAGE
    genuine = cli.verify.verify_replay
    wrong = Verdict("diverged", ticks=10, reason="changed on purpose")
    monkeypatch.setattr(cli.verify, "verify_replay", lambda path, **options: wrong if path == replay else genuine(path))
    assert shell("verify", str(replay), str(cut)) == FAILED
    assert shell.out.count("\n") == 2


def test_python_m_sim_is_the_same_command() -> None:
    """The package runs as a module."""
    done = started("--version", stdout=subprocess.PIPE)
    assert done.communicate(timeout=WAIT_S)[0] == f"tickweave {version('tickweave')}\n"
    assert done.returncode == OK


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on POSIX systems")
def test_ctrl_c_leaves_a_whole_replay(shell: Shell) -> None:
    """Interrupted, a run ends after a whole tick and says how to go on, its replay verifies, and the command works."""
    out = Path("long.replay.jsonl")
    Path("models").mkdir()
    model = Path("models", "wealth.py")
    model.write_text(MODEL.format(name="wealth", title="Wealth"))
    process = started("run", str(model), "--ticks", "1000000", "--out", str(out), stdout=subprocess.PIPE)
    limit = time.monotonic() + WAIT_S
    while not (out.exists() and out.read_bytes().count(b"\n") > 3) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=WAIT_S)
    assert process.returncode == INTERRUPTED, complaint
    assert said == ""
    assert complaint.startswith("tickweave: interrupted after ")
    assert complaint.count("\n") == 1
    assert shell("verify", str(out), "--plugin", str(model)) == OK
    ticks = len(scan(out).ticks)
    *_, command = complaint.strip().partition("continue with: tickweave ")
    assert shell(*shlex.split(command), "--ticks", str(ticks + 5), "--quiet") == OK
    assert len(scan(out).ticks) == ticks + 5


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on POSIX systems")
def test_a_second_ctrl_c_stops_at_once() -> None:
    """The first one is noted, the second one is Python's own, and afterwards all is as before."""
    before = signal.getsignal(signal.SIGINT)
    with interrupts() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_told_in_one_sentence() -> None:
    """Output that cannot be written is a failure with a sentence, not a traceback."""
    with Path("/dev/full").open("w") as full:
        process = started("scenarios", "--json", stdout=full)
        complaint = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == TROUBLE
    assert complaint == "tickweave: standard output cannot be written: No space left on device\n"


def test_a_reader_that_goes_away_is_no_error_to_tell() -> None:
    """`tickweave ... | head` ends quietly."""
    reading, writing = os.pipe()
    os.close(reading)
    process = started("scenarios", "--schema", "tactics", stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=WAIT_S)[1] == ""
    assert process.returncode == OK


def test_a_progress_bar_shows_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    """The bar goes to a terminal's stderr and nowhere else; `--quiet` hides it."""
    assert shell("run", "skirmish", "--ticks", "3", "--json") == OK
    assert shell.err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert shell("run", "skirmish", "--ticks", "3", "--json") == OK
    assert "skirmish" in shell.err
    assert json.loads(shell.out)["ticks"] == 3


def test_a_run_works_from_any_folder(shell: Shell, tmp_path: Path) -> None:
    """A replay is where `--out` says, relative to the folder one stands in, and can be moved and still verified."""
    (tmp_path / "inner").mkdir()
    shell.json("run", "skirmish", "--ticks", "2", "--out", "inner/a.replay.jsonl")
    shutil.move(tmp_path / "inner" / "a.replay.jsonl", tmp_path / "b.txt")
    assert shell("verify", "b.txt") == OK
