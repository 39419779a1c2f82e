"""Golden replays: recorded once, executed again on every machine, and always the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.replay import read, verify

FOLDER = Path(__file__).parents[2] / "replays" / "golden"
REPLAYS = sorted(FOLDER.glob("*.replay.jsonl"))
COUNT_MIN = 2
"""Replays that must be there, so that the folder cannot empty itself unnoticed."""


def test_golden_replays_are_there() -> None:
    """The folder holds at least the replays that it held when this was written."""
    assert len(REPLAYS) >= COUNT_MIN


@pytest.mark.parametrize("path", REPLAYS, ids=lambda path: path.name)
def test_golden_replay_matches(path: Path) -> None:
    """Executing a golden replay again gives every tick as it was recorded."""
    verdict = verify(path)
    assert verdict.verdict == "match", verdict.reason


@pytest.mark.parametrize("path", REPLAYS, ids=lambda path: path.name)
def test_golden_replay_names_every_value(path: Path) -> None:
    """Golden replays are portable and of full detail, so that a difference can be named to the value."""
    header = read(path).header
    assert header is not None
    assert (header.domain, header.detail) == ("portable", "full")
