"""What the engine costs where the model does next to nothing, what the guard costs, and a world of a million."""

from __future__ import annotations

import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from children import said
from recorded import Recorded

from ai.guard import everything
from sim import Component, Domain, Run, Simulation, System, World, i32

FEW, MANY = 100, 100_000


class Pair(Component):
    """Two columns."""

    first: i32
    second: i32


class Nothing(System):
    """Does nothing. Reads and writes nothing. Order: alone."""

    def process(self, world: World, run: Run) -> None:
        pass


class Calls(System):
    """Calls NumPy sixty times, as a small system of a user does. Reads and writes Pair. Order: alone."""

    def process(self, world: World, run: Run) -> None:
        column = world[Pair].first
        for _ in range(60):
            np.add(column, 1, out=column)


class Quiet(Domain):
    """A world of which nothing changes."""

    components, systems = (Pair,), (Nothing,)
    agents: ClassVar[int] = FEW

    def setup(self, world: World, run: Run) -> None:
        world.spawn({Pair: {}}, count=self.agents)


class Large(Quiet):
    """The same with many agents."""

    agents: ClassVar[int] = MANY


class Calling(Quiet):
    """A world with a system of NumPy calls."""

    systems = (Calls,)


MILLION = """
import gc, json, sys, time
sys.path.insert(0, PAGE)
from pathlib import Path
from recorded import Recorded
from timing import resident
from scenarios.ecology.domain import Ecology, EcologySettings
side, sheep, wolves, ticks, path = *map(int, sys.argv[1:5]), Path(sys.argv[5])
Recorded(Ecology(EcologySettings(width=20, height=20)), 1, path).step()
gc.collect()
before = resident()
run = Recorded(Ecology(EcologySettings(width=side, height=side, sheep=sheep, wolves=wolves)), 1, path)
agents, took = run.simulation.world.n, []
for _ in range(ticks):
    start = time.process_time()
    run.step()
    took.append(time.process_time() - start)
peak = resident() - before
print(json.dumps([agents, peak / agents, sorted(took)[len(took) // 2]]))
"""


def engine(folder: Path, *, quick: bool) -> dict[str, Any]:
    agents, each_bytes, tick_s = million(folder, *((100, 4_000, 1_000) if quick else (2_048, 500_000, 500_000)))
    return {
        "quiet_us": quiet_us(folder, 20 if quick else 200),
        "agent_bytes": agent_bytes(folder),
        "guard": guard(20 if quick else 300),
        "million": {"agents": agents, "bytes": each_bytes, "tick_s": tick_s},
    }


def quiet_us(folder: Path, ticks: int) -> float:
    """Return the median processor time of a tick with digest and recorded line, microseconds."""
    run, found = Recorded(Quiet(), 1, folder / "quiet.replay.jsonl", counted=False), []
    for _ in range(30):
        start = time.process_time()
        for _ in range(ticks):
            run.step()
        found.append((time.process_time() - start) / ticks)
    assert run.verdict() == "match"
    return statistics.median(found) * 1e6


def agent_bytes(folder: Path) -> float:
    """Return the bytes that a recorded run of two columns holds for each agent after some ticks."""
    Recorded(Quiet(), 1, folder / "warm.replay.jsonl", counted=False).step()
    gc.collect()
    tracemalloc.start()
    run = Recorded(Large(), 1, folder / "large.replay.jsonl", counted=False)
    for _ in range(3):
        run.step()
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    run.close()
    return held / MANY


def guard(turns: int) -> dict[str, float]:
    """Return the time of a user's system in a run, and under `--strict`, in multiples of calling it directly."""
    with Simulation(Calling(), seed=1) as run, Simulation(Calling(), seed=1) as strict:
        system = next(each for each in run.world.systems if isinstance(each, Calls))
        direct, ordinary, guarded = [], [], []
        for _ in range(turns):
            direct.append(_seconds(lambda: system.process(run.world, run.run_context)))
            ordinary.append(run.tick().durations[system.name])
            with everything():
                guarded.append(strict.tick().durations[system.name])
    base = statistics.median(direct)
    return {"ordinary": statistics.median(ordinary) / base, "strict": statistics.median(guarded) / base}


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def million(folder: Path, side: int, sheep: int, wolves: int) -> list[float]:
    code = MILLION.replace("PAGE", repr(str(Path(__file__).parent)))
    words = (*map(str, (side, sheep, wolves, 3)), str(folder / "million.replay.jsonl"))
    found: list[float] = json.loads(said(code, *words))
    return found
