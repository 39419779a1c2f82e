"""A replay cut into segments that begin with keyframes, and the processes that go through them side by side."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.pool import Pool
from threading import Condition
from typing import BinaryIO, Final, Generic, NoReturn, TypeVar

from sim.errors import Corrupt, Incomplete, Unsupported
from sim.replay.format import LINE_BYTES_MAX, LineError, split_line
from sim.replay.reader import Place, iter_records

PARTS_A_JOB: Final = 4
"""Segments for each process: some take longer, and who is done takes the next."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a replay.

    Attributes:
        begin: the place before the tick whose keyframe is entered; None for the beginning of the file.
        stop: the byte behind the stretch's last line; None for the end of the file.
    """

    begin: Place | None = None
    stop: int | None = None


def segments(stream: BinaryIO, jobs: int) -> list[Segment]:
    """Cut a replay into segments of about as many ticks each; one if it has no keyframes."""
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
    """Yield for each keyframe the place before its tick, and the byte behind it; damage is for others to find."""
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


def side_by_side(work: Callable[[Segment], T], parts: list[Segment], jobs: int) -> Generator[T, None, None]:
    """Yield what the work comes to for each segment, in order; whoever stops asking stops the processes.

    This process is one of the `jobs`, so that it works while the others start.
    """
    # A fresh interpreter for each process: forking one that has threads is unsafe.
    context = multiprocessing.get_context("spawn")
    others = min(jobs, len(parts)) - 1
    with context.Pool(others, initializer=_leave_interrupts_to_the_parent) as pool:
        first, *rest = enumerate(parts)
        shared = _Shared(work, deque(rest), pool)
        for _ in range(others):
            shared.hand_out()
        shared.take(*first)
        for place in range(len(parts)):
            yield shared.result(place)


@dataclass(slots=True)
class _Shared(Generic[T]):
    """Segments that nobody has taken yet, and what came of those that somebody has; each process takes the next."""

    work: Callable[[Segment], T]
    left: deque[tuple[int, Segment]]
    pool: Pool
    done: dict[int, Callable[[], T]] = field(default_factory=dict)
    changed: Condition = field(default_factory=Condition)

    def hand_out(self) -> None:
        """Give the next segment to another process; called again by the pool's thread when that is done with it."""
        with self.changed:
            if not self.left:
                return
            place, segment = self.left.popleft()
        self.pool.apply_async(
            self.work,
            (segment,),
            callback=lambda result: self._note(place, partial(_given, result)),
            error_callback=lambda error: self._note(place, partial(_fail, error)),
        )

    def _note(self, place: int, result: Callable[[], T]) -> None:
        with self.changed:
            self.done[place] = result
            self.changed.notify()
        self.hand_out()

    def result(self, place: int) -> T:
        """Return what came of a segment; until it is there, work on what is left.

        Raises:
            Exception: what the work raised.
        """
        while True:
            with self.changed:
                if place in self.done:
                    return self.done.pop(place)()
                if not self.left:
                    self.changed.wait()
                    continue
                mine = self.left.popleft()
            self.take(*mine)

    def take(self, place: int, segment: Segment) -> None:
        """Do the work of a segment here."""
        result: Callable[[], T]
        try:
            result = partial(_given, self.work(segment))
        except Exception as error:  # it is raised when it is this segment's turn
            result = partial(_fail, error)
        with self.changed:
            self.done[place] = result


def _given(result: T) -> T:
    return result


def _fail(error: BaseException) -> NoReturn:
    raise error


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
