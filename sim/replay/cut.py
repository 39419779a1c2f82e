"""Cuts a replay after a tick: it writes the lines up to that tick and an end record."""

from __future__ import annotations

from typing import Final

from sim.replay.format import END, Tick
from sim.replay.reader import Source, open_source
from sim.replay.record import Totals
from sim.replay.seek import ReplayFile
from sim.replay.writer import ReplayWriter, Sink

COPY_BYTES: Final = 1 << 20
"""The number of bytes that are copied at once."""


def cut(source: Source, tick: int, sink: Sink) -> int:
    """Write the lines of a replay up to a tick's record, end it as a recovered run, and return the bytes copied.

    Raises:
        ReplayError: there is no such file, or no such tick in it.
    """
    totals = Totals()
    with open_source(source) as stream:
        file = ReplayFile(stream)
        file.tick(tick)  # refuses a tick that does not exist
        for record in file.records(file.place(0)):
            if isinstance(record.body, Tick):
                totals.add(record.body)
                if record.body.t == tick:
                    break
        left = whole = record.end.offset
        stream.seek(0)
        while left:
            part = stream.read(min(left, COPY_BYTES))
            sink.write(part)
            left -= len(part)
    ReplayWriter(sink, chain=record.end.chain).write(END, totals.end(file.header.ticks, "recovered"))
    return whole
