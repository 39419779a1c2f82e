"""Replays of released formats: whatever was released once is still verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.replay import read, rerecord, verify

FOLDER = Path(__file__).parents[2] / "replays" / "released"
REPLAYS = sorted(FOLDER.glob("*.replay.jsonl"))


def test_each_release_left_a_replay() -> None:
    """The folder cannot empty itself unnoticed."""
    assert [path.name for path in REPLAYS] == ["0.1.replay.jsonl"]


@pytest.mark.parametrize("path", REPLAYS, ids=lambda path: path.name)
def test_a_released_replay_still_matches(path: Path) -> None:
    """It holds model plans, inputs and keyframes, is never told to differ, and recorded again to the byte but `env`."""
    replay = read(path)
    assert replay.header is not None
    assert replay.header.llm is not None
    assert replay.header.keyframes
    assert any(tick.texts for tick in replay.ticks)
    assert any(tick.inputs for tick in replay.ticks)
    verdict = verify(path)
    # Keyframes of this release have another head, so nothing can be said of them.
    assert verdict.verdict in {"match", "inconclusive"}, verdict.reason
    again = read(rerecord(replay))
    assert again.ticks == replay.ticks
    assert again.end == replay.end
