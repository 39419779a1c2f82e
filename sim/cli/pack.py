"""`tickweave pack`: compress a replay so that it can still be read at any tick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import AsJson, ExitError, Force, print_json, progress_bar, require_file, usage, write_whole
from sim.errors import Incomplete
from sim.messages import shown
from sim.replay.packed import SUFFIX
from sim.replay.packed import pack as pack_lines
from sim.replay.reader import is_packed, open_source, scan


def pack(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A replay.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write. Default: FILE.zst")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compress a replay; every command reads the result as it is, and so does `zstd -dc`."""
    require_file(file)
    if is_packed(Path(file)):
        raise usage(f"{shown(file)} is packed already")
    target = Path(f"{file}{SUFFIX}") if out is None else out
    _check(file, "packed")
    with write_whole(target, replace=force, taken=[file]) as sink, open_source(Path(file)) as lines:
        pack_lines(lines, sink)
    _tell(file, target, as_json=as_json)


def unpack(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A packed replay.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write. Default: FILE without .zst")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Turn a packed replay back into the lines it was made from, to the byte."""
    require_file(file)
    if not is_packed(Path(file)):
        raise usage(f"{shown(file)} is not packed")
    if out is None and not file.endswith(SUFFIX):
        raise usage(f"--out: {shown(file)} does not end in {SUFFIX}; name the file to write")
    target = Path(file.removesuffix(SUFFIX)) if out is None else out
    _check(file, "unpacked")
    with write_whole(target, replace=force, taken=[file]) as sink, open_source(Path(file)) as lines:
        while part := lines.read(1 << 20):
            sink.write(part)
    _tell(file, target, as_json=as_json)


def _check(file: str, done: str) -> None:
    """Refuse a replay that is damaged; one of a killed run is taken as it is."""
    with progress_bar(shown(file), None) as show:
        problem = scan(Path(file), show).problem
    if problem is not None and not isinstance(problem, Incomplete):
        raise ExitError(f"{shown(file)}: {problem}; nothing was {done}", 1)


def _tell(file: str, target: Path, *, as_json: bool) -> None:
    before, after = Path(file).stat().st_size, target.stat().st_size
    if as_json:
        print_json({"file": file, "out": str(target), "bytes": before, "out_bytes": after})
    else:
        typer.echo(f"{shown(str(target))}: {after:,} bytes, from {before:,}")
