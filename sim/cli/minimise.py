"""`tickweave minimise`: reduce a failing run to a smaller one that fails with the same cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from ai.clients.faulty import SCHEME, Fault, FaultyClient, dump_faults, load_faults
from ai.llm_types import LlmClient
from sim.cli.common import (
    NO_MODEL,
    SUFFIX,
    AsJson,
    Force,
    client_maker,
    client_of,
    interrupts,
    known_name,
    print_result,
    progress_bar,
    require_file,
    usage,
    write_whole,
)
from sim.cli.consent import Trust, files_of, load_scenario
from sim.cli.options import Plugins
from sim.errors import ReplayError, Unsupported
from sim.messages import shown
from sim.replay import minimise as search
from sim.replay.diagnosis import diagnose
from sim.replay.reader import scan
from sim.replay.recover import cut
from sim.replay.verify import verify
from sim.run.plugins import load_plugins
from sim.run.scenario_file import TICKS_MAX
from sim.run.writing import check_free
from sim.testing.checks import CHECKS, Case

TICKS: Final = 50
"""Ticks that a check runs by default."""


def minimise(
    what: Annotated[
        str, typer.Argument(metavar="FILE|SCENARIO", help="A replay that differs, or with --check a scenario.")
    ],
    *,
    check: Annotated[str | None, typer.Option(metavar="NAME", help="A check of `doctor` that finds something.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The smaller replay or scenario.")] = None,
    runs: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="The most runs to try.")] = search.RUNS,
    ticks: Annotated[int, typer.Option(min=1, max=TICKS_MAX, help="The most ticks that the check runs.")] = TICKS,
    llm: Annotated[
        str,
        typer.Option(
            metavar="SPEC", help="With --check: scripted:FILE, or faulty:FILE:SPEC, whose faults are reduced too."
        ),
    ] = NO_MODEL,
    plugin: Plugins = None,
    trust: Trust = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Search for the smallest run that still fails.

    It has as few agents, ticks, inputs, replies and faults as possible.

    A replay must still differ with the same cause; with --check, the check must still find the same difference.

    Ctrl-C ends the search and keeps the best run so far.
    """
    if check is None:
        if llm != NO_MODEL:
            raise usage("--llm: needs --check; a replay contains the replies of its model")
        said = _replay(what, out, runs, list(files_of(Path(what), plugin, trust=trust)), force=force)
    else:
        said = _scenario(what, check, out, runs, ticks, llm, trust=trust, force=force)
    counts = [(name, said["left"][name], count) for name, count in said["before"].items() if count]
    left = ", ".join(f"{now:,} of {count:,} {name}" for name, now, count in counts)
    stopped = "; stopped before all was tried" if said["stopped"] else ""
    sentence = f"{shown(said['out'])}: {left} left after {said['runs']} runs{stopped}; {said['why']}"
    print_result(said, sentence, as_json=as_json)


def _scenario(
    name: str, check_name: str, out: Path | None, runs: int, ticks: int, llm: str, *, trust: bool, force: bool
) -> dict[str, Any]:
    checks = {check.name: check for check in CHECKS}
    known_name("--check", check_name, list(checks), "check")
    scenario = load_scenario(name, trust=trust)
    client, spoiled = _model(llm)
    case = Case(scenario, ticks, None, load_plugins(scenario), client)
    faults = () if spoiled is None else spoiled.faults
    start = search.Candidate(scenario, min(ticks, scenario.ticks), faults=faults, inputs=scenario.inputs)
    fails = search.failing_check(checks[check_name], case, None if spoiled is None else spoiled.client)
    target = out or (scenario.folder or Path()) / f"{scenario.name}-small.toml"
    check_free(target, replace=force)
    found = _search(name, start, fails, runs)
    if found is None:
        raise ReplayError(f"the check {check_name!r} finds nothing in {ticks} ticks, so there is nothing to minimise")
    command = f"doctor {shown(str(target))} --check '{check_name}' --ticks {found.best.ticks}"
    if spoiled is not None:
        script = target.with_suffix(".faults.jsonl")
        with write_whole(script, replace=force, taken=[spoiled.file]) as sink:
            sink.write(dump_faults(found.best.faults).encode())
        command += f" --llm {SCHEME}:{shown(str(script))}:{spoiled.spec}"
    elif llm != NO_MODEL:
        command += f" --llm {llm}"
    with write_whole(target, replace=force, taken=[name]) as sink:
        sink.write(search.to_toml(found.best.scenario).encode())
    return _said(target, start, found, f"`{command}` finds the same")


class _Spoiled(NamedTuple):
    """The parts of the spec of a faulty model, `faulty:FILE:SPEC`."""

    file: str
    spec: str
    faults: tuple[Fault, ...]

    def client(self, faults: Sequence[Fault]) -> LlmClient:
        """Return the same model with the faults of another script."""
        inside = client_of(self.spec)
        assert inside is not None
        return FaultyClient(inside, faults)


def _model(llm: str) -> tuple[Callable[[], LlmClient] | None, _Spoiled | None]:
    """Return a maker of the model of a spec, and the parts of the spec if its model is faulty."""
    client = client_maker(llm)
    scheme, _, rest = llm.partition(":")
    if scheme != SCHEME:
        return client, None
    file, _, spec = rest.partition(":")
    return client, _Spoiled(file, spec, load_faults(Path(file)))


def _replay(file: str, out: Path | None, runs: int, plugins: list[Path], *, force: bool) -> dict[str, Any]:
    require_file(file, "add --check NAME, or name a replay")
    target = out or Path(f"{Path(file).name.split('.', 1)[0]}-small{SUFFIX}")
    check_free(target, replace=force)
    with progress_bar(shown(file), None) as show:
        verdict = diagnose(Path(file), verify(Path(file), plugin_files=plugins, progress=show), plugins, show)
    first = verdict.first
    if first is None or first.tick is None:
        why = f": {verdict.reason}" if verdict.reason else ""
        kind = Unsupported if verdict.verdict == "inconclusive" else ReplayError
        raise kind(f"no tick of the replay was found to differ, so there is nothing to minimise{why}")
    replay = scan(Path(file))
    start = search.candidate_of(replay, plugins)

    def recorded(candidate: search.Candidate) -> bytes:
        return search.recorded_anew(candidate, replay, load_plugins(candidate.scenario, files=plugins))

    found = None
    if first.stable is False:
        found = _search(file, start, search.failing_replay(first, recorded, plugins), runs)
    with write_whole(target, replace=force, taken=[file]) as sink:
        if found is None:
            cut(Path(file), first.tick, sink)
        else:
            sink.write(recorded(found.best))
    if found is not None:
        return _said(target, start, found, "recorded again, because the code differs from itself")
    why = (
        "only ticks were cut: the code agrees with itself, so only the code of the recording could make a smaller run"
        if first.stable is not False
        else "only ticks were cut: a run recorded again does not differ"
    )
    heard = tuple(reply for reply in start.replies if reply.tick <= first.tick)
    shorter = search.Minimised(replace(start, ticks=first.tick + 1, replies=heard))
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
