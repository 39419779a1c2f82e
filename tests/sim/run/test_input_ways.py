"""Inputs come in four ways and mean the same in each: timeline, API, a file of lines, standard input."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given

from scenarios.tactics.inputs import Input
from scenarios.tactics.testing.arenas import inputs
from scenarios.tactics.testing.flat import INPUTS_OF_TACTICS, flat, nested
from sim.cli import invoke
from sim.cli.common import INTERRUPTED, OK, USAGE
from sim.replay import read, verify
from sim.run.files import FILE_BYTES_MAX
from sim.run.input_sources import LINE_BYTES_MAX, TICK_INPUTS_MAX, StreamedInputs
from sim.run.scenario_file import INPUTS_MAX
from sim.run.simulation import Simulation

TICKS: Final = 12
WAIT_S: Final = 120.0
SCENARIO: Final[dict[str, Any]] = {
    "name": "yard",
    "description": "Two squads, a director, and somebody outside who meddles",
    "ticks": TICKS,
    "map": {"rows": ["........", "...##...", "........", "........"]},
    "archetypes": {"guard": {}, "brute": {"hp": 200}},
    "teams": [
        {"name": name, "squads": [{"name": name, "archetype": "guard", "count": 3,
                                   "area": {"x": x, "y": 0, "width": 2, "height": 4}}]}
        for name, x in (("reds", 0), ("blues", 6))
    ],
    "director": {"squad": "blues", "budget": {"traps": 1, "terrain_edits": 1, "spawns": 1}},
    "ends": "never",
}  # fmt: skip
EACH: Final[list[tuple[int, dict[str, Any]]]] = [
    (0, {"kind": "move", "agent": 0, "x": 2, "y": 3}),
    (1, {"kind": "control", "agent": 1}),
    (1, {"kind": "act", "agent": 1, "step": {"act": "MoveTo", "x": 2, "y": 0}}),
    (2, {"kind": "order", "squad": "reds", "text": "to the wall", "x": 3, "y": 2}),
    (3, {"kind": "set_cells", "cell": "cover", "x": 2, "y": 2}),
    (3, {"kind": "spawn", "squad": "reds", "count": 1, "x": 0, "y": 0}),
    (4, {"kind": "remove", "agent": 2}),
    (4, {"kind": "kill", "agent": 3}),
    (5, {"kind": "fortify", "rect": {"x": 5, "y": 0, "width": 1, "height": 2}}),
    (6, {"kind": "spawn_wave", "archetype": "brute", "count": 2, "origin": {"x": 7, "y": 3}}),
    (7, {"kind": "collapse", "a": {"x": 4, "y": 0}, "b": {"x": 4, "y": 0}}),
    (8, {"kind": "set", "name": "planning.ttl_s", "value": 1}),
    (8, {"kind": "remove", "agent": 77}),
    (9, {"kind": "collapse", "a": {"x": 4, "y": 3}, "b": {"x": 4, "y": 3}}),
]
"""Inputs of every kind at their ticks, the last two of which are refused."""
LINES: Final = "\n".join(json.dumps({"tick": tick, "input": item}) for tick, item in EACH)
"""The same as lines, the last one without an end."""


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yard.toml").write_text(toml(nested(SCENARIO)), encoding="utf-8")


def toml(data: dict[str, Any]) -> str:
    """Write a scenario as TOML: JSON's texts, lists and numbers are TOML's, tables stand inline."""

    def inline(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {inline(each)}" for key, each in value.items()) + " }"
        if isinstance(value, list):
            return "[" + ", ".join(map(inline, value)) + "]"
        return json.dumps(value)

    return "".join(f"{key} = {inline(value)}\n" for key, value in data.items())


def recorded(path: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the roots of a replay, and what was refused at which tick."""
    assert verify(Path(path)).verdict == "match"
    ticks = read(Path(path)).ticks
    return [tick.root for tick in ticks], [
        (tick.t, [each.why for each in tick.refused]) for tick in ticks if tick.refused
    ]


