"""Cuts a replay after a tick: its own lines up to there, and an end record that says so."""

from __future__ import annotations

from typing import Final

from sim.replay.format import END, Tick
from sim.replay.reader import Source, open_source
from sim.replay.record import Totals
from sim.replay.seek import ReplayFile
from sim.replay.writer import ReplayWriter, Sink

COPY_BYTES: Final = 1 << 20
"""What is copied at once."""


def cut(source: Source, tick: int, sink: Sink) -> int:
    """Write the lines of a replay up to the record of a tick, end them as a recovered run, and count the bytes.

    Raises:
        ReplayError: there is no such file, or no such tick in it.
    """
    totals = Totals()
    with open_source(source) as stream:
        file = ReplayFile(stream)
        file.tick(tick)  # refuses a tick that is not there
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
