"""The whole tick of the tactical game, recorded, by phase; and that of another checkout in turn, where one is given.

Each size is a mixed battle (`benchmarks/scaled.py` of each checkout) in a process of its own, several rounds; the
checkouts take turns, and which of them begins changes. Of every tick the least processor time of all rounds counts, as
other work on the machine only adds to it. Loading is scenario, world, header and the first tick, after a run of ten
agents in the same process.

The first edition is set to make all first plans in one tick, as this one does. Left at its default it asks for a tenth
fewer plans in a tick of 100 agents, and the comparison would be of two battles.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean
from typing import Any, Final

from children import said
from machine import calibration

HERE: Final = Path(__file__).parents[2]
SIZES: Final = (
    (10, 200, 9, 1.0),
    (100, 200, 9, 1.0),
    (1_000, 80, 9, 1.0),
    (10_000, 20, 12, 0.77),
    (100_000, 6, 5, 0.77),
)
"""Agents, timed ticks, rounds, and the goal for the time of a tick as a part of the first edition's."""
LOAD_GOAL: Final = 0.5
"""The goal for loading 100,000 agents and their first tick, as a part of the first edition's time."""
TRAFFIC_GOAL: Final = 350
"""Bytes of memory that snapshot, comparison and hash may read or write, an agent and tick."""
SAME: Final = {"observe": "perception", "plan": "planning", "act": "execution"}
"""Names of systems, with those of the first edition."""

TIME: Final = """
import json, sys, tempfile, time
clock = time.process_time
from pathlib import Path
sys.path.insert(0, "benchmarks")
from scaled import scaled
from sim.replay.writer import Recorder, open_replay
from sim.run.simulation import Simulation

agents, ticks, warm = int(sys.argv[1]), int(sys.argv[2]), 10


def battle(agents):
    scenario = scaled(agents)
    if not hasattr(scenario, "model_copy"):
        return scenario
    # The first edition: its first plans come in one tick too, so that both do the same.
    in_step = scenario.planning.model_copy(update={"stagger_ticks": 1})
    return scenario.model_copy(update={"planning": in_step})


with Simulation(battle(10)) as simulation:
    simulation.tick()
start = clock()
with tempfile.TemporaryDirectory() as folder, Simulation(battle(agents), clock=clock) as simulation:
    with open_replay(Path(folder) / "timed.replay.jsonl") as writer:
        recorder = Recorder(simulation, writer)
        recorder.header()
        load, found = None, []
        for number in range(ticks + warm):
            start = start if load is None else clock()
            report = simulation.tick()
            ticked = clock()
            recorder.tick(report)
            end = clock()
            if load is None:
                load = end - start
            parts = dict(report.durations)
            parts["rest"] = ticked - start - sum(parts.values())
            parts["record"] = end - ticked
            parts["whole tick"] = end - start
            if number >= warm:
                found.append(parts)
        recorder.end()
print(json.dumps([load, found]))
"""
"""Prints the seconds of loading with the first tick, and of each part of every recorded tick, in any edition."""

BYTES: Final = """
import json, sys
sys.path.insert(0, "benchmarks")
from scaled import scaled
from sim.run.simulation import Simulation

simulation = Simulation(scaled(int(sys.argv[1])))
world, changed, before = simulation.world, [], None
kept, labels = world.storage.kept, [spec.label for table in world.storage.tables for spec in table.schema.columns]
for number in range(16):
    simulation.tick()
    raws = [one.raw for one in kept]
    if number >= 10:
        changed.append(sum(len(raw) for raw, then in zip(raws, before) if raw is not then) / world.n)
    before = raws
of = {}
for label, raw in zip(labels, raws):
    of[label.partition(".")[0]] = of.get(label.partition(".")[0], 0) + len(raw) / world.n
moved = sum(changed) / len(changed)
found = {
    system.name: sum(of.get(kind.__name__, 0) for kind in (*system.reads, *system.writes)) for system in world.systems
}
print(json.dumps([moved, sum(map(len, raws)) / world.n - moved, found]))
"""
"""Prints bytes an agent: of columns that change in a tick, of those that do not, and of each system's declarations."""


def tick(_folder: Path, *, quick: bool, old: Path | None) -> dict[str, Any]:
    """Return a row for each size: microseconds by part, those of the other checkout, and bytes by part."""
    rows = []
    for agents, ticks, rounds, goal in SIZES[: 2 if quick else None]:
        found: dict[Path, list[Any]] = {HERE: [], **({} if old is None else {old: []})}
        for number in range(1 if quick else rounds):
            for checkout in sorted(found, reverse=bool(number % 2)):
                found[checkout].append(timed(checkout, agents, ticks))
        changed, same, systems = json.loads(said(BYTES, str(agents), folder=HERE))
        rows.append(
            {
                "agents": agents,
                "goal": goal,
                "now": least([ticks for _, ticks in found[HERE]]),
                "before": None if old is None else least([ticks for _, ticks in found[old]]),
                "load_s": min(load for load, _ in found[HERE]),
                "load_before_s": None if old is None else min(load for load, _ in found[old]),
                # An unchanged column is compared: read twice. A changed one is read, written and hashed.
                "traffic": 2 * same + 3 * changed,
                "bytes": {SAME.get(name, name): width for name, width in systems.items()},
            }
        )
    return {"rows": rows, "bandwidth_gb_s": calibration()["bandwidth_gb_s"]}


def python_of(checkout: Path) -> str:
    """Return the interpreter that a checkout runs in: its own, or this one."""
    own = checkout / ".venv" / "bin" / "python"
    return str(own) if own.exists() and checkout != HERE else sys.executable


def timed(checkout: Path, agents: int, ticks: int) -> tuple[float, list[dict[str, float]]]:
    load, found = json.loads(said(TIME, str(agents), str(ticks), python=python_of(checkout), folder=checkout))
    return load, [{SAME.get(name, name): value for name, value in each.items()} for each in found]


def least(rounds: list[list[dict[str, float]]]) -> dict[str, float]:
    """Return the mean over the ticks of the least time that any round took, by part, in microseconds."""
    return {
        name: mean(min(each.get(name, 0.0) for each in same) for same in zip(*rounds, strict=True)) * 1e6
        for name in rounds[0][0]
    }
