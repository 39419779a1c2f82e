"""`tickweave fork`: make a new run that shares the past of a recorded one."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from sim.cli.common import (
    NO_MODEL,
    AsJson,
    Force,
    InsecureKey,
    free_names,
    print_json,
    print_rows,
    progress_bar,
    require_file,
    usage,
    write_whole,
)
from sim.cli.consent import Trust, files_of
from sim.cli.model import ready_model
from sim.cli.options import Plugins, Quiet
from sim.cli.run_report import Tally
from sim.messages import shown
from sim.replay.fork import Changes, Patch, load_patch
from sim.replay.fork import fork as fork_replay
from sim.replay.playback import scenario_of
from sim.replay.replay_file import open_replay_file
from sim.run.scenario_file import TICKS_MAX


def fork(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The parent's replay.")],
    *,
    at: Annotated[int, typer.Option(min=0, max=TICKS_MAX, metavar="T", help="The first tick that is not shared.")],
    ticks: Annotated[
        int | None, typer.Option(min=1, max=TICKS_MAX, metavar="N", help="Total number of ticks. Default: the parent's")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The new replay. Default: ./SCENARIO-SEED-fork-T.replay.jsonl")
    ] = None,
    llm: Annotated[str, typer.Option(metavar="SPEC", help="Plan with this model from T on, as `run` does.")] = NO_MODEL,
    tiers: Annotated[
        str | None, typer.Option(metavar="A,B", help="Plan with these tiers from T on, in this order.")
    ] = None,
    patch: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML or JSON: inputs, planning and rules from T on.")
    ] = None,
    plugin: Plugins = None,
    trust: Trust = False,
    force: Force = False,
    _insecure_key: InsecureKey = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Continue from a tick of a replay, with changes if you like.

    Without --llm, --tiers and --patch the new run repeats the recorded one.
    """
    require_file(file)
    changed = load_patch(patch) if patch is not None else Patch()
    names = None if tiers is None else tuple(name.strip() for name in tiers.split(","))
    started = perf_counter()
    files = files_of(Path(file), plugin, trust=trust)
    with open_replay_file(Path(file), files) as parent, ready_model(llm, quiet=quiet) as client:
        if at > parent.ticks:
            raise usage(f"--at: {shown(file)} has no tick {at}, only {parent.ticks} ticks")
        scenario = scenario_of(parent.header, files)
        seed = parent.header.seed
        target = next(free_names(f"{scenario.name}-{seed}-fork-{at}")) if out is None else out
        tally = Tally(scenario, seed, target)
        total = ticks or parent.ticks
        with (
            write_whole(target, replace=force, taken=[file]) as sink,
            progress_bar(f"fork of {scenario.name}", total, hidden=quiet) as show,
        ):
            forked = fork_replay(
                parent,
                at,
                sink,
                ticks=ticks,
                changes=Changes(changed, names, client),
                plugin_files=files,
            )
            begun = perf_counter()
            for tick, simulation in forked:
                tally.add_recorded(tick)
                if simulation is None:
                    begun = perf_counter()
                else:
                    tally.recorded -= 1
                    tally.look(simulation)
                show(tally.ticks, total)
            tally.run_s = perf_counter() - begun
    tally.wall_s = perf_counter() - started
    if as_json:
        print_json(tally.as_json())
    elif not quiet:
        print_rows(tally.rows())
