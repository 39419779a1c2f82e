"""Replays of released formats: each is still verified by every later version.

No format is released yet: `tickweave/2-draft` may change at any time. The commit that freezes a format adds a
replay of it to `replays/released`, and from then on no replay is ever removed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.replay import read, rerecord, verify
from sim.replay.format import FORMAT

FOLDER = Path(__file__).parents[2] / "replays" / "released"
REPLAYS = sorted(FOLDER.glob("*")) if FOLDER.is_dir() else []


def test_a_frozen_format_and_no_other_left_a_replay() -> None:
    """The folder is empty as long as the format is a draft, and cannot be empty afterwards."""
    assert bool(REPLAYS) is not FORMAT.endswith("-draft")
    assert all(path.name.endswith(".replay.jsonl") for path in REPLAYS)


@pytest.mark.parametrize("path", REPLAYS, ids=lambda path: path.name)
def test_a_released_replay_still_matches(path: Path) -> None:
    """It holds model plans, inputs and keyframes, matches, and is recorded again to the byte but for `env`."""
    replay = read(path)
    assert replay.header is not None
    assert replay.header.llm is not None
    assert replay.header.keyframes
    assert any(tick.texts for tick in replay.ticks)
    assert any(tick.inputs for tick in replay.ticks)
    verdict = verify(path)
    assert verdict.verdict == "match", verdict.reason
    again = read(rerecord(replay))
    assert again.ticks == replay.ticks
    assert again.end == replay.end
