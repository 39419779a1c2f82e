"""Records a run of a domain in memory, for tests that verify it."""

from __future__ import annotations

import io

from sim import Domain, Simulation
from sim.replay.writer import Recorder, ReplayWriter


def recorded(domain: Domain, *, seed: int, ticks: int, keyframes: int = 3) -> bytes:
    """Return the replay of a run."""
    file = io.BytesIO()
    with Simulation(domain, seed=seed) as simulation:
        recorder = Recorder(simulation, ReplayWriter(file), ticks=ticks, keyframes=keyframes)
        recorder.header()
        for report in simulation.reports(ticks):
            recorder.tick(report)
        recorder.end()
    return file.getvalue()
