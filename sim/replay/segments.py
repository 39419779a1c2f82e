"""The division of a replay into segments that begin with keyframes, for several processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from sim.errors import Corrupt, Incomplete, Unsupported
from sim.replay.format import LINE_BYTES_MAX, LineError, split_line
from sim.replay.reader import Place, iter_records

PARTS_A_JOB: Final = 4
"""The number of segments per process: some take longer, and a process that is done takes the next one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a replay.

    Attributes:
        begin: the place before the tick whose keyframe is entered; None for the beginning of the file.
        stop: the byte after the stretch's last line; None for the end of the file.
    """

    begin: Place | None = None
    stop: int | None = None


def segments(stream: BinaryIO, jobs: int) -> list[Segment]:
    """Cut a replay into segments with about equally many ticks; one segment if it has no keyframes."""
    found = list(_keyframes(stream))
    wanted = jobs * PARTS_A_JOB
    ticks = found[-1][0].ticks if found else 0
    cuts: list[tuple[Place, int]] = []
    for place, behind in found:
        if (place.ticks + 1) * wanted >= (len(cuts) + 1) * ticks and len(cuts) < wanted - 1:
            cuts.append((place, behind))
    begins = [None, *(place for place, _ in cuts)]
    stops = [*(behind for _, behind in cuts), None]
    return [Segment(begin, stop) for begin, stop in zip(begins, stops, strict=True)]


def _keyframes(stream: BinaryIO) -> Iterator[tuple[Place, int]]:
    """Yield for each keyframe the place before its tick, and the byte after it; this does not look for damage."""
    stream.seek(0)
    try:
        place = next(iter_records(stream)).end
    except (Incomplete, Corrupt, Unsupported):
        return
    before: Place | None = None
    stream.seek(place.offset)
    while (line := stream.readline(LINE_BYTES_MAX + 1)).endswith(b"\n"):
        try:
            parts = split_line(line)
        except LineError:
            return
        at = Place(place.offset + len(line), (place.lines or 0) + 1, parts.chain, place.ticks, place.header)
        match parts.kind:
            case "T":
                before = place
                at = Place(at.offset, at.lines, at.chain, at.ticks + 1, at.header)
            case "K" if before is not None:
                yield before, at.offset
                before = None
        place = at
