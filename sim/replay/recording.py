"""A run and its replay in one loop, for programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sim.engine.values import integer
from sim.replay.keyframes import EVERY
from sim.replay.record import planned_ticks
from sim.replay.writer import Recorder, open_replay
from sim.run.scenario_file import TICKS_MAX

if TYPE_CHECKING:
    from sim.run.simulation import Simulation, TickReport


def record(
    simulation: Simulation, path: str | Path, ticks: int | None = None, *, keyframes: int = EVERY, replace: bool = False
) -> Simulation:
    """Run a simulation, write its replay, and return the simulation; arguments and errors as `recorded`."""
    for _ in recorded(simulation, path, ticks, keyframes=keyframes, replace=replace):
        pass
    return simulation


def recorded(
    simulation: Simulation,
    path: str | Path | None,
    ticks: int | None = None,
    *,
    keyframes: int = EVERY,
    replace: bool = False,
) -> Iterator[TickReport]:
    """Run a simulation, write its replay, and yield a report of each tick.

    Args:
        simulation: a run before its first tick.
        path: the replay; None writes none.
        ticks: ticks at most; without, the scenario's number.
        keyframes: ticks between keyframes; 0 writes none.
        replace: whether a file that is there is replaced.

    Raises:
        FileExists: there is such a file, and `replace` is False.
        ReplayError: the file cannot be written.
    """
    # Checked before a file is made.
    limit = planned_ticks(simulation, ticks)
    keyframes = integer(keyframes, 0, TICKS_MAX, "keyframes")
    if path is None:
        yield from simulation.reports(limit)
        return
    with open_replay(path, replace=replace) as writer:
        recorder = Recorder(simulation, writer, ticks=limit, keyframes=keyframes)
        recorder.header()
        try:
            for report in simulation.reports(limit):
                recorder.tick(report)
                yield report
        except GeneratorExit:  # the caller stopped asking for reports
            recorder.end()
            raise
        except (Exception, SystemExit):  # a model may call sys.exit()
            recorder.end("failed")
            raise
        recorder.end()
