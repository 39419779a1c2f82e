"""What follows from a declaration, beside what the first edition wrote by hand, where a checkout of it is given.

For each size, each checkout plays the same battle (`benchmarks/scaled.py` of each) for some ticks, perceives for all
agents at once and times each operation on that batch, in a process of its own; the checkouts take turns.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any, Final

from children import said
from tick import HERE, python_of

SIZES: Final = ((1_000, 5, 1.5), (10_000, 2, 1.25))
"""Agents, rounds, and the goal for the ratio, new to old."""

OLD_WALK, NEW_WALK = (
    "from ai.fallback import FallbackOrchestrator, drive",
    "from ai.orchestrator import FallbackOrchestrator, drive",
)
COMMON: Final = """
import json, statistics, sys, time
sys.path.insert(0, "benchmarks")
import numpy as np
from scaled import scaled
from scenarios.tactics import perception
import scenarios.tactics.systems.perception as phase
from sim.run.simulation import Simulation

agents = int(sys.argv[1])
seen = {}
perceive, walk = perception.perceive, FallbackOrchestrator.plan_batch_with_fallback

def first_perceive(world, grid, occupancy, rows, lore, *rest):
    seen.update(grid=grid, lore=lore)
    return perceive(world, grid, occupancy, rows, lore, *rest)

def first_walk(self, *given, **named):
    seen.update(walk=self)
    return walk(self, *given, **named)

phase.perceive = first_perceive
FallbackOrchestrator.plan_batch_with_fallback = first_walk
scenario = scaled(agents)
if hasattr(scenario, "model_copy"):  # the first edition: its first plans come in one tick too, so that both do the same
    in_step = scenario.planning.model_copy(update={"stagger_ticks": 1})
    scenario = scenario.model_copy(update={"planning": in_step})
simulation = Simulation(scenario)
for _ in range(40):
    simulation.tick()
world, registry = simulation.world, simulation.registry
rows, occupancy = np.arange(world.n), perception.occupancy_of(world, seen["grid"])

def perceived():
    return perceive(world, seen["grid"], occupancy, rows, seen["lore"])

def planned():
    return drive(walk(seen["walk"], None, batch, registry))

def timed(work, times):
    work()
    found = []
    for _ in range(times):
        start = time.process_time_ns()
        work()
        found.append(time.process_time_ns() - start)
    return statistics.median(found) / 1000

few = max(3, 3000 // agents)
many = 30 * few
half = np.arange(0, world.n, 2)
shards = [slice(start, start + 10) for start in range(0, world.n, 10)]
found = {}

def measure(name, work, times):
    found[name] = timed(work, times)
"""
OLD: Final = """
from ai.encodings.base import Offers
from ai.knowledge import Knowledge
from ai.legality import refusals
from ai.rule_conditions import AlliesAtLeast, EnemyWithin, LowHealth, NoEnemy, ObjectiveContains
from ai.snapshot import SnapshotBatch
given = {}

def keep(**named):
    given.update(named)
    return SnapshotBatch(**named)

perception.SnapshotBatch = keep
batch = perceived()
perception.SnapshotBatch = SnapshotBatch
conditions = [LowHealth(below_percent=50), EnemyWithin(cells=6), NoEnemy(), ObjectiveContains(text="reach"),
    AlliesAtLeast(count=2)]
build = lambda: SnapshotBatch(**given)
target_ids = lambda: Offers.of(batch, registry)
said = lambda: Knowledge.of(batch)
to_objects = lambda: [batch.snapshot(row) for row in range(len(batch))]
from_objects = lambda pairs: SnapshotBatch.from_snapshots(pairs)
judge = lambda: [condition.holds(batch) for condition in conditions]
"""
NEW: Final = """
from ai.legality import refusals
from ai.llm.encodings.offers import Offers
from ai.llm.prompt_rows import PromptRows
from ai.rules.conditions import Condition
from scenarios.tactics.snapshot import WorldSnapshot
given = []
made = WorldSnapshot.batch

def keep(*positional, **named):
    given.append((positional, named))
    return made(*positional, **named)

WorldSnapshot.batch = keep
batch = perceived()
WorldSnapshot.batch = made
tests = [Condition.parse(text).test(batch.layout) for text in (
    "me.hp < 50% of me.hp_max", "enemies within 6", "no enemies", "objective contains 'reach'", "allies >= 2")]
build = lambda: made(*given[0][0], **given[0][1])
target_ids = lambda: Offers.of(batch, registry)
said = lambda: PromptRows.of(batch)
to_objects = lambda: batch.to_objects()
from_objects = lambda pairs: WorldSnapshot.from_objects(pairs, tables=registry.tables)
judge = lambda: [test(batch) for test in tests]
"""
TAIL: Final = """
measure("perceive", perceived, many)
measure("batch from arrays", build, many)
measure("digest", lambda: batch.digest(), many)
measure("take half", lambda: batch.take(half), many)
whole = said()
measure("prompt: text columns", said, few)
measure("prompt: messages of ten", lambda: [whole.take(rows).message() for rows in shards], few)
measure("prompt: one message", lambda: whole.message(), few)
measure("target ids", target_ids, few)
measure("five conditions", judge, many)
plans = planned().plans
measure("legality", lambda: refusals(batch, plans, registry), many)
measure("rules, walk and legality", planned, many)
few = min(few, 3)
measure("to objects", to_objects, few)
pairs = list(zip(batch.keys.tolist(), to_objects()))
measure("from objects", lambda: from_objects(pairs), few)
print(json.dumps(found))
"""


def layer(_folder: Path, *, quick: bool, old: Path | None) -> list[dict[str, Any]]:
    """Return a row for each size: by operation, microseconds of both checkouts and the median of the rounds' ratios."""
    rows = []
    for agents, rounds, goal in SIZES[: 1 if quick else None] if old else ():
        turns = [
            (timed(old, OLD_WALK, OLD, agents), timed(HERE, NEW_WALK, NEW, agents))
            for _ in range(1 if quick else rounds)
        ]
        operations = {
            name: {
                "old_us": median(one[name] for one, _ in turns),
                "new_us": median(two[name] for _, two in turns),
                "ratio": median(two[name] / one[name] for one, two in turns),
            }
            for name in turns[0][0]
        }
        rows.append({"agents": agents, "goal": goal, "operations": operations})
    return rows


def timed(checkout: Path, walk: str, own: str, agents: int) -> dict[str, float]:
    """Return the medians of one process, by operation."""
    code = f"{walk}\n{COMMON}{own}{TAIL}"
    found: dict[str, float] = json.loads(said(code, str(agents), python=python_of(checkout), folder=checkout))
    return found
