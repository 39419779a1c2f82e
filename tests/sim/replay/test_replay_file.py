"""Entering a replay in the middle: the same state, wherever one comes from."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.foraging.domain import Foraging
from sim.errors import Corrupt, Diverged, ReplayError, WorkerError
from sim.replay import read, verify
from sim.replay.format import canonical
from sim.replay.replay_file import open_replay_file
from sim.replay.segments import segments
from sim.replay.zst import pack
from tests.sim.replay.recordings import TICKS, framed, model, record, rules, scenario
from tests.support.recording import rechain, recorded


def packed(replay: bytes) -> bytes:
    sink = io.BytesIO()
    pack(io.BytesIO(replay), sink)
    return sink.getvalue()


SOURCES = {"plain": framed, "no keyframes": model, "packed": lambda: packed(framed()), "full": lambda: framed("full")}


@pytest.mark.parametrize("source", SOURCES)
def test_every_tick_is_entered(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state before each tick is the one that running from the beginning gives, and the tick's record is its own."""
    monkeypatch.setattr("sim.replay.replay_file.NEAR_BYTES", 100)
    replay = SOURCES[source]()
    ticks = read(replay).ticks
    with open_replay_file(replay) as file:
        assert file.ticks == TICKS
        for tick in range(TICKS):
            assert file.tick(tick) == ticks[tick]
            with file.at(tick) as playback:
                assert playback.tick(ticks[tick]) == ticks[tick]
        with file.at(TICKS) as playback:
            assert playback.simulation.world.tick == TICKS


@given(st.data())
def test_torn_replays_are_entered_up_to_their_last_whole_tick(data: st.DataObject) -> None:
    """A killed run's replay has the ticks that were written whole, and no other."""
    whole = framed()
    cut = data.draw(st.integers(whole.index(b"\n") + 1, len(whole)))
    with open_replay_file(whole[:cut]) as file:
        kept = whole[:cut].splitlines(keepends=True)
        assert file.ticks == sum(b'"k":"T"' in line[:60] and line.endswith(b"\n") for line in kept)
        for tick in (-1, file.ticks):
            with pytest.raises(ReplayError, match="there is no tick"):
                file.tick(tick)


def test_long_replays_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a replay is, the tick that was asked for is found."""
    monkeypatch.setattr("sim.replay.replay_file.NEAR_BYTES", 2000)
    replay = record(scenario(ticks=60, ends="never"), ticks=60, keyframes=20)
    with open_replay_file(replay) as file:
        for tick in (0, 19, 20, 21, 45, 59):
            assert file.tick(tick).t == tick
            with file.at(tick) as playback:
                assert playback.tick(file.tick(tick)) == file.tick(tick)


def altered(line: int, change: Any, replay: bytes) -> bytes:
    lines = replay.splitlines(keepends=True)
    body = json.loads(lines[line])["v"]
    change(body)
    lines[line] = lines[line][: lines[line].index(b'"v":') + 4] + canonical(body) + b"}\n"
    return b"".join(rechain(lines))


def test_a_run_that_is_another_is_not_entered() -> None:
    """Ticks that run otherwise than recorded, or a keyframe of another state, are errors and not another past."""
    wrong = altered(7, lambda body: body.update(root="0" * 16), framed())
    with open_replay_file(wrong) as file, pytest.raises(Diverged, match="tick 5"):
        file.at(6)
    wrong = altered(4, lambda body: body.update(root="0" * 16), framed())
    with open_replay_file(wrong) as file, pytest.raises(Corrupt, match="keyframe of tick 3"):
        file.at(4)


# -- verifying side by side --------------------------------------------------------------------------------------------


def test_segments_begin_with_keyframes() -> None:
    """Segments lie end to end, each but the first enters at a keyframe."""
    parts = segments(io.BytesIO(framed()), 2)
    assert len(parts) == 4
    assert parts[0].begin is None
    assert parts[-1].stop is None
    assert [part.begin.ticks for part in parts if part.begin] == [3, 7, 11]
    assert len(segments(io.BytesIO(rules()), 8)) == 1
    assert len(segments(io.BytesIO(b"noise\n"), 8)) == 1


def damaged() -> dict[str, bytes]:
    """Return replays that differ in every way, by name."""
    lines = framed().splitlines(keepends=True)
    return {
        "whole": framed(),
        "torn": framed()[:-9],
        "cut": b"".join(lines[:9]),
        "flipped": framed().replace(b'"agents":6', b'"agents":7', 1),
        "broken late": b"".join([*lines[:13], lines[13].replace(b'"t":10', b'"t":11'), *lines[14:]]),
        "root": altered(13, lambda body: body.update(root="0" * 16), framed()),
        "two roots": altered(
            13, lambda body: body.update(root="0" * 16), altered(8, lambda body: body.update(root="1" * 16), framed())
        ),
        "keyframe": altered(10, lambda body: body.update(state="AAAA"), framed()),
        "end": altered(16, lambda body: body["plans"].update(heuristic=1), framed()),
        "foreign": altered(0, lambda body: body.update(tiers=["heuristic", "emergency"]), framed()),
        "packed": packed(framed()),
    }


def test_segments_come_to_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong, verdict, ticks, first difference and sentence of all segments are those of the whole."""
    module = importlib.import_module("sim.replay.verify")  # its name in the package is that of the function
    monkeypatch.setattr(module, "parallel_map", lambda work, parts, jobs: (work(part) for part in parts))
    for name, replay in damaged().items():
        assert verify(replay, jobs=2) == verify(replay), name


def test_draws_of_the_start_do_not_count_for_a_tick_that_is_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain that draws in its setup is verified from a keyframe as from the beginning."""
    module = importlib.import_module("sim.replay.verify")
    monkeypatch.setattr(module, "parallel_map", lambda work, parts, jobs: (work(part) for part in parts))
    assert verify(recorded(Foraging(), seed=1, ticks=12), jobs=2).verdict == "match"


@pytest.mark.usefixtures("processes_pay")
def test_several_processes_come_to_the_same_verdict(tmp_path: Path) -> None:
    """The segments are proven in processes of their own, and progress is told."""
    path = tmp_path / "two roots.replay.jsonl"
    path.write_bytes(damaged()["two roots"])
    told: list[tuple[int, int]] = []
    assert verify(path, jobs=2, progress=lambda done, of: told.append((done, of))) == verify(path)
    assert told == [(done, TICKS) for done in range(1, 5)]


def test_a_process_that_is_gone_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is not proven and nothing differs: the verdict says so, with what to do."""

    def lost(*_: object) -> Iterator[object]:
        raise WorkerError("a process ended")
        yield

    monkeypatch.setattr(importlib.import_module("sim.replay.verify"), "parallel_map", lost)
    verdict = verify(framed(), jobs=2)
    assert (verdict.verdict, verdict.ticks, verdict.reason) == ("inconclusive", 4, "a process ended")
