"""The beginning of a replay: kept as a whole one after a kill, damage or a cut, or continued in its own file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ai.llm.prompt import PROMPT_VERSION
from ai.llm_types import LlmClient
from sim.engine.state import WorldState
from sim.errors import Incomplete, ReplayError, Unsupported
from sim.replay.format import END, Header, Tick
from sim.replay.playback import amended, objection, scenario_at, scenario_of
from sim.replay.reader import Place, Progress, Source, beside, is_packed, open_source, scan, untold
from sim.replay.record import Totals, header_of
from sim.replay.replay_file import ReplayFile
from sim.replay.writer import Recorder, ReplayWriter, Sink
from sim.run.planning_service import ModelOptions
from sim.run.plugins import load_plugins
from sim.run.simulation import Simulation
from sim.run.writing import appended

COPY_BYTES = 1 << 20
"""The bytes that one copy step takes."""


def recover(source: Source, sink: Sink, progress: Progress = untold) -> int:
    """Write the whole lines of an incomplete or corrupt replay, end them with a record that says so, and count ticks.

    `progress` receives the ticks read and the ticks planned.

    Raises:
        ReplayError: there is nothing to recover: the replay is whole, has no whole header, or is of another format.
    """
    replay = scan(source, progress)
    if replay.problem is None:
        raise ReplayError("the replay is complete; there is nothing to recover")
    if isinstance(replay.problem, Unsupported):
        raise replay.problem
    if replay.header is None:
        raise ReplayError(f"there is nothing to recover: {replay.problem}")
    place = replay.place
    if replay.end is not None:  # the fault comes after the end record, which is written again
        raise ReplayError(f"{replay.problem}; cut the file there to have a complete one")
    totals = Totals()
    for tick in replay.ticks:
        totals.add(tick)
    with open_source(source) as lines:
        _ended(lines, sink, place, totals, replay.header)
    return place.ticks


def cut(source: Source, tick: int, sink: Sink) -> int:
    """Write the lines of a replay up to a tick's record, end it as a recovered run, and return the bytes copied.

    Raises:
        ReplayError: the file does not exist, or it does not hold the tick.
    """
    with open_source(source) as lines:
        file = ReplayFile(lines)
        file.tick(tick)  # refuses a tick that does not exist
        totals = Totals()
        for record in file.records(file.place(0)):
            if isinstance(record.body, Tick):
                totals.add(record.body)
                if record.body.t == tick:
                    break
        _ended(lines, sink, record.end, totals, file.header)
    return record.end.offset


def _ended(lines: BinaryIO, sink: Sink, place: Place, totals: Totals, header: Header) -> None:
    """Copy the lines before a place, and write the end record of a recovered run, with the sums over its ticks."""
    lines.seek(0)
    left = place.offset
    while left:
        part = lines.read(min(left, COPY_BYTES))
        sink.write(part)
        left -= len(part)
    ReplayWriter(sink, chain=place.chain).write(END, totals.end(header.ticks, "recovered"))


@contextmanager
def resume(
    path: Path,
    *,
    ticks: int | None = None,
    client: LlmClient | None = None,
    model: ModelOptions | None = None,
    plugin_files: Sequence[Path] = (),
) -> Iterator[tuple[Simulation, Recorder, Sequence[Tick]]]:
    """Take up a run where its replay ends: give the simulation, its recorder in place, and the ticks so far.

    A replay that was killed, interrupted or recovered, or whose run failed, is taken up; an end record is cut off.

    `ticks` is how many are wanted in all; a run has no more than were planned.

    Raises:
        ReplayError: the run has ended, or the replay is corrupt, packed, of another version, or of another model.
        InUse: it is still being written.
    """
    if is_packed(path):
        raise ReplayError(f"{path}: is packed; unpack it first")
    plugin_files = beside(path, plugin_files)
    # The lock comes first, so that what is read is all that there is.
    with appended(path) as cut, _gone_on(path, ticks, client, model, plugin_files, cut) as session:
        yield session


@contextmanager
def _gone_on(
    path: Path,
    ticks: int | None,
    client: LlmClient | None,
    model: ModelOptions | None,
    plugin_files: Sequence[Path],
    cut: Callable[[int], Sink],
) -> Iterator[tuple[Simulation, Recorder, Sequence[Tick]]]:
    header, past, state, begin = _left_by(path, client, plugin_files)
    if ticks is not None and ticks > header.ticks:
        raise ReplayError(f"{path}: the run was planned for {header.ticks} ticks; `fork` continues beyond them")
    scenario = scenario_at(header, state.tick, scenario_of(header, plugin_files))
    plugins = load_plugins(scenario, files=plugin_files)
    with Simulation(
        scenario, seed=header.seed, plugins=plugins, client=client, model=model, detail=header.detail
    ) as simulation:
        problem = objection(header, header_of(simulation, ticks=header.ticks))
        if problem is not None:
            raise Unsupported(f"{path}: {problem}")
        simulation.restore(state)
        yield simulation, begin(simulation, cut), past


def _left_by(
    path: Path, client: LlmClient | None, plugin_files: Sequence[Path]
) -> tuple[Header, Sequence[Tick], WorldState, Callable[[Simulation, Callable[[int], Sink]], Recorder]]:
    """Return header, ticks and last state of a replay that ends early, and the maker of a recorder after them.

    Raises:
        ReplayError: as `resume`.
    """
    replay = scan(path)
    if replay.problem is not None and not isinstance(replay.problem, Incomplete):
        raise ReplayError(f"{path}: {replay.problem}; `recover` keeps the ticks before it")
    header, place, ticks = replay.header, replay.open_place, replay.ticks
    if header is None:
        raise ReplayError(f"{path}: {replay.problem}; there is nothing to resume")
    if replay.end is not None and replay.end.reason in ("decided", "limit"):
        raise ReplayError(f"{path}: the run has ended; `fork` continues from one of its ticks")
    label = None if client is None else client.label
    recorded = amended(header, place.ticks).llm
    if label != recorded:
        raise ReplayError(
            f"{path}: was recorded with {_model(recorded)}, not with {_model(label)}; give the same --llm"
        )
    if client is not None and header.prompt_version != PROMPT_VERSION:
        raise Unsupported(f"{path}: prompts were of version {header.prompt_version}, not {PROMPT_VERSION}")
    with open_source(path) as stream, ReplayFile(stream, plugin_files).at(place.ticks) as playback:
        state = playback.simulation.snapshot()

    def begin(simulation: Simulation, cut: Callable[[int], Sink]) -> Recorder:
        writer = ReplayWriter(cut(place.offset), chain=place.chain)
        return Recorder.resumed(simulation, writer, header, ticks, keyframe_due=place.due)

    return header, ticks, state, begin


def _model(label: str | None) -> str:
    return "no model" if label is None else f"the model {label!r}"