def test_every_kind_of_input_is_among_them() -> None:
    """A kind that is added is added here."""
    kinds = set(INPUTS_OF_TACTICS.by_kind)
    assert {item["kind"] for _, item in EACH} == kinds


def test_inputs_mean_the_same_whichever_way_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same states tick by tick, and the same refusals in the same words."""
    timeline = {**SCENARIO, "inputs": [{"tick": tick, "input": item} for tick, item in EACH]}
    Path("timed.toml").write_text(toml(nested(timeline)), encoding="utf-8")
    Path("lines.jsonl").write_text(LINES, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINES.encode())))
    assert invoke(["run", "timed.toml", "--quiet", "--out", "a.replay.jsonl"]) == OK
    assert invoke(["run", "yard.toml", "--quiet", "--inputs", "lines.jsonl", "--out", "b.replay.jsonl"]) == OK
    assert invoke(["run", "yard.toml", "--quiet", "--inputs", "-", "--out", "c.replay.jsonl"]) == OK
    roots, refused = recorded("a.replay.jsonl")
    assert [(tick, len(sentences)) for tick, sentences in refused] == [(8, 1), (9, 1)]
    assert recorded("b.replay.jsonl") == recorded("c.replay.jsonl") == (roots, refused)
    with Simulation(flat(SCENARIO)) as simulation:
        for tick in range(TICKS):
            for item in (item for at, item in EACH if at == tick):
                simulation.inject(INPUTS_OF_TACTICS.read(item))
            report = simulation.tick()
            assert report.digest.root == roots[tick]
            assert list(report.refused.values()) == dict(refused).get(tick, [])


YARD: Final = flat(SCENARIO)


@given(inputs(YARD, 3))
def test_a_refused_input_leaves_no_trace(drawn: dict[int, list[Input]]) -> None:
    """Without those that were refused, every tick's root is the same; each was refused in one sentence."""
    with Simulation(YARD) as simulation, Simulation(YARD) as without:
        for tick in range(4):
            given_now = drawn.get(tick, [])
            for item in given_now:
                simulation.inject(item)
            report = simulation.tick()
            for place, item in enumerate(given_now):
                if place not in report.refused:
                    without.inject(item)
            again = without.tick()
            assert again.refused == {}
            assert again.digest.root == report.digest.root
            assert all(sentence.isprintable() and sentence for sentence in report.refused.values())


