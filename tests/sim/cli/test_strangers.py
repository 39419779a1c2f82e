"""Files of a stranger: nothing of theirs is executed, written elsewhere, or acted on by a terminal, and limits hold."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scenarios.market.domain import Market
from sim.cli import invoke
from sim.replay import verify
from sim.replay.zst import pack
from tests.support.bodies import Records, put_together, taken_apart
from tests.support.recording import recorded

TRICK = "\x1b]0;OWNED\x07\x1b[31mRED\x1b[2J\nLINE2\r\x9b31m\u202e[bold]m[/bold][/x][link=http://evil]x[/link]"
"""A window's title, colours, a cleared screen, a second line, the other direction of writing, markup."""
MODULES = ("json", "signal", "struct", "types", "random", "socket", "selectors", "tokenize", "multiprocessing", "numpy")
MODULES += ("scipy", "pydantic", "typer", "esper", "httpx", "zstandard", "rich", "ai", "sim", "scenarios", "encodings")
MODULES += ("sitecustomize", "usercustomize", "tickweave")
SECONDS_MAX = 60.0


@cache
def honest() -> bytes:
    """Return a recording of villagers."""
    return recorded(Market(), seed=3, ticks=6)


def first_tick(records: Records) -> dict[str, Any]:
    return next(body for kind, body in records if kind == "T")


def in_tick(records: Records) -> None:
    tick = first_tick(records)
    tick["texts"] = {"3": TRICK}
    tick["attempts"] = [{"tier": TRICK, "outcome": "transport", "keys": "0-3", "error": TRICK}]
    tick["outcome"] = TRICK
    tick["draws"] = {TRICK: 1}
    tick["planned"] = {TRICK: "0-3"}


def in_inputs(records: Records) -> None:
    first_tick(records)["inputs"] = [{"kind": TRICK, TRICK: TRICK}]


def header(**changes: Any) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        records[0][1].update(copy.deepcopy(changes))

    return change


def in_scenario(records: Records) -> None:
    records[0][1]["scenario"] |= {"name": TRICK, "description": TRICK, "plugins": [f"{TRICK}.py", "../../x.py"]}


TRICKS: dict[str, Callable[[Records], None]] = {
    "tick": in_tick,
    "inputs": in_inputs,
    "scenario": in_scenario,
    "environment": header(env={TRICK: TRICK}, determinism="exact"),
    "model": header(llm=TRICK, prompt_version=TRICK),
    "tiers": header(tiers=[TRICK]),
    "columns": header(columns=[TRICK], components=[TRICK]),
    "plugins": header(plugins={TRICK: "0" * 16}),
    "format": header(format=TRICK),
    "declarations": header(declarations={TRICK: TRICK}),
    "verbs": header(registry={"digest": "0" * 16, "kinds": [TRICK]}),
}


def in_code(records: Records) -> None:
    records[0][1]["scenario"] |= {"domain": "evil.py", "plugins": ["evil.py"]}


TRICKS["code"] = in_code


def spoilt(change: Callable[[Records], None]) -> bytes:
    records = copy.deepcopy(taken_apart(honest()))
    change(records)
    return put_together(records)


COMMANDS = (
    ["verify", "FILE"],
    ["show", "FILE", "--tick", "0"],
    ["show", "FILE", "--tick", "0", "--agent", "3"],
    ["diff", "FILE", "honest.replay.jsonl"],
    ["fork", "FILE", "--at", "1", "--out", "made"],
    ["bundle", "FILE", "--out", "made"],
    ["minimise", "FILE", "--out", "made", "--runs", "2"],
    ["recover", "FILE", "--out", "made"],
    ["pack", "FILE", "--out", "made"],
    ["run", "--resume", "FILE", "--quiet"],
    ["verify", "FILE", "--json"],
)


@pytest.mark.parametrize("trick", TRICKS)
def test_nothing_of_a_recording_reaches_a_terminal_raw(
    trick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a recording holds, and whatever it is called: every command shows controls by number, or nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TICKWEAVE_TRUST", raising=False)
    Path("evil.py").write_text("open('executed', 'w').close()\n")
    Path("honest.replay.jsonl").write_bytes(honest())
    name = "\x1b[31m\u202ea[bold].replay.jsonl"
    for command in COMMANDS:
        Path(name).write_bytes(spoilt(TRICKS[trick]))
        before = {path.name for path in Path().iterdir()}
        code = invoke([name if word == "FILE" else word for word in command])
        out, err = capsys.readouterr()
        assert code in (0, 1, 2, 64), (command, err)
        assert "Traceback" not in err
        for char in out + err:
            assert char in "\n\t" or char.isprintable(), (command, char)
        assert {path.name for path in Path().iterdir()} - before <= {"made", "config"}
        Path("made").unlink(missing_ok=True)


def test_nobody_in_the_folder_is_executed(tmp_path: Path) -> None:
    """Commands that start other interpreters start them without the modules that lie around."""
    for module in MODULES:
        marker = tmp_path / f"executed-{module}"
        (tmp_path / f"{module}.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    (tmp_path / "a.replay.jsonl").write_bytes(honest())
    (tmp_path / "b.replay.jsonl").write_bytes(spoilt(lambda records: first_tick(records).update(plans=1)))
    command = Path(sys.executable).with_name("tickweave")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for words in (
        ("verify", "a.replay.jsonl", "--jobs", "2"),
        ("verify", "b.replay.jsonl"),
        ("doctor", "segregation", "--ticks", "2", "--check", "hash seed", "--check", "surroundings"),
        ("run", "segregation", "--ticks", "2", "-q"),
    ):
        done = subprocess.run(
            [command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 1), done.stderr
    assert not list(tmp_path.glob("executed-*"))


def bomb(kind: str, size: int) -> bytes:
    """Return a packed recording with one long record of a kind."""
    records = taken_apart(honest())
    lines = put_together([*records[:1], (kind, {"x": "a" * size}), *records[1:]])
    sink = io.BytesIO()
    pack(io.BytesIO(lines), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("replay", "reason"),
    [
        pytest.param(
            lambda: spoilt(
                lambda records: first_tick(records).update(planned={f"x{n}": "0-3999999" for n in range(10)})
            ),
            "stand for 40000000 agents; at most",
            id="ranges",
        ),
        pytest.param(lambda: bomb("X", 60_000_000), "would unpack to", id="ratio"),
        pytest.param(
            lambda: put_together([taken_apart(honest())[0], ("X", {"x": "a" * 17_000_000})]),
            "of the unknown kind 'X'",
            id="unknown",
        ),
        pytest.param(
            lambda: spoilt(lambda records: first_tick(records).update(shards=[{} for _ in range(600_000)])),
            "lists and objects; at most",
            id="values",
        ),
    ],
)
def test_sums_are_bounded_and_the_sentence_has_the_figure(
    replay: Callable[[], bytes], reason: str, tmp_path: Path
) -> None:
    """Short files that stand for much are refused before it is made, within seconds, and never match."""
    path = tmp_path / "a.replay.jsonl"
    path.write_bytes(replay())
    begun = time.monotonic()
    verdict = verify(path)
    assert time.monotonic() - begun < SECONDS_MAX
    assert verdict.verdict == "inconclusive"
    assert reason in verdict.reason


def test_records_of_unknown_kinds_are_never_a_plain_match() -> None:
    """They are passed over and counted: a newer version may know what they change."""
    records = taken_apart(honest())
    verdict = verify(put_together([*records[:2], ("X", {"a": 1}), *records[2:]]))
    assert (verdict.verdict, verdict.ticks) == ("inconclusive", 6)
    assert "1 records of kinds that are not known here" in verdict.reason
