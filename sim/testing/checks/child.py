"""The other process of a check: reads a case from standard input, runs it, and writes a line a tick."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai.brought import unpacked
from sim.engine.codec import decode_state, encode_state
from sim.run import domains
from sim.run.plugins import Plugin, load_plugins
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.testing.checks.surroundings_noted import watch


def main() -> None:
    """Run the case that standard input holds."""
    asked = json.load(sys.stdin)
    junk = [bytearray(64 + n % 4000) for n in range(asked["junk"])]
    del junk[::2]  # holes for what follows
    # Output of the run is not for the other process.
    said, sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8"), sys.stderr
    brought = _brought(asked)
    notes = watch() if asked["notes"] else None
    folder = None if asked["folder"] is None else Path(asked["folder"])
    data = [Path(each) for each in asked["data"]]
    scenario = Scenario.from_canonical(asked["scenario"], folder=folder, files=data)
    plugins = load_plugins(scenario) if brought is None else brought
    with Simulation(scenario, seed=asked["seed"], plugins=plugins, detail="full") as simulation:
        if asked["state"] is not None:
            simulation.restore(decode_state(bytes.fromhex(asked["state"]), simulation.world))
        for report in simulation.reports(asked["ticks"]):
            phases = [[phase.phase, phase.root, phase.components] for phase in report.phases]
            line = {"root": report.digest.root, "phases": phases, "outcome": report.outcome}
            if report.tick == asked["dump"]:
                line["state"] = encode_state(simulation.snapshot()).hex()
            said.write(json.dumps(line) + "\n")
    if notes is not None:
        said.write(json.dumps(asdict(notes)) + "\n")
    said.flush()
    del junk


def _brought(asked: dict[str, Any]) -> tuple[Plugin, ...] | None:
    """Take over the classes that this process would not find by their names; return the plug-ins among them."""
    if asked["brought"] is None:
        return None
    domain, plugins = unpacked(asked["brought"])
    if domain is not None:
        domains.loaded(domain)
    found: tuple[Plugin, ...] = plugins
    return found


if __name__ == "__main__":
    main()
