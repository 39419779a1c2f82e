"""`tickweave show` and `tickweave diff`: show the contents of replays."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from sim.cli.common import (
    FAILED,
    AsJson,
    print_columns,
    print_json,
    print_picture,
    print_rows,
    progress_bar,
    require_file,
    usage,
)
from sim.cli.consent import Trust, files_of, trust_metrics
from sim.cli.options import Metrics, Plugins, ReplayName
from sim.errors import ReplayError, ScenarioError
from sim.messages import one_line, shown
from sim.replay.diff import diff as diff_replays
from sim.replay.overview import overview
from sim.replay.replay_file import ReplayFile, open_replay_file
from sim.replay.show import show_agent, show_tick
from sim.run.scenario_file import TICKS_MAX
from sim.tables.metrics import measure
from sim.viewer.terminal import Drawn, drawn

VALUES_SHOWN_MAX: Final = 20
"""Values of the state shown to people; --json has more."""
TEXT_CHARS_MAX: Final = 400
"""Characters of one value shown to people."""
LABELS: Final = {"snapshot": "observation"}
"""The names of values for people, where they differ from those of --json."""


def show(
    file: ReplayName,
    *,
    tick: Annotated[
        int | None,
        typer.Option(min=0, max=TICKS_MAX, metavar="T", help="The tick to show; without it, the whole replay."),
    ] = None,
    agent: Annotated[
        int | None, typer.Option(min=0, metavar="K", help="One agent: its plan and the effects of its steps.")
    ] = None,
    metric: Metrics = None,
    plugin: Plugins = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Show a replay, the events of a tick, or one agent.

    Of an agent: its values, its plan with the observation, prompt, reply and failed attempts, and the effects of its
    steps.
    """
    require_file(file)
    if tick is None and agent is not None:
        raise usage("--agent: needs --tick; name a tick")
    if tick is not None and metric is not None:
        raise usage("--metric: is for the overview; leave out --tick")
    trust_metrics(metric)
    with (
        progress_bar(shown(file), None) as told,
        open_replay_file(Path(file), files_of(Path(file), plugin, trust=trust), told) as replay,
    ):
        if tick is None:
            _show_all(replay, metric or (), as_json=as_json)
            return
        if tick >= replay.ticks:
            raise usage(f"--tick: {shown(file)} has no tick {tick}: it has {replay.ticks} ticks, counted from 0")
        found = show_tick(replay, tick) if agent is None else show_agent(replay, tick, agent)
    if as_json:
        print_json(found)
        return
    print_rows((LABELS.get(name, name), _whole(name, value)) for name, value in found.items() if name != "steps")
    if "steps" in found:
        print_columns(("step", "what", "ticks", "changed"), map(_step, found["steps"]))


def _show_all(replay: ReplayFile, added: Sequence[str], *, as_json: bool) -> None:
    """Show the contents of a replay: sums from its records, and metrics and a map from its last state."""
    found: dict[str, Any] = {**overview(replay), "metrics": None}
    picture = Drawn()
    try:
        with replay.at(replay.ticks) as playback:
            measure(playback.simulation, added)
            metrics = playback.simulation.metrics()
            found["metrics"] = {name: np.asarray(value).tolist() for name, value in metrics.items()}
            picture = drawn(playback.simulation)
    except (ReplayError, ScenarioError) as error:
        sys.stderr.write(f"tickweave: no map and no metrics: {one_line(str(error))}\n")
    if as_json:
        print_json(found)
        return
    model = [] if found["model"] is None else [f"model {found['model']}"]
    refused = f"; {found['refused']:,} refused" if found["refused"] else ""
    used = found["llm"] or {}
    rows: dict[str, Any] = {
        "scenario": ", ".join([str(found["scenario"]), f"seed {found['seed']}", *model]),
        "ticks": f"{found['ticks']:,} of {found['planned_ticks']:,}",
        "ended": found["ended"] if found["outcome"] is None else f"{found['ended']}: {found['outcome']}",
        "agents": f"{found['agents']:,}; {found['agents_after_first_tick']:,} after the first tick",
        "plans": _counts(found["tiers"]),
        "failed": _counts(found["failed"]),
        "inputs": f"{_counts(found['inputs'])}{refused}",
        "calls": f"{used['calls']:,} for {used['agents']:,} agents" if used else "",
        "tokens": f"{used['prompt_tokens'] or 0:,} read, {used['completion_tokens'] or 0:,} written" if used else "",
        **(found["metrics"] or {}),
    }
    print_rows((name, _text(value)) for name, value in rows.items() if value != "")
    print_picture(picture)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def diff(
    left: Annotated[str, typer.Argument(metavar="A", help="A replay.")],
    right: Annotated[str, typer.Argument(metavar="B", help="Another replay.")],
    *,
    plugin: Plugins = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Find the first difference of two replays, and its values.

    Exit code: 0 they are the same, 1 they differ or cannot be compared, as with the system's `diff`.
    """
    for file in (left, right):
        require_file(file)
    with (
        progress_bar(f"{shown(left)}, {shown(right)}", None) as told,
        open_replay_file(Path(left), files_of(Path(left), plugin, trust=trust), told) as one,
        open_replay_file(Path(right), files_of(Path(right), plugin, trust=trust), told) as two,
    ):
        found = diff_replays(one, two)
        same = min(one.ticks, two.ticks) if found is None or found.tick is None else found.tick
    if as_json:
        print_json({"same": found is None, "ticks": same, "first": None if found is None else asdict(found)})
    elif found is None:
        typer.echo(f"the same run, {same:,} ticks")
    else:
        place = "the headers" if found.tick is None else f"tick {found.tick}"
        typer.echo(f"the first difference is in {place}: {', '.join(found.names)}")
        rows = [(name, _text(a), _text(b)) for name, (a, b) in found.names.items()]
        rows += [
            (f"{value.component}.{value.field} of {value.key}", _text(value.left), _text(value.right))
            for value in found.values[:VALUES_SHOWN_MAX]
        ]
        print_columns(("what", shown(left), shown(right)), rows)
        more = len(found.values) - VALUES_SHOWN_MAX
        if more > 0 or found.note:
            typer.echo(found.note or f"and {more:,} values more; --json has them")
    if found is not None:
        raise typer.Exit(FAILED)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]} ..."


def _whole(name: str, value: Any) -> str:
    """Return a value as text: a model's prompt and reply with all of their lines, other values cut to a length."""
    if value is None or name not in ("prompt", "reply"):
        return _text(value)
    return str(value) if name == "reply" else f"{value['system'].rstrip()}\n\n{value['user']}"


def _step(step: dict[str, Any]) -> tuple[str, ...]:
    """Return the row of one step of a plan."""
    what = {name: value for name, value in step.items() if name not in ("step", "ticks")}
    ticks = [each["tick"] for each in step["ticks"]]
    span = "not reached" if not ticks else f"{ticks[0]}-{ticks[-1]}"
    changed = [
        f"{each['tick']}: {name} {old} -> {new}"
        for each in step["ticks"]
        for name, (old, new) in each["changed"].items()
    ]
    return str(step["step"]), _text(what), span, _text("; ".join(changed) or "-")
