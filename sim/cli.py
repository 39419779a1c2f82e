"""The command line: `tickweave run`, `verify`, `scenarios`.

Results go to stdout, everything else to stderr. Bad input ends with one sentence and never with a traceback. Exit
codes: 0 done (`verify`: match), 1 failed (`verify`: proven divergence), 2 inconclusive (`verify` only), 64 usage (an
unknown or invalid scenario, input, model spec or option), 130 interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.exceptions import TyperException

from ai.clients import client_from_spec
from ai.clients.base import LlmClient
from ai.errors import AIError, ContractError
from ai.prompt import PROMPT_VERSION
from sim.errors import ScenarioError, SimError
from sim.explain import one_line, shown
from sim.inputs import TimedInput
from sim.replay.verify import Verdict
from sim.replay.verify import verify as verify_replay
from sim.replay.writer import Recorder, open_replay
from sim.scenario import FILE_BYTES_MAX, TICKS_MAX, Scenario, available, decode, inputs_from_lines, load, read_text
from sim.simulation import Simulation, TickReport
from sim.summary import Tally, scenarios_table

OK: Final = 0
FAILED: Final = 1
INCONCLUSIVE: Final = 2
USAGE: Final = 64
INTERRUPTED: Final = 130

REFUSED_SHOWN_MAX: Final = 5
"""Refused inputs told for one tick."""
SUFFIX: Final = ".replay.jsonl"
"""How a replay's name ends."""
NO_MODEL: Final = "none"
"""The model spec that stands for no model."""

app = typer.Typer(
    name="tickweave",
    help="Headless, deterministic simulations whose agents plan with a language model or by rules.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


class DetailOption(StrEnum):
    """How much a replay records for each tick."""

    HASH = "hash"
    FULL = "full"


class _ExitError(Exception):
    """Ends the command with one sentence and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def _usage(message: str) -> _ExitError:
    return _ExitError(message, USAGE)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    code = invoke(args)
    try:
        sys.stdout.flush()
    except OSError:
        # Nobody takes our output: told already, or a reader that has gone. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def invoke(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors that a person can mend are told in one sentence."""
    try:
        returned = app(args=None if args is None else list(args), prog_name="tickweave", standalone_mode=False)
        sys.stdout.flush()
    except _ExitError as error:
        return _fail(str(error), error.code)
    except ScenarioError as error:
        return _fail(str(error), USAGE)
    except TyperException as error:
        return _fail(error.format_message(), USAGE)
    except (SimError, AIError) as error:
        return _fail(str(error), FAILED)
    except BrokenPipeError:
        return FAILED
    except OSError as error:
        where = f"{shown(str(error.filename))}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", FAILED)
    except MemoryError:
        return _fail("out of memory; try fewer agents or a smaller map", FAILED)
    if returned == INTERRUPTED:  # how typer says that Ctrl-C came where nobody waited for it
        return _fail("interrupted", INTERRUPTED)
    return returned if isinstance(returned, int) else OK


def _fail(message: str, code: int) -> int:
    """Tell why on stderr; only the help page, which typer gives for no arguments at all, has more than one line."""
    sys.stderr.write(f"{message}\n" if "\n" in message else f"tickweave: {one_line(message)}\n")
    return code


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it
    if asked:
        sys.stdout.write(f"tickweave {version('tickweave')}\n")
        raise typer.Exit


