"""How long a tick takes with everything on: heuristic planning, execution, state hash, and recording to a file."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest
from scaled import scaled

from sim.replay.writer import Recorder, open_replay
from sim.run.simulation import Simulation, TickReport

WARM_UP_TICKS = 20
"""Ticks left out: in the first ones everybody plans."""
SIZES = ((10, 300, None), (100, 300, None), (1_000, 200, 250), (10_000, 100, 50), (100_000, 30, 4))
"""Agents, timed ticks, and the floor in ticks a second that the project holds itself to."""


def calibration_ms() -> float:
    """Return how long a fixed loop takes now, so that runs on a noisy machine can be compared."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        sum(range(1_000_000))
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


@pytest.mark.parametrize(("agents", "ticks", "floor"), SIZES, ids=[str(size[0]) for size in SIZES])
def test_tick_with_hash_and_recording(benchmark, tmp_path: Path, agents: int, ticks: int, floor: int | None) -> None:
    """A tick of a mixed battle, recorded, is timed as a whole and phase by phase."""
    reports: list[TickReport] = []
    recording: list[float] = []
    with (
        Simulation(scaled(agents)) as simulation,
        open_replay(tmp_path / "bench.replay.jsonl") as writer,
    ):
        recorder = Recorder(simulation, writer)
        recorder.header()

        def tick() -> None:
            report = simulation.tick()
            start = time.perf_counter()
            recorder.tick(report)
            recording.append(time.perf_counter() - start)
            reports.append(report)

        benchmark.pedantic(tick, rounds=ticks, warmup_rounds=WARM_UP_TICKS)
        recorder.end()
    timed = reports[WARM_UP_TICKS:]
    phases = {
        phase: statistics.median(report.durations[phase] for report in timed) * 1000 for phase in timed[0].durations
    }
    phases["record"] = statistics.median(recording[WARM_UP_TICKS:]) * 1000
    size = (tmp_path / "bench.replay.jsonl").stat().st_size
    planned = sum(len(report.plans.plans) for report in timed if report.plans)
    benchmark.extra_info.update(
        agents=agents,
        floor=floor,
        phases_ms=phases,
        calibration_ms=calibration_ms(),
        plans_a_tick=planned / len(timed),
        replay_bytes_a_tick=size / len(reports),
    )
