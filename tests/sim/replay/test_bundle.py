"""A bundle says what a stranger needs to find a difference, and nothing about who made it."""

from __future__ import annotations

import difflib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sim.cli import invoke
from sim.errors import ReplayError
from sim.replay import diagnosis
from sim.replay.bundle import bundle
from sim.replay.verify import verify
from tests.sim.replay.recordings import rules
from tests.sim.replay.test_diagnosis import altered, recorded, steady


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the other processes, which take long to start."""
    monkeypatch.setattr(diagnosis, "PROCESSES", ())


def bundled(replay: bytes, **options: Any) -> tuple[bytes, dict[str, bytes]]:
    """Return a bundle and the files in it."""
    sink = io.BytesIO()
    bundle(replay, sink, **options)
    with zipfile.ZipFile(sink) as archive:
        return sink.getvalue(), {name: archive.read(name) for name in archive.namelist()}


def test_the_replay_in_a_bundle_shows_the_same_difference(tmp_path: Path) -> None:
    """A stranger who verifies what is in the bundle finds the first difference again."""
    before, now = steady(tmp_path / "before", 1), steady(tmp_path / "now", 5)
    replay = recorded(before, "full")
    _, files = bundled(replay, plugin_files=[now], with_plugins=True)
    code = tmp_path / "steady.py"
    code.write_bytes(files["plugins/steady.py"])
    again = verify(files["cut.replay.jsonl"], plugin_files=[code])
    assert again == verify(replay, plugin_files=[now])
    told = json.loads(files["verdict.json"])["first"]
    assert (told["tick"], told["component"], told["field"]) == (3, "Mood", "value")


def test_both_states_differ_in_the_lines_that_differ(tmp_path: Path) -> None:
    """The two dumps are made for `diff`: it shows each value that differs, and no other line."""
    before, now = steady(tmp_path / "before", 1), steady(tmp_path / "now", 5)
    _, files = bundled(recorded(before, "full"), plugin_files=[now])
    sides = [files[f"state/{name}.txt"].decode().splitlines() for name in ("recorded", "here")]
    shown = [
        line
        for line in difflib.unified_diff(*sides, n=0, lineterm="")
        if line[0] in "+-" and line[:3] not in ("---", "+++")
    ]
    assert sorted(shown) == sorted(
        [f"-Mood.value[{key}] = 4" for key in range(6)] + [f"+Mood.value[{key}] = 8" for key in range(6)]
    )


def test_a_keyframe_gives_the_recorded_state_where_there_are_only_hashes(tmp_path: Path) -> None:
    """At detail `hash` the recorded values are there if a keyframe belongs to the tick."""
    before, now = steady(tmp_path / "before", 1), steady(tmp_path / "now", 5)
    _, files = bundled(recorded(before, keyframes=4), plugin_files=[now])
    assert b"Mood.value[0] = 4\n" in files["state/recorded.txt"]
    assert "state/recorded.txt" not in bundled(recorded(before), plugin_files=[now])[1]


def test_bundles_have_the_same_bytes_and_name_nobody(tmp_path: Path) -> None:
    """Two bundles of one replay are equal, hold no path, and no source unless it is asked for."""
    before, now = steady(tmp_path / "before", 1), steady(tmp_path / "now", 5)
    replay = recorded(before)
    one, files = bundled(replay, plugin_files=[now])
    two, _ = bundled(replay, plugin_files=[now])
    assert one == two
    assert not any(str(tmp_path).encode() in content for content in files.values())
    assert not any(name.startswith("plugins/") for name in files)
    records = [name for name in files if name.startswith("ticks/recorded")]
    assert records == [f"ticks/recorded-{tick:08}.json" for tick in range(6)]


def test_a_matching_replay_has_nothing_to_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence says so, and no file appears."""
    with pytest.raises(ReplayError, match="nothing to bundle"):
        bundled(rules())
    path, out = tmp_path / "a.replay.jsonl", tmp_path / "a.zip"
    path.write_bytes(rules())
    assert invoke(["bundle", str(path), "--out", str(out)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()
    path.write_bytes(altered(rules(), 5, lambda body: body.update(root="0" * 16)))
    assert invoke(["bundle", str(path), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first"]["tick"] == 4
