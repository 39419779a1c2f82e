"""Runs a sweep: hands out cells, keeps their results, and goes on where an earlier one was stopped."""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from sim.errors import ScenarioError
from sim.messages import shown
from sim.progress import notebook_progress
from sim.replay.reader import Progress, untold
from sim.replay.record import environment
from sim.run.files import read_bytes
from sim.run.modules import digest_of
from sim.run.scenario_file import Scenario
from sim.run.workers import AHEAD, here
from sim.run.writing import whole
from sim.sweep.cell import FAILED, REPLAYS, Job, local_files, run_cells
from sim.sweep.executors import EXECUTORS, executor_of
from sim.sweep.results import RESULTS, Results, RowFile, rows_in
from sim.sweep.spec import NO_MODEL, Sweep, base_of, sweep_of

MANIFEST: Final = "manifest.json"
"""The file that says what a sweep is."""
TOGETHER: Final = 16
"""Cells of one model that a process advances side by side."""
RUNNING: Final = "running.json"
"""The cells that the command's own process is at. The file stays where a cell ends that process."""
RUNNING_BYTES_MAX: Final = 65_536
"""The length of that file that is read."""
TRIES: Final = 2
"""How often a cell is run whose process ends."""


def sweep(
    scenario: str | Path,
    *,
    seeds: str | int | Iterable[int] = 1,
    ticks: int | None = None,
    settings: Mapping[str, Any] | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    cases: Sequence[Mapping[str, Any]] = (),
    planners: Mapping[str, str] | None = None,
    models: Sequence[str] = ("none",),
    metrics: Sequence[str] = (),
    out: str | Path | None = None,
    keep_replays: bool = False,
    jobs: int = 1,
    executor: str | Executor = "local",
    progress: Progress | None = None,
) -> Results:
    """Run a scenario with every combination of settings, planners, models and seeds, and return the table.

    Args:
        scenario: a scenario's name or file.
        seeds: 5 stands for 0 to 4; also "1,2,3", "0:50", or the seeds themselves.
        ticks: of a run at most, in place of the scenario's.
        settings: settings that hold in every cell, by dotted key.
        grid: values by dotted key; every combination is run.
        cases: settings of single cases, in place of or beside the grid.
        planners: lists of tiers (`"goap,heuristic"`) by a name of your choice.
        models: as `--llm` takes them; "none" for none.
        metrics: by name, or `FILE.py:FUNCTION`; all of the domain without any.
        out: a folder that keeps the sweep, so that it can be gone on with; None keeps nothing.
        keep_replays: whether every cell leaves its replay in `out`.
        jobs: processes; the table is the same for any number.
        executor: "local", "ray", or any executor of the form of `concurrent.futures`.
        progress: receives cells done and cells in all; without it, a notebook shows them under the cell.

    Raises:
        ScenarioError: something does not fit, or `out` holds another sweep.
    """
    given = {
        "scenario": str(Path(scenario).absolute()) if str(scenario).endswith((".py", ".toml")) else str(scenario),
        "seeds": seeds if isinstance(seeds, str | int) else list(seeds),
        "ticks": ticks,
        "settings": dict(settings or {}),
        "grid": {key: list(values) for key, values in (grid or {}).items()},
        "cases": [dict(case) for case in cases],
        "planners": dict(planners or {}),
        "models": list(models),
        "metrics": list(metrics),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if out is None else Path(out)
        plan = sweep_of(given)
        bar = stack.enter_context(notebook_progress(Path(str(scenario)).stem))
        found = run_sweep(
            plan,
            Path.cwd(),
            folder,
            keep_replays=keep_replays and out is not None,
            jobs=jobs,
            executor=executor,
            progress=progress or bar,
        )
    return found if out is not None else replace(found, folder=None)


def run_sweep(
    plan: Sweep,
    folder: Path,
    out: Path,
    *,
    keep_replays: bool = False,
    retry: bool = False,
    jobs: int = 1,
    executor: str | Executor = "local",
    progress: Progress = untold,
    stopped: Callable[[], bool] = lambda: False,
) -> Results:
    """Run the cells of a sweep that have not been run, and write the table.

    Args:
        plan: the sweep.
        folder: where the files are that it names.
        out: where it is kept.
        keep_replays: whether every cell leaves its replay.
        retry: whether cells that failed are run again.
        jobs: processes.
        executor: where they run.
        progress: receives cells done and cells in all.
        stopped: asked between cells; True ends the sweep early, with the table of what is there.

    Raises:
        ScenarioError: the scenario or a cell does not fit, or `out` holds another sweep.
    """
    base = base_of(plan, folder)
    _check(plan, base)
    out.mkdir(parents=True, exist_ok=True)
    _keep_manifest(plan, base, folder, out)
    if keep_replays:
        (out / REPLAYS).mkdir(exist_ok=True)
    before = rows_in(out / RESULTS)
    done = {number for number, row in before.items() if not (retry and row.get("status") == FAILED)}
    left = [cell.number for cell in plan.cells if cell.number not in done]
    job = Job(plan, folder.absolute(), out.absolute(), keep_replays)
    progress(plan.count - len(left), plan.count)
    finished = plan.count - len(left)
    for _ in _run(job, left, base, jobs, executor, stopped):
        finished += 1
        progress(finished, plan.count)
    results = Results([*rows_in(out / RESULTS).values()], plan.count, plan.keys, out)
    results.write(out)
    return results


def read_results(out: Path) -> Results:
    """Return the table of a sweep's folder, whether or not the sweep is over.

    Raises:
        ScenarioError: the folder holds no sweep.
    """
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        plan = sweep_of(manifest["plan"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ScenarioError(f"{shown(str(out))}: is not the folder of a sweep") from None
    return Results([*rows_in(out / RESULTS).values()], plan.count, plan.keys, out)


def _check(plan: Sweep, base: Scenario) -> None:
    """Refuse what would fail in every cell: a key, a planner or a metric that there is not."""
    first: dict[tuple[str, str], Any] = {}
    for cell in plan.cells:
        first.setdefault((cell.planner, json.dumps(cell.settings, sort_keys=True)), cell)
        if len(first) > CHECKED_MAX:
            break
    problems: list[ScenarioError] = []
    for cell in first.values():
        try:
            plan.scenario_of(base, cell)
        except ScenarioError as error:
            problems.append(error)
    if problems and len(problems) == len(first):
        raise problems[0]


CHECKED_MAX: Final = 200
"""Combinations that are looked at before a sweep begins."""


def _keep_manifest(plan: Sweep, base: Scenario, folder: Path, out: Path) -> None:
    """Write what the sweep is, or make sure that the one in the folder is the same.

    Raises:
        ScenarioError: the folder holds another sweep.
    """
    manifest = {
        "tickweave_sweep": 1,
        "sweep": plan.digest,
        "scenario": base.digest,
        "source": base.loaded.digest,
        "files": {path.name: digest_of(read_bytes(path)) for path in local_files(plan, folder)}
        | {name: digest_of(content) for name, content in base.data.of(base.settings).items()},
        "cells": plan.count,
        "seeds": plan.model_dump(mode="json")["seeds"],
        "tickweave": version("tickweave"),
        "environment": environment(),
        "plan": plan.model_dump(mode="json"),
    }
    path = out / MANIFEST
    if path.exists():
        try:
            then = json.loads(path.read_text(encoding="utf-8"))
            changed = [name for name in ("sweep", "scenario", "source", "files") if then[name] != manifest[name]]
        except (ValueError, KeyError, TypeError):
            raise ScenarioError(f"{shown(str(path))}: is not the manifest of a sweep; choose another folder") from None
        if changed:
            what = {"sweep": "another sweep", "scenario": "another scenario", "source": "other code of the domain"}
            what["files"] = "other code of its metrics or plug-ins, or other data files"
            raise ScenarioError(
                f"{shown(str(out))} holds results of {what[changed[0]]}; choose another folder, or remove this one"
            )
        return
    with whole(path) as file:
        file.write((json.dumps(manifest, indent=1) + "\n").encode())


def _run(
    job: Job, left: Sequence[int], base: Scenario, jobs: int, executor: str | Executor, stopped: Callable[[], bool]
) -> Iterator[int]:
    """Run cells and yield the number of each that is done."""
    assert job.out is not None
    if isinstance(executor, str) and executor not in EXECUTORS:
        raise ScenarioError(f"no executor {executor!r}; executors: {', '.join(EXECUTORS)}")
    suspects: set[int] = set()
    # A model is waited for: processes that wait side by side are always worth it.
    in_here = executor == "local" and (jobs == 1 or set(job.sweep.models) == {NO_MODEL})
    if in_here:
        suspects = _unfinished(job.out) & set(left)
        if suspects:  # one of them may have ended the process of an earlier command
            yield from _handed_out(job, [(number,) for number in sorted(suspects)], 1, executor, stopped)
            if stopped():
                return
    groups = deque(groups_of(job.sweep, [number for number in left if number not in suspects]))
    if in_here:
        file = RowFile(job.out / RESULTS)
        try:
            for rows in here(partial(_run_here, job, base), groups, jobs):
                for row in rows:
                    file.append(row)
                    yield int(row["cell"])
                if stopped():
                    return
        finally:
            file.close()
            (job.out / RUNNING).unlink(missing_ok=True)
    if groups:
        yield from _handed_out(job, groups, jobs, executor, stopped)


def _run_here(job: Job, base: Scenario, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Run cells in this process, and note them first."""
    assert job.out is not None
    path = job.out / RUNNING
    path.unlink(missing_ok=True)
    with path.open("x", encoding="utf-8") as file:  # created, so that no link that lies there is followed
        json.dump(numbers, file)
    return run_cells(job, numbers, base)


def _unfinished(out: Path) -> set[int]:
    """Return the cells that an earlier command was at when its process ended."""
    with suppress(ScenarioError, ValueError, TypeError, RecursionError):
        return set(json.loads(read_bytes(out / RUNNING, RUNNING_BYTES_MAX)))
    return set()


def _handed_out(
    job: Job, groups: Iterable[tuple[int, ...]], jobs: int, executor: str | Executor, stopped: Callable[[], bool]
) -> Iterator[int]:
    """Hand cells out to an executor; start it again if its processes end."""
    assert job.out is not None
    waiting = [*groups][::-1]
    tries = {number: 0 for numbers in waiting for number in numbers}
    pool = executor_of(executor, jobs) if isinstance(executor, str) else executor
    doing: dict[Future[None], tuple[int, ...]] = {}
    try:
        while waiting or doing:
            while waiting and len(doing) < jobs * AHEAD and not stopped():
                numbers = waiting.pop()
                doing[pool.submit(work, job, numbers)] = numbers
            if stopped():
                for future in doing:
                    future.cancel()
                return
            ended, _ = wait(doing, timeout=0.5, return_when=FIRST_COMPLETED)
            alone: list[int] = []
            for future in ended:
                numbers = doing.pop(future)
                error = future.exception()
                if error is None:
                    yield from numbers
                elif isinstance(error, BrokenExecutor):
                    alone += numbers
                else:
                    for number in numbers:
                        tries[number] += 1
                        if tries[number] < TRIES:
                            waiting.append((number,))
                        else:
                            _note_lost(job, number, error)
                            yield number
            if alone:
                # A process has ended, and all cells that were being run are under suspicion: each is run by itself.
                alone += [number for numbers in doing.values() for number in numbers]
                doing.clear()
                for number in sorted(alone):
                    if isinstance(executor, str):
                        pool.shutdown(wait=False, cancel_futures=True)
                        pool = executor_of(executor, jobs)
                    lost = pool.submit(work, job, (number,)).exception()
                    if lost is not None:
                        _note_lost(job, number, lost)
                    yield number
                if isinstance(executor, str):
                    pool.shutdown(wait=False, cancel_futures=True)
                    pool = executor_of(executor, jobs)
    finally:
        if isinstance(executor, str):
            pool.shutdown(wait=False, cancel_futures=True)
        own = _files.pop(job.out / RESULTS, None)  # an executor of threads works in this process
        if own is not None:
            own.close()


def groups_of(plan: Sweep, left: Sequence[int]) -> list[tuple[int, ...]]:
    """Return cells as they are handed out: one by one, and up to `TOGETHER` of the same model at once."""
    found: list[tuple[int, ...]] = []
    by_model: dict[str, list[int]] = {}
    for number in left:
        model = plan.cells[number].model
        if model == NO_MODEL:
            found.append((number,))
        else:
            by_model.setdefault(model, []).append(number)
    for numbers in by_model.values():
        found += [tuple(numbers[at : at + TOGETHER]) for at in range(0, len(numbers), TOGETHER)]
    return sorted(found)


def _note_lost(job: Job, number: int, error: BaseException) -> None:
    cell = job.sweep.cells[number]
    reason = f"the process that ran it ended: {type(error).__name__}: {error}"[:300]
    assert job.out is not None
    file = RowFile(job.out / RESULTS)
    file.append({**cell.columns(job.sweep.keys), "status": FAILED, "error": " ".join(reason.split())})
    file.close()


_files: dict[Path, RowFile] = {}
"""The files of this process, by the folder of a sweep's results."""


def work(job: Job, numbers: Sequence[int]) -> None:
    """Run cells in a worker, which writes its own results."""
    assert job.out is not None
    folder = job.out / RESULTS
    for row in run_cells(job, numbers):
        _files.setdefault(folder, RowFile(folder)).append(row)
