"""Compares the speed of two checkouts in one interleaved run: the whole tick of the tactical game, recorded.

    python benchmarks/against_first.py ../first-edition .

For each size, each checkout plays the same mixed battle (`benchmarks/scaled.py` of each) in a process of its own,
several rounds; the checkouts take turns, and which of them begins changes. Of every tick the least processor time of
all rounds counts, as other work on the machine only adds to it. Printed are the means over the ticks in microseconds,
and the ratio, new to old: of the whole tick, of its systems, of the digest, of the rest of a tick and of the recording.
"load" is apart from all of these: scenario, world, header and the first tick, recorded, after a run of ten agents in
the same process.

The first edition is set to make all first plans in one tick, as this one does. Left at its default it asks for a tenth
fewer plans in a tick of 100 agents, and the comparison would be of two battles.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Final

SIZES: Final = ((10, 200, 6), (100, 200, 6), (1_000, 80, 6), (10_000, 20, 4), (100_000, 6, 3))
"""Agents, timed ticks, and rounds."""
SAME: Final = {"observe": "perception", "plan": "planning", "act": "execution"}
"""Names of systems that another edition may have, with those of the first."""

TIME: Final = """
import json, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, "benchmarks")
from scaled import scaled
from sim.replay.writer import Recorder, open_replay
from sim.run.simulation import Simulation

agents, ticks, warm = int(sys.argv[1]), int(sys.argv[2]), 10
clock = time.process_time


def battle(agents):
    scenario = scaled(agents)
    if not hasattr(scenario, "model_copy"):
        return scenario
    # The first edition: its first plans come in one tick too, so that both do the same.
    in_step = scenario.planning.model_copy(update={"stagger_ticks": 1})
    return scenario.model_copy(update={"planning": in_step})


with Simulation(battle(10)) as simulation:
    simulation.tick()
begun = clock()
with tempfile.TemporaryDirectory() as folder, Simulation(battle(agents), clock=clock) as simulation:
    with open_replay(Path(folder) / "timed.replay.jsonl") as writer:
        recorder = Recorder(simulation, writer)
        recorder.header()
        found = []
        for number in range(ticks + warm):
            start = clock()
            report = simulation.tick()
            ticked = clock()
            recorder.tick(report)
            end = clock()
            if number == 0:
                load = end - begun
            parts = dict(report.durations)
            parts["rest"] = ticked - start - sum(parts.values())
            parts["record"] = end - ticked
            parts["whole tick"] = end - start
            if number >= warm:
                found.append({**parts, "load": load})
        recorder.end()
print(json.dumps(found))
"""
"""Prints the seconds of each part of every recorded tick; both editions run it."""

Ticks = list[dict[str, float]]


def timed(checkout: Path, agents: int, ticks: int) -> Ticks:
    """Return the parts of every tick of one process.

    Raises:
        SystemExit: the checkout cannot run it.
    """
    python = checkout / ".venv" / "bin" / "python"
    command = [str(python if python.exists() else sys.executable), "-c", TIME, str(agents), str(ticks)]
    child = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, text=True, check=False)
    if child.returncode:
        sys.exit(f"{checkout} cannot run {agents} agents")
    found: Ticks = json.loads(child.stdout)
    return [{SAME.get(name, name): value for name, value in tick.items()} for tick in found]


def least(rounds: list[Ticks]) -> dict[str, float]:
    """Return the mean over the ticks of the least time that any round took, by part, in microseconds."""
    return {
        name: mean(min(tick.get(name, 0.0) for tick in same) for same in zip(*rounds, strict=True)) * 1e6
        for name in rounds[0][0]
    }


def main(old: Path, new: Path) -> None:
    """Time all sizes and print a table for each."""
    for agents, ticks, rounds in SIZES:
        found: dict[Path, list[Ticks]] = {old: [], new: []}
        for number in range(rounds):
            for checkout in (old, new) if number % 2 else (new, old):
                found[checkout].append(timed(checkout, agents, ticks))
        before, after = least(found[old]), least(found[new])
        print(f"\n| {agents:,} agents | old, us | new, us | new / old |\n| --- | --: | --: | --: |")
        for name in sorted(before.keys() & after.keys(), key=lambda name: -before[name]):
            print(
                f"| {name} | {before[name]:,.0f} | {after[name]:,.0f} | {after[name] / before[name]:.2f} |", flush=True
            )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} OLD_CHECKOUT NEW_CHECKOUT")
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
