"""Several processes share work, and whatever becomes of one of them, nobody waits for ever."""

from __future__ import annotations

import os
import signal
from contextlib import closing

import pytest

from sim.errors import ReplayError, WorkerError
from sim.run.workers import side_by_side


def doubled(number: int) -> int:
    """Return twice a number."""
    return 2 * number


def worked(number: int) -> int:
    """Return a number, but 3 cannot be worked on."""
    if number == 3:
        raise ReplayError("not this one")
    return number


def killed(_number: int) -> None:
    """End as the system ends a process for which there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def process_of(_number: int) -> int:
    """Return the process that works."""
    return os.getpid()


def test_results_come_in_order() -> None:
    """Every item is worked on once, however many processes there are for however few items."""
    assert list(side_by_side(doubled, range(9), 2)) == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert list(side_by_side(doubled, [7], 4)) == [14]
    assert list(side_by_side(doubled, [], 4)) == []


def test_an_error_comes_in_its_turn() -> None:
    """What comes before it is given first."""
    given = side_by_side(worked, [0, 1, 3], 2)
    assert [next(given), next(given)] == [0, 1]
    with pytest.raises(ReplayError, match="not this one"):
        next(given)


def test_a_process_that_is_killed_is_told() -> None:
    """Its work is not waited for: the smallest case of a `verify --jobs` that never ended."""
    with pytest.raises(WorkerError, match="exit code -9"):
        list(side_by_side(killed, [0], 1))


def test_who_stops_asking_stops_the_processes() -> None:
    """No process is left behind."""
    with closing(side_by_side(process_of, range(40), 1)) as given:
        process = next(given)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
