"""Forks: the parent's past, and a future that is the parent's own until something is changed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.scripted import ScriptedClient
from sim.errors import ReplayError, ScenarioError
from sim.replay import Replay, read, rerecord, verify
from sim.replay.fork import Changes, Patch, fork, load_patch
from sim.replay.format import canonical
from sim.replay.replay_file import open_replay_file
from tests.sim.replay.recordings import TICKS, framed, model, record, rules, scenario
from tests.support.recording import rechain

ORDER = {"tick": 7, "input": {"kind": "order", "squad": "two", "text": "scatter"}}


def forked(replay: bytes, at: int, ticks: int | None = None, **changes: Any) -> bytes:
    sink = io.BytesIO()
    with open_replay_file(replay) as file:
        for _ in fork(file, at, sink, ticks=ticks, changes=Changes(**changes)):
            pass
    return sink.getvalue()


def roots(replay: Replay) -> list[str]:
    return [tick.root for tick in replay.ticks]


@given(st.data())
@settings(max_examples=10)
def test_unchanged_fork_equals_its_parent(data: st.DataObject) -> None:
    """Wherever it begins, a fork without a change has its parent's ticks, plans and keyframes, and proves itself."""
    parent = data.draw(st.sampled_from([rules(), model(), framed(), framed("full")]))
    at = data.draw(st.integers(0, TICKS - 1))
    child = forked(parent, at)
    again = read(child)
    assert again.ticks == read(parent).ticks
    assert again.end == read(parent).end
    assert again.header is not None
    assert again.header.parent is not None
    assert (again.header.parent.tick, again.header.parent.run) == (at, again.header.run)
    assert again.header.parent.root == (roots(again)[at - 1] if at else None)
    assert verify(child).verdict == "match"
    assert rerecord(again) == child


@pytest.mark.parametrize(
    "changes",
    [
        {"tiers": ("heuristic", "emergency")},
        {"tiers": ("emergency",)},
        {"patch": Patch.model_validate({"inputs": [ORDER]})},
        {"patch": Patch.model_validate({"planning": {"per_tick_max": 1}})},
        {"client": ScriptedClient([{"agent": 0, "steps": [{"act": "Wait", "duration": 1}]}])},
    ],
    ids=["rules", "emergency", "input", "planning", "model"],
)
def test_changed_fork_shares_the_past_alone(changes: dict[str, Any]) -> None:
    """Ticks before the fork are the parent's, those after it are its own, and the file proves itself."""
    child = forked(framed(), 6, **changes)
    again = read(child)
    assert again.ticks[:6] == read(framed()).ticks[:6]
    assert len(again.ticks) == TICKS
    assert roots(again) != roots(read(framed()))
    assert verify(child).verdict == "match"
    assert verify(child).ticks == TICKS
    with open_replay_file(child) as file:
        for tick in (5, 6, 9):
            with file.at(tick) as playback:
                assert playback.tick(file.tick(tick)) == file.tick(tick)


def test_forks_are_forked() -> None:
    """A fork of a fork keeps the changes before it, or all of them if it changes nothing itself."""
    first = forked(framed(), 4, tiers=("heuristic", "emergency"))
    same = forked(first, 8)
    assert read(same).ticks == read(first).ticks
    assert verify(same).verdict == "match"
    other = forked(first, 3, tiers=("emergency",))
    header = read(other).header
    assert header is not None
    assert [amendment.tick for amendment in header.amendments] == [3]
    assert verify(other).verdict == "match"


def test_forks_go_on_beyond_their_parent() -> None:
    """With more ticks the run goes on as an uninterrupted one would have, draws and inputs to come included."""
    plan, end = scenario(ticks=TICKS + 6, ends="never"), TICKS + 6
    longer, at = read(record(plan, ticks=end)), 8
    assert any(tick.draws for tick in longer.ticks[at:])
    assert any(tick.inputs for tick in longer.ticks[at:])
    child = forked(record(plan, ticks=at), at, ticks=end)
    assert roots(read(child)) == roots(longer)
    assert verify(child).verdict == "match"


def test_amendments_cannot_be_taken_away() -> None:
    """What a fork plans with is part of its proof."""
    child = forked(framed(), 6, tiers=("emergency",))
    header = json.loads(child.splitlines()[0])["v"]
    assert header["amendments"][0]["planning"]["tiers"] == ["emergency"]
    assert verify(child).verdict == "match"
    lines = child.splitlines(keepends=True)
    del header["amendments"]
    lines[0] = lines[0][: lines[0].index(b'"v":') + 4] + canonical(header) + b"}\n"
    assert verify(b"".join(rechain(lines))).verdict == "diverged"


@pytest.mark.parametrize(
    ("at", "ticks", "changes", "reason"),
    [
        (TICKS + 1, None, {}, "cannot be forked"),
        (6, 6, {}, "none of its own"),
        (6, None, {"tiers": ("oracle",)}, "oracle"),
        (6, None, {"tiers": ()}, "tiers"),
        (8, None, {"patch": Patch.model_validate({"inputs": [ORDER]})}, "before the fork"),
        (6, None, {"patch": Patch.model_validate({"planning": {"pace": 1}})}, "pace"),
    ],
)
def test_impossible_forks_are_refused(at: int, ticks: int | None, changes: dict[str, Any], reason: str) -> None:
    """A fork outside of the run, without ticks, or with changes that do not fit is refused in a sentence."""
    with pytest.raises((ReplayError, ScenarioError), match=reason):
        forked(framed(), at, ticks, **changes)


def test_decided_runs_are_not_forked_behind_their_end() -> None:
    """Nothing follows an outcome."""
    gone = [{"tick": 2, "input": {"kind": "remove", "agent": key}} for key in (3, 4, 5)]
    decided = record(scenario(inputs=gone))
    assert len(read(decided).ticks) < TICKS
    with pytest.raises(ReplayError, match="decided"):
        forked(decided, len(read(decided).ticks), TICKS)


def test_patches_are_read_from_toml_and_json(tmp_path: Path) -> None:
    """Both forms say the same; whatever is wrong is one sentence that names file and key."""
    (tmp_path / "a.toml").write_text(
        '[[inputs]]\ntick = 7\ninput = {kind = "order", squad = "two", text = "scatter"}\n[planning]\nttl_s = 3\n'
    )
    (tmp_path / "a.json").write_text(json.dumps({"inputs": [ORDER], "planning": {"ttl_s": 3}}))
    assert load_patch(tmp_path / "a.toml") == load_patch(tmp_path / "a.json")
    for text in ("[", "[map]\nrows = []", "inputs = 3", "planning = " + "[" * 50_000):
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(ScenarioError, match=r"bad\.toml"):
            load_patch(tmp_path / "bad.toml")
