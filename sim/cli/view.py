"""`tickweave view`: play a replay in a browser, or two beside each other."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from sim.cli.common import SUFFIX, AsJson, Force, print_result, progress_bar, require_file, usage, write_whole
from sim.cli.consent import Trust, files_of, trust_metrics
from sim.cli.options import Metrics, Plugins, ReplayName
from sim.messages import shown
from sim.replay.zst import SUFFIX as PACKED
from sim.run.scenario_file import TICKS_MAX
from sim.viewer.replays import Shown, serve, view_of

PORT_MAX: Final = 65_535


def view(
    file: ReplayName,
    other: Annotated[
        str | None, typer.Argument(metavar="[OTHER]", help="Another replay, to see both and their first difference.")
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(metavar="HTML", help="Default: FILE.html in this folder")] = None,
    serving: Annotated[
        bool,
        typer.Option("--serve", help="Serve the page on this machine, with agents' observations, until Ctrl-C."),
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=PORT_MAX, help="With --serve: the port; 0: any free one.")] = 0,
    every: Annotated[
        int,
        typer.Option(min=1, max=TICKS_MAX, metavar="N", help="Show every N-th tick, for long runs of many agents."),
    ] = 1,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    metric: Metrics = None,
    plugin: Plugins = None,
    trust: Trust = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a page that plays a replay.

    It shows the space tick by tick, plans and their origin, and metrics as curves.
    """
    names = [file] if other is None else [file, other]
    for each in names:
        require_file(each)
    if serving and (out is not None or force):
        raise usage("--serve: writes no file; leave out --out and --force")
    if port and not serving:
        raise usage("--port: needs --serve")
    trust_metrics(metric)
    replays = [Shown(Path(each), files_of(Path(each), plugin, trust=trust), shown(Path(each).name)) for each in names]
    if serving:
        _serve(replays, port, every, metric or (), browser=browser, as_json=as_json)
        return
    target = out or Path(f"{Path(file).name.removesuffix(PACKED).removesuffix(SUFFIX)}.html")
    with write_whole(target, replace=force, taken=list(names)) as sink, progress_bar(shown(file), None) as told:
        text = view_of(replays, told, every=every, metrics=metric or ()).html.encode()
        sink.write(text)
    result = {"files": names, "view": str(target), "bytes": len(text)}
    print_result(result, f"{shown(str(target))}: {len(text) / 1000:,.0f} kB; open it in a browser", as_json=as_json)
    if browser:
        webbrowser.open(target.absolute().as_uri())


def _serve(
    replays: list[Shown], port: int, every: int, metrics: Sequence[str], *, browser: bool, as_json: bool
) -> None:
    """Serve until Ctrl-C."""
    with progress_bar(replays[0].name, None) as told:
        try:
            server, address = serve(replays, told, port=port, every=every, metrics=metrics)
        except OSError as error:
            raise usage(f"--port: {port} cannot be used: {error.strerror}") from None
    with server:
        result = {"files": [str(each.source) for each in replays], "url": address}
        print_result(result, f"{address} until Ctrl-C", as_json=as_json)
        sys.stdout.flush()
        if browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
