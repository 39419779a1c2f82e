"""Recordings of the frozen format: those of a domain frozen with them match for ever, all others stay readable."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from sim.replay import read, rerecord, verify
from sim.replay.format import FORMAT, Tick
from sim.replay.replay_file import open_replay_file

FOLDER = Path(__file__).parent
DOMAIN = FOLDER / "orchard.py"
REPLAYS = sorted([*FOLDER.glob("*.replay.jsonl"), *FOLDER.glob("*.replay.jsonl.zst")])
SHIPPED = sorted((FOLDER / "shipped").glob("*.replay.jsonl"))
SUMS = dict(reversed(line.split("  ")) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())


def of(path: Path) -> str:
    """Return what a test of a file is called."""
    return path.name


def test_no_frozen_file_changes() -> None:
    """Each file has the hash that it had when the format was frozen, and none was added or taken away."""
    files = [path for path in FOLDER.rglob("*") if path.suffix in (".jsonl", ".zst", ".csv", ".toml")]
    found = {str(path.relative_to(FOLDER)): hashlib.sha256(path.read_bytes()).hexdigest() for path in [DOMAIN, *files]}
    assert found == SUMS


@pytest.mark.parametrize("path", REPLAYS, ids=of)
def test_a_frozen_replay_matches_for_ever(path: Path) -> None:
    """It matches, in one process and in two, and is recorded again to the same ticks."""
    for jobs in (1, 2):
        verdict = verify(path, plugin_files=[DOMAIN], jobs=jobs)
        assert verdict.verdict == "match", verdict.reason
    replay = read(path)
    again = read(rerecord(replay, [DOMAIN]))
    assert again.header is not None
    assert replay.header is not None
    assert again.header.model_copy(update={"env": replay.header.env}) == replay.header
    assert again.ticks == replay.ticks
    assert again.end == replay.end


@pytest.mark.parametrize("path", REPLAYS, ids=of)
def test_a_frozen_replay_is_entered_at_every_tick(path: Path) -> None:
    """Keyframes of old recordings are read, also where a search has to find them."""
    with open_replay_file(path, [DOMAIN]) as file:
        for tick in range(file.ticks + 1):
            with file.at(tick) as playback:
                assert playback.simulation.world.tick == tick


@pytest.mark.parametrize("path", SHIPPED, ids=of)
def test_a_released_replay_of_a_shipped_domain_stays_readable(path: Path) -> None:
    """It matches, or one sentence names the declaration that has changed since; it never counts as different.

    Where this fails, a domain comes to other results with the same declarations: raise its `version`.
    """
    verdict = verify(path)
    assert verdict.verdict != "diverged", verdict.reason
    assert verdict.verdict == "match" or "declared otherwise" in verdict.reason, verdict.reason
    assert len(read(path).ticks) > 1


def test_the_frozen_replays_hold_every_sort_of_record() -> None:
    """Nothing of the format is left out of what is frozen."""
    replays = [read(path) for path in REPLAYS]
    headers: list[Any] = [replay.header for replay in replays]
    ticks = [tick for replay in replays for tick in replay.ticks]
    ends: list[Any] = [replay.end for replay in replays]
    assert {header.format for header in headers} == {FORMAT} == {"tickweave/2"}
    assert {header.detail for header in headers} == {"hash", "full"}
    assert {end.reason for end in ends} == {"decided", "limit", "interrupted", "failed", "recovered"}
    for name in ("files", "keyframes", "llm", "models", "parent", "amendments", "outside", "prompt_version"):
        assert any(getattr(header, name) for header in headers), name
    missing = {name for name in Tick.model_fields if not any(getattr(tick, name) for tick in ticks)}
    assert missing == set()
    declared = headers[0].declarations
    kinds = {column["kind"] for part in declared["world"]["components"] for column in part.get("columns", ())}
    assert kinds == {"number", "fixed", "enum", "text", "texts"}
    fates = {fate for tick in ticks for each in tick.arrived for fate in each.fates}
    assert fates >= {"started", "stored", "failed"}
