"""Several processes share work, and whatever becomes of one of them, nobody waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import closing

import pytest

from sim.errors import ReplayError, WorkerError
from sim.run import workers
from sim.run.workers import parallel_map


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


def variable(name: str) -> tuple[str | None, bool]:
    """Return a variable of the environment, and whether the current folder is kept off the path for imports."""
    return os.environ.get(name), "" not in sys.path


@pytest.mark.usefixtures("processes_pay")
@pytest.mark.parametrize("at_once", [False, True])
def test_results_come_in_order(*, at_once: bool) -> None:
    """Every item is worked on once, however many processes there are for however few items."""
    for items, jobs in ((range(9), 2), ([7], 4), ([], 4), (range(3), 1)):
        assert list(parallel_map(doubled, items, jobs, at_once=at_once)) == [doubled(item) for item in items]


def test_short_work_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as others would not pay, the items are worked on here: `--jobs 2` is never slower than one."""
    monkeypatch.setattr(workers, "Processes", None)
    assert set(parallel_map(process_of, range(40), 2)) == {os.getpid()}


@pytest.mark.parametrize(
    ("took_s", "left", "jobs", "cores", "passed_s", "pay"),
    [
        (1.0, 10, 2, 2, 1.0, True),
        (1.0, 10, 1, 2, 1.0, False),
        (1.0, 10, 2, 1, 1.0, False),
        (0.1, 10, 2, 2, 0.1, False),
        (9.0, 1, 2, 2, 9.0, False),
        (1.0, 10, 2, 2, 3.0, False),
    ],
)
def test_when_processes_pay(
    monkeypatch: pytest.MonkeyPatch, *, took_s: float, left: int, jobs: int, cores: int, passed_s: float, pay: bool
) -> None:
    """They pay where several cores are free for several items that take longer than starting.

    A process that waits for its own core says that none is free.
    """
    monkeypatch.setattr(workers, "cores", lambda: cores)
    now = [0.0, 0.0]
    monkeypatch.setattr(workers, "process_time", lambda: now[0])
    monkeypatch.setattr(workers, "perf_counter", lambda: now[1])
    took = workers.Stopwatch()
    now[:] = took_s, passed_s
    assert workers.pays(took, left, jobs) is pay


@pytest.mark.usefixtures("processes_pay")
def test_most_items_are_done_in_other_processes() -> None:
    """The first item is worked on here and measured, the others elsewhere."""
    first, *others = parallel_map(process_of, range(12), 2)
    assert first == os.getpid()
    assert os.getpid() not in others
    assert 1 <= len(set(others)) <= 2


def test_others_start_before_the_first_of_many_items_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that it has taken already shows that they pay; one of few is waited for."""
    begun = threading.Event()
    monkeypatch.setattr(workers, "_prepare", begun.set)
    monkeypatch.setattr(workers, "SHARE", 0.0)  # waiting uses no processor time
    monkeypatch.setattr(workers, "cores", lambda: 2)
    assert next(workers.here(lambda _: begun.wait(20), deque(range(1000)), 2))
    begun.clear()
    assert not next(workers.here(lambda _: begun.wait(0.01), deque(range(2)), 2))


def test_processes_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was set after the first processes is there in later ones, and no folder is on their path."""
    assert list(parallel_map(variable, ["TICKWEAVE_LATE"], 2, at_once=True)) == [(None, True)]
    monkeypatch.setenv("TICKWEAVE_LATE", "yes")
    assert list(parallel_map(variable, ["TICKWEAVE_LATE"], 2, at_once=True)) == [("yes", True)]


def test_interpreters_of_a_users_own_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this process nor one that shares its work keeps the current folder off the path of a user's children."""
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert list(parallel_map(variable, ["PYTHONSAFEPATH"], 2, at_once=True)) == [(None, True)]
    assert "PYTHONSAFEPATH" not in os.environ


def test_a_module_that_a_process_loads_first_needs_no_other() -> None:
    """The server has no command line, whose modules load much that others need; the smallest case is `faults`."""
    done = subprocess.run([sys.executable, "-P", "-c", "import sim.run.faults"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.usefixtures("processes_pay")
def test_an_error_comes_in_its_turn() -> None:
    """What comes before it is given first."""
    given = parallel_map(worked, [0, 1, 3], 2)
    assert [next(given), next(given)] == [0, 1]
    with pytest.raises(ReplayError, match="not this one"):
        next(given)


def test_a_process_that_is_killed_is_told() -> None:
    """Its work is not waited for: the smallest case of a `verify --jobs` that never ended."""
    with pytest.raises(WorkerError, match="ended before it was done; use one job to see why"):
        list(parallel_map(killed, [0], 2, at_once=True))


def test_who_stops_asking_stops_the_processes() -> None:
    """No process is left behind."""
    with closing(parallel_map(process_of, range(40), 2, at_once=True)) as given:
        process = next(given)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
