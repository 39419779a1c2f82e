"""`tickweave bench`: measurements against something real; `bench llm` asks a model server in several ways."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from ai.llm.encodings import ENCODINGS, LINE
from ai.llm.encodings.base import PLAN_STEPS_MAX
from ai.llm_types import Endpoint, LlmClient
from sim.bench.figures import figures
from sim.bench.known import TICK, common_verbs, what_agents_know
from sim.bench.machine import machine
from sim.bench.orders import in_drawn_orders
from sim.bench.plot import HOW_TO_GET_IT, draw
from sim.bench.proof import prove
from sim.bench.report import Result
from sim.bench.rounds import Cell, interleaved, measured
from sim.bench.strategies import Kind, Sample, measure, strategies
from sim.cli.common import (
    FAILED,
    INTERRUPTED,
    NO_MODEL,
    SUFFIX,
    AsJson,
    ExitError,
    Force,
    InsecureKey,
    print_json,
    print_table,
    progress_bar,
    result_folder,
    usage,
)
from sim.cli.examples import epilog
from sim.cli.model import described, ready_model
from sim.messages import one_line, shown
from sim.run.scenario_file import TICKS_MAX, Scenario, load
from sim.run.writing import whole

AGENTS_MAX: Final = 1_000
"""The most agents of one batch."""
NUMBERS_MAX: Final = 16
"""The most sizes of batches in one benchmark."""
ROUNDS_MAX: Final = 100
"""The most rounds."""
SECONDS_MAX: Final = 7 * 24 * 3600
"""The longest benchmark, seconds."""
NOTE_CHARS_MAX: Final = 200
"""The most characters of a note."""
STEPS: Final = 3
"""Steps of every plan by default: strategies are compared over equal plans."""
SMALL: Final = "skirmish"
LARGE: Final = "crowd"
STEM: Final = "bench-llm"
"""The name of a result's files, without their endings."""

app = typer.Typer(
    name="bench",
    help="Measure model servers.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _bench() -> None:
    """Measure model servers."""


@app.command(epilog=epilog("bench llm"))
def llm(
    *,
    llm: Annotated[str, typer.Option(metavar="SPEC", help="The model, as for `run`.")],
    agents: Annotated[str, typer.Option(metavar="N,...", help="Sizes of the batches.")] = "1,5,10,20",
    rounds: Annotated[int, typer.Option(min=1, max=ROUNDS_MAX, help="Measurements of each strategy.")] = 3,
    naive_rounds: Annotated[
        int | None,
        typer.Option(min=0, max=ROUNDS_MAX, metavar="N", help="Rounds with naive singles, which take longest."),
    ] = None,
    ways: Annotated[str, typer.Option("--strategies", metavar="NAME,...", help="Strategies to compare.")] = ",".join(
        Kind
    ),
    encodings: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="How replies write plans. Default: all that the server takes")
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(min=1, max=SECONDS_MAX, metavar="S", help="Begin no measurement after this time."),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=0, max=PLAN_STEPS_MAX, metavar="N", help="Steps of every plan; 0: the model decides.")
    ] = STEPS,
    scenario: Annotated[
        str | None,
        typer.Option(metavar="SCENARIO", help=f"The agents' scenario [{SMALL}; {LARGE} if that is too small]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the scenario.")] = 1,
    tick: Annotated[
        int, typer.Option(min=0, max=TICKS_MAX, help="The tick in which they ask; rules plan before it.")
    ] = TICK,
    replay_ticks: Annotated[
        int,
        typer.Option(
            min=0, max=TICKS_MAX, metavar="N", help="Ticks of a run that is also recorded and verified; 0: none."
        ),
    ] = 3,
    note: Annotated[
        str, typer.Option(metavar="TEXT", help="A note for the result, such as the server's command line.")
    ] = "",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The output folder.")] = Path(STEM),
    force: Force = False,
    _insecure_key: InsecureKey = False,
    as_json: AsJson = False,
) -> None:
    """Measure strategies of asking a real model for plans.

    They are singles, one large prompt and shards, in every encoding.

    Prints a table and writes JSON, Markdown, a plot and the replay of a short run with the model. Ctrl-C keeps the
    measurements so far.
    """
    counts = _numbers(agents)
    kinds = [Kind(name) for name in _names("--strategies", ways, [kind.value for kind in Kind])]
    known = [encoding.name for encoding in ENCODINGS]
    chosen = None if encodings is None else _names("--encodings", encodings, known)
    if llm == NO_MODEL:
        raise usage("--llm: a benchmark needs a model")
    if len(note) > NOTE_CHARS_MAX:
        raise usage(f"--note: has {len(note)} characters; at most {NOTE_CHARS_MAX} are possible")
    result_folder(out, f"{STEM}.json", "a result", replace=force)
    plan = _scenario(scenario, max(counts))
    known_by_agents = what_agents_know(plan, max(counts), seed=seed, tick=tick)
    with ready_model(llm, quiet=as_json) as client:
        assert client is not None
        result = Result(client.label, described(client), machine(), one_line(note), plan.name, seed, tick, rounds)
        result.steps = steps or None
        cells = interleaved(rounds, counts, strategies(kinds, _taken(client, chosen)), naive_rounds=naive_rounds)
        registry = common_verbs(plan)

        async def one(cell: Cell) -> Sample:
            batch = known_by_agents.take(slice(0, cell.agents))
            return await measure(client, cell.strategy, batch, registry, number=cell.round, steps=steps or None)

        interrupted = _measure(result, cells, one, max_seconds)
        if not result.samples:
            raise ExitError("interrupted before anything was measured", INTERRUPTED)
        if not interrupted and any(sample.valid for sample in result.samples):
            same = known_by_agents.take(slice(0, max(counts)))
            result.orders = asyncio.run(in_drawn_orders(client, same, registry, seed=seed))
        out.mkdir(parents=True, exist_ok=True)
        if replay_ticks and not interrupted:
            result.proof = prove(plan, client, out / f"{STEM}{SUFFIX}", seed=seed, ticks=replay_ticks)
    result.figures = figures(result.samples)
    plot = _write(result, out)
    if as_json:
        print_json(result.as_json())
    else:
        for table in result.tables():
            print_table(table)
        sys.stdout.writelines(f"{sentence}\n" for sentence in result.sentences())
        sys.stdout.write(f"written to {shown(str(out))}: {STEM}.json, {STEM}.md{f', {plot}' if plot else ''}\n")
    if interrupted:
        raise ExitError(f"interrupted; {len(result.samples)} measurements are kept in {shown(str(out))}", INTERRUPTED)
    if not any(sample.valid for sample in result.samples):
        raise ExitError("no strategy gave a legal plan; does the server answer?", FAILED)
    if result.proof is not None and result.proof.verdict != "match":
        raise ExitError(f"the replay of the recorded run is {result.proof.verdict}: {result.proof.reason}", FAILED)


