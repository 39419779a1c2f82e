"""Records a run of a domain in memory, and rewrites recordings, for tests that verify them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from sim import Domain, Simulation
from sim.replay.format import encode_line, split_line
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


def rechain(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a replay that was altered, with their chain computed again."""
    previous = ""
    for line in lines:
        parts = split_line(line)
        written, previous = encode_line(previous, parts.kind, parts.body)
        yield written