DEEP: Final = "[" * 5000
HOSTILE: Final = [
    b"\xff\xfe",
    b"\xc3\x28",
    b'{"tick": 0, "input": {"kind": "order", "squad": "reds", "text": "\\ud800"}}',
    DEEP.encode(),
    b'{"tick": 0, "input": ' + b'{"a":' * 2000,
    b'{"tick": NaN, "input": {"kind": "remove", "agent": 0}}',
    b'{"tick": 0, "input": {"kind": "set", "name": "planning.ttl_s", "value": Infinity}}',
    b'{"tick": 1e400, "input": {"kind": "remove", "agent": 0}}',
    b'{"tick": 0, "input": {"kind": "remove", "agent": ' + b"9" * 5000 + b"}}",
    b'{"tick": 0, "input": {"kind": "remove", "agent": -1}}',
    b'{"tick": 0, "input": {"kind": "remove", "agent": 1.0}}',
    b'{"tick": 0, "input": {"kind": "remove", "agent": true}}',
    b'{"tick": 0, "input": {"kind": "act", "agent": 0, "step": {"a": ' + DEEP.encode() + b"]" * 5000 + b"}}}",
    b'{"tick": 0, "input": {"kind": "act", "agent": 0, "step": {"a": "' + b"x" * 2000 + b'"}}}',
    b'{"tick": 0, "input": [{"kind": "remove", "agent": 0}]}',
    b'{"tick": 0, "input": {"kind": "\xd1\x80emove", "agent": 0}}',
    b"\x00" * 100,
    b"true",
]
"""Lines that no run takes: no text, nested without end, no number, or only like a kind."""


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_gets_one_sentence(
    line: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a file it ends the command before the run; on standard input it is told, and the run is as without it."""
    Path("lines.jsonl").write_bytes(LINES.encode() + b"\n" + line)
    words = ["run", "yard.toml", "--quiet", "--ticks", "1", "--out", "a.replay.jsonl", "--inputs"]
    assert invoke([*words, "lines.jsonl"]) == USAGE
    said = capsys.readouterr().err
    assert said.startswith("tickweave: lines.jsonl")
    assert said.count("\n") == 1
    assert said.strip().isprintable()
    assert not Path("a.replay.jsonl").exists()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line + b"\r\n" + LINES.encode())))
    assert invoke([*words, "-"]) == OK
    told = capsys.readouterr().err
    assert told.startswith("tickweave: standard input, line 1: ")
    assert told.count("\n") == 1
    assert len(told) < 1000
    with Simulation(YARD) as simulation:
        simulation.inject(INPUTS_OF_TACTICS.read(EACH[0][1]))
        assert recorded("a.replay.jsonl")[0] == [simulation.tick().digest.root]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"tick": 9999999, "input": {"kind": "remove", "agent": 0}}\n' * (INPUTS_MAX + 1), "more than 100000 inputs"),
        (b'{"tick": 1}\n' * 1_000_000, f"at most {FILE_BYTES_MAX} are read"),
        (b"\n" * 1_000_000 + b"x", "line 1000001: is not JSON"),
    ],
    ids=["inputs", "bytes", "lines"],
)
def test_a_file_of_too_many_lines_is_refused(content: bytes, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Too many inputs, too many bytes; lines without anything on them count for nothing."""
    Path("lines.jsonl").write_bytes(content)
    assert invoke(["run", "yard.toml", "--inputs", "lines.jsonl", "--out", "a.replay.jsonl"]) == USAGE
    assert says in capsys.readouterr().err


class Flood(io.BufferedIOBase):
    """A stream of so many lines that are never all in memory."""

    def __init__(self, line: bytes, count: int) -> None:
        self._block = line * 1000
        self._left = count // 1000

    def read1(self, size: int = -1, /) -> bytes:
        """Return the next thousand lines."""
        self._left -= 1
        return self._block if self._left >= 0 else b""


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.nightly)])
def test_a_flood_of_inputs_is_bounded(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for one tick is told once, and the run goes on."""
    line = b'{"tick":0,"input":{"kind":"set","name":"planning.ttl_s","value":9}}\n'
    told: list[str] = []
    feed = StreamedInputs(Flood(line, count), YARD, told.append)
    assert [len(feed.due(tick)) for tick in range(3)] == [TICK_INPUTS_MAX, 0, 0]
    (sentence,) = told
    assert sentence.startswith(f"standard input, line {TICK_INPUTS_MAX + 1}: more than {TICK_INPUTS_MAX} inputs")
    assert len(line) < LINE_BYTES_MAX


def started(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the command with a pipe for its standard input."""
    return subprocess.Popen(
        [sys.executable, "-m", "sim", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        # A shell that starts a job in the background lets it ignore Ctrl-C; this one shall hear it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - nothing else runs here
    )


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on POSIX systems")
def test_ctrl_c_ends_a_run_that_waits_for_a_line() -> None:
    """In the middle of a line too: what has run is kept and verifies, half a line has no effect."""
    process = started(["run", "yard.toml", "--quiet", "--out", "a.replay.jsonl", "--inputs", "-"])
    assert process.stdin is not None
    process.stdin.write(b'{"tick": 3}\n{"tick": 3, "input": {"kind"')
    out, limit = Path("a.replay.jsonl"), time.monotonic() + WAIT_S
    while not (out.exists() and out.read_bytes().count(b"\n") >= 4) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(WAIT_S)  # with the pipe still open: at its end half a line would be a line
    complaint = process.communicate()[1]
    assert process.returncode == INTERRUPTED, complaint
    kept = b"tickweave: interrupted after 3 ticks; they are kept in a.replay.jsonl"
    assert complaint.startswith(kept)
    assert b"tickweave run --resume a.replay.jsonl" in complaint
    assert len(recorded("a.replay.jsonl")[0]) == 3
