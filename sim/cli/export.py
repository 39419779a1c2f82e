"""`tickweave export`: write a replay as tables for other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import SUFFIX, AsJson, Force, known_name, print_json, progress_bar, require_file, result_folder
from sim.cli.consent import Trust, files_of, trust_metrics
from sim.cli.options import Metrics, Plugins, ReplayName
from sim.extras import extra
from sim.run.scenario_file import TICKS_MAX
from sim.tables import NAMES
from sim.tables.export import DESCRIPTION, Form
from sim.tables.export import export as export_tables


def export(
    file: ReplayName,
    *,
    to: Annotated[Form, typer.Option(help="The format of the files.")] = "parquet",
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The output folder. Default: FILE.tables beside the replay")
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Only this table; one of {', '.join(NAMES)}.")
    ] = None,
    metric: Metrics = None,
    every: Annotated[
        int, typer.Option(min=1, max=TICKS_MAX, metavar="N", help="Agents and metrics of every N-th tick only.")
    ] = 1,
    plugin: Plugins = None,
    trust: Trust = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a replay as tables.

    They hold its agents, plans, attempts, calls, inputs and metrics.

    The replay is run again without its model, so a metric written today works on an old recording.
    """
    extra("pyarrow", "export")
    require_file(file)
    names = tuple(known_name("--table", name, NAMES, "table") for name in table or NAMES)
    trust_metrics(metric)
    files = files_of(Path(file), plugin, trust=trust)
    folder = out or Path(file).with_name(f"{Path(file).name.removesuffix(SUFFIX)}.tables")
    result_folder(folder, DESCRIPTION, "tables", replace=force)
    folder.mkdir(parents=True, exist_ok=True)
    with progress_bar("export", None) as show:
        made = export_tables(
            file,
            folder,
            form=to,
            tables=names,
            metrics=metric or (),
            every=every,
            plugin_files=files,
            progress=show,
        )
    if as_json:
        print_json(
            {"folder": str(folder), "ticks": made.ticks, "rows": made.rows, "files": [str(each) for each in made.files]}
        )
        return
    for name, rows in made.rows.items():
        sys.stdout.write(f"{folder / name}.{to}: {rows:,} rows\n")
