"""Compares the speed of two checkouts in one interleaved run: the whole tick of the tactical game, recorded.

    python benchmarks/against_first.py ../first-edition .

For each size, each checkout plays the same mixed battle (`benchmarks/scaled.py` of each) in a process of its own, in
turn, several rounds. Printed are the medians over the rounds of each side's median tick, in milliseconds, and the
median of the rounds' ratios, new to old; the same for what planning costs in a tick (`observe` and `plan`; the first
edition calls the former `perception`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Final

SIZES: Final = ((10, 200), (100, 200), (1_000, 100), (10_000, 40), (100_000, 12))
"""Agents, and timed ticks."""
ROUNDS: Final = 5

TIME: Final = """
import json, statistics, sys, tempfile, time
sys.path.insert(0, "benchmarks")
from scaled import scaled
from sim.replay.writer import Recorder, open_replay
from sim.run.simulation import Simulation

agents, ticks = int(sys.argv[1]), int(sys.argv[2])
with tempfile.TemporaryDirectory() as folder, Simulation(scaled(agents)) as simulation:
    from pathlib import Path
    with open_replay(Path(folder) / "timed.replay.jsonl") as writer:
        recorder = Recorder(simulation, writer)
        recorder.header()
        whole, planning = [], []
        for number in range(ticks + 10):
            start = time.perf_counter()
            report = simulation.tick()
            recorder.tick(report)
            if number >= 10:
                whole.append(time.perf_counter() - start)
                planning.append(sum(report.durations.get(name, 0.0) for name in ("perception", "observe", "plan")))
        recorder.end()
print(json.dumps([statistics.median(whole) * 1000, statistics.median(planning) * 1000]))
"""
"""Prints the median milliseconds of a recorded tick, and of its observing and planning; both editions run it."""


def timed(checkout: Path, agents: int, ticks: int) -> list[float]:
    """Return the medians of one process.

    Raises:
        SystemExit: the checkout cannot run it.
    """
    python = checkout / ".venv" / "bin" / "python"
    command = [str(python if python.exists() else sys.executable), "-c", TIME, str(agents), str(ticks)]
    child = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, text=True, check=False)
    if child.returncode:
        sys.exit(f"{checkout} cannot run {agents} agents")
    found: list[float] = json.loads(child.stdout)
    return found


def main(old: Path, new: Path) -> None:
    """Time all sizes and print a line for each."""
    print("agents    tick old  new (ms)  ratio    planning old  new (ms)  ratio")
    for agents, ticks in SIZES:
        rounds = [(timed(old, agents, ticks), timed(new, agents, ticks)) for _ in range(ROUNDS)]
        line = f"{agents:>7,}"
        for part in range(2):
            before, after = median(one[part] for one, _ in rounds), median(two[part] for _, two in rounds)
            ratio = median(two[part] / one[part] for one, two in rounds)
            line += f"   {before:9.3f} {after:9.3f}   {ratio:5.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} OLD_CHECKOUT NEW_CHECKOUT")
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
