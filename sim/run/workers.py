"""Work that several processes share: each item is done in one of them, and the results come in order.

Each process has a pipe of its own, and one thread here asks and hears them all; so a process that ends too early is
noticed by its pipe, and nothing waits for it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Final, TypeVar

from ai.interpreters import keep_folder_off_path
from sim.errors import WorkerError

A = TypeVar("A")
T = TypeVar("T")

END_S: Final = 5.0
"""How long is waited for the exit code of a process that is gone, seconds."""


def side_by_side(work: Callable[[A], T], items: Sequence[A], jobs: int) -> Generator[T, None, None]:
    """Yield the result of the work for each item, in order; closing the generator stops the processes.

    Raises:
        WorkerError: a process ended before its work was done.
        Exception: the error that the work raised, when it is that item's turn.
    """
    workers: dict[Any, _Worker] = {}
    doing: dict[Any, int] = {}
    done: dict[int, tuple[bool, Any]] = {}
    try:
        for _ in range(min(jobs, len(items))):
            worker = _Worker()
            workers[worker.connection] = worker
        left = iter(enumerate(items))
        for connection, worker in workers.items():
            worker.tell(work)
            doing[connection], item = next(left)
            worker.tell(item)
        for place in range(len(items)):
            while place not in done:
                for connection in wait(list(doing)):
                    worker = workers[connection]
                    done[doing.pop(connection)] = worker.hear()
                    following = next(left, None)
                    if following is not None:
                        doing[connection], item = following
                        worker.tell(item)
            well, result = done.pop(place)
            if not well:
                raise result
            yield result
    finally:
        for worker in workers.values():
            worker.stop()


class _Worker:
    """One process, and the pipe to it: it receives the work, then one item after the other, and sends each result.

    Attributes:
        connection: the end of the pipe, to wait for.
    """

    def __init__(self) -> None:
        keep_folder_off_path()
        # A fresh interpreter: forking one that has threads is unsafe.
        context = get_context("spawn")
        self.connection, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(other_end,), daemon=True)
        self._process.start()
        other_end.close()  # so that the pipe ends with the process

    def tell(self, what: object) -> None:
        try:
            self.connection.send(what)
        except OSError:
            raise self._lost() from None

    def hear(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            raise self._lost() from None

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self.connection.close()

    def _lost(self) -> WorkerError:
        self._process.join(END_S)
        return WorkerError(
            f"a process that shared the work ended before it was done, with exit code {self._process.exitcode}; "
            "use one job to see why, or fewer if memory is short"
        )


def _serve(connection: Connection[Any, Any]) -> None:
    """Do one item after the other until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which then stops this process
    try:
        work = connection.recv()
        while True:
            item = connection.recv()
            try:
                said = True, work(item)
            except Exception as error:  # it is raised where the work is asked for
                said = False, error
            connection.send(said)
    except (EOFError, BrokenPipeError):
        return
