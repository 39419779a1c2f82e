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
CASES = (("long", "0:30", 1.7), ("short", "0:2", 1.0))
"""Runs of a comparison: some 15 seconds of work, where processes pay, and one second, where they do not."""


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
    for name, seeds, goal in CASES[quick:]:
        ratios, controls, serial = [], [], []
        for _ in range(1 if quick else 3):
            controls.append(control())
            one = spent([*VERSUS, seeds, "--jobs", "1"], folder)[0]
            two = spent([*VERSUS, seeds, "--jobs", "2"], folder)[0]
            serial.append(one)
            ratios.append(one / two)
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
