"""`tickweave bundle`: write a divergence as one file for a bug report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import SUFFIX, AsJson, Force, print_result, progress_bar, require_file, write_whole
from sim.cli.consent import Trust, files_of
from sim.cli.options import Plugins
from sim.messages import shown
from sim.replay.bundle import bundle as bundle_replay
from sim.replay.zst import SUFFIX as PACKED


def bundle(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A replay that differs.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="ZIP", help="Default: FILE.bundle.zip in this folder.")] = None,
    plugin: Plugins = None,
    trust: Trust = False,
    with_plugins: Annotated[bool, typer.Option("--with-plugins", help="Include the sources of plug-ins.")] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a zip about a replay's first difference.

    It holds the verdict, the records around it, both states, and the replay up to there.
    """
    require_file(file)
    target = out or Path(f"{Path(file).name.removesuffix(PACKED).removesuffix(SUFFIX)}.bundle.zip")
    with write_whole(target, replace=force, taken=[file]) as sink, progress_bar(shown(file), None) as show:
        verdict = bundle_replay(
            Path(file),
            sink,
            plugin_files=files_of(Path(file), plugin, trust=trust),
            with_plugins=with_plugins,
            progress=show,
        )
    assert verdict.first is not None  # `bundle_replay` refuses a replay without a difference
    result = {"file": file, "bundle": str(target), "first": asdict(verdict.first), "reason": verdict.reason}
    print_result(result, f"{shown(str(target))}: {verdict.reason}", as_json=as_json)
