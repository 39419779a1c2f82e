"""The guard: code that a run's result depends on may read no clock, no shared randomness, no hash of text and no file.

Inside `everything`, systems, verbs and planners of deterministic tiers are watched while they run: a call that gives
another answer in another run is refused with a sentence that names it and its replacement. Watching costs time at every
call of a C function, so that an ordinary run does without; the doctor, the checks of `sim.testing` and `run --strict`
watch.

Where such a call cannot reach the state (a progress display, say), `escape` allows it; every escape that was taken is
reported, watched or not, and `verify` shows it.

The guard cannot see a refused function that C code calls by itself (`map(time.time, ...)`), and code in other threads
or processes.
"""

from __future__ import annotations

import builtins
import datetime as dt
import itertools
import linecache
import os
import random  # noqa: TID251 - to refuse it
import sys
import threading
import time
import uuid  # noqa: TID251 - to refuse it
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from types import FrameType
from typing import Any, Final, TypeVar

import numpy as np

from ai.errors import ContractError

_T = TypeVar("_T")

FRAMEWORK: Final = ("ai", "sim")
"""Packages that call the watched code."""
OURS: Final = (*FRAMEWORK, "scenarios")
"""Packages of the distribution."""
WRITTEN_CHARS_MAX: Final = 80
"""Characters of a call that a sentence shows."""
LIBRARIES: Final = ("asyncio", "hypothesis", "importlib", "linecache", "logging", "tokenize", "zipimport")
"""Callers that may read a clock and files: the time of a log record, of a wait or of a collection of garbage (which may
start anywhere, and which hypothesis measures) reaches no state, and source files are imported or shown."""

_CLOCK: Final = "a clock reads differently in every run; use the tick"
_RANDOM: Final = "its stream is shared and not part of the state; draw with world.draws(rows, purpose)"
_ENTROPY: Final = "it gives other bytes in every run; draw with world.draws(rows, purpose)"
_HASH: Final = "hashes of text differ from process to process; sort by the text, or use hashlib.blake2b"
_THREADS: Final = "threads and processes are done in another order in every run; do the work in the system itself"
_OF_THREADS: Final = ("submit", "map", "start", "ThreadPoolExecutor", "ProcessPoolExecutor", "Pool")
_FILE: Final = "a file is not part of the run; name it in a setting of the type DataFile and open it with run.open"
_DEBUGGER: Final = "a person's answers are not part of the run; debug an ordinary run, outside of the guard"
_NETWORK: Final = "an answer from outside is not part of the run; bring it in as an input or through a model tier"

_ADVICE: Final[dict[Any, str]] = {
    **{
        getattr(time, name): _CLOCK
        for name in (
            "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
            "process_time_ns", "thread_time", "thread_time_ns", "localtime", "gmtime", "ctime", "strftime", "sleep",
        )
    },
    dt.datetime.now: _CLOCK,
    dt.datetime.utcnow: _CLOCK,
    dt.date.today: _CLOCK,
    **dict.fromkeys((open, os.open, os.stat, os.lstat, os.listdir, os.scandir), _FILE),
    os.urandom: _ENTROPY,
    getattr(uuid, "_generate_time_safe", None): _ENTROPY,
}  # fmt: skip
_SHARED: Final = random._inst  # noqa: SLF001 - no public way
"""The generator behind the functions of `random`."""
_SOCKET: Final = frozenset(
    {"connect", "connect_ex", "send", "sendall", "sendto", "sendmsg", "recv", "recvfrom", "bind"}
)
_LOOKUP: Final = frozenset({"getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"})
_seed: Final = random.Random.seed.__code__
_text_hash: Final = builtins.hash

_active = False
_escapes: dict[str, None] = {}
_watched_threads: dict[int, str] = {}


class NondeterminismError(ContractError):
    """Code that a run's result depends on asked something that answers differently in another run."""


def active() -> bool:
    """Return whether systems, verbs and planners are watched."""
    return _active


@lru_cache(maxsize=1024)
def is_ours(module: str) -> bool:
    """Return whether a module belongs to one of our packages."""
    return module.partition(".")[0] in OURS


@contextmanager
def everything() -> Iterator[None]:
    """Watch every system, verb and deterministic planner, ours included, from here to the end of the block."""
    global _active  # noqa: PLW0603 - one switch for the process
    before, _active = _active, True
    try:
        yield
    finally:
        _active = before


