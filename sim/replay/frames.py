"""A recorded run tick by tick: all views of a whole replay (tables, plots, pictures) go through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.errors import Incomplete
from sim.replay.format import Header, Tick
from sim.replay.playback import Playback
from sim.replay.reader import Progress, Record, Source, beside, iter_records, open_source, untold
from sim.run.world import World


@dataclass(frozen=True, slots=True)
class Frame:
    """The run after one tick.

    Attributes:
        tick: the tick's number.
        world: the state after it. The next frame changes it: take what is needed out of it.
        record: the tick's record in the replay.
        playback: the run; its `report` and `batch` are of this tick, its `simulation` has domain and metrics.
    """

    tick: int
    world: World
    record: Tick
    playback: Playback


def frames(
    source: Source,
    plugin_files: Sequence[Path] = (),
    progress: Progress = untold,
    begin: Callable[[Playback], None] | None = None,
) -> Iterator[Frame]:
    """Run a replay again and yield every tick; each state has been held against its recorded root.

    A replay without an end record gives the ticks that it has.

    Args:
        source: a replay, plain or packed.
        plugin_files: the local files of its domain and plug-ins.
        progress: receives ticks done and ticks planned.
        begin: is given the run before its first tick.

    Raises:
        ReplayError: there is no such replay.
        Corrupt: a line is damaged; the ticks before it have been yielded.
        Unsupported: code or declarations here differ from the recorded ones.
        Diverged: a tick differs when it is run again.
        ScenarioError: the scenario of the header is not valid, or its domain is missing here.
    """
    with open_source(source) as stream:
        records = iter_records(stream)
        header = next(records).body
        assert isinstance(header, Header)
        yield from frames_of(header, _ticks(records), beside(source, plugin_files), progress, begin)


def _ticks(records: Iterator[Record]) -> Iterator[Tick]:
    try:
        for record in records:
            if isinstance(record.body, Tick):
                yield record.body
    except Incomplete:
        return


def frames_of(
    header: Header,
    ticks: Iterable[Tick],
    plugin_files: Sequence[Path] = (),
    progress: Progress = untold,
    begin: Callable[[Playback], None] | None = None,
) -> Iterator[Frame]:
    """Run the records of a replay again, as `frames` does."""
    with Playback(header, plugin_files) as playback:
        playback.check()
        if begin is not None:
            begin(playback)
        for record in ticks:
            playback.match(record)
            progress(record.t + 1, header.ticks)
            yield Frame(record.t, playback.simulation.world, record, playback)
