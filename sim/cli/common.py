"""Code that all commands share: exit codes, refusals in one sentence, output, progress, files that people name."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, TextIO, cast

import typer
from rich.console import Console
from rich.table import Table

from ai.clients import client_from_spec
from ai.clients.redaction import INSECURE_KEY
from ai.errors import ContractError
from ai.llm_types import LlmClient
from sim.cli.terminal import Stream, drawing, plain
from sim.messages import quoted, shown, suggestion
from sim.run.writing import whole

if TYPE_CHECKING:
    from sim.run.scenario_file import Scenario
    from sim.viewer.terminal import Drawn

OK: Final = 0
FAILED: Final = 1
INCONCLUSIVE: Final = 2
TROUBLE: Final = 2
"""Memory, files, streams or processes of the machine failed, which says nothing about a run."""
USAGE: Final = 64
INTERRUPTED: Final = 130

SUFFIX: Final = ".replay.jsonl"
"""The ending of a replay's name."""
NO_MODEL: Final = "none"
"""The model spec that stands for no model."""

Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
"""The option of every command that writes a file."""


def _allow_insecure_key(allowed: bool) -> None:  # noqa: FBT001 - typer calls it
    if allowed:
        os.environ[INSECURE_KEY] = "1"


InsecureKey = Annotated[
    bool,
    typer.Option(
        "--insecure-key",
        callback=_allow_insecure_key,
        help="Send the key over plain HTTP even to a server on another machine.",
    ),
]
"""The option of commands that ask a model."""
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
"""The option of every command that prints a result."""


class ExitError(Exception):
    """Ends the command with one sentence and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def usage(message: str) -> ExitError:
    """Return the error for a wrong command line."""
    return ExitError(message, USAGE)


def print_json(value: object) -> None:
    """Print a command's result as one JSON object."""
    sys.stdout.write(json.dumps(_plain(value), allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """Return a value without the numbers that JSON has no form for: a metric that is not finite is null."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_result(result: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    """Print a command's result: one JSON object, or a sentence for people."""
    if as_json:
        print_json(result)
    else:
        sys.stdout.write(f"{sentence}\n")


def print_table(table: Any) -> None:
    """Print a table for people, never cut to the width of a pipe; its texts are data, not markup."""
    Console(highlight=False, soft_wrap=True, markup=False, emoji=False, color_system=None).print(table)


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    print_table(table)


def print_columns(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Print rows below headings; the columns in `numbers` are aligned to the right."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    print_table(table)


def print_picture(picture: Drawn) -> None:
    """Print a map with its legend, in colours on a terminal."""
    out: Any = sys.stdout
    if isinstance(out, Stream) and out.isatty():
        out = out.raw()  # `drawn` has already removed control characters from the names
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


def require_planning(scenario: Scenario, option: str) -> None:
    """Refuse an option that only agents that plan can use."""
    if not scenario.domain.plans:
        raise usage(f"{option}: agents of {scenario.name!r} do not plan, so a run asks no model")


def client_maker(spec: str) -> Callable[[], LlmClient] | None:
    """Return a function that makes the client of a model spec, None for `none`; a wrong spec is refused at once."""
    if client_of(spec) is None:
        return None

    def client() -> LlmClient:
        made = client_of(spec)
        assert made is not None
        return made

    return client


def known_name(option: str, name: str, known: Sequence[str], kind: str) -> str:
    """Return a name that an option was given, if it is one of those known.

    Raises:
        ExitError: it is not; the sentence has a suggestion.
    """
    if name not in known:
        raise usage(f"{option}: no {kind} {quoted(name)}; {suggestion(name, list(known), f'{kind}s')}")
    return name


def result_folder(out: Path, result: str, what: str, *, replace: bool) -> Path:
    """Check the folder of a command that writes several files; `result` is a file that a finished one has.

    Raises:
        ExitError: the path is not a folder, or has a result and `replace` is False.
    """
    if out.exists() and not out.is_dir():
        raise usage(f"--out: {shown(str(out))} is not a folder")
    if (out / result).exists() and not replace:
        raise usage(f"--out: {shown(str(out))} has {what} already; name another folder, or add --force")
    return out


def writable(out: Path, *, taken: Sequence[str | None] = ()) -> Path:
    """Check the path of an output file: it may exist, but not as a special file or as one that the command reads."""
    try:
        if out.exists():
            if not stat.S_ISREG(out.stat().st_mode):
                raise usage(f"--out: {shown(str(out))} is not a regular file; name a file")
            if any(other and other != "-" and Path(other).exists() and out.samefile(other) for other in taken):
                raise usage(f"--out: the command reads {shown(str(out))}; name another file")
        elif not out.parent.is_dir():
            raise usage(f"--out: the folder {shown(str(out.parent))} does not exist; make it first")
    except (OSError, ValueError) as error:
        raise usage(f"--out: {shown(str(out))}: {error}") from None
    return out


@contextmanager
def write_whole(out: Path, *, replace: bool, taken: Sequence[str | None] = ()) -> Iterator[BinaryIO]:
    """Open a file that gets its name when all of it is written, and never if anything fails.

    `replace` says whether it may replace an existing file.
    """
    writable(out, taken=taken)
    with whole(out, replace=replace) as file:
        yield file


def free_names(stem: str) -> Iterator[Path]:
    """Yield unused names for a replay in the current folder, without end."""
    for number in itertools.count(1):
        target = Path(f"{stem}{SUFFIX}" if number == 1 else f"{stem}-{number}{SUFFIX}")
        if not any(os.path.lexists(name) for name in (target, report_path(target))):
            yield target


def report_path(replay: Path) -> Path:
    """Return the path of the report, with the times and costs of a run, beside its replay."""
    return replay.with_name(f"{replay.name.removesuffix(SUFFIX)}.report.json")


def require_file(file: str, hint: str = "`run` makes a replay of it") -> None:
    """Check that a named file can be read; `hint` is the advice for the name of a scenario."""
    try:
        mode = Path(file).stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        from sim.run.files import near_file  # commands without such a mistake start sooner
        from sim.run.scenario_file import is_scenario

        if is_scenario(file):
            raise usage(f"{shown(file)} is a scenario, not a file; {hint}") from None
        raise usage(f"{shown(file)}: cannot be read: {reason}{near_file(file)}") from None
    if not stat.S_ISREG(mode):
        raise usage(f"{shown(file)} is not a regular file; name a replay")


@contextmanager
def progress_bar(
    what: str, total: int | None, *, unit: str = "ticks", hidden: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal and nothing elsewhere; yields a function of the units done and the total."""
    terminal = drawing()
    if hidden or not terminal.isatty():
        yield lambda _done, _of: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=cast(TextIO, terminal)), transient=True) as progress:
        task = progress.add_task(plain(what), total=total)
        yield lambda done, of: progress.update(task, completed=done, total=of)


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Note the first Ctrl-C, so that a command ends after its current step with whole files; a second one ends it."""
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