def _measure(
    result: Result, cells: list[Cell], one: Callable[[Cell], Awaitable[Sample]], max_seconds: float | None
) -> bool:
    """Add measurements to the result; return whether Ctrl-C ended it."""
    begun = time.monotonic()

    def left_s() -> float:
        return math.inf if max_seconds is None else max_seconds - (time.monotonic() - begun)

    with progress_bar("bench llm", len(cells), unit="measurements") as show:

        def take(sample: Sample) -> None:
            result.samples.append(sample)
            show(len(result.samples), len(cells))
            if not sys.stderr.isatty():
                line = f"round {sample.round}, {sample.agents} agents, {sample.strategy.name}: {sample.total_s:.2f} s"
                sys.stderr.write(f"tickweave: {line}\n")

        try:
            result.left_out = asyncio.run(measured(cells, one, take=take, left_s=left_s))
        except KeyboardInterrupt:
            result.left_out, result.reason = cells[len(result.samples) :], "Interrupted"
            return True
    if result.left_out:
        result.reason = f"The {max_seconds:g} seconds were over"
    return False


def _write(result: Result, out: Path) -> str | None:
    """Write the files of a result; return the plot's name, None if it could not be drawn."""
    plot = f"{STEM}.png"
    drawn = draw(result.figures, out / plot)
    if not drawn:
        sys.stderr.write(f"tickweave: {HOW_TO_GET_IT}\n")
    texts = {".json": json.dumps(result.as_json(), indent=2) + "\n", ".md": result.markdown(plot if drawn else None)}
    for ending, text in texts.items():
        with whole(out / f"{STEM}{ending}", replace=True) as file:
            file.write(text.encode())
    return plot if drawn else None


def _scenario(name: str | None, agents: int) -> Scenario:
    if name is not None:
        return load(name)
    small = load(SMALL)
    return small if agents <= small.agents else load(LARGE)


def _numbers(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    good = [int(word) for word in words if word.isascii() and word.isdigit() and 1 <= int(word[:9]) <= AGENTS_MAX]
    if len(good) != len(words) or len(set(good)) != len(good) or len(good) > NUMBERS_MAX:
        raise usage(
            f"--agents: {shown(text)} is not a list of at most {NUMBERS_MAX} different numbers "
            f"from 1 to {AGENTS_MAX:,}, as in 1,5,10"
        )
    return good


def _names(option: str, text: str, known: Sequence[str]) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise usage(f"{option}: {shown(word)} is not known; known: {', '.join(known)}")
    return words


def _taken(client: LlmClient, chosen: Sequence[str] | None) -> list[str]:
    """Return the encodings to measure: those chosen, else all that the server is known to take."""
    endpoint: Endpoint | None = getattr(client, "endpoint", None)
    refused = [LINE.name] if endpoint is not None and not endpoint.grammar else []
    if chosen is None:
        return [encoding.name for encoding in ENCODINGS if encoding.name not in refused]
    if LINE.name in chosen and refused:
        raise usage(f"--encodings: {client.label} takes no grammar, which {LINE.name} needs; leave it out")
    return list(chosen)
