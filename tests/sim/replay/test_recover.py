"""Killed runs: what is whole is kept, and taken up again as if nothing had happened.

One kill is left out: before the newline of the end record. Nothing but that byte is missing then, and the format calls
it corrupt; `recover` mends it as it mends other damage.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.scripted import ScriptedClient
from scenarios.tactics.testing.flat import INPUTS_OF_TACTICS
from sim.errors import ReplayError
from sim.replay import Verdict, read, rerecord, scan, verify
from sim.replay.format import END, EndReason
from sim.replay.record import Totals
from sim.replay.recover import recover, resume
from sim.replay.writer import ReplayWriter
from sim.replay.zst import pack
from tests.sim.replay.recordings import SCRIPT, TICKS, framed, model, record, rules, scenario
from tests.support.recording import rechain


def recovered(replay: bytes) -> bytes:
    sink = io.BytesIO()
    recover(replay, sink)
    return sink.getvalue()


def resumed(path: Path, client: ScriptedClient | None = None) -> bytes:
    """Take up the run of a replay that `recordings.record` made, with the inputs that it had."""
    with resume(path, client=client) as (simulation, recorder, _):
        while simulation.world.tick < recorder.ticks and simulation.outcome is None:
            if simulation.world.tick == 3:
                simulation.inject(INPUTS_OF_TACTICS.read({"kind": "move", "agent": 99, "x": 1, "y": 1}))
                simulation.inject(INPUTS_OF_TACTICS.read({"kind": "move", "agent": 1, "x": 2, "y": 4}))
            recorder.tick(simulation.tick())
        recorder.end()
    return path.read_bytes()


def killed_at(replay: bytes, offset: int, judge: Callable[[bytes], Verdict] = verify) -> None:
    """Check all that is promised of a replay whose writer was killed at a byte; `judge` verifies what is recovered."""
    torn = replay[:offset]
    found = scan(torn)
    assert found.status == "incomplete"
    assert verify(torn).verdict == "inconclusive"
    assert found.place.offset == torn.rfind(b"\n") + 1
    assert found.ticks == read(replay).ticks[: found.place.ticks]
    if found.header is None:
        with pytest.raises(ReplayError, match="nothing to recover"):
            recovered(torn)
        return
    whole = recovered(torn)
    assert whole.startswith(torn[: found.place.offset])
    again = read(whole)
    assert again.end is not None
    assert (again.ticks, again.end.reason) == (found.ticks, "recovered")
    assert judge(whole).verdict == "match"


@given(st.data())
@settings(max_examples=12)
def test_killed_writer_leaves_what_can_be_recovered(data: st.DataObject) -> None:
    """Cut at any byte, a replay is never a match; its whole lines recover to a replay that is, and says so."""
    replay = data.draw(st.sampled_from([rules(), framed()]))
    killed_at(replay, data.draw(st.integers(0, len(replay) - 2)))


@cache
def small(*, asked: bool) -> bytes:
    """Return a short recording with keyframes, of a model or of rules, for what is tried at every byte."""
    return record(scenario(), client=ScriptedClient(SCRIPT) if asked else None, keyframes=2, ticks=4)


PARTS = 8
"""Into how many tests the bytes of a file are dealt, so that several processes share them."""


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(PARTS))
def test_every_killed_writer_leaves_what_can_be_recovered(part: int) -> None:
    """The same at every byte of a small file; kills within one line leave the same to recover, verified once."""
    judge = cache(verify)
    for offset in range(part, len(small(asked=True)) - 1, PARTS):
        killed_at(small(asked=True), offset, judge)


def test_recovered_replays_are_recorded_again_to_the_byte() -> None:
    """Also where the keyframe of the last tick is missing."""
    lines = framed().splitlines(keepends=True)
    for count in range(1, len(lines)):
        whole = recovered(b"".join(lines[:count]))
        assert rerecord(read(whole)) == whole


def test_recovering_tells_how_far_it_is() -> None:
    """Of a long file every whole tick is told, and how many the run was planned for."""
    told: list[tuple[int, int]] = []
    assert recover(rules()[:-300], io.BytesIO(), lambda done, of: told.append((done, of))) == len(told)
    assert told == [(tick + 1, TICKS) for tick in range(len(told))]


def test_damage_ends_what_is_recovered() -> None:
    """Of a corrupt replay the lines before the damage are kept; a whole or foreign one is refused."""
    lines = framed().splitlines(keepends=True)
    damaged = b"".join([*lines[:7], lines[7].replace(b'"t":', b'"t":1'), *lines[8:]])
    assert read(recovered(damaged)).ticks == read(framed()).ticks[:5]
    for replay, reason in (
        (framed(), "nothing to recover"),
        (b"", "nothing to recover"),
        (framed().replace(b"tickweave/2", b"tickweave/3", 1), "nothing to recover|not known"),
        (framed() + b"more\n", "end record"),
    ):
        with pytest.raises(ReplayError, match=reason):
            recovered(replay)


def resumed_at(replay: bytes, offset: int, path: Path) -> None:
    path.write_bytes(replay[:offset])
    assert resumed(path) == replay


@given(data=st.data())
@settings(max_examples=12)
def test_resumed_run_equals_an_uninterrupted_one(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Killed anywhere behind its header, a run that rules plan goes on to the same bytes."""
    replay = data.draw(st.sampled_from([rules(), rules("full"), record(scenario(), keyframes=4)]))
    offset = data.draw(st.integers(replay.index(b"\n") + 1, len(replay) - 2))
    resumed_at(replay, offset, tmp_path_factory.mktemp("resume") / "a.replay.jsonl")


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(PARTS))
def test_run_resumed_at_every_byte_equals_an_uninterrupted_one(tmp_path: Path, part: int) -> None:
    """The same at every byte of a small file."""
    replay = small(asked=False)
    for offset in range(replay.index(b"\n") + 1 + part, len(replay) - 1, PARTS):
        resumed_at(replay, offset, tmp_path / "a.replay.jsonl")


