"""A run of ours as it is timed: with the digest of every tick, a recording in a file, and the domain's metrics."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sim import Domain, Simulation, verify
from sim.replay.writer import Recorder, open_replay

TICKS_MAX = 1_000_000
"""Ticks planned: more than a timed run makes, which ends when enough is measured."""


class Recorded(ExitStack):
    """A simulation and its recording.

    Args:
        domain: what is run.
        seed: of the run.
        path: where the recording goes.
        counted: whether each tick also asks for the metrics, as Mesa's examples collect theirs.
    """

    def __init__(self, domain: Domain, seed: int, path: Path, *, counted: bool = True) -> None:
        super().__init__()
        self.path, self.counted = path, counted
        self.simulation = self.enter_context(Simulation(domain, seed=seed))
        self.recorder = Recorder(self.simulation, self.enter_context(open_replay(path, replace=True)), ticks=TICKS_MAX)
        self.recorder.header()

    def step(self) -> None:
        self.recorder.tick(self.simulation.tick())
        if self.counted:
            self.simulation.metrics()

    @property
    def over(self) -> bool:
        return self.simulation.outcome is not None

    def verdict(self) -> str:
        """End the recording and prove it."""
        self.recorder.end()
        self.close()
        return verify(self.path).verdict


def history(domain: Domain, seed: int, ticks: int) -> list[dict[str, Any]]:
    """Return the metrics before the first tick and after each, until the run is over."""
    with Simulation(domain, seed=seed) as simulation:
        return [simulation.metrics(), *(simulation.metrics() for _ in simulation.reports(ticks))]
