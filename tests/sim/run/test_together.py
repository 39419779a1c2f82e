"""One planning service for several runs: their rounds meet, and each run is the run that it is alone."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai.clients.scripted import ScriptedClient
from ai.llm_types import Endpoint, LlmChunk, LlmRequest
from sim.errors import ScenarioError
from sim.replay import read, verify
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.planning_service import ModelOptions, PlanningService
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation

SEEDS = (1, 2, 3, 4)
TICKS = 9
SCRIPT: list[dict[str, Any]] = [{"agent": "*", "steps": [{"act": "Rest", "ticks": 2}]}]


class Counting:
    """A model that counts its calls, and how many run at once."""

    label = "scripted"
    endpoint = Endpoint(reachable=True, slots=4)

    def __init__(self) -> None:
        self.client = ScriptedClient(SCRIPT)
        self.sizes: list[int] = []

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.sizes.append(len(request.slots))
        async for chunk in self.client.stream(request):
            yield chunk


def scenario(think: int) -> Scenario:
    return load("foraging").replaced(planning={"every": 3, "think": think})


def recorder(run: Simulation) -> tuple[io.BytesIO, Recorder]:
    sink = io.BytesIO()
    made = Recorder(run, ReplayWriter(sink), ticks=TICKS)
    made.header()
    return sink, made


@pytest.mark.parametrize("think", [0, 4])
def test_runs_together_are_the_runs_alone_in_larger_calls(think: int) -> None:
    """Each run has the plans and states that it has alone and verifies alone; the calls are fewer and larger."""
    alone: list[list[Any]] = []
    single = Counting()
    for seed in SEEDS:
        with Simulation(scenario(think), seed=seed, client=single) as run:
            alone.append([(report.tick, report.digest.root) for report in run.reports(TICKS)])
    shared = Counting()
    with PlanningService(shared) as service:
        runs = [Simulation(scenario(think), seed=seed, service=service) for seed in SEEDS]
        records = [recorder(run) for run in runs]
        together: list[list[Any]] = [[] for _ in runs]
        for reports in service.together(runs, TICKS):
            for place, report in enumerate(reports):
                together[place].append((report.tick, report.digest.root))
                records[place][1].tick(report)
        for run, (sink, made) in zip(runs, records, strict=True):
            made.end()
            run.close()
            assert verify(sink.getvalue()).verdict == "match"
    assert together == alone
    assert sum(shared.sizes) == sum(single.sizes)
    assert len(shared.sizes) < len(single.sizes) / 2
    shares = [read(sink.getvalue()).end for sink, _ in records]
    assert sum(end.usage.calls for end in shares if end is not None and end.usage is not None) == len(shared.sizes)


def test_runs_end_one_by_one() -> None:
    """A run that is over makes no more ticks; the others go on."""
    with PlanningService(Counting()) as service:
        runs = [Simulation(scenario(0).replaced(ticks=ticks), seed=1, service=service) for ticks in (3, 6)]
        made = [[report.tick for report in reports] for reports in service.together(runs)]
        for run in runs:
            run.close()
    assert made == [[0, 0], [1, 1], [2, 2], [3], [4], [5]]


def test_only_runs_of_the_service_are_advanced_together() -> None:
    """A run with a model of its own is refused with a sentence."""
    with (
        PlanningService(Counting(), ModelOptions(retries=0)) as service,
        Simulation(scenario(0), client=Counting()) as run,
        pytest.raises(ScenarioError, match="only runs of one service"),
    ):
        next(service.together([run]))
