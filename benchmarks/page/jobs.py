"""What `--jobs 2` gives, by the clock, beside what two independent processes of pure Python give at the same moment."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from children import TICKWEAVE, USERS, spent

VERSUS = [*TICKWEAVE, "versus", "skirmish", "--a", "heuristic", "--b", "goap", "--seeds"]
LOOP = [sys.executable, "-c", "total = 0\nfor i in range(40_000_000): total += i"]
CASES = (("long", "0:30", 5, 1.7), ("short", "0:2", 11, 1.0))
"""Runs of a comparison, turns and goal: some 14 seconds of work, where processes pay, and two, where they do not."""


def control() -> float:
    """Return how much sooner two processes do twice the work of one, at this moment: 2 on two cores that are free."""
    took = []
    for count in (1, 2):
        begun = time.perf_counter()
        children = [subprocess.Popen(LOOP, env=USERS) for _ in range(count)]
        for child in children:
            child.wait()
        took.append(time.perf_counter() - begun)
    return 2 * took[0] / took[1]


def jobs(folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    rows = []
    for name, seeds, turns, goal in CASES[quick:]:
        ratios, controls, serial = [], [], []
        for turn in range(1 if quick else turns):
            controls.append(control())
            order = ("1", "2") if turn % 2 else ("2", "1")
            took = {jobs: spent([*VERSUS, seeds, "--jobs", jobs], folder)[0] for jobs in order}
            serial.append(took["1"])
            ratios.append(took["1"] / took["2"])
        rows.append(
            {
                "case": name,
                "serial_s": statistics.median(serial),
                "speed_up": statistics.median(ratios),
                "control": statistics.median(controls),
                "goal": goal,
            }
        )
    return rows
