"""What every command shares: exit codes, refusals in one sentence, progress, files that people name."""

from __future__ import annotations

import itertools
import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, TextIO, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ai.clients import client_from_spec
from ai.clients.redaction import INSECURE_KEY
from ai.errors import ContractError
from ai.llm_types import LlmClient
from sim.cli.terminal import Stream, drawing, plain
from sim.messages import shown
from sim.run.scenario_file import is_scenario
from sim.run.writing import whole

if TYPE_CHECKING:
    from sim.viewer.terminal import Drawn

OK: Final = 0
FAILED: Final = 1
INCONCLUSIVE: Final = 2
TROUBLE: Final = 2
"""Memory, files, streams or processes of the machine are in trouble: that says nothing about a run."""
USAGE: Final = 64
INTERRUPTED: Final = 130

SUFFIX: Final = ".replay.jsonl"
"""How a replay's name ends."""
NO_MODEL: Final = "none"
"""The model spec that stands for no model."""

Force = Annotated[bool, typer.Option("--force", help="Replace the file that is there.")]
"""The option of every command that writes a file."""


def _allow_insecure_key(allowed: bool) -> None:  # noqa: FBT001 - typer calls it
    if allowed:
        os.environ[INSECURE_KEY] = "1"


InsecureKey = Annotated[
    bool,
    typer.Option(
        "--insecure-key",
        callback=_allow_insecure_key,
        help="Send the key over plain HTTP to a server on another machine too.",
    ),
]
"""The option of commands that ask a model."""
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
"""The option every command has."""


class ExitError(Exception):
    """Ends the command with one sentence and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def usage(message: str) -> ExitError:
    """Return the error for what the caller asked wrongly."""
    return ExitError(message, USAGE)


def print_json(value: object) -> None:
    """Print a command's one object."""
    sys.stdout.write(json.dumps(value) + "\n")


def print_table(table: Any) -> None:
    """Print a table for people, never cut to the width of a pipe; its texts are data, not markup."""
    Console(highlight=False, soft_wrap=True, markup=False, emoji=False, color_system=None).print(table)


def print_picture(picture: Drawn) -> None:
    """Print a map with its legend, in colours on a terminal."""
    out: Any = sys.stdout
    if isinstance(out, Stream) and out.isatty():
        out = out.raw()  # names come with a style; what a terminal acts on was taken out of them
    from sim.viewer.terminal import legend

    console = Console(file=out, highlight=False, soft_wrap=True)
    for line in (*picture.lines, *([legend(picture.counts)] if picture.counts else ())):
        console.print(line)


def client_of(spec: str) -> LlmClient | None:
    """Return the client of a model spec, None for `none`."""
    if spec == NO_MODEL:
        return None
    try:
        return client_from_spec(spec)
    except ContractError as error:
        raise usage(f"--llm: {error}") from None


def writable(out: Path, *, taken: Sequence[str | None] = ()) -> Path:
    """Check a file that a person wants written: it may exist, but not be special nor one of those that are read."""
    try:
        if out.exists():
            if not stat.S_ISREG(out.stat().st_mode):
                raise usage(f"--out: {shown(str(out))} is not a regular file; name a file")
            if any(other and other != "-" and Path(other).exists() and out.samefile(other) for other in taken):
                raise usage(f"--out: {shown(str(out))} is what the run reads; name another file")
        elif not out.parent.is_dir():
            raise usage(f"--out: there is no folder {shown(str(out.parent))}; make it first")
    except (OSError, ValueError) as error:
        raise usage(f"--out: {shown(str(out))}: {error}") from None
    return out


@contextmanager
def write_whole(out: Path, *, replace: bool, taken: Sequence[str | None] = ()) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when all of it is written, and not at all if anything goes wrong.

    `replace` says whether it may take the place of a file that is there.
    """
    writable(out, taken=taken)
    with whole(out, replace=replace) as file:
        yield file


def free_names(stem: str) -> Iterator[Path]:
    """Yield names for a replay in the current folder, those that are not taken, for ever."""
    for number in itertools.count(1):
        target = Path(f"{stem}{SUFFIX}" if number == 1 else f"{stem}-{number}{SUFFIX}")
        if not any(os.path.lexists(name) for name in (target, report_path(target))):
            yield target


def report_path(replay: Path) -> Path:
    """Return where the times and costs of a run go, beside its replay."""
    return replay.with_name(f"{replay.name.removesuffix(SUFFIX)}.report.json")


def require_file(file: str, hint: str = "`run` makes a replay of it") -> None:
    """Check that a file that a person named can be read; `hint` says what to do with a scenario's name."""
    try:
        mode = Path(file).stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if is_scenario(file):
            raise usage(f"{shown(file)}: is a scenario, not a file; {hint}") from None
        raise usage(f"{shown(file)}: cannot be read: {reason}") from None
    if not stat.S_ISREG(mode):
        raise usage(f"{shown(file)}: is not a regular file; name a replay")


@contextmanager
def progress_bar(
    what: str, total: int | None, *, unit: str = "ticks", hidden: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal and nothing elsewhere; yields what is told units done and units in all."""
    terminal = drawing()
    if hidden or not terminal.isatty():
        yield lambda _done, _of: None
        return
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=cast(TextIO, terminal)), transient=True) as progress:
        task = progress.add_task(plain(what), total=total)
        yield lambda done, of: progress.update(task, completed=done, total=of)


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C finish the current tick, so that the replay ends well; the second one stops at once."""
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, before)
