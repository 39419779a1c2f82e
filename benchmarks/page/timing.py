"""Several models timed in turn in one process: A, B, C, A, B, C ... Processor time, medians of ratios within a turn.

The machine's speed moves slowly, so that what is measured in one turn can be compared; milliseconds cannot.
"""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Step = Callable[[], Any]


def resident() -> int:
    """Return the largest memory of this process so far, bytes.

    The system's own measure, because `getrusage` also counts the process that this one was started from.
    """
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def seconds(step: Step, ticks: int) -> float:
    """Return the processor time of some ticks."""
    start = time.process_time()
    for _ in range(ticks):
        step()
    return time.process_time() - start


def in_turn(steps: Mapping[str, Step], *, turns: int, block: float, ticks_max: int = 200) -> dict[str, list[float]]:
    """Return seconds a tick by name, one for each turn. A block of ticks is about `block` seconds long."""
    ticks = {}
    for name, step in steps.items():
        step()
        ticks[name] = int(min(max(block / max(seconds(step, 2) / 2, 1e-6), 1), ticks_max))
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            gc.collect()
            found[name].append(seconds(step, ticks[name]) / ticks[name])
    return found


def ratio(one: list[float], other: list[float]) -> float:
    """Return the median of the ratios of two series."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))
