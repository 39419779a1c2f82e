"""`tickweave run`: run a scenario and write its replay."""

from __future__ import annotations

import io
import json
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from time import perf_counter
from typing import Annotated, Final, TextIO, cast

import typer
from rich.console import Console

from ai.clients.resilience import RETRIES
from ai.guard import everything
from ai.llm.price import INSTALL, Price, price_of, prices_installed
from sim.cli.choices import chosen, group_models
from sim.cli.common import (
    INTERRUPTED,
    NO_MODEL,
    AsJson,
    ExitError,
    Force,
    InsecureKey,
    free_names,
    interrupts,
    print_json,
    print_rows,
    progress_bar,
    report_path,
    require_file,
    require_planning,
    usage,
    writable,
    write_whole,
)
from sim.cli.consent import Trust, files_of, load_scenario, trust_metrics
from sim.cli.logs import LogJson, Verbose, logs
from sim.cli.model import described, ready_models
from sim.cli.options import (
    EncodingName,
    Every,
    Groups,
    InFlight,
    Metrics,
    OptionalScenarioName,
    Prefer,
    Quiet,
    Seed,
    ShardSize,
    Ticks,
    Tiers,
    Values,
)
from sim.cli.run_report import Tally
from sim.cli.terminal import drawing
from sim.errors import FileExists, MachineError, ReplayError
from sim.messages import one_line, shown
from sim.replay.keyframes import EVERY
from sim.replay.recover import resume as resume_replay
from sim.replay.writer import Recorder, ReplayWriter, open_replay
from sim.replay.zst import SUFFIX as PACKED
from sim.run.choices import MODEL, with_values
from sim.run.files import read_text
from sim.run.input_sources import InputSource, ScheduledInputs, StreamedInputs, inputs_from_lines
from sim.run.inputs import TimedInput
from sim.run.pace import Pace
from sim.run.planning import TICKS_MAX as ROUND_TICKS_MAX
from sim.run.planning_service import ModelOptions, build_tiers
from sim.run.plugins import Plugin
from sim.run.rounds import rounds_every
from sim.run.scenario_file import TICKS_MAX, Scenario, python_files
from sim.run.simulation import Detail, Simulation, TickReport
from sim.run.writing import check_free
from sim.tables.metrics import measure

REFUSED_SHOWN_MAX: Final = 5
"""Refused inputs that are named for one tick."""
DEADLINE_MS_MAX: Final = 3_600_000
"""Longest time for one tick's planning, milliseconds."""
RETRIES_MAX: Final = 10
"""The most second tries of one call."""
TOKENS_MAX: Final = 10**12
"""Largest budget of tokens."""
COST_MAX: Final = 1e6
"""Largest budget of money, US dollars."""
PACE_MAX: Final = 100_000.0
"""The most ticks a second that a run may be paced to."""
RATE_MAX: Final = 1_000_000_000
"""The highest rate, per minute."""


