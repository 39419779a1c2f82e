# ruff: noqa: PLW0108 - a refused function must be called from Python, as a system calls it
"""The guard: what a run's result depends on cannot ask what answers differently in another run."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import linecache
import logging
import os
import pdb
import random  # noqa: TID251 - to see it refused
import secrets
import socket
import sys
import threading
import time
import uuid  # noqa: TID251 - to see it refused
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.guard import NondeterminismError, Watch, active, escape, everything, take_escapes, watched


class Word:
    """Hashes as a class of text may: sets and dicts need it."""

    def __hash__(self) -> int:
        return hash(("word", 1))


REFUSED: dict[str, Callable[[], object]] = {
    "time.time": lambda: time.time(),  # noqa: TID251
    "time.perf_counter": lambda: time.perf_counter(),
    "time.monotonic": lambda: monotonic(),
    "time.strftime": lambda: time.strftime("%H"),
    "datetime.datetime.now": lambda: dt.datetime.now(dt.UTC),
    "datetime.date.today": lambda: dt.date.today(),  # noqa: DTZ011
    "random.random": lambda: random.random(),
    "random.randint": lambda: random.randint(1, 6),
    "random.shuffle": lambda: random.shuffle([1, 2]),
    "random.Random": lambda: random.Random(),
    "numpy.random.random": lambda: np.random.random(),  # noqa: NPY002
    "numpy.random.randint": lambda: np.random.randint(3),  # noqa: NPY002
    "np.random.default_rng(), which calls random.getrandbits": lambda: np.random.default_rng(),
    "uuid.uuid4": lambda: uuid.uuid4(),
    "uuid.uuid1": lambda: uuid.uuid1(),
    "os.urandom": lambda: os.urandom(1),
    "secrets.token_hex": lambda: secrets.token_hex(),
    "hash": lambda: hash("a"),
    'sorted(["b", "a"], key=hash), which calls hash': lambda: sorted(["b", "a"], key=hash),
    "open": lambda: open(__file__).close(),  # noqa: PTH123
    "Path(__file__).read_text(), which calls pathlib.read_text": lambda: Path(__file__).read_text(),
    "Path(__file__).exists(), which calls pathlib.exists": lambda: Path(__file__).exists(),
    "os.listdir": lambda: os.listdir("."),  # noqa: PTH208
    "socket.create_connection": lambda: socket.create_connection(("127.0.0.1", 9)),
    "socket.getaddrinfo": lambda: socket.getaddrinfo("localhost", 9),
}
LET_THROUGH: dict[str, Callable[[], object]] = {
    "hash of a number": lambda: hash(3),
    "a set of words": lambda: {Word(), "a", ("b", 1)},
    "a generator with a seed": lambda: random.Random(3).random(),
    "NumPy's generator with a seed": lambda: np.random.default_rng(3).random(),
    "a log record": lambda: logging.getLogger("tickweave.test").info("said %s", "so"),
    "an import": lambda: import_module("colorsys"),
    "a line of source": lambda: linecache.getlines(os.__file__),
    "arithmetic": lambda: np.arange(9).sum(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_differs_between_runs_is_refused_by_its_name(name: str) -> None:
    """The sentence names who called, the call as it was written, the line, and what to use instead."""
    with pytest.raises(NondeterminismError) as caught, Watch("system 'weather'"):
        REFUSED[name]()
    sentence = str(caught.value)
    assert sentence.startswith(f"system 'weather' called {name}() ({__file__}:")
    assert "; or, if it cannot reach the state, wrap it in ai.guard.escape()" in sentence


def test_a_debugger_is_refused_with_the_remedy() -> None:
    """A breakpoint under the guard says to debug an ordinary run, although the debugger trips over a file first."""
    with pytest.raises(NondeterminismError, match="debug an ordinary run"), Watch("system 'weather'"):
        pdb.Pdb()


@pytest.mark.parametrize("name", LET_THROUGH)
def test_what_is_the_same_in_every_run_is_let_through(name: str) -> None:
    """The guard refuses nothing that a system may use."""
    with Watch("system 'weather'"):
        LET_THROUGH[name]()


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_left_behind(name: str) -> None:
    """After the watch, also one that ended in a refusal, the same call works as before."""
    before = sys.getprofile(), hash, np.random.random
    with pytest.raises(NondeterminismError), Watch("system 'weather'"):
        REFUSED[name]()
    assert (sys.getprofile(), hash, np.random.random) == before
    if not name.startswith("socket"):
        REFUSED[name]()


def test_an_escape_lets_through_and_is_told() -> None:
    """Within `escape` the call works, after it the guard is back, and the reason is reported once."""
    take_escapes()
    with Watch("system 'weather'"):
        for _ in range(2):
            with escape("progress on the terminal"):
                time.perf_counter()
        with pytest.raises(NondeterminismError):
            time.perf_counter()
    assert take_escapes() == ("test_an_escape_lets_through_and_is_told: progress on the terminal",)
    assert take_escapes() == ()


def test_an_escape_is_told_where_nothing_is_watched() -> None:
    """A run without the guard reports the same escapes."""
    take_escapes()
    with escape("frames a second"):
        time.perf_counter()
    assert take_escapes() == ("test_an_escape_is_told_where_nothing_is_watched: frames a second",)


@given(st.none())
def test_hypothesis_may_time_the_collection_of_garbage(nothing: None) -> None:
    """A property runs watched code, and a collection that starts in it is not a call of that code."""
    with Watch("system 'weather'"):
        gc.collect()


def test_other_threads_are_not_watched() -> None:
    """A thread that reads the clock while another one is watched is let through."""
    seen: list[float] = []
    with Watch("system 'weather'"):
        thread = threading.Thread(target=lambda: seen.append(time.perf_counter() + hash("a")))
        thread.start()
        thread.join()
    assert len(seen) == 1


def test_a_coroutine_is_watched_between_its_waits_only() -> None:
    """The event loop reads clocks while a coroutine waits; the coroutine itself may not."""

    async def plans() -> str:
        await asyncio.sleep(0.001)
        return "planned"

    async def cheats() -> str:
        await asyncio.sleep(0.001)
        time.perf_counter()
        return "planned"

    assert asyncio.run(watched(plans(), "tier 'mine'")) == "planned"
    with pytest.raises(NondeterminismError, match=r"tier 'mine' called time\.perf_counter"):
        asyncio.run(watched(cheats(), "tier 'mine'"))


def test_a_watched_coroutine_can_be_cancelled_and_can_catch() -> None:
    """What is thrown into a waiting coroutine arrives there."""

    async def catches() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "cleaned up"
        return "not reached"

    async def main() -> str:
        task = asyncio.create_task(watched(catches(), "tier 'mine'"))
        await asyncio.sleep(0.001)
        task.cancel()
        return await task

    assert asyncio.run(main()) == "cleaned up"


def test_a_profiler_keeps_its_place() -> None:
    """A run under a profiler is not watched: there is one place for both."""
    calls: list[str] = []
    sys.setprofile(lambda _frame, event, _called: calls.append(event))
    try:
        with Watch("system 'weather'"):
            time.perf_counter()
    finally:
        sys.setprofile(None)
    assert "c_call" in calls


def test_nothing_is_watched_unless_everything_is() -> None:
    """The guard is on inside `everything`, also in a nested one, and off otherwise."""
    assert not active()
    with everything():
        with everything():
            assert active()
        assert active()
    assert not active()


def test_a_call_inside_a_library_is_named_as_the_user_wrote_it(tmp_path: Path) -> None:
    """The sentence shows the user's own call and line, not what the library does to answer it."""
    (tmp_path / "site-packages").mkdir()
    library = tmp_path / "site-packages" / "cosy_library.py"
    library.write_text("import time\ndef stamp(form):\n    return form, time.time()\n")
    names: dict[str, object] = {"__name__": "cosy_library"}
    exec(compile(library.read_text(), str(library), "exec"), names)
    cosy = SimpleNamespace(**names)
    with pytest.raises(NondeterminismError) as caught, Watch("system 'weather'"):
        cosy.stamp(
            form="short",
        )
    assert f'called cosy.stamp( form="short", ), which calls time.time() ({__file__}:' in str(caught.value)


def test_a_library_may_be_imported_where_it_is_first_needed() -> None:
    """A library that reads a clock while it is imported is none of the watched code's doing; what it offers is."""
    library = "import time\nnow = time.time()\ndef ask(): return time.time()\n"
    place = "/usr/lib/python/site-packages/lazy/__init__.py"
    names: dict[str, object] = {"__name__": "lazy"}
    with Watch("system 'lazy'"):
        exec(compile(library, place, "exec"), names)
    asked = names["ask"]
    assert callable(asked)
    with pytest.raises(NondeterminismError), Watch("system 'lazy'"):
        asked()
