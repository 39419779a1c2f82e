"""The other process of a check: reads a case from standard input, runs it, and writes a line a tick."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sim.engine.codec import encode_state
from sim.run.plugins import load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation


def main() -> None:
    """Run the case that standard input holds."""
    asked = json.load(sys.stdin)
    junk = [bytearray(64 + n % 4000) for n in range(asked["junk"])]
    del junk[::2]  # holes for what follows
    folder = None if asked["folder"] is None else Path(asked["folder"])
    scenario = Scenario.from_canonical(asked["scenario"], folder=folder)
    with Simulation(scenario, seed=asked["seed"], plugins=load_plugins(scenario), detail="full") as simulation:
        for report in simulation.reports(asked["ticks"]):
            phases = [[phase.phase, phase.root, phase.components] for phase in report.phases]
            said = {"root": report.digest.root, "phases": phases, "outcome": report.outcome}
            if report.tick == asked["dump"]:
                said["state"] = encode_state(simulation.snapshot()).hex()
            sys.stdout.write(json.dumps(said) + "\n")
    del junk


if __name__ == "__main__":
    main()
