"""`tickweave recover`: keep what a killed run left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import AsJson, Force, print_json, progress_bar, require_file, write_whole
from sim.messages import shown
from sim.replay.recover import recover as recover_replay


def recover(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An incomplete or damaged replay.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write what is whole.")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole ticks of a killed or damaged run as a replay that is whole and marked as recovered."""
    require_file(file)
    with write_whole(out, replace=force, taken=[file]) as sink, progress_bar(shown(file), None) as show:
        ticks = recover_replay(Path(file), sink, show)
    if as_json:
        print_json({"file": file, "replay": str(out), "ticks": ticks})
    else:
        typer.echo(f"{shown(str(out))}: {ticks:,} ticks recovered")
