"""What recording adds to a tick: the same battle with and without a recorder, tick by tick side by side."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from scaled import WARM_UP_TICKS, scaled

from sim.replay.writer import Recorder, open_replay
from sim.run.simulation import Simulation

AGENTS = 1_000
TICKS = 300
LIMIT_PERCENT = 15
"""What recording may add to a tick in which rules plan."""


def test_recording_cost(benchmark, tmp_path: Path) -> None:
    """One of two equal runs is recorded; their ticks are timed one after the other, in time on the processor."""
    plain, recorded, added = [], [], []
    with (
        Simulation(scaled(AGENTS)) as alone,
        Simulation(scaled(AGENTS)) as watched,
        open_replay(tmp_path / "bench.replay.jsonl") as writer,
    ):
        recorder = Recorder(watched, writer)
        recorder.header()

        def both() -> None:
            start = time.thread_time()
            alone.tick()
            middle = time.thread_time()
            recorder.tick(watched.tick())
            end = time.thread_time()
            plain.append(middle - start)
            recorded.append(end - middle)
            added.append((end - middle) / (middle - start) - 1)

        benchmark.pedantic(both, rounds=TICKS, warmup_rounds=WARM_UP_TICKS)
    # The median of ratios: the machine's speed moves slowly, so neighbours in time are comparable.
    benchmark.extra_info.update(
        agents=AGENTS,
        recording_percent=statistics.median(added[WARM_UP_TICKS:]) * 100,
        limit_percent=LIMIT_PERCENT,
        plain_ms=statistics.median(plain[WARM_UP_TICKS:]) * 1000,
        recorded_ms=statistics.median(recorded[WARM_UP_TICKS:]) * 1000,
    )
