"""The commands on replays as a person uses them: what they print, what they write, and how they refuse."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sim import cli
from sim.cli.common import FAILED, INCONCLUSIVE, OK, USAGE
from sim.replay import read
from tests.sim.replay.recordings import framed

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command line in a folder with a replay in it, and gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    Path("a.replay.jsonl").write_bytes(framed())

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.invoke(words)
        return code, *capsys.readouterr()

    return run


def test_packing_and_unpacking_give_the_file_back(command: Command) -> None:
    """`pack` writes FILE.zst, `unpack` the same bytes again, and `verify` reads both."""
    code, out, _ = command("pack", "a.replay.jsonl", "--json")
    assert code == OK
    assert json.loads(out)["out"] == "a.replay.jsonl.zst"
    assert json.loads(out)["out_bytes"] < json.loads(out)["bytes"]
    assert command("verify", "a.replay.jsonl.zst")[0] == OK
    assert command("unpack", "a.replay.jsonl.zst", "--out", "b.replay.jsonl")[0] == OK
    assert Path("b.replay.jsonl").read_bytes() == framed()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["pack", "nowhere"], USAGE),
        (["pack", "packed.zst"], USAGE),
        (["pack", "a.replay.jsonl", "--out", "a.replay.jsonl"], USAGE),
        (["pack", "noise"], FAILED),
        (["unpack", "a.replay.jsonl"], USAGE),
        (["unpack", "packed.zst"], USAGE),
        (["unpack", "cut.zst"], FAILED),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_refusals_are_one_sentence_and_touch_nothing(command: Command, words: list[str], code: int) -> None:
    """Whatever is wrong is said in one printable line; no file appears or changes."""
    command("pack", "a.replay.jsonl", "--out", "packed.zst")
    Path("packed").write_text("mine")
    Path("noise").write_text("noise\n")
    Path("cut.zst").write_bytes(Path("packed.zst").read_bytes()[:-1])
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    found, out, said = command(*words)
    assert (found, out) == (code, "")
    assert said.startswith("tickweave: ")
    assert said.count("\n") == 1
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_damaged_packed_files_are_inconclusive(command: Command) -> None:
    """`verify` of a packed file that was cut says so."""
    command("pack", "a.replay.jsonl")
    Path("cut.zst").write_bytes(Path("a.replay.jsonl.zst").read_bytes()[:-1])
    code, out, _ = command("verify", "cut.zst", "--json")
    assert (code, json.loads(out)["verdict"]) == (INCONCLUSIVE, "inconclusive")


def test_killed_runs_are_recovered_and_resumed(command: Command) -> None:
    """`recover` keeps what is whole; `run --resume` gives the bytes of a run that nothing interrupted."""
    assert command("run", "skirmish", "--ticks", "12", "--keyframes", "5", "-q", "--out", "whole.replay.jsonl")[0] == OK
    whole = Path("whole.replay.jsonl").read_bytes()
    Path("torn.replay.jsonl").write_bytes(whole[:-1500])
    code, out, _ = command("recover", "torn.replay.jsonl", "--out", "kept.replay.jsonl", "--json")
    assert (code, json.loads(out)["ticks"] < 12) == (OK, True)
    assert command("verify", "kept.replay.jsonl")[0] == OK
    code, out, _ = command("run", "--resume", "torn.replay.jsonl", "--json")
    assert code == OK
    assert json.loads(out)["ticks"] == 12
    assert Path("torn.replay.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "skirmish", "--resume", "a.replay.jsonl"], USAGE),
        (["run", "--resume", "nowhere"], USAGE),
        (["run", "--resume", "torn", "--seed", "3"], USAGE),
        (["run", "--resume", "torn", "--keyframes", "3"], USAGE),
        (["run", "--resume", "torn"], FAILED),
        (["run", "--resume", "torn", "--llm", "scripted:script", "--ticks", "99"], FAILED),
        (["run", "--resume", "a.replay.jsonl"], FAILED),
        (["recover", "a.replay.jsonl", "--out", "b"], FAILED),
        (["recover", "torn", "--out", "torn"], USAGE),
        (["recover", "torn"], USAGE),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_taken_up_is_refused(command: Command, words: list[str], code: int) -> None:
    """Wrong options, whole files and other models get one sentence, and no file changes."""
    Path("torn").write_bytes(framed()[:-200])
    Path("script").write_text("")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    found, out, said = command(*words)
    assert (found, out, said.count("\n")) == (code, "", 1)
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_forks_are_printed_as_runs_are(command: Command) -> None:
    """`fork` prints the object of `run`, and its file proves itself."""
    assert command("run", "skirmish", "--ticks", "12", "-q", "--out", "b.replay.jsonl")[0] == OK
    code, out, _ = command("fork", "b.replay.jsonl", "--at", "5", "--json")
    assert code == OK
    value = json.loads(out)
    assert (value["ticks"], value["replay"]) == (12, "skirmish-1-fork-5.replay.jsonl")
    assert command("verify", value["replay"])[0] == OK
    Path("patch.toml").write_text("[planning]\nttl_s = 1\n")
    words = ["--at", "5", "--ticks", "20", "--tiers", "heuristic,emergency", "--patch", "patch.toml", "--out", "c"]
    assert command("fork", "b.replay.jsonl", *words)[0] == OK
    assert command("verify", "c")[0] == OK


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["a.replay.jsonl"], USAGE),
        (["a.replay.jsonl", "--at", "99"], USAGE),
        (["a.replay.jsonl", "--at", "5", "--tiers", "oracle"], USAGE),
        (["a.replay.jsonl", "--at", "5", "--patch", "nowhere.toml"], USAGE),
        (["a.replay.jsonl", "--at", "5", "--out", "a.replay.jsonl"], USAGE),
        (["a.replay.jsonl", "--at", "5", "--ticks", "5"], FAILED),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_impossible_forks_leave_no_file(command: Command, words: list[str], code: int) -> None:
    """A refused fork is one sentence and no file, not even a part of one."""
    found, out, said = command("fork", *words)
    assert (found, out, said.count("\n")) == (code, "", 1)
    assert [path.name for path in Path().iterdir()] == ["a.replay.jsonl"]


def test_ticks_and_agents_are_shown(command: Command) -> None:
    """`show` prints tables for people and one object for programs."""
    code, out, _ = command("show", "a.replay.jsonl", "--tick", "3", "--json")
    assert (code, json.loads(out)["tick"]) == (OK, 3)
    code, out, _ = command("show", "a.replay.jsonl", "--tick", "0", "--agent", "2", "--json")
    assert (code, json.loads(out)["steps"][0]["act"]) == (OK, "MoveTo")
    assert "MoveTo" in command("show", "a.replay.jsonl", "--tick", "0", "--agent", "2")[1]
    assert "root" in command("show", "a.replay.jsonl", "--tick", "0")[1]
    assert command("show", "a.replay.jsonl", "--tick", "99")[0] == USAGE
    code, out, said = command("show", "a.replay.jsonl", "--tick", "0", "--agent", "99")
    assert (code, out, said.count("\n")) == (FAILED, "", 1)


def test_a_whole_replay_is_shown(command: Command) -> None:
    """`show` without a tick sums up the records, with metrics and a map of the last state."""
    code, out, _ = command("show", "a.replay.jsonl", "--json")
    assert code == OK
    found = json.loads(out)
    replay = read("a.replay.jsonl")
    assert replay.end is not None
    assert (found["ticks"], found["ended"], found["tiers"]) == (len(replay.ticks), replay.end.reason, replay.end.plans)
    assert found["agents"] == replay.ticks[-1].agents
    assert found["inputs"] == dict(Counter(each["kind"] for tick in replay.ticks for each in tick.inputs))
    code, out, _ = command("show", "a.replay.jsonl")
    assert code == OK
    assert f"{len(replay.ticks)} of {replay.end.ticks}" in out
    assert "#" in out
    assert command("show", "a.replay.jsonl", "--agent", "1")[0] == USAGE


def test_differences_are_shown(command: Command) -> None:
    """`diff` leaves 0 for the same run and 1 for another one, which it names."""
    assert command("diff", "a.replay.jsonl", "a.replay.jsonl")[0] == OK
    assert command("fork", "a.replay.jsonl", "--at", "6", "--tiers", "emergency", "-q", "--out", "b")[0] == OK
    code, out, _ = command("diff", "a.replay.jsonl", "b", "--json")
    assert (code, json.loads(out)["same"], json.loads(out)["first"]["tick"]) == (FAILED, False, 6)
    code, out, _ = command("diff", "a.replay.jsonl", "b")
    assert (code, out.startswith("the first difference is in tick 6: ")) == (FAILED, True)
    Path("noise").write_text("noise\n")
    code, out, said = command("diff", "a.replay.jsonl", "noise")
    assert (code, out, said.count("\n")) == (FAILED, "", 1)


FUSE = """
from sim import Component, Domain, System, column, i32

