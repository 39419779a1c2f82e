"""Other processes: another hash seed, another allocator, a processor without its newer instructions."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Final

import numpy as np

from ai.brought import packed
from ai.entries import installed
from ai.interpreters import interpreter
from sim.engine.codec import decode_state, encode_state
from sim.engine.state import WorldState
from sim.errors import SimError, WorkerError
from sim.messages import one_line
from sim.run.domains import available_domains
from sim.run.plugins import ENTRY_POINTS as PLUGINS
from sim.run.scenario_file import Scenario
from sim.run.simulation import PhaseDigest
from sim.testing.checks.base import Case, Check, Checked, Finding, NotApplicable, Seen, Untested, difference

STDERR_CHARS_MAX: Final = 500
"""How much of another process's complaints is shown."""


def dispatched() -> list[str]:
    """Return the levels of this processor that NumPy has code of its own for, and that can be switched off."""
    core: Any = getattr(np, "_core", None) or np.core
    umath = core._multiarray_umath  # noqa: SLF001 - no public way to ask
    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]


@dataclass(frozen=True, slots=True)
class Other:
    """Another process, by its differences.

    Attributes:
        environment: variables that differ.
        junk: objects in memory before the run.
        begin: the tick before which it begins, from a snapshot of the plain run.
        folder: its working folder, this one unless given.
        notes: whether it says, after the last tick, what the user's code asked of its surroundings.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    junk: int = 0
    begin: int = 0
    folder: str | None = None
    notes: bool = False


@contextmanager
def _child(case: Case, other: Other, *, dump: int | None) -> Iterator[IO[str]]:
    """Start the case in another process; yields what it says, a line a tick."""
    state = encode_state(case.state_at(other.begin - 1)).hex() if other.begin else None
    folder = case.scenario.folder
    asked = {
        "scenario": case.scenario.canonical(),
        "seed": case.seed,
        "ticks": case.ticks if dump is None else dump + 1,
        "folder": None if folder is None else str(folder.absolute()),
        "data": [str(each) for each in case.scenario.data.folders],
        "junk": other.junk,
        "dump": dump,
        "state": state,
        "brought": _brought(case),
        "notes": other.notes and dump is None,
    }
    with interpreter(
        "sim.testing.checks.child", asked, other.environment, stderr=subprocess.PIPE, folder=other.folder
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        complaints: list[str] = []
        # All output of the run is read as it comes: a full pipe would stop it.
        reader = threading.Thread(target=lambda: complaints.append(process.stderr.read()), daemon=True)  # type: ignore[union-attr]
        reader.start()
        yield process.stdout
        reader.join()
    if process.returncode < 0:
        raise WorkerError(f"another process was ended by signal {-process.returncode}, perhaps as memory is short")
    if process.returncode:
        raise SimError(one_line(f"the other process failed: {''.join(complaints).strip()[-STDERR_CHARS_MAX:]}"))


def compare(case: Case, other: Other) -> tuple[Checked, dict[str, dict[str, str]]]:
    """Run a case in another process; return where it first differs, and its notes."""
    notes: dict[str, dict[str, str]] = {}
    if case.client is not None:  # a client stays in its process; rules plan in both runs
        case = Case(case.scenario, case.ticks, case.seed, case.plugins)
    try:
        _brought(case)
    except ValueError as error:
        return Untested(one_line(f"it cannot run in another process: {error}")), notes
    with _child(case, other, dump=None) as lines:
        said = [json.loads(line) for line in lines]
    if other.notes and said and "files" in said[-1]:
        notes = said.pop()
    for tick, expected in enumerate(case.expected()[other.begin :], other.begin):
        place = tick - other.begin
        if place >= len(said):
            return Finding(tick, reason="the other process ended before this tick"), notes
        actual = _seen(said[place])
        if actual != expected:
            return difference(tick, expected, actual, case.state_at(tick), _state(case, other, tick)), notes
    return None, notes


def _brought(case: Case) -> dict[str, Any] | None:
    """Return the domain and the plug-ins that another process would not find by their names; None if it finds all.

    Raises:
        ValueError: they cannot be pickled.
    """
    scenario, plugins = case.scenario, {point.name for point in installed(PLUGINS)}
    domain = None if _is_found(scenario, scenario.head.domain, set(available_domains())) else scenario.loaded.kind
    if domain is None and all(_is_found(scenario, name, plugins) for name in scenario.plugins):
        return None
    return packed((domain, tuple(case.plugins)))


def _is_found(scenario: Scenario, name: str, names: set[str]) -> bool:
    if name.endswith(".py"):
        return scenario.folder is not None and (scenario.folder / name).is_file()
    return name in names


def _seen(said: Mapping[str, Any]) -> Seen:
    phases = tuple(PhaseDigest(*phase) for phase in said["phases"])
    return Seen(said["root"], phases, said["outcome"])


def _state(case: Case, other: Other, tick: int) -> WorldState | None:
    """Run the other process again up to a tick and take its state; None where it does not come to that again."""
    with _child(case, other, dump=tick) as lines:
        *_, last = lines
    with case.simulation() as simulation:
        return decode_state(bytes.fromhex(json.loads(last)["state"]), simulation.world)


def _hash_seeds(case: Case) -> Checked:
    for seed in ("0", "4242"):
        found, _ = compare(case, Other({"PYTHONHASHSEED": seed}))
        if found is not None:
            return found
    return None


def _allocator(case: Case) -> Checked:
    return compare(case, Other({"PYTHONMALLOC": "malloc"}, junk=10_000))[0]


def _cpu(case: Case) -> Checked:
    features = dispatched()
    if not features:
        return NotApplicable("this processor has none of the levels that NumPy dispatches to")
    return compare(case, Other({"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_NUM_THREADS": "1"}))[0]


def _resumed(case: Case) -> Checked:
    middle = len(case.expected()) // 2
    return (
        compare(case, Other(begin=middle))[0]
        if middle
        else Untested("a run of one tick has no middle to continue from")
    )


HASH_SEED: Final = Check(
    "hash seed",
    "other processes with other hash seeds",
    "an order of sets or dictionaries of text, or hash()",
    _hash_seeds,
)
ALLOCATOR: Final = Check(
    "allocator",
    "another process with another allocator and memory in other places",
    "an order by address: id(), sets of objects, callbacks in sets",
    _allocator,
)
CPU: Final = Check(
    "processor",
    "another process without the processor's newer instructions, on one thread",
    "floats that depend on the machine (exp, log, power, products of matrices), or the order of ties in a sort",
    _cpu,
)
RESUME: Final = Check(
    "resume",
    "the rest of the run made by another process, from a snapshot",
    "what earlier ticks left in a module: a memo, a cache, a base line that was taken at the start",
    _resumed,
)
