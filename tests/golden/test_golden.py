"""Golden replays: recorded once, executed again on every machine, and always the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.tactics.actions import default_registry
from sim.replay import read, verify
from sim.run.scenario_file import available
from tests.golden.kinds import kinds_done

FOLDER = Path(__file__).parents[2] / "replays" / "golden"
REPLAYS = sorted(FOLDER.glob("*.replay.jsonl"))
COUNT_MIN = 10
"""Replays that must be there, so that the folder cannot empty itself unnoticed."""


def test_golden_replays_are_there() -> None:
    """The folder holds at least the replays that it held when this was written."""
    assert len(REPLAYS) >= COUNT_MIN


def test_every_shipped_scenario_has_a_golden_replay() -> None:
    """Whoever adds a scenario records a replay of it: `make golden`."""
    recorded = {header.scenario["name"] for header in (read(path).header for path in REPLAYS) if header}
    assert {name for name, _ in available()} <= recorded


def test_every_kind_is_done_in_a_golden_replay() -> None:
    """A verb of the game whose effect changes is noticed by a golden replay: in some, a step of it came to its end."""
    game = [
        replay for path in REPLAYS if (replay := read(path)).header and replay.header.scenario["domain"] == "tactics"
    ]
    assert set().union(*map(kinds_done, game)) == {spec.name for spec in default_registry().specs}


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
    assert (header.determinism, header.detail) == ("portable", "full")
