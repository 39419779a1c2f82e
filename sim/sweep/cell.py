"""One cell of a sweep: run it, and give the result in one row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from ai.clients import client_from_spec
from ai.errors import AIError
from ai.llm.price import cost_of
from ai.llm.probe import sentence
from ai.llm_types import LlmClient
from sim.errors import ScenarioError, SimError
from sim.messages import one_line
from sim.replay.keyframes import EVERY
from sim.replay.writer import Recorder, open_replay
from sim.run.checks import measured
from sim.run.domain import Metric
from sim.run.faults import fault_of
from sim.run.llm_usage import ModelTally
from sim.run.planning_service import PlanningService, probed
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation, TickReport
from sim.sweep.spec import ABOUT, FIXED, NO_MODEL, Cell, Sweep, base_of
from sim.tables.metrics import metrics_of

DONE: Final = "done"
FAILED: Final = "failed"
REPLAYS: Final = "replays"
"""The folder of kept replays."""


@dataclass(frozen=True)
class Job:
    """All that a worker needs to run any cell of a sweep: plain data and paths, so that it can be sent anywhere."""

    sweep: Sweep
    folder: Path
    out: Path | None
    keep_replays: bool = False


def run_cell(job: Job, number: int, base: Scenario | None = None) -> dict[str, Any]:
    """Run a cell and return its row, which also holds any error of the run.

    `base` is the sweep's scenario where it is at hand.
    """
    cell = job.sweep.cells[number]
    began = perf_counter()
    try:
        with ExitStack() as stack:
            service = None if cell.model == NO_MODEL else stack.enter_context(_service(job, cell.model))
            run = stack.enter_context(Playing(job, cell, base or base_of(job.sweep, job.folder), service))
            for report in run.simulation.reports(run.ticks):
                run.add(report)
            found = run.row()
    except Exception as error:
        found = {"status": FAILED, "error": _said(error)}
    return {**_start(job, cell), **found, "wall_s": round(perf_counter() - began, 6)}


def run_cells(job: Job, numbers: Sequence[int], base: Scenario | None = None) -> list[dict[str, Any]]:
    """Run cells and return their rows in order; several with one model are advanced side by side over one service.

    Where one of them fails, all of them are run alone, so that the others are there.
    """
    if len(numbers) > 1:
        with suppress(Exception):
            return _together(job, numbers, base or base_of(job.sweep, job.folder))
    return [run_cell(job, number, base) for number in numbers]


def _together(job: Job, numbers: Sequence[int], base: Scenario) -> list[dict[str, Any]]:
    began = perf_counter()
    cells = [job.sweep.cells[number] for number in numbers]
    with ExitStack() as stack:
        service = stack.enter_context(_service(job, cells[0].model))
        runs = [stack.enter_context(Playing(job, cell, base, service)) for cell in cells]
        going = runs
        for reports in service.together([run.simulation for run in runs], runs[0].ticks):
            for run, report in zip(going, reports, strict=True):
                run.add(report)
            going = [run for run in going if run.goes_on]
        found = [run.row() for run in runs]
    each_s = round((perf_counter() - began) / len(cells), 6)
    return [{**_start(job, cell), **row, "wall_s": each_s} for cell, row in zip(cells, found, strict=True)]


class Playing(AbstractContextManager["Playing"]):
    """The run of one cell, its recording where that is kept, and the sums for its row.

    Attributes:
        simulation: the run.
        ticks: that it lasts at most.
    """

    def __init__(self, job: Job, cell: Cell, base: Scenario, service: PlanningService | None) -> None:
        self._job, self._spec = job, cell.model
        scenario = job.sweep.scenario_of(base, cell)
        plugins = load_plugins(scenario, [job.folder / each for each in job.sweep.plugins if each.endswith(".py")])
        self.ticks = job.sweep.ticks or scenario.ticks
        self._model, self._plans, self._root = ModelTally(), 0, ""
        self._recorder: Recorder | None = None
        with ExitStack() as stack:
            self.simulation = stack.enter_context(
                Simulation(scenario, seed=cell.seed, plugins=plugins, service=service)
            )
            names = [_placed(each, job.folder) for each in job.sweep.metrics]
            self._metrics = metrics_of(names, self.simulation.metrics_by_name)
            if job.keep_replays and job.out is not None:
                writer = stack.enter_context(open_replay(job.out / REPLAYS / replay_name(cell), replace=True))
                self._recorder = Recorder(self.simulation, writer, ticks=self.ticks, keyframes=EVERY)
                self._recorder.header()
            self._stack = stack.pop_all()

    def add(self, report: TickReport) -> None:
        """Take in a tick."""
        if self._recorder is not None:
            self._recorder.tick(report)
        self._root = report.digest.root
        self._model.add(report.tick, report.plans, report.round)
        if report.plans is not None:
            self._plans += len(report.plans.plans)

    @property
    def goes_on(self) -> bool:
        """Whether the run has a tick to come."""
        return self.simulation.outcome is None and self.simulation.world.tick < self.ticks

    def row(self) -> dict[str, Any]:
        """End the recording and return the result of the run."""
        if self._recorder is not None:
            self._recorder.end()
        run, usage = self.simulation, self._model.as_json()
        taken = (*FIXED, *ABOUT, *self._job.sweep.keys)
        return {
            "ticks": run.world.tick,
            "alive": run.world.n,
            "outcome": run.outcome,
            **{_free(name, taken): value for name, value in values_of(run, self._metrics).items()},
            "plans": self._plans,
            **{name: usage[name] for name in ("calls", "prompt_tokens", "completion_tokens")},
            "cost": cost_of(self._spec, usage["prompt_tokens"], usage["completion_tokens"]),
            "root": self._root,
        }

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _start(job: Job, cell: Cell) -> dict[str, Any]:
    return {**cell.columns(job.sweep.keys), "status": DONE, "error": None}


def _said(error: Exception) -> str:
    ours = isinstance(error, MemoryError | OSError | SimError | AIError)
    return one_line(fault_of(error) or (str(error) if ours and str(error) else f"{type(error).__name__}: {error}"))


@contextmanager
def _service(job: Job, model: str) -> Iterator[PlanningService]:
    with model_of(model) as client:
        assert client is not None
        with PlanningService(client, prefer=job.sweep.prefer) as service:
            yield service


def values_of(run: Simulation, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """Return the last values of metrics, and the scores that are not metrics; arrays as JSON text."""
    found: dict[str, Any] = {}
    for name, metric in metrics.items():
        value = np.asarray(measured(name, metric, run.world, run.domain))
        found[name] = value.item() if value.ndim == 0 else json.dumps(value.tolist())
    scores = {name: float(value) for name, value in run.scores().items() if name not in run.metrics_by_name}
    return found | {f"score.{name}": value for name, value in scores.items()}


def replay_name(cell: Cell) -> str:
    """Return the name of a cell's replay."""
    return f"cell-{cell.number:06d}.replay.jsonl"


