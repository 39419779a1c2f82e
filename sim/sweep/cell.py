"""One cell of a sweep: run it, and say in one row what it came to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from ai.clients import client_from_spec
from ai.errors import AIError
from ai.llm.probe import probe, sentence
from ai.llm_types import Endpoint, LlmClient
from sim.errors import ScenarioError, SimError
from sim.messages import one_line
from sim.replay.recording import recorded
from sim.run.checks import checked_metric
from sim.run.domain import Metric
from sim.run.faults import fault_of
from sim.run.llm_usage import ModelTally
from sim.run.planning_service import Background
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.sweep.spec import ABOUT, FIXED, NO_MODEL, Cell, Sweep, base_of
from sim.tables.metrics import metrics_of

DONE: Final = "done"
FAILED: Final = "failed"
REPLAYS: Final = "replays"
"""The folder of kept replays."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to run any cell of a sweep: plain data and paths, so that it can be sent anywhere."""

    sweep: Sweep
    folder: Path
    out: Path | None
    keep_replays: bool = False


def run_cell(job: Job, number: int, base: Scenario | None = None) -> dict[str, Any]:
    """Run a cell and return its row; whatever goes wrong in it is in the row.

    `base` is the sweep's scenario where it is at hand.
    """
    cell = job.sweep.cells[number]
    row: dict[str, Any] = {**cell.columns(job.sweep.keys), "status": DONE, "error": None}
    began = perf_counter()
    try:
        row |= _played(job, cell, base_of(job.sweep, job.folder) if base is None else base)
    except (MemoryError, OSError, SimError, AIError) as error:
        row |= {"status": FAILED, "error": one_line(fault_of(error) or str(error) or type(error).__name__)}
    except Exception as error:
        said = fault_of(error) or f"{type(error).__name__}: {error}"
        row |= {"status": FAILED, "error": one_line(said)}
    row["wall_s"] = round(perf_counter() - began, 6)
    return row


def _played(job: Job, cell: Cell, base: Scenario) -> dict[str, Any]:
    scenario = job.sweep.scenario_of(base, cell)
    plugins = load_plugins(scenario, [job.folder / each for each in job.sweep.plugins if each.endswith(".py")])
    ticks = job.sweep.ticks or scenario.ticks
    with model_of(cell.model) as client, Simulation(scenario, seed=cell.seed, plugins=plugins, client=client) as run:
        metrics = metrics_of([_placed(each, job.folder) for each in job.sweep.metrics], run.metrics_by_name)
        model = ModelTally()
        plans = 0
        root = None
        path = None
        if job.keep_replays and job.out is not None:
            path = job.out / REPLAYS / replay_name(cell)
        for report in recorded(run, path, ticks, replace=True):
            root = report.digest.root
            model.add(report.tick, report.plans, report.round)
            if report.plans is not None:
                plans += sum(report.plans.counts().values())
        usage = model.as_json()
        taken = (*FIXED, *ABOUT, *job.sweep.keys)
        return {
            "ticks": run.world.tick,
            "alive": run.world.n,
            "outcome": run.outcome,
            **{_free(name, taken): value for name, value in values_of(run, metrics).items()},
            "plans": plans,
            **{name: usage[name] for name in ("calls", "prompt_tokens", "completion_tokens")},
            "root": root,
        }


def values_of(run: Simulation, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """Return the last values of metrics, and the scores that are not metrics; arrays as JSON text."""
    found: dict[str, Any] = {}
    for name, metric in metrics.items():
        value = np.asarray(checked_metric(name, metric(run.world), run.domain))
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
    client = None if spec == NO_MODEL else client_from_spec(spec)
    try:
        if client is not None:
            background = Background()  # a notebook has a running loop already
            try:
                endpoint = background.run(_probed(client))
            finally:
                background.close()
            if endpoint is not None and (not endpoint.reachable or endpoint.model_present is False):
                raise ScenarioError(one_line(sentence(client.label, endpoint)))
        yield client
    finally:
        stop = getattr(client, "stop", None)
        if stop is not None:
            stop()


async def _probed(client: LlmClient) -> Endpoint | None:
    try:
        return await probe(client)
    finally:
        closing = getattr(client, "aclose", None)
        if closing is not None:
            await closing()  # its connections belong to this loop


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
