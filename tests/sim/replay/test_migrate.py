"""Replays of older formats become replays of the present one, and nothing is lost on the way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sim.cli import invoke
from sim.errors import Corrupt, ReplayError, Unsupported
from sim.replay.format import HEADER, TICK, canonical, decode_body, encode_line, split_line
from sim.replay.migrate import migrate
from sim.replay.playback import Playback
from sim.replay.reader import read, scan
from sim.replay.verify import verify
from tests.sim.replay.recordings import model, rules

FROZEN = Path(__file__).parents[2] / "fixtures" / "tickweave-0.replay.jsonl"
"""Three ticks as they were written before any release, by hand ended after the third."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a copy of the frozen replay."""
    return Path(shutil.copy(FROZEN, tmp_path / "old.replay.jsonl"))


def as_it_was(replay: bytes, folder: Path) -> Path:
    """Write a replay of today in the first form: with long hashes, by component and by column."""
    found = read(replay)
    assert found.header is not None
    chain, lines = "", []
    records = [split_line(line) for line in replay.splitlines(keepends=True)]
    ticks = iter(found.ticks)
    with Playback(found.header) as playback:
        for parts in records:
            body: dict[str, Any] = decode_body(parts.body)
            if parts.kind == TICK:
                playback.tick(next(ticks))
                assert playback.report is not None
                digest = playback.report.digest
                body |= {"state": dict(digest.components), "columns": "".join(digest.columns.values())}
            elif parts.kind == HEADER:
                body.pop("keyframes", None)
            line, chain = encode_line(chain, parts.kind, canonical(body))
            lines.append(line)
    path = folder / "was.replay.jsonl"
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("make", [rules, model])
def test_what_was_written_in_the_first_form_becomes_what_is_written_today(make: Any, tmp_path: Path) -> None:
    """Migrating gives, to the byte, the replay that would be written now, and it matches."""
    path = as_it_was(make(), tmp_path)
    assert verify(path).verdict == "inconclusive"
    assert migrate(path) == "tickweave/0"
    assert path.read_bytes() == make()


def test_the_frozen_replay_of_the_first_form_is_read(old: Path) -> None:
    """A file as it was once written is whole after migrating, with the roots it had."""
    before = FROZEN.read_bytes()
    roots = [decode_body(split_line(line).body)["root"] for line in before.splitlines(keepends=True)[1:4]]
    assert scan(old).status == "corrupt"
    assert migrate(old) == "tickweave/0"
    assert [tick.root for tick in read(old).ticks] == roots
    assert old.with_name("old.replay.jsonl.bak").read_bytes() == before


def test_a_backup_is_never_overwritten(old: Path) -> None:
    """Where a backup stands already, nothing is touched."""
    backup = old.with_name("old.replay.jsonl.bak")
    backup.write_text("precious")
    with pytest.raises(ReplayError, match="is there already"):
        migrate(old)
    assert backup.read_text() == "precious"
    assert old.read_bytes() == FROZEN.read_bytes()


def test_a_present_replay_is_left_alone(tmp_path: Path) -> None:
    """What is of the present format stays as it is, without a backup."""
    path = tmp_path / "now.replay.jsonl"
    path.write_bytes(rules())
    assert migrate(path) is None
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == rules()
    assert invoke(["migrate", str(path)]) == 0


@pytest.mark.parametrize("change", [{"format": "tickweave/9"}, {"minor": 7}])
def test_unknown_and_newer_formats_are_refused_in_one_sentence(
    change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A format that is not known here is told, with exit code 2, and the file is left alone."""
    chain, lines = "", []
    for whole in rules().splitlines(keepends=True):
        parts = split_line(whole)
        body = decode_body(parts.body) | (change if parts.kind == HEADER else {})
        line, chain = encode_line(chain, parts.kind, canonical(body))
        lines.append(line)
    path = tmp_path / "new.replay.jsonl"
    path.write_bytes(b"".join(lines))
    with pytest.raises(Unsupported):
        migrate(path)
    assert invoke(["migrate", str(path)]) == 2
    assert capsys.readouterr().out.count("\n") == 1
    assert path.read_bytes() == b"".join(lines)
    assert verify(path).exit_code == 2


def test_damaged_old_files_are_refused_and_left_alone(old: Path) -> None:
    """A changed byte, or records that are not those of the old format, end in one sentence and an untouched file."""
    whole = old.read_bytes()
    old.write_bytes(whole.replace(b'"agents":20', b'"agents":21', 1))
    with pytest.raises(Corrupt, match="line 2"):
        migrate(old)
    header, *_ = whole.splitlines(keepends=True)
    strange, _ = encode_line(split_line(header).chain, TICK, canonical({"t": 0, "state": {}}))
    old.write_bytes(header + strange)
    with pytest.raises(Corrupt, match="is not what format"):
        migrate(old)
    assert old.read_bytes() == header + strange