@app.callback()
def _common(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Headless, deterministic simulations whose agents plan with a language model or by rules."""


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name (see `scenarios`) or path of a TOML file.")],
    *,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="In place of the scenario's seed.")] = None,
    ticks: Annotated[
        int | None, typer.Option(min=1, max=TICKS_MAX, help="Ticks to run at most, in place of the scenario's.")
    ] = None,
    llm: Annotated[
        str,
        typer.Option(metavar="SPEC", help="The model: none, openai:MODEL[@URL] or scripted:FILE; plug-ins add more."),
    ] = NO_MODEL,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write the replay. Default: ./SCENARIO-SEED.replay.jsonl"),
    ] = None,
    inputs: Annotated[
        str | None, typer.Option(metavar="FILE", help="Timed inputs, one JSON object a line; - reads standard input.")
    ] = None,
    detail: Annotated[
        DetailOption, typer.Option(help="How much the replay records for each tick.")
    ] = DetailOption.HASH,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no summary and no progress.")] = False,
) -> None:
    """Run a scenario and write its replay."""
    plan = load(scenario)
    chosen_seed = plan.seed if seed is None else seed
    timeline = _inputs(inputs, plan)
    target = _target(out, plan, chosen_seed, taken=[scenario, inputs])
    client = _client(llm)
    tally = Tally(plan, chosen_seed, target)
    started = perf_counter()
    total = ticks or plan.ticks
    with (
        Simulation(plan, seed=chosen_seed, client=client, detail=detail.value) as simulation,
        open_replay(target) as writer,
        _progress(plan.name, total, hidden=quiet) as show,
        _interrupts() as interrupted,
    ):
        model = client.label if client else None
        prompts = PROMPT_VERSION if client else None
        recorder = Recorder(simulation, writer, ticks=total, llm=model, prompt_version=prompts)
        recorder.header()
        _run(simulation, recorder, deque(timeline), total, tally, show, interrupted, quiet=quiet)
        recorder.end()
    tally.wall_s = perf_counter() - started
    _report_path(target).write_text(json.dumps(tally.as_report(), indent=2) + "\n", encoding="utf-8")
    if interrupted():
        raise _ExitError(f"interrupted after {tally.ticks} ticks; they are kept in {target}", INTERRUPTED)
    if as_json:
        _print_json(tally.as_json())
    elif not quiet:
        Console(highlight=False, soft_wrap=True).print(tally.table())


def _run(
    simulation: Simulation,
    recorder: Recorder,
    timeline: deque[TimedInput],
    ticks: int,
    tally: Tally,
    show: Callable[[int, int], None],
    interrupted: Callable[[], bool],
    *,
    quiet: bool,
) -> None:
    reports = simulation.run(ticks)
    while not interrupted():
        while timeline and timeline[0].tick <= tally.ticks:
            simulation.inject(timeline.popleft().input)
        begun = perf_counter()
        report = next(reports, None)
        if report is None:
            break
        ticked = perf_counter()
        recorder.tick(report)
        tally.add(report, tick_s=ticked - begun, record_s=perf_counter() - ticked)
        if not quiet:
            _tell_refused(report)
        show(tally.ticks, ticks)
    tally.unused_inputs = len(timeline)


def _tell_refused(report: TickReport) -> None:
    """Say which inputs had no effect; past a few of one tick only how many."""
    for place, reason in list(report.refused.items())[:REFUSED_SHOWN_MAX]:
        kind = report.inputs[place].kind
        sys.stderr.write(f"tickweave: tick {report.tick}: {kind} refused: {one_line(reason)}\n")
    more = len(report.refused) - REFUSED_SHOWN_MAX
    if more > 0:
        sys.stderr.write(f"tickweave: tick {report.tick}: {more} more inputs refused\n")


@app.command()
def verify(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Replays.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run replays again, without model or network, and compare every tick.

    Exit code: 0 all match, 1 one differs, 2 none differs but one cannot be judged.
    """
    for file in files:
        _require_file(file)
    found = [(file, _verified(file)) for file in files]
    worst = max((verdict for _, verdict in found), key=lambda verdict: _SEVERITY.index(verdict.exit_code))
    if as_json:
        entries = [{"file": file, **_verdict(verdict)} for file, verdict in found]
        _print_json({**_verdict(worst), "files": entries})
    else:
        for file, verdict in found:
            sys.stdout.write(f"{shown(file)}: {_said(verdict)}\n")
    raise typer.Exit(worst.exit_code)


def _verified(file: str) -> Verdict:
    with _progress(shown(file), None) as show:
        return verify_replay(Path(file), progress=show)


@app.command()
def scenarios(
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a scenario file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the scenarios that `run` knows by name."""
    if schema:
        _print_json(Scenario.model_json_schema())
        return
    found = available()
    if as_json:
        entries = [
            {"name": name, "agents": each.agents, "ticks": each.ticks, "description": each.description}
            for name, each in found
        ]
        _print_json({"scenarios": entries})
    else:
        Console(highlight=False, soft_wrap=True).print(scenarios_table(found))


_SEVERITY: Final = (OK, INCONCLUSIVE, FAILED)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"verdict": verdict.verdict, "ticks": verdict.ticks, "first": verdict.first, "reason": verdict.reason}


def _said(verdict: Verdict) -> str:
    return f"{verdict.verdict}, {verdict.ticks:,} ticks" + (f": {verdict.reason}" if verdict.reason else "")


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def _client(spec: str) -> LlmClient | None:
    if spec == NO_MODEL:
        return None
    try:
        return client_from_spec(spec)
    except ContractError as error:
        raise _usage(f"--llm: {error}") from None


def _inputs(source: str | None, scenario: Scenario) -> tuple[TimedInput, ...]:
    if source is None:
        return ()
    if source == "-":
        return inputs_from_lines(
            decode(sys.stdin.buffer.read(FILE_BYTES_MAX + 1), "standard input"), "standard input", scenario
        )
    return inputs_from_lines(read_text(source), shown(source), scenario)


def _target(out: Path | None, scenario: Scenario, seed: int, *, taken: Sequence[str | None]) -> Path:
    """Return where the replay goes: the given file, which may exist, or a new one in the current folder."""
    if out is None:
        stem = f"{scenario.name}-{seed}"
        target = Path(f"{stem}{SUFFIX}")
        number = 1
        while target.exists():  # a recording may have cost model calls: never write over one that was not named
            number += 1
            target = Path(f"{stem}-{number}{SUFFIX}")
        return target
    try:
        if out.exists():
            if not stat.S_ISREG(out.stat().st_mode):
                raise _usage(f"--out: {shown(str(out))} is not a regular file; name a file")
            if any(other and other != "-" and Path(other).exists() and out.samefile(other) for other in taken):
                raise _usage(f"--out: {shown(str(out))} is what the run reads; name another file")
        elif not out.parent.is_dir():
            raise _usage(f"--out: there is no folder {shown(str(out.parent))}; make it first")
    except (OSError, ValueError) as error:
        raise _usage(f"--out: {shown(str(out))}: {error}") from None
    return out


def _report_path(replay: Path) -> Path:
    return replay.with_name(f"{replay.name.removesuffix(SUFFIX)}.report.json")


def _require_file(file: str) -> None:
    try:
        mode = Path(file).stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _usage(f"{shown(file)}: cannot be read: {reason}") from None
    if not stat.S_ISREG(mode):
        raise _usage(f"{shown(file)}: is not a regular file; name a replay")


@contextmanager
def _progress(what: str, total: int | None, *, hidden: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal and nothing elsewhere; yields what is told ticks done and ticks in all."""
    if hidden or not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TextColumn("ticks"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, of: progress.update(task, completed=done, total=of)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
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