def test_resumed_run_needs_its_model(tmp_path: Path) -> None:
    """A run with a model goes on with a model of the same label, and no other."""
    path = tmp_path / "a.replay.jsonl"
    path.write_bytes(model()[:-300])
    with pytest.raises(ReplayError, match="not with no model"):
        resumed(path)
    assert path.read_bytes() == model()[:-300]
    resumed(path, ScriptedClient(SCRIPT))
    assert verify(path).verdict == "match"
    assert verify(path).ticks == TICKS


@pytest.mark.parametrize("reason", ["interrupted", "failed", "recovered"])
@pytest.mark.parametrize("keyframes", [0, 2, 5])
def test_runs_that_ended_early_are_resumed(tmp_path: Path, reason: EndReason, keyframes: int) -> None:
    """Interrupted, failed or recovered, a recording goes on to the bytes of an uninterrupted one."""
    replay = record(scenario(), keyframes=keyframes)
    lines = replay.splitlines(keepends=True)
    begin = b"".join(lines[:6])
    if reason != "recovered" and scan(begin).place.due:
        begin += lines[6]
    found, totals, sink = scan(begin), Totals(), io.BytesIO(begin)
    sink.seek(0, io.SEEK_END)
    for tick in found.ticks:
        totals.add(tick)
    ReplayWriter(sink, chain=found.place.chain).write(END, totals.end(TICKS, reason))
    path = tmp_path / "a.replay.jsonl"
    path.write_bytes(sink.getvalue())
    assert read(path).end is not None
    assert resumed(path) == replay


def test_a_recording_without_its_last_newline_is_resumed(tmp_path: Path) -> None:
    """A full disk can leave all but one byte: the end record is written again."""
    resumed_at(rules(), len(rules()) - 1, tmp_path / "a.replay.jsonl")


def test_only_runs_that_ended_early_are_resumed(tmp_path: Path) -> None:
    """Whole, corrupt, foreign, packed and empty files are refused with one sentence and stay as they are."""
    packed = io.BytesIO()
    pack(io.BytesIO(rules()), packed)
    path = tmp_path / "a.replay.jsonl"
    other_format = rules().replace(b"tickweave/2", b"tickweave/3", 1)
    for replay, reason in (
        (rules(), "the run has ended"),
        (rules().replace(b'"t":5', b'"t":6', 1)[:-50], "recover"),
        (b"".join(rechain(other_format.splitlines(keepends=True)))[:-50], "format"),
        (packed.getvalue(), "unpack"),
        (b"", "nothing to resume"),
    ):
        path.write_bytes(replay)
        with pytest.raises(ReplayError, match=reason):
            resumed(path)
        assert path.read_bytes() == replay
