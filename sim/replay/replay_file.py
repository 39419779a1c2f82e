"""Enters a replay at any tick: it finds the line by binary search, and the state from the nearest keyframe.

Only the lines that are read are checked. The lines before them are trusted; `verify` proves a whole file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from sim.errors import Corrupt, Incomplete, ReplayError
from sim.replay.format import LINE_BYTES_MAX, TICK, Header, Keyframe, LineError, Tick, decode_body, split_line
from sim.replay.keyframes import enter
from sim.replay.playback import Playback
from sim.replay.reader import Place, Progress, Record, Source, beside, iter_records, open_source, untold, validated

NEAR_BYTES: Final = 64 * 1024
"""The binary search ends with a stretch of this length in bytes, which is read line by line."""


@contextmanager
def open_replay_file(
    source: Source, plugin_files: Sequence[Path] = (), progress: Progress = untold
) -> Iterator[ReplayFile]:
    """Open a replay, plain or packed, to read it at any tick.

    `plugin_files` are the plug-ins that the run's scenario names as files. `progress` is called while a tick is
    entered, with the current tick and the goal.

    Raises:
        ReplayError: there is no such file, or it has no whole header.
    """
    with open_source(source) as stream:
        yield ReplayFile(stream, beside(source, plugin_files), progress)


class ReplayFile:
    """An open replay: its header, its ticks, and the state before each of them.

    Attributes:
        header: the header.
        ticks: the number of complete ticks in the file.

    Raises:
        Incomplete: there is no whole header.
        Corrupt: the first line is not a header.
        Unsupported: the file has another format.
    """

    def __init__(self, stream: BinaryIO, plugin_files: Sequence[Path] = (), progress: Progress = untold) -> None:
        self._stream = stream
        self._plugin_files = plugin_files
        self._progress = progress
        first = next(iter_records(stream))
        assert isinstance(first.body, Header)
        self.header: Header = first.body
        self._begin = first.end
        self._size = stream.seek(0, io.SEEK_END)
        self.ticks = self._last_tick() + 1

    def place(self, tick: int) -> Place:
        """Return the place before the record of a tick; for the number of ticks, the place after the last record.

        Raises:
            ReplayError: there is no such tick.
            Corrupt: a line that had to be read is damaged.
        """
        self._require(tick, self.ticks)
        if tick == 0:
            return self._begin
        place = self._after(self._find(tick - 1))
        if place.due:
            for record in self.records(place):
                if isinstance(record.body, Keyframe):
                    return record.end
        return place

    def records(self, place: Place) -> Iterator[Record]:
        """Yield the complete records from a place on; their end is not judged.

        Raises:
            Corrupt: a line is damaged.
        """
        self._stream.seek(place.offset)
        try:
            yield from iter_records(self._stream, place)
        except Incomplete:
            return

    def tick(self, tick: int) -> Tick:
        """Return the record of a tick.

        Raises:
            ReplayError: there is no such tick.
            Corrupt: a line that had to be read is damaged.
        """
        self._require(tick, self.ticks - 1)
        return next(record.body for record in self.records(self.place(tick)) if isinstance(record.body, Tick))

    def at(self, tick: int) -> Playback:
        """Return the run as it was before a tick; the caller must close it.

        Raises:
            ReplayError: there is no such tick.
            Corrupt: a line or keyframe that had to be read is damaged.
            Diverged: a repeated run of the ticks from the keyframe on gives other ticks.
            Unsupported: the declarations here differ from those in the recording.
            ScenarioError: the header's scenario is not valid.
        """
        self._require(tick, self.ticks)
        playback = Playback(self.header, self._plugin_files)
        try:
            playback.check()
            for record in self.records(self._enter(playback, tick)):
                if playback.simulation.world.tick == tick:
                    break
                if isinstance(record.body, Tick):
                    playback.match(record.body)
                    self._progress(playback.simulation.world.tick, tick)
        except BaseException:
            playback.close()
            raise
        return playback

    def _enter(self, playback: Playback, tick: int) -> Place:
        """Put a run into the nearest keyframe before a tick, and return the place after that keyframe."""
        every = self.header.keyframes
        nearest = tick // every * every - 1 if every else -1
        if nearest < 0:
            return self._begin
        start = self._find(nearest)
        keyframe: Keyframe | None = None
        for record in self.records(self._after(start)):
            if isinstance(record.body, Keyframe):
                keyframe = record.body
                enter(playback.simulation, keyframe, self._read(start)[0])
                return record.end
            break
        return self._begin

    def _require(self, tick: int, last: int) -> None:
        if not 0 <= tick <= last:
            raise ReplayError(f"there is no tick {tick}: the replay has {self.ticks} ticks, counted from 0")

    def _after(self, start: int) -> Place:
        """Return the place after the tick's line that begins at a byte."""
        record, line = self._read(start)
        due = self.header.keyframe_due(record.t)
        chain = split_line(line).chain
        return Place(start + len(line), None, chain, record.t + 1, self.header, due)

    def _read(self, start: int) -> tuple[Tick, bytes]:
        self._stream.seek(start)
        line = self._stream.readline(LINE_BYTES_MAX + 1)
        try:
            return validated(Tick, decode_body(split_line(line).body), self.header.minor), line
        except ValueError as error:
            raise Corrupt(f"the line at byte {start}: {error}") from None

    def _last_tick(self) -> int:
        found = -1
        for _, tick in self._ticks_from(self._near(LINE_BYTES_MAX**2), self._size):
            found = tick
        return found

    def _find(self, tick: int) -> int:
        """Return the byte at which a tick's line begins."""
        for start, number in self._ticks_from(self._near(tick), self._size):
            if number == tick:
                return start
            if number > tick:
                break
        raise Corrupt(f"the record of tick {tick} is not where it should be")

    def _near(self, tick: int) -> int:
        """Return a byte at which a line begins, not far before a tick's own line."""
        low, high = self._begin.offset, self._size
        while high - low > NEAR_BYTES:
            middle = (low + high) // 2
            self._stream.seek(middle - 1)
            begin = middle - 1 + len(self._stream.readline(LINE_BYTES_MAX + 1))
            start, number = next(self._ticks_from(begin, high), (begin, None))
            if number is None or number > tick:
                high = middle
            else:
                low = start
        return low

    def _ticks_from(self, begin: int, limit: int) -> Iterator[tuple[int, int]]:
        """Yield the byte and the number of each tick whose line begins between two bytes; `begin` begins a line."""
        at = begin
        while at < limit:
            self._stream.seek(at)
            line = self._stream.readline(LINE_BYTES_MAX + 1)
            if not line.endswith(b"\n"):
                return
            try:
                parts = split_line(line)
                number = decode_body(parts.body).get("t") if parts.kind == TICK else None
            except LineError as error:
                raise Corrupt(f"the line at byte {at}: {error}") from None
            if parts.kind == TICK:
                if type(number) is not int:
                    raise Corrupt(f"the line at byte {at} is a tick without a number")
                yield at, number
            at += len(line)
