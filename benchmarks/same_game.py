"""Shows that the game did not change: compares the state after each tick of every golden run in two checkouts.

    python benchmarks/same_game.py ../first-edition .

Each checkout plays its own golden replays with its own code and its own environment (`.venv`, if it has one) and prints
a digest of every column, mask and resource after each tick. The names of the first edition are translated by `NAMES`
and `RUNS`. Values are compared as integers, so a column may change its width; texts and payloads are compared by their
bytes. The exit code is 1 at the first difference, which is printed with its run, tick and column.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

NAMES: Final = {"Progress.threats": "Progress.alert"}
"""Columns and resources by their old names, with the new names."""
RUNS: Final = {"foraging": "gathering"}
"""Golden replays by their old names, with the new names."""
FIRST: Final = (
    "ambush", "crowd", "drill", "extraction", "foraging", "infiltration", "siege", "skirmish-rules",
    "skirmish-scripted", "stress-10k",
)  # fmt: skip
"""The golden replays of the first edition."""

PLAY: Final = """
import hashlib, json, sys
import numpy as np
from sim.replay import read
from sim.replay.playback import Playback

def digest(array):
    array = np.ascontiguousarray(array, dtype=np.int64)
    return hashlib.sha256(array.tobytes() + str(array.shape).encode()).hexdigest()[:16]

replay = read(sys.argv[1])
with Playback(replay.header) as playback:
    for record in replay.ticks:
        playback.tick(record)
        state = playback.simulation.snapshot()
        seen = {"keys": digest(state.keys)}
        seen |= {name: digest(values) for name, values in state.columns.items()}
        seen |= {f"{name} (mask)": digest(values) for name, values in state.masks.items()}
        for resource, columns in state.resources.items():
            seen |= {f"{resource}.{name}": digest(values) for name, values in columns.items()}
        print(json.dumps(seen), flush=True)
"""
"""Prints one line of digests for each tick of the golden replay named by its argument; both editions run it."""


def states(checkout: Path, run: str) -> Iterator[dict[str, Any]]:
    """Yield the digests after each tick of a golden run, by column.

    Raises:
        SystemExit: the checkout cannot play the run.
    """
    python = checkout / ".venv" / "bin" / "python"
    replay = checkout / "replays" / "golden" / f"{run}.replay.jsonl"
    command = [str(python if python.exists() else sys.executable), "-c", PLAY, str(replay)]
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            yield json.loads(line)
    if child.returncode:
        sys.exit(f"{checkout} cannot play the golden run {run}")


def main(old: Path, new: Path) -> int:
    """Compare all golden runs; return 1 at the first difference."""
    compared = ticks = 0
    for run in FIRST:
        pairs = zip(states(old, run), states(new, RUNS.get(run, run)), strict=True)
        for tick, (before, after) in enumerate(pairs, start=1):
            expected = {NAMES.get(name, name): value for name, value in before.items()}
            differ = sorted(name for name in expected.keys() | after.keys() if expected.get(name) != after.get(name))
            if differ:
                print(f"{run}: after tick {tick}, {len(differ)} columns differ: {', '.join(differ[:8])}")
                return 1
            compared += len(expected)
            ticks += 1
    print(f"EQUAL: {len(FIRST)} golden runs, {ticks} ticks, {compared} columns compared")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} OLD_CHECKOUT NEW_CHECKOUT")
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
