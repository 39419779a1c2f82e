"""`tickweave migrate`: bring replays of older formats to the present one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sim.cli.common import FAILED, INCONCLUSIVE, OK, AsJson, print_json, progress_bar, require_file
from sim.errors import ReplayError, Unsupported
from sim.messages import one_line, shown
from sim.replay.format import FORMAT
from sim.replay.migrate import BACKUP
from sim.replay.migrate import migrate as migrate_replay
from sim.replay.verify import verify


def migrate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Replays.")],
    *,
    plugin: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Where a plug-in is that the run's scenario names.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring replays of older formats to the present one; each keeps a backup, FILE.bak, and is then verified.

    Exit code: 0 all are of the present format and match, 1 one could not be migrated or does not match, 2 the format
    of one is unknown here.
    """
    for file in files:
        require_file(file)
    entries = [_migrated(file, plugin or []) for file in files]
    if as_json:
        print_json({"files": entries})
    else:
        for entry in entries:
            typer.echo(f"{shown(entry['file'])}: {entry['said']}")
    raise typer.Exit(max((entry["code"] for entry in entries), key=(OK, FAILED, INCONCLUSIVE).index))


def _migrated(file: str, plugins: list[Path]) -> dict[str, Any]:
    entry: dict[str, Any] = {"file": file, "from": None, "to": FORMAT, "verdict": None}
    try:
        found = migrate_replay(Path(file))
        if found is None:
            return {**entry, "from": FORMAT, "code": OK, "said": f"is of format {FORMAT} already; nothing was done"}
        with progress_bar(shown(file), None) as show:
            verdict = verify(Path(file), plugin_files=plugins, progress=show)
    except ReplayError as error:
        code = INCONCLUSIVE if isinstance(error, Unsupported) else FAILED
        return {**entry, "code": code, "said": one_line(str(error).removeprefix(f"{file}: "))}
    said = f"from {found} to {FORMAT}, backup {Path(file).name}{BACKUP}; verified: {verdict.verdict}"
    said += f" ({verdict.reason})" if verdict.reason else ""
    code = OK if verdict.exit_code == OK else FAILED
    return {**entry, "from": found, "code": code, "verdict": verdict.verdict, "said": said}