@contextmanager
def model_of(spec: str) -> Iterator[LlmClient | None]:
    """Give the client of a model spec, probed, None for `none`; a server that it started is stopped at the end.

    Raises:
        ScenarioError: the server is down, or has no such model.
        ContractError: there is no such spec.
    """
    if spec == NO_MODEL:
        yield None
        return
    client = client_from_spec(spec)
    with probed(client) as endpoint:
        if endpoint is not None and (not endpoint.reachable or endpoint.model_present is False):
            raise ScenarioError(one_line(sentence(client.label, endpoint)))
        yield client


def _free(name: str, taken: Sequence[str]) -> str:
    """Return the column of a metric; one that is called as another column is gets a longer name."""
    return f"metric.{name}" if name in taken else name


def _placed(spec: str, folder: Path) -> str:
    """Return a metric's spec with its file where the sweep's file is."""
    place, colon, name = spec.rpartition(":")
    return f"{folder / place}{colon}{name}" if place.endswith(".py") else spec


def local_files(sweep: Sweep, folder: Path) -> Sequence[Path]:
    """Return the Python files that running a sweep executes, but for those that its scenario's own file names."""
    named = [each.rpartition(":")[0] for each in sweep.metrics if ":" in each]
    named += list(sweep.plugins)
    named += [sweep.scenario] if sweep.scenario.endswith(".py") else []
    return [folder / each for each in named if each.endswith(".py")]
