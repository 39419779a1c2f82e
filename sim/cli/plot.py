"""`tickweave plot`: draw curves of metrics over time, or the means of a sweep."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.cli.common import SUFFIX, Force, progress_bar, require_file, usage, write_whole
from sim.cli.consent import Trust, files_of, trust_metrics
from sim.cli.options import Metrics, Plugins
from sim.extras import extra
from sim.messages import shown
from sim.replay.frames import frames
from sim.sweep.plot import draw_sweep
from sim.sweep.run import read_results
from sim.tables.plot import curves, draw

FILES_MAX: Final = 50
"""The most replays in one picture."""
FORMS: Final = (".png", ".svg", ".pdf")


def plot(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Replays, one curve each; or the folder of a sweep.")
    ],
    *,
    metric: Metrics = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The picture: .png, .svg or .pdf. Default: beside the replay")
    ] = None,
    plugin: Plugins = None,
    trust: Trust = False,
    force: Force = False,
) -> None:
    """Draw metrics over time, or the means of a sweep."""
    extra("matplotlib", "plot")
    if len(files) > FILES_MAX:
        raise usage(f"plot: at most {FILES_MAX} files; name fewer")
    first = Path(files[0]) if Path(files[0]).name else Path(files[0]).absolute()
    target = out or first.with_name(f"{first.name.removesuffix(SUFFIX)}.png")
    if target.suffix not in FORMS:
        raise usage(f"--out: {shown(str(target))} ends in none of {', '.join(FORMS)}")
    if Path(files[0]).is_dir():
        if len(files) > 1:
            raise usage("plot: one sweep makes one picture; name one folder")
        with write_whole(target, replace=force) as sink:
            draw_sweep(read_results(Path(files[0])), sink, metrics=tuple(metric or ()), form=target.suffix[1:])
        sys.stdout.write(f"{target}\n")
        return
    trust_metrics(metric)
    runs = {}
    for file in files:
        require_file(file)
        local = files_of(Path(file), plugin, trust=trust)
        with progress_bar(file, None) as show:
            runs[Path(file).name.removesuffix(SUFFIX)] = curves(frames(file, local, show), metric or ())
    with write_whole(target, replace=force) as sink:
        draw(runs, sink, form=target.suffix[1:])
    sys.stdout.write(f"{target}\n")