class Cord(Component):
    left: i32 = column(default=3)

class Burn(System):
    def process(self, world, run):
        world[Cord].left[:] -= 1
        1 // world[Cord].left

class Fuse(Domain):
    components, systems, ticks = (Cord,), (Burn,), 9

    def setup(self, world, run):
        world.spawn({Cord: {}}, count=2)
        world.flush()

    def outcome(self, world):
        assert world[Cord].left[0] > 1, "burnt down"
"""


def test_the_end_of_a_replay_says_how_its_run_ended(command: Command) -> None:
    """A run that an error ends keeps its whole ticks and says `failed`; others say `decided` or `limit`."""
    Path("fuse.py").write_text(FUSE)
    code, _, error = command("run", "fuse.py", "--out", "fuse.replay.jsonl")
    assert code == FAILED
    assert error.count("\n") == 1
    assert "burnt down" in error
    ended = read("fuse.replay.jsonl").end
    assert ended is not None
    assert (ended.ticks, ended.reason) == (1, "failed")
    assert command("verify", "fuse.replay.jsonl")[:2] == (OK, "fuse.replay.jsonl: match, 1 ticks\n")
    for words, reason in ((["--seed", "7"], "decided"), (["--ticks", "3"], "limit")):
        assert command("run", "epidemic", *words, "--out", f"{reason}.replay.jsonl")[0] == OK
        ended = read(f"{reason}.replay.jsonl").end
        assert ended is not None
        assert ended.reason == reason
