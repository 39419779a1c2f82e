"""`tickweave recover`: keep the whole ticks of a killed run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import AsJson, Force, print_result, progress_bar, require_file, write_whole
from sim.messages import shown
from sim.replay.recover import recover as recover_replay


def recover(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An incomplete or damaged replay.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The recovered replay.")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole ticks of a damaged replay as a new replay.

    The new replay is complete and marked as recovered. The damaged one stays as it is.
    """
    require_file(file)
    with write_whole(out, replace=force, taken=[file]) as sink, progress_bar(shown(file), None) as show:
        ticks = recover_replay(Path(file), sink, show)
    result = {"file": file, "replay": str(out), "ticks": ticks}
    print_result(result, f"{shown(str(out))}: {ticks:,} ticks recovered", as_json=as_json)
