"""`tickweave sweep`: run a scenario with many settings, planners, models and seeds."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from sim.cli import consent
from sim.cli.common import (
    FAILED,
    INTERRUPTED,
    OK,
    AsJson,
    ExitError,
    interrupts,
    print_columns,
    print_json,
    progress_bar,
    usage,
)
from sim.cli.options import completed_scenarios
from sim.errors import ScenarioError
from sim.extras import extra
from sim.messages import shown
from sim.run.files import parsed_toml, read_text
from sim.run.scenario_file import TICKS_MAX
from sim.sweep.cell import REPLAYS, Job, local_files, replay_name, run_cell
from sim.sweep.results import TABLE, Results
from sim.sweep.run import run_sweep
from sim.sweep.spec import Sweep, read_sweep, sweep_of

JOBS_MAX: Final = 1_024
"""The most processes of one sweep."""
FAILED_SHOWN_MAX: Final = 5
"""Failed cells that are named."""


def sweep(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP",
            help="A sweep's TOML file; or a scenario, with --seeds.",
            autocompletion=completed_scenarios,
        ),
    ],
    *,
    seeds: Annotated[str | None, typer.Option(metavar="SEEDS", help="With a scenario: 20, 1,2,3 or 0:20.")] = None,
    grid: Annotated[
        list[str] | None, typer.Option(metavar="KEY=A,B,...", help="With a scenario: values of a setting.")
    ] = None,
    ticks: Annotated[
        int | None, typer.Option(min=1, max=TICKS_MAX, help="With a scenario: the most ticks of a run.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="With a scenario: a metric, or FILE.py:FUNCTION.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The output folder. Default: ./NAME.sweep")] = None,
    keep: Annotated[
        Literal["results", "replays"], typer.Option(help="Keep results only, or a replay of each cell.")
    ] = "results",
    cell: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Run only this cell again, and write its replay.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run cells that failed again.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, help="Processes.")] = 1,
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="Run cells in local processes or on Ray.")
    ] = "local",
    trust: consent.Trust = False,
    as_json: AsJson = False,
) -> None:
    """Run a scenario many times, and write one table.

    Its runs have different settings, planners, models and seeds.

    The same command continues a sweep that was stopped.
    """
    if executor == "ray":
        extra("ray", "--executor ray")
    plan, folder, name = _plan(what, seeds, grid, ticks, metric)
    scenario = str(folder / plan.scenario) if plan.scenario.endswith((".py", ".toml")) else plan.scenario
    if what.endswith(".py"):
        consent.remember([Path(what).absolute().parent])
    consent.require([*consent.local_files(scenario), *local_files(plan, folder)], trust=trust)
    target = out or Path(f"{name}.sweep")
    if target.exists() and not target.is_dir():
        raise usage(f"--out: {shown(str(target))} is not a folder")
    if cell is not None:
        _one(plan, folder, target, cell, as_json=as_json)
        return
    with progress_bar(name, plan.count, unit="cells") as show, interrupts() as interrupted:
        results = run_sweep(
            plan,
            folder,
            target,
            keep_replays=keep == "replays",
            retry=retry,
            jobs=jobs,
            executor=executor,
            progress=show,
            stopped=interrupted,
        )
    if len(results.rows) < plan.count:
        done = f"stopped after {len(results.rows)} of {plan.count} cells; they are kept in {target}"
        raise ExitError(f"{done}, and the same command continues", INTERRUPTED)
    _tell(plan, results, target, as_json=as_json)
    raise typer.Exit(FAILED if len(results.failed) == len(results.rows) else OK)


def _plan(
    what: str, seeds: str | None, grid: list[str] | None, ticks: int | None, metric: list[str] | None
) -> tuple[Sweep, Path, str]:
    """Return a sweep, the folder of its files, and its name."""
    given = {"--seeds": seeds, "--grid": grid, "--ticks": ticks, "--metric": metric}
    if what.endswith(".toml") and not _is_scenario(Path(what)):
        named = [option for option, value in given.items() if value is not None]
        if named:
            raise usage(f"{named[0]}: needs a scenario; {shown(what)} is a sweep, which has its own")
        return read_sweep(Path(what)), Path(what).parent, Path(what).stem
    if seeds is None and not grid:
        raise usage(f"{shown(what)} is a scenario; add --seeds 20, or --grid KEY=A,B")
    data: dict[str, Any] = {"scenario": what, "ticks": ticks, "metrics": metric or [], "seeds": seeds or "0:1"}
    data["grid"] = dict(_axis(text) for text in grid or ())
    return sweep_of(data), Path(), Path(what).stem


def _is_scenario(file: Path) -> bool:
    """Return whether a TOML file is a scenario; one that is not TOML is not."""
    text = read_text(file)
    with suppress(ScenarioError):
        return "domain" in parsed_toml(text, str(file))
    return False


def _axis(text: str) -> tuple[str, list[Any]]:
    """Return the key and the values of `KEY=A,B`; the values are read as a list of TOML, or as texts."""
    key, equals, values = text.partition("=")
    if not (key and equals and values):
        raise usage(f"--grid: {shown(text)} does not have the form KEY=A,B, as in agents=10,50")
    with suppress(ScenarioError):
        return key, list(parsed_toml(f"values = [{values}]", "--grid")["values"])
    return key, [each.strip() for each in values.split(",")]


def _one(plan: Sweep, folder: Path, out: Path, cell: int, *, as_json: bool) -> None:
    """Run one cell into a replay."""
    if cell >= plan.count:
        raise usage(f"--cell: the sweep has the cells 0 to {plan.count - 1}")
    (out / REPLAYS).mkdir(parents=True, exist_ok=True)
    row = run_cell(Job(plan, folder.absolute(), out.absolute(), keep_replays=True), cell)
    if row["status"] != "done":
        raise ExitError(f"cell {cell}: {row['error']}", FAILED)
    replay = out / REPLAYS / replay_name(plan.cells[cell])
    if as_json:
        print_json({**row, "replay": str(replay)})
    else:
        sys.stdout.write(f"{replay}: {row['ticks']} ticks, root {row['root']}\n")


def _tell(plan: Sweep, results: Results, out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "cells": plan.count,
                "failed": len(results.failed),
                "table": str(out / TABLE),
                "groups": [
                    {
                        "settings": dict(zip(results.group_columns, group, strict=True)),
                        "runs": runs,
                        **dict(zip(("tokens", "cost"), results.used(results.groups()[group]), strict=True)),
                        "metrics": {
                            name: {"mean": each.mean, "interval": [each.low, each.high], "sd": each.sd}
                            for name, each in estimates.items()
                        },
                    }
                    for group, runs, estimates in results.summary()
                ],
            }
        )
        return
    used = {group: _used(*results.used(rows)) for group, rows in results.groups().items()}
    asked = any(row.get("calls") for row in results.rows)
    print_columns(
        (*results.group_columns, "runs", *results.metrics, *(("tokens", "US dollars") if asked else ())),
        [
            (*map(str, group), str(runs), *map(str, estimates.values()), *(used[group] if asked else ()))
            for group, runs, estimates in results.summary()
        ],
    )
    for row in results.failed[:FAILED_SHOWN_MAX]:
        sys.stderr.write(f"tickweave: cell {row['cell']} failed: {row['error']}\n")
    if len(results.failed) > FAILED_SHOWN_MAX:
        sys.stderr.write(f"tickweave: {len(results.failed) - FAILED_SHOWN_MAX} more cells failed; the table says why\n")
    sys.stdout.write(
        f"{len(results.rows)} cells, {len(results.failed)} failed; means with 95 percent intervals\n{out / TABLE}\n"
    )


def _used(tokens: int, cost: float | None) -> tuple[str, str]:
    return f"{tokens:,}", "unknown" if cost is None else f"{cost:,.4f}"
