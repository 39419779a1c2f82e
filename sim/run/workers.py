"""Work that several processes share. The results come in order and are those of one process.

Starting processes takes a second. So items are done in this process until the time that one takes shows that others
pay; the others then start while this process works on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import Pipe, get_all_start_methods, get_context
from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import Any, Final, TypeVar

from ai.interpreters import without_folder
from sim.errors import WorkerError

A = TypeVar("A")
T = TypeVar("T")

PAYS_S: Final = 3.0
"""Work that is left, seconds of the processor, from which on other processes are started."""
START_S: Final = 0.5
"""How long this process works on while the others start, seconds of the processor."""
SHARE: Final = 0.5
"""The part of a core that this process must get for others to pay: a machine with less has no core that is free."""
AHEAD: Final = 3
"""Items that are handed out ahead, for each process."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Stopwatch:
    """Measures what this process gets done from now on: seconds of the processor, and whether the machine is free."""

    def __init__(self) -> None:
        self._worked, self._passed = process_time(), perf_counter()

    @property
    def worked_s(self) -> float:
        """Seconds of the processor since the start."""
        return process_time() - self._worked

    @property
    def is_free(self) -> bool:
        """Whether this process had a core to itself most of the time."""
        return self.worked_s >= SHARE * (perf_counter() - self._passed)


def pays(took: Stopwatch, left: int, jobs: int) -> bool:
    """Return whether other processes would finish sooner what is left, if each item takes as long as one took."""
    return min(jobs, cores(), left) > 1 and took.worked_s * left > PAYS_S and took.is_free


def here(work: Callable[[A], T], items: deque[A], jobs: int) -> Iterator[T]:
    """Do items in this process, from the left, for as long as others would not pay; remove those that are done.

    The others start as soon as the time of an item shows that they pay: before the first is done if there are many.
    """
    started: list[Stopwatch] = []
    first = Stopwatch()

    def start() -> None:
        started.append(Stopwatch())
        with suppress(OSError):  # it is raised where a process is asked for
            _prepare()

    early = threading.Timer(PAYS_S / max(len(items), 1), lambda: start() if first.is_free else None)
    early.daemon = True
    if min(jobs, cores(), len(items)) > 1:
        early.start()
    done = 0
    while items and (not done or not started or started[0].worked_s < START_S):
        took = Stopwatch()
        try:
            result = work(items.popleft())
        finally:
            early.cancel()
        pay = pays(took, len(items), jobs)
        if pay and not started:
            start()
        elif not pay and not done:
            started.clear()
        done += 1
        yield result


def parallel_map(
    work: Callable[[A], T], items: Iterable[A], jobs: int, *, at_once: bool = False
) -> Generator[T, None, None]:
    """Yield the result of the work for each item, in order; closing the generator stops the processes.

    Args:
        work: a function at the top of a module.
        items: that are sent to it.
        jobs: processes at most.
        at_once: whether processes start without a look at how long an item takes, as for work that waits.

    Raises:
        WorkerError: a process ended before its work was done.
        Exception: the error that the work raised, when it is that item's turn.
    """
    left = deque(items)
    if jobs == 1 or not at_once:
        yield from here(work, left, jobs)
    if not left:
        return
    doing: deque[Future[T]] = deque()
    with Processes(min(jobs, len(left))) as pool:
        while left or doing:
            try:
                while left and len(doing) < jobs * AHEAD:
                    doing.append(pool.submit(work, left.popleft()))
                result = doing.popleft().result()
            except BrokenExecutor:
                raise WorkerError(
                    "a process that shared the work ended before it was done; use one job to see why, or fewer if "
                    "memory is short"
                ) from None
            yield result


class Processes(ProcessPoolExecutor):
    """Processes of this machine, which end with this one, however it ends, and at once when the block is left.

    They are forked from a server that imports this program once: forking a process that has threads is unsafe.
    """

    def __init__(self, jobs: int) -> None:
        _prepare()
        alive, self._alive = Pipe(duplex=False)
        super().__init__(
            jobs, mp_context=get_context(_method()), initializer=_begin, initargs=(alive, dict(os.environ))
        )

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Hand work out; a process for it may be started."""
        with without_folder():
            return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the interface's
        """End the processes, whatever they are doing."""
        self._alive.close()
        super().shutdown(wait, cancel_futures=cancel_futures)


def _method() -> str:
    return "forkserver" if "forkserver" in get_all_start_methods() else "spawn"


def _prepare() -> None:
    """Start the server that processes are forked from, with our modules that are in use here.

    Domains are not among them: an edit of one during this process counts at once. Nor is the command line, which no
    work uses.
    """
    if _method() == "forkserver":
        from multiprocessing import forkserver

        ours = [name for name in list(sys.modules) if name.partition(".")[0] in ("ai", "sim")]
        names = [name for name in ours if not name.startswith("sim.cli")]
        get_context("forkserver").set_forkserver_preload(names)
        with without_folder():
            forkserver.ensure_running()


def _begin(alive: Connection[Any, Any], environment: dict[str, str]) -> None:
    """Prepare a process: it has the environment of its parent, and ends when the parent does or wants it to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which then stops this process
    os.environ.clear()
    os.environ.update(environment)

    def watch() -> None:
        with suppress(EOFError, OSError):
            alive.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
