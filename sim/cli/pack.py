"""`tickweave pack` and `tickweave unpack`: compress a replay that can still be read at any tick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import (
    FAILED,
    AsJson,
    ExitError,
    Force,
    print_result,
    progress_bar,
    require_file,
    usage,
    write_whole,
)
from sim.cli.options import ReplayName
from sim.errors import Incomplete
from sim.messages import shown
from sim.replay.reader import is_packed, open_source, scan
from sim.replay.zst import SUFFIX
from sim.replay.zst import pack as pack_lines


def pack(
    file: ReplayName,
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The packed replay. Default: FILE.zst")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compress a replay.

    Every command reads the result, except `run --resume`; `zstd -dc` gives its lines.
    """
    require_file(file)
    if is_packed(Path(file)):
        raise usage(f"{shown(file)} is packed already")
    target = Path(f"{file}{SUFFIX}") if out is None else out
    _check(file, "packed")
    with write_whole(target, replace=force, taken=[file]) as sink, open_source(Path(file)) as lines:
        pack_lines(lines, sink)
    _report(file, target, as_json=as_json)


def unpack(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A packed replay.")],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The unpacked replay. Default: FILE without .zst")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Restore a packed replay byte for byte."""
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
    _report(file, target, as_json=as_json)


def _check(file: str, done: str) -> None:
    """Refuse a damaged replay; that of a killed run is accepted."""
    with progress_bar(shown(file), None) as show:
        problem = scan(Path(file), show).problem
    if problem is not None and not isinstance(problem, Incomplete):
        raise ExitError(f"{shown(file)}: {problem}; nothing was {done}", FAILED)


def _report(file: str, target: Path, *, as_json: bool) -> None:
    before, after = Path(file).stat().st_size, target.stat().st_size
    result = {"file": file, "out": str(target), "bytes": before, "out_bytes": after}
    print_result(result, f"{shown(str(target))}: {after:,} bytes, from {before:,}", as_json=as_json)