def run(
    scenario: OptionalScenarioName = None,
    *,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of SCENARIO: continue a run whose replay ended early.")
    ] = None,
    seed: Seed = None,
    ticks: Ticks = None,
    llm: Annotated[
        str,
        typer.Option(
            metavar="SPEC", help="The model: none, ollama:MODEL[@URL], openai:MODEL[@URL], llama-server:FILE ..."
        ),
    ] = NO_MODEL,
    llm_optional: Annotated[
        bool, typer.Option("--llm-optional", help="Run by rules if the model's server is down at the start.")
    ] = False,
    deadline_ms: Annotated[
        int | None,
        typer.Option(
            min=1, max=DEADLINE_MS_MAX, metavar="MS", help="Time for one tick's planning; rules plan for the rest."
        ),
    ] = None,
    every: Every = None,
    think: Annotated[
        int | None,
        typer.Option(min=0, max=ROUND_TICKS_MAX, metavar="TICKS", help="Ticks from a round to its plans; 0: wait."),
    ] = None,
    pace: Annotated[
        float | None,
        typer.Option(min=0.001, max=PACE_MAX, metavar="N", help="Ticks per second of real time."),
    ] = None,
    prefer: Prefer = None,
    shard_size: ShardSize = None,
    in_flight: InFlight = None,
    retries: Annotated[
        int | None, typer.Option(min=0, max=RETRIES_MAX, metavar="N", help=f"Second tries of a call [{RETRIES}].")
    ] = None,
    rate: Annotated[int | None, typer.Option(min=1, max=RATE_MAX, metavar="N", help="Most calls per minute.")] = None,
    encoding: Annotated[
        EncodingName | None, typer.Option(help="How replies write plans. Default: as the server is known to take")
    ] = None,
    token_rate: Annotated[
        int | None, typer.Option(min=1, max=RATE_MAX, metavar="N", help="Most tokens per minute.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, max=TOKENS_MAX, metavar="N", help="Tokens that the model may use; then rules plan."),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0, max=COST_MAX, metavar="USD", help="US dollars that the model may cost; needs a known price."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The replay. Default: ./SCENARIO-SEED.replay.jsonl"),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Timed inputs, one JSON object per line; - reads them while running."),
    ] = None,
    detail: Annotated[
        Detail | None, typer.Option(help="Record hashes of each tick, or all changed values [hash].")
    ] = None,
    keyframes: Annotated[
        int | None,
        typer.Option(min=0, max=TICKS_MAX, metavar="N", help=f"Ticks between keyframes; 0 writes none [{EVERY}]."),
    ] = None,
    tiers: Tiers = None,
    group: Groups = None,
    choices: Values = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Add a plug-in; with --resume: path of a plug-in that the run uses."),
    ] = None,
    metric: Metrics = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the run in the terminal while it runs.")] = False,
    view: Annotated[
        bool, typer.Option("--view", help="Serve a page of the run while it runs, and until Ctrl-C after it.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse clocks, global randomness, hashes of text and the network.")
    ] = False,
    as_json: AsJson = False,
    trust: Trust = False,
    force: Force = False,
    _insecure_key: InsecureKey = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    log_json: LogJson = False,
) -> None:
    """Run a scenario and write its replay."""
    if (scenario is None) == (resume is None):
        raise usage("run: name a scenario, or a replay with --resume")
    models = group_models(group)
    options = ModelOptions(
        deadline_s=None if deadline_ms is None else deadline_ms / 1000,
        shard_size=shard_size,
        in_flight=in_flight,
        retries=retries,
        requests_a_minute=rate,
        tokens_a_minute=token_rate,
        encoding=encoding,
        tokens_max=max_tokens,
        cost_max=max_cost,
        prices=_prices({**({} if llm == NO_MODEL else {"": llm}), **models}, max_cost),
    )
    if watch and not drawing().isatty():
        raise usage("--watch: standard error is not a terminal; leave it out")
    started = perf_counter()
    live: Live | None = None
    displays: list[Live | Watch] = []
    if resume is not None:
        tiers_of_groups = None if len(models) == len(group or ()) else group
        fixed: dict[str, object] = {"--seed": seed, "--out": out, "--detail": detail, "--keyframes": keyframes}
        fixed |= {"--tiers": tiers, "--group": tiers_of_groups, "--set": choices}
        fixed |= {"--every": every, "--think": think, "--prefer": prefer}
        given = [name for name, value in fixed.items() if value is not None]
        if given:
            raise usage(f"{given[0]}: needs a scenario; with --resume the replay has it")
        if force:
            raise usage("--force: needs a scenario; --resume continues in the existing file")
        require_file(str(resume))
        names: Iterator[Path] = iter([resume])
    else:
        assert scenario is not None
        plan, plugins = chosen(load_scenario(scenario, trust=trust), choices, tiers, group, plugin)
        if llm != NO_MODEL:
            require_planning(plan, "--llm")
        plan = _in_rounds(
            plan,
            every=every,
            think=_thought(plan, every, think, pace, plugins, has_model=llm != NO_MODEL or bool(models)),
            prefer=prefer,
        )
        chosen_seed = plan.seed if seed is None else seed
        known = _listed(inputs, plan)
        names = free_names(f"{plan.name}-{chosen_seed}") if out is None else iter([out])
    trust_metrics(metric)
    target = next(names)
    taken = [scenario, inputs, *(str(file) for file in plugin or ())]
    for name in (lambda path: path, report_path):
        writable(name(target), taken=taken)
        check_free(name(target), replace=force or resume is not None)
    if target.suffix == PACKED:
        raise usage(f"--out: {shown(str(target))}: a run writes lines; `pack` compresses them when it has ended")
    with ExitStack() as stack:
        stack.enter_context(logs(verbose, as_json=log_json))
        if strict:
            stack.enter_context(everything())
        client = stack.enter_context(ready_models(llm, models, optional=llm_optional, quiet=quiet))
        if resume is not None:
            files = files_of(resume, [Path(each) for each in plugin or ()], trust=trust)
            simulation, recorder, past = stack.enter_context(
                resume_replay(resume, ticks=ticks, client=client, model=options, plugin_files=files)
            )
            tally = Tally(simulation.scenario, simulation.seed, resume)
            for tick in past:
                tally.add_recorded(tick)
            measure(simulation, metric or ())
            listed = _listed(inputs, simulation.scenario)
            known = tuple(timed for timed in listed if timed.tick >= simulation.world.tick)
        else:
            simulation = Simulation(
                plan, seed=chosen_seed, plugins=plugins, client=client, model=options, detail=detail or "hash"
            )
            measure(simulation, metric or ())
            stack.enter_context(simulation)
            target, writer = _created(stack, target, names, force=force)
            spacing = EVERY if keyframes is None else keyframes
            recorder = Recorder(simulation, writer, ticks=ticks or plan.ticks, keyframes=spacing)
            recorder.header()
            tally = Tally(simulation.scenario, simulation.seed, target)
        total = recorder.ticks if ticks is None else ticks
        if view:
            from sim.viewer.live import Live  # runs without a display start sooner

            live = Live(target, _local_files(simulation.scenario, plugin or ()))
            displays.append(live)
            _tell(f"see the run at {live.address}")
        if watch:
            import rich.live

            from sim.viewer.watch import LOOK_S, Watch

            console = Console(file=cast(TextIO, drawing()))
            prices = {name: price_of(spec) for name, spec in {"": llm, **models}.items()}
            display = Watch(min(console.width, 100), max(min(console.height - 14, 30), 4), prices=prices)
            displays.append(display)
            stack.enter_context(
                rich.live.Live(display, console=console, refresh_per_second=1 / LOOK_S, redirect_stdout=False)
            )
        for each in displays:
            each.begin(simulation, total)
            simulation.listen(each)
        show = stack.enter_context(progress_bar(simulation.scenario.name, total, hidden=quiet or watch))
        interrupted = stack.enter_context(interrupts())
        feed: InputSource = ScheduledInputs(known)
        if inputs == "-":
            stream = io.BytesIO() if sys.stdin is None else sys.stdin.buffer  # None: it was closed, so nothing comes
            assert isinstance(stream, io.BufferedIOBase)
            feed = StreamedInputs(stream, simulation.scenario, _tell, interrupted)
        try:
            tally.pace = None if pace is None else Pace(pace)
            _run(simulation, recorder, feed, total, tally, show, interrupted, quiet=quiet)
        except (ReplayError, MachineError):  # nothing more can be written
            raise
        except (Exception, SystemExit):  # a model may call sys.exit()
            recorder.end("failed")
            raise
        recorder.end()
        tally.look(simulation)
        for each in displays:
            each.end(simulation.outcome or ("interrupted" if interrupted() else "the run has ended"))
    tally.wall_s = perf_counter() - started
    report = json.dumps({**tally.as_report(), "endpoint": described(client)}, indent=2) + "\n"
    with write_whole(report_path(target), replace=force or resume is not None, taken=taken) as file:
        file.write(report.encode())
    if interrupted():
        go_on = ""
        if simulation.outcome is None and tally.ticks < recorder.ticks:
            go_on = f"; continue with: {_command(target, simulation.scenario, llm, models, inputs)}"
        raise ExitError(
            f"interrupted after {tally.ticks} ticks; they are kept in {shown(str(target))}{go_on}", INTERRUPTED
        )
    if as_json:
        print_json(tally.as_json())
    elif not quiet:
        print_rows(tally.rows())
    if live is not None:
        _tell("the page stays until Ctrl-C")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        live.close()