class Watch:
    """Watches this thread in a `with` block; does nothing while a profiler does its work.

    Watches nest: the innermost one gives the name.

    Args:
        name: the name of the watched code in refusals: `system 'weather'`.

    Raises:
        NondeterminismError: from within the watched code, in place of the refused call.
    """

    __slots__ = ("_name", "_outer", "_watches")

    def __init__(self, name: str) -> None:
        self._name = name
        self._outer: str | None = None

    def __enter__(self) -> None:
        self._watches = sys.getprofile() in (None, _profile)
        if not self._watches:
            return
        thread = threading.get_ident()
        self._outer = _watched_threads.get(thread)
        _watched_threads[thread] = self._name
        if self._outer is not None:
            return
        builtins.hash = _guarded_hash
        vars(np.random).update(_of_numpy()[1])
        sys.setprofile(_profile)

    def __exit__(self, *_: object) -> None:
        if not self._watches:
            return
        thread = threading.get_ident()
        if self._outer is not None:
            _watched_threads[thread] = self._outer
            return
        sys.setprofile(None)
        del _watched_threads[thread]
        if not _watched_threads:
            builtins.hash = _text_hash
            vars(np.random).update(_of_numpy()[0])


class _Stepped:
    """Awaits a coroutine and watches each of its steps, but not the work of the event loop between them."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        self._coroutine = coroutine
        self._name = name

    def __await__(self) -> Generator[Any, Any, Any]:
        step = partial(self._coroutine.send, None)
        while True:
            with Watch(self._name):
                try:
                    waited = step()
                except StopIteration as done:
                    return done.value
            try:
                sent = yield waited
            except BaseException as error:  # handed on: a cancelled task is the coroutine's own business
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, sent)


async def watched(coroutine: Coroutine[Any, Any, _T], name: str) -> _T:
    """Await a coroutine under the guard."""
    result: _T = await _Stepped(coroutine, name)
    return result


class escape:  # noqa: N801 - it reads like a function
    """Allows calls that cannot reach the state; the function with the block, and the reason, are reported with the run.

    >>> with escape("progress on the terminal"):
    ...     _ = time.perf_counter()
    """

    __slots__ = ("_name", "_reason")

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._name: str | None = None

    def __enter__(self) -> None:
        _escapes[f"{sys._getframe(1).f_code.co_qualname}: {self._reason}"] = None  # noqa: SLF001 - the block's function
        self._name = _watched_threads.pop(threading.get_ident(), None)
        if self._name is not None:
            sys.setprofile(None)

    def __exit__(self, *_: object) -> None:
        if self._name is not None:
            _watched_threads[threading.get_ident()] = self._name
            sys.setprofile(_profile)


def unwatched(clock: Callable[[], _T]) -> Callable[[], _T]:
    """Return a clock that may be read under the guard, or another call of ours that reaches no state."""

    def read() -> _T:
        if threading.get_ident() not in _watched_threads:
            return clock()
        sys.setprofile(None)
        try:
            return clock()
        finally:
            sys.setprofile(_profile)

    return read


def take_escapes() -> tuple[str, ...]:
    """Return each function with an escape since the last call, and its reason, in order of their first time."""
    taken = tuple(_escapes)
    _escapes.clear()
    return taken


def _profile(frame: FrameType, event: str, called: Any) -> None:
    if event != "c_call":
        return
    advice = _ADVICE.get(called)
    if advice is None:
        advice = _by_owner(frame, called)
        if advice is None:
            return
    if _module(frame).partition(".")[0] in LIBRARIES:
        return
    if frame.f_code.co_name == "<module>" and "site-packages" in frame.f_code.co_filename:
        return  # a library that is imported where it is first needed starts up; the watched code asked no clock
    raise _refusal(_name_of(called), advice, frame)


def _by_owner(frame: FrameType, called: Any) -> str | None:
    """Return the message for a method that is refused on some objects only."""
    owner = getattr(called, "__self__", None)
    if owner is _SHARED:
        return _RANDOM
    name = called.__name__
    if name == "seed" and frame.f_code is _seed and frame.f_locals.get("a") is None:
        return _ENTROPY
    if (name in _SOCKET and type(owner).__module__ in {"_socket", "socket"}) or (
        name in _LOOKUP and getattr(owner, "__name__", "") == "_socket"
    ):
        return _NETWORK
    return None


def _guarded_hash(value: object, /) -> int:
    """Stand in for the builtin while code is watched; a class's own `__hash__` may call it for sets and dicts."""
    if threading.get_ident() in _watched_threads and _holds_text(value):
        frame = sys._getframe(1)  # noqa: SLF001 - the caller's place is the message
        if frame.f_code.co_name != "__hash__":
            raise _refusal("hash", _HASH, frame)
    return _text_hash(value)


