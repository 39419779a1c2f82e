"""What the clock says, and how long things take, reaches neither the state nor the record."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.scripted import ScriptedClient
from ai.llm_types import LlmClient
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.planning_service import ModelOptions
from sim.run.simulation import Simulation
from tests.sim.replay.recordings import SCRIPT, scenario

PINNED = ModelOptions(shard_size=2, in_flight=2)


class Clock:
    """Starts at some second; between readings some time passes, now more, now less."""

    def __init__(self, start: float, steps: list[float]) -> None:
        self.now = start
        self.steps = self._again(steps)

    @staticmethod
    def _again(steps: list[float]) -> Iterator[float]:
        while True:
            yield from steps

    def __call__(self) -> float:
        self.now += next(self.steps)
        return self.now


def recorded(clock: Clock, client: LlmClient | None) -> bytes:
    """Run a few ticks by a clock, which is also that of the process, and return the replay."""
    sink = io.BytesIO()
    with ExitStack() as stack:
        for name in ("time.time", "time.perf_counter"):
            stack.enter_context(patch(name, clock))
        for name in ("time.time_ns", "time.perf_counter_ns"):
            stack.enter_context(patch(name, lambda: int(clock() * 1e9)))
        simulation = stack.enter_context(Simulation(scenario(), client=client, clock=clock, model=PINNED))
        recorder = Recorder(simulation, ReplayWriter(sink), ticks=8, keyframes=4)
        recorder.header()
        for report in simulation.reports(8):
            recorder.tick(report)
        recorder.end()
    return sink.getvalue()


@pytest.fixture(scope="module")
def expected() -> dict[bool, bytes]:
    """Return the replays of a run at second zero, in which nothing takes any time."""
    return {asked: recorded(Clock(0, [0]), ScriptedClient(SCRIPT) if asked else None) for asked in (False, True)}


@settings(max_examples=max(10, settings.default.max_examples // 4))
@given(
    start=st.floats(0, 4e9),
    steps=st.lists(st.floats(0, 3600), min_size=1, max_size=9),
    asked=st.booleans(),
)
def test_another_time_of_day_and_slow_phases_change_no_byte(
    expected: dict[bool, bytes],
    start: float,
    steps: list[float],
    asked: bool,  # noqa: FBT001
) -> None:
    """Begun at any second, with phases that take up to an hour each, a run gives the same replay to the byte."""
    client = ScriptedClient(SCRIPT) if asked else None
    assert recorded(Clock(start, steps), client) == expected[asked]