def _local_files(scenario: Scenario, given: Sequence[str]) -> list[Path]:
    """Return the paths of the local Python files of a run."""
    folder = Path() if scenario.folder is None else scenario.folder
    named = [folder / name for name in python_files(dict(scenario.head))]
    return [*(file for file in named if file.is_file()), *(Path(each) for each in given)]


def _prices(models: Mapping[str, str], max_cost: float | None) -> dict[str, Price]:
    """Return the price of each model by name; without all of them, money cannot be limited."""
    if max_cost is None:
        return {}
    if max_cost == 0:
        raise usage("--max-cost: must be more than 0; leave --llm out for a run without a model")
    if not models:
        raise usage("--max-cost: the run has no model; add --llm")
    found: dict[str, Price] = {}
    for name, spec in models.items():
        price = price_of(spec)
        if price is None:
            which = f"the model of {shown(name)}" if name else "this model"
            why = f"{which} has no known price" if prices_installed() else f"prices are not installed: {INSTALL}"
            raise usage(f"--max-cost: {why}; use --max-tokens")
        found[name] = price
    return found


def _in_rounds(scenario: Scenario, **values: object) -> Scenario:
    """Return a scenario with other planning values; None keeps the scenario's own."""
    return with_values(scenario, {f"planning.{key}": value for key, value in values.items() if value is not None})


