"""`tickweave minimise`: make what fails smaller while it fails in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sim.checks import CHECKS, Case
from sim.cli.common import SUFFIX, AsJson, interrupts, print_json, progress_bar, require_file, usage, write_whole
from sim.errors import ReplayError
from sim.explain import shown, suggestion
from sim.plugins import load_plugins
from sim.replay import minimise as search
from sim.replay.cut import cut
from sim.replay.second_pass import explained
from sim.replay.seek import open_replay_file
from sim.replay.verify import verify
from sim.scenario import TICKS_MAX, folder_of, load

TICKS: Final = 50
"""Ticks that a check runs, unless told."""


def minimise(
    what: Annotated[
        str, typer.Argument(metavar="FILE|SCENARIO", help="A replay that differs, or with --check a scenario.")
    ],
    *,
    check: Annotated[str | None, typer.Option(metavar="NAME", help="A check of `doctor` that finds something.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the smaller replay or scenario.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Runs to try at most.")] = search.RUNS,
    ticks: Annotated[int, typer.Option(min=1, max=TICKS_MAX, help="Ticks that the check runs at most.")] = TICKS,
    plugin: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Where a plug-in is that the run's scenario names.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for fewer agents, ticks and inputs with which a replay still differs, or a check still finds the same.

    Ctrl-C ends the search and keeps the best so far.
    """
    said = _replay(what, out, runs, plugin or []) if check is None else _scenario(what, check, out, runs, ticks)
    if as_json:
        print_json(said)
    else:
        left = ", ".join(f"{said['left'][name]:,} of {count:,} {name}" for name, count in said["before"].items())
        stopped = "; stopped before all was tried" if said["stopped"] else ""
        typer.echo(f"{shown(said['out'])}: {left} left after {said['runs']} runs{stopped}; {said['why']}")


def _scenario(name: str, check_name: str, out: Path | None, runs: int, ticks: int) -> dict[str, Any]:
    checks = {check.name: check for check in CHECKS}
    if check_name not in checks:
        raise usage(f"--check: no check {check_name!r}; {suggestion(check_name, list(checks), 'checks')}")
    scenario, folder = load(name), folder_of(name)
    case = Case(scenario, ticks, plugins=load_plugins(scenario, folder), folder=folder)
    start = search.Candidate(scenario.canonical(), min(ticks, scenario.ticks))
    found = _search(name, start, search.failing_check(checks[check_name], case), runs)
    if found is None:
        raise ReplayError(f"the check {check_name!r} finds nothing in {ticks} ticks, so there is nothing to minimise")
    target = out or (Path() if folder is None else folder) / f"{scenario.name}-small.toml"
    with write_whole(target, replace=out is not None, taken=[name]) as sink:
        sink.write(search.to_toml(found.best.scenario).encode())
    return _said(target, start, found, f"`doctor --check '{check_name}' --ticks {found.best.ticks}` finds the same")


def _replay(file: str, out: Path | None, runs: int, plugins: list[Path]) -> dict[str, Any]:
    require_file(file)
    target = out or Path(f"{Path(file).name.split('.', 1)[0]}-small{SUFFIX}")
    with progress_bar(shown(file), None) as show:
        verdict = explained(Path(file), verify(Path(file), plugin_files=plugins, progress=show), plugins, show)
    first = verdict.first
    if first is None or first["tick"] is None:
        why = f": {verdict.reason}" if verdict.reason else ""
        raise ReplayError(f"no tick of the replay was found to differ, so there is nothing to minimise{why}")
    with open_replay_file(Path(file), plugins) as replay:
        header = replay.header
    start = search.Candidate(header.scenario, header.ticks)
    found = None
    if first["stable"] is False:
        found = _search(file, start, search.failing_replay(first, header.seed, header.detail, plugins), runs)
    with write_whole(target, replace=out is not None, taken=[file]) as sink:
        if found is None:
            cut(Path(file), first["tick"], sink)
        else:
            again = load_plugins(found.best.scenario, files=plugins)
            sink.write(search.record(found.best, header.seed, header.detail, again))
    if found is not None:
        return _said(target, start, found, "recorded anew, as the code differs from itself")
    why = (
        "only ticks were cut, as the code agrees with itself: a smaller run is for the code that recorded this one"
        if first["stable"] is not False
        else "only ticks were cut, as a run recorded anew, without a model, does not differ"
    )
    shorter = search.Minimised(search.Candidate(header.scenario, first["tick"] + 1))
    return _said(target, start, shorter, why)


def _search(what: str, start: search.Candidate, fails: search.Fails, runs: int) -> search.Minimised | None:
    with interrupts() as stopped, progress_bar(shown(what), runs, unit="runs") as show:
        return search.minimise(start, fails, runs=runs, progress=show, stopped=stopped)


def _said(target: Path, start: search.Candidate, found: search.Minimised, why: str) -> dict[str, Any]:
    return {
        "out": str(target),
        "before": start.size,
        "left": found.best.size,
        "runs": found.runs,
        "stopped": found.stopped,
        "why": why,
    }
