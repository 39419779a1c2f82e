"""Other processes: another hash seed, another allocator, a processor without its newer instructions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

import numpy as np

from ai.entries import installed
from sim.engine.codec import decode_state
from sim.engine.state import WorldState
from sim.errors import SimError
from sim.messages import one_line
from sim.run.domains import available_domains
from sim.run.interpreters import interpreter
from sim.run.plugins import ENTRY_POINTS as PLUGINS
from sim.run.scenario_file import Scenario
from sim.run.simulation import PhaseDigest
from sim.testing.checks.base import Case, Check, Checked, Finding, NotApplicable, Seen, Untested, difference

STDERR_CHARS_MAX: Final = 500
"""How much of what another process complains about is told."""


def dispatched() -> list[str]:
    """Return the levels of this processor that NumPy has code of its own for, and that can be switched off."""
    core: Any = getattr(np, "_core", None) or np.core
    umath = core._multiarray_umath  # noqa: SLF001 - no public way to ask
    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]


@contextmanager
def _child(case: Case, environment: Mapping[str, str], *, junk: int, dump: int | None) -> Iterator[IO[str]]:
    """Start the case in another process; yields what it says, a line a tick."""
    asked = {
        "scenario": case.scenario.canonical(),
        "seed": case.seed,
        "ticks": case.ticks if dump is None else dump + 1,
        "folder": None if case.scenario.folder is None else str(case.scenario.folder),
        "junk": junk,
        "dump": dump,
    }
    with interpreter("sim.testing.checks.child", asked, environment, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        yield process.stdout
        complaint = process.stderr.read()
    if process.returncode:
        raise SimError(one_line(f"the other process failed: {complaint[-STDERR_CHARS_MAX:]}"))


def _compare(case: Case, environment: Mapping[str, str], junk: int = 0) -> Checked:
    actual: Seen | None = None
    missing = _missing(case.scenario)
    if missing is not None:
        return Untested(f"{missing} is neither installed nor a file that another process could load")
    with _child(case, environment, junk=junk, dump=None) as lines:
        said = [_seen(json.loads(line)) for line in lines]
    for tick, expected in enumerate(case.expected()):
        actual = said[tick] if tick < len(said) else None
        if actual is None:
            return Finding(tick, reason="the other process ended before this tick")
        if actual != expected:
            other = _state(case, environment, junk, tick)
            return difference(tick, expected, actual, case.state_at(tick), other)
    return None


def _missing(scenario: Scenario) -> str | None:
    """Return the name of the first domain or plug-in that another process would not find, None if there is none."""
    known = {scenario.head.domain: available_domains()}
    known |= dict.fromkeys(scenario.plugins, tuple(point.name for point in installed(PLUGINS)))
    for name, names in known.items():
        if name.endswith(".py"):
            found = scenario.folder is not None and (scenario.folder / name).is_file()
        else:
            found = name in names
        if not found:
            return name
    return None


def _seen(said: Mapping[str, Any]) -> Seen:
    phases = tuple(PhaseDigest(*phase) for phase in said["phases"])
    return Seen(said["root"], phases, said["outcome"])


def _state(case: Case, environment: Mapping[str, str], junk: int, tick: int) -> WorldState:
    """Run the other process again up to a tick and take its state."""
    with _child(case, environment, junk=junk, dump=tick) as lines:
        *_, last = lines
    with case.simulation() as simulation:
        return decode_state(bytes.fromhex(json.loads(last)["state"]), simulation.world)


def _hash_seeds(case: Case) -> Checked:
    for seed in ("0", "1", "4242"):
        finding = _compare(case, {"PYTHONHASHSEED": seed})
        if finding is not None:
            return finding
    return None


def _allocator(case: Case) -> Checked:
    return _compare(case, {"PYTHONMALLOC": "malloc"}, junk=10_000)


def _cpu(case: Case) -> Checked:
    features = dispatched()
    if not features:
        return NotApplicable("this processor has none of the levels that NumPy dispatches to")
    return _compare(case, {"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_NUM_THREADS": "1"})


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