def _thought(
    scenario: Scenario,
    every: int | None,
    think: int | None,
    pace: float | None,
    plugins: Sequence[Plugin],
    *,
    has_model: bool,
) -> int | None:
    """Return the thinking time of the command line; by default a paced run with a model has two rounds."""
    if think is not None or pace is None or not has_model or not scenario.domain.plans or scenario.planning.think:
        return think
    tiers = build_tiers(scenario, [planner for plugin in plugins for planner in plugin.planners])
    if not any(getattr(tier, "needs_client", False) for tier in tiers):
        return None
    ticks = 2 * rounds_every(scenario, every)
    _tell(f"--pace: plans take effect {ticks} ticks after they are asked for, two rounds (--think {ticks})")
    return ticks


def _listed(inputs: str | None, scenario: Scenario) -> tuple[TimedInput, ...]:
    """Return the inputs of a file; those from standard input are read while running."""
    if inputs is None or inputs == "-":
        return ()
    return inputs_from_lines(read_text(inputs), shown(inputs), scenario)


def _created(stack: ExitStack, target: Path, names: Iterator[Path], *, force: bool) -> tuple[Path, ReplayWriter]:
    """Create the recording under the first name that is still unused."""
    while True:
        try:
            return target, stack.enter_context(open_replay(target, replace=force))
        except FileExists:
            following = next(names, None)
            if following is None:
                raise
            target = following


def _command(target: Path, scenario: Scenario, llm: str, models: Mapping[str, str], inputs: str | None) -> str:
    """Return the command line that continues a recording."""
    words = ["tickweave", "run", "--resume", str(target), *(() if llm == NO_MODEL else ("--llm", llm))]
    for name, spec in models.items():
        words += ["--group", f"{name}={MODEL}{spec}"]
    if inputs is not None and inputs != "-":
        words += ["--inputs", inputs]
    for name in python_files(dict(scenario.head)):
        found = any((folder / name).is_file() for folder in (target.parent, Path()))
        if not found and scenario.folder is not None:
            words += ["--plugin", str(scenario.folder / name)]
    return shlex.join(words)


def _run(
    simulation: Simulation,
    recorder: Recorder,
    feed: InputSource,
    ticks: int,
    tally: Tally,
    show: Callable[[int, int], None],
    interrupted: Callable[[], bool],
    *,
    quiet: bool,
) -> None:
    reports = simulation.reports(ticks)
    while not interrupted():
        for item in feed.due(tally.ticks) if tally.ticks < ticks and simulation.outcome is None else ():
            simulation.inject(item)
        if tally.pace is not None:
            tally.pace.wait()
        if interrupted():
            break  # interrupted while it waited: a tick does not begin before all of its inputs have come
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
    tally.unused_inputs = feed.unused


def _tell_refused(report: TickReport) -> None:
    """Name the inputs that were refused; after the first few of a tick, only their number."""
    for place, reason in list(report.refused.items())[:REFUSED_SHOWN_MAX]:
        kind = report.inputs[place].kind
        sys.stderr.write(f"tickweave: tick {report.tick}: {kind} refused: {one_line(reason)}\n")
    more = len(report.refused) - REFUSED_SHOWN_MAX
    if more > 0:
        sys.stderr.write(f"tickweave: tick {report.tick}: {more} more inputs refused\n")


def _tell(message: str) -> None:
    sys.stderr.write(f"tickweave: {message}\n")
