"""`tickweave verify`: run replays again and compare every tick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.cli.common import FAILED, INCONCLUSIVE, OK, AsJson, print_json, progress_bar, require_file
from sim.cli.consent import Trust, files_of
from sim.cli.options import Plugins
from sim.messages import one_line, shown
from sim.replay.diagnosis import diagnose
from sim.replay.verify import Verdict
from sim.replay.verify import verify as verify_replay

JOBS_MAX: Final = 64
"""The most processes that one command starts."""
_SEVERITY: Final = (OK, INCONCLUSIVE, FAILED)


def verify(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Replays.")],
    *,
    plugin: Plugins = None,
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, metavar="N", help="Processes for each replay.")] = 1,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Run replays again and compare every tick.

    It needs neither the model nor a network.

    Exit code: 0 all match, 1 at least one differs, 2 none differs but at least one cannot be judged.
    """
    for file in files:
        require_file(file)
    found = [(file, _verified(file, jobs, files_of(Path(file), plugin, trust=trust))) for file in files]
    worst = max((verdict for _, verdict in found), key=lambda verdict: _SEVERITY.index(verdict.exit_code))
    if as_json:
        entries = [{"file": file, **asdict(verdict)} for file, verdict in found]
        print_json({**asdict(worst), "files": entries})
    else:
        for file, verdict in found:
            sys.stdout.write(f"{shown(file)}: {_said(verdict)}\n")
            for line in verdict.details:
                sys.stdout.write(f"  {one_line(line)}\n")
            for escape in verdict.escapes:
                sys.stdout.write(f"{shown(file)}: went past the guard: {one_line(escape)}\n")
    raise typer.Exit(worst.exit_code)


def _verified(file: str, jobs: int, plugins: Sequence[Path]) -> Verdict:
    with progress_bar(shown(file), None) as show:
        verdict = verify_replay(Path(file), jobs=jobs, plugin_files=plugins, progress=show)
    if verdict.first is None:
        return verdict
    with progress_bar(f"{shown(file)}: second pass", None) as show:
        return diagnose(Path(file), verdict, plugins, show)


def _said(verdict: Verdict) -> str:
    if verdict.verdict == "diverged":
        return f"diverged after {verdict.ticks:,} equal ticks: {verdict.reason}"
    return f"{verdict.verdict}, {verdict.ticks:,} ticks" + (f": {verdict.reason}" if verdict.reason else "")