def _holds_text(value: object) -> bool:
    if isinstance(value, tuple | frozenset):
        return any(_holds_text(part) for part in value)
    return isinstance(value, str | bytes)


def _numpy_stand_in(name: str, called: Callable[..., Any]) -> Callable[..., Any]:
    def stand_in(*args: Any, **options: Any) -> Any:
        if threading.get_ident() in _watched_threads:
            raise _refusal(f"numpy.random.{name}", _RANDOM, sys._getframe(1))  # noqa: SLF001 - as above
        return called(*args, **options)

    return stand_in


@cache
def _of_numpy() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the functions of `numpy.random` on one shared generator, and stand-ins, as no profiler sees them called.

    They are looked up when the first watch starts, because loading `numpy.random` takes a moment.
    """
    shared = np.random.mtrand._rand  # noqa: SLF001 - no public way
    found = {name: called for name, called in vars(np.random).items() if getattr(called, "__self__", None) is shared}
    return found, {name: _numpy_stand_in(name, called) for name, called in found.items()}


def _name_of(called: Any) -> str:
    if getattr(called, "__self__", None) is _SHARED:
        return f"random.{called.__name__}"
    if called is open:
        return "open"
    module = getattr(called, "__module__", None) or getattr(getattr(called, "__self__", None), "__module__", None) or ""
    module = "os" if module == "posix" else str(module).lstrip("_")
    return f"{module}.{called.__qualname__}" if module else str(called.__qualname__)


def _refusal(called: str, advice: str, frame: FrameType) -> NondeterminismError:
    """Name the watched code, the call as its author wrote it, and the line, not the inner calls of a library."""
    place: FrameType | None = frame
    while place is not None and _module(place).partition(".")[0] in sys.stdlib_module_names:
        name = place.f_code.co_qualname.removesuffix(".__init__") if _is_made(place) else place.f_code.co_name
        called = f"{_module(place)}.{name}"
        if name in _OF_THREADS and advice is _CLOCK:
            advice = _THREADS  # a pool asks a clock before it starts a thread
        if _module(place) == "tempfile":
            advice = _FILE  # its names are drawn at random
        if _module(place) in ("bdb", "pdb"):
            advice = _DEBUGGER
        place = place.f_back
    place = _own(place or frame)
    written = _written(place)
    if written and written.partition("(")[0].rpartition(".")[2] != called.rpartition(".")[2]:
        called = f"{written}, which calls {called}()"
    else:
        called += "()"
    who = _watched_threads.get(threading.get_ident(), "watched code")
    return NondeterminismError(
        f"{who} called {called} ({place.f_code.co_filename}:{place.f_lineno}): {advice}; "
        "or, if it cannot reach the state, wrap it in ai.guard.escape()"
    )


def _own(frame: FrameType) -> FrameType:
    """Return the innermost frame of the watched code itself, not of a library that it calls."""
    inside = [frame]
    while (outer := inside[-1].f_back) is not None and _module(outer).partition(".")[0] not in FRAMEWORK:
        inside.append(outer)
    home = _module(inside[-1]).partition(".")[0]

    def own(each: FrameType) -> bool:
        package = _module(each).partition(".")[0]
        return package == home or not (package in sys.stdlib_module_names or "site-packages" in each.f_code.co_filename)

    return next(filter(own, inside), frame)


def _written(frame: FrameType) -> str:
    """Return the call that a frame is at, as its author wrote it; empty where the source is not there."""
    first, last, start, end = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    if first is None:
        return ""
    lines = [line.encode() for line in linecache.getlines(frame.f_code.co_filename)[first - 1 : last]]
    if not lines:
        return ""
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    text = " ".join(b"".join(lines).decode(errors="replace").split())
    return text if len(text) <= WRITTEN_CHARS_MAX else f"{text[:WRITTEN_CHARS_MAX]} ..."


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_made(frame: FrameType) -> bool:
    return frame.f_code.co_name == "__init__"
