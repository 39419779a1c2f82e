"""Writes replays: one record, one line, one write and one flush, so a killed run leaves a valid prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from sim.engine.values import integer
from sim.errors import MachineError, ReplayError
from sim.replay.format import (
    END,
    HEADER,
    KEYFRAME,
    LINE_BYTES_MAX,
    TICK,
    VALUES_MAX,
    Body,
    End,
    EndReason,
    Header,
    Tick,
    canonical,
    encode_line,
)
from sim.replay.keyframes import keyframe_of
from sim.replay.record import Totals, header_of, planned_ticks, tick_of
from sim.run.scenario_file import TICKS_MAX
from sim.run.writing import recording

if TYPE_CHECKING:
    from sim.run.simulation import Simulation, TickReport


class Sink(Protocol):
    """Where the bytes go: a binary file, or a test's stand-in for one."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...

    def flush(self) -> object:
        """Hand them on to the operating system."""
        ...


class ReplayWriter:
    """Turns bodies into chained lines; `chain` is that of the last line where lines stand before.

    Attributes:
        chain: chain value of the last line, empty before the first.
        lines: lines written.
        totals: sums over the ticks written, for the end record.
    """

    def __init__(self, sink: Sink, *, chain: str = "") -> None:
        self.chain = chain
        self.lines = 0
        self.totals = Totals()
        self._sink = sink

    def write(self, kind: str, body: Body) -> None:
        """Write one record and flush it.

        Raises:
            ReplayError: the body holds what JSON cannot, or is too long.
            MachineError: the bytes could not be written.
        """
        try:
            data = canonical(body.data())
        except (TypeError, ValueError) as error:
            raise ReplayError(f"record {self.lines + 1} cannot be written as JSON: {error}") from error
        line, chain = encode_line(self.chain, kind, data)
        if len(line) > LINE_BYTES_MAX or data.count(b",") > VALUES_MAX:
            raise ReplayError(
                f"record {self.lines + 1} is longer than {LINE_BYTES_MAX} bytes, or than {VALUES_MAX} values, and "
                "could not be read"
            )
        self.chain = chain
        try:
            self._sink.write(line)
            self._sink.flush()
        except OSError as error:
            raise MachineError(f"the replay cannot be written: {error.strerror or error}") from error
        self.lines += 1
        if isinstance(body, Tick):
            self.totals.add(body)

    def end(self, planned: int, reason: EndReason | None = None) -> End:
        """Write the end record of a run with this number of planned ticks, and return it.

        Raises:
            MachineError: it could not be written.
        """
        record = self.totals.end(planned, reason)
        self.write(END, record)
        return record


@contextmanager
def open_replay(path: str | Path, *, replace: bool = False) -> Iterator[ReplayWriter]:
    """Create a file for a new replay, locked while it is written, and close it in the end.

    Raises:
        FileExists: a file is there, and `replace` is False.
        InUse: the file that would be replaced is still being written.
        MachineError: the file cannot be created.
    """
    with recording(path, replace=replace) as file:
        yield ReplayWriter(file)


class Recorder:
    """Records a run: `header` before the first tick, `tick` after each, `end` after the last.

    `ticks` is the number planned (default: the scenario's), `keyframes` the ticks from one keyframe to the next (0:
    none).
    """

    def __init__(
        self,
        simulation: Simulation,
        writer: ReplayWriter,
        *,
        ticks: int | None = None,
        keyframes: int = 0,
    ) -> None:
        self._writer = writer
        planned = planned_ticks(simulation, ticks)
        keyframes = integer(keyframes, 0, TICKS_MAX, "keyframes")
        self._simulation = simulation
        self._header = header_of(simulation, ticks=planned, keyframes=keyframes)

    @classmethod
    def resumed(
        cls, simulation: Simulation, writer: ReplayWriter, header: Header, ticks: Iterable[Tick], *, keyframe_due: bool
    ) -> Self:
        """Return what goes on recording after the ticks of a header's run.

        `keyframe_due` says that the last of them is still without its keyframe.

        Raises:
            ReplayError: the keyframe could not be written.
        """
        recorder = cls(simulation, writer)
        recorder._header = header
        for tick in ticks:
            writer.totals.add(tick)
        if keyframe_due:
            writer.write(KEYFRAME, keyframe_of(simulation))
        return recorder

    @property
    def ticks(self) -> int:
        """Ticks planned."""
        return self._header.ticks

    def header(self, **others: Any) -> Header:
        """Write the header and return it; `others` are values in place of the run's own.

        Raises:
            ReplayError: it could not be written.
        """
        self._header = self._header.model_copy(update=others)
        self._writer.write(HEADER, self._header)
        return self._header

    def tick(self, report: TickReport) -> Tick:
        """Write one tick, with the keyframe where one is due, and return the tick's record.

        Raises:
            ReplayError: the tick was not planned, or the world's columns changed.
            MachineError: it could not be written.
        """
        if report.tick >= self._header.ticks:
            raise ReplayError(
                f"tick {report.tick} is beyond the {self._header.ticks} ticks planned; give the recorder ticks=N"
            )
        record = tick_of(report, self._header)
        self._writer.write(TICK, record)
        if self._header.keyframe_due(record.t):
            self._writer.write(KEYFRAME, keyframe_of(self._simulation))
        return record

    def end(self, reason: EndReason | None = None) -> End:
        """Write the end record and return it; without a reason, the ticks and the outcome say how the run ended.

        Raises:
            ReplayError: it could not be written.
        """
        return self._writer.end(self._header.ticks, reason)
