"""Recorded what lies here, once, with the version that froze `tickweave/2`. It stays as the account of each file.

A later format gets a folder and a script of its own; none of these files is ever recorded again.
"""

from __future__ import annotations

import hashlib
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from ai.actions import Action
from sim import Simulation, load
from sim.cli import invoke
from sim.cli.common import report_path
from sim.replay.recording import recorded

FOLDER = Path(__file__).parent
HASHES = FOLDER / "SHA256SUMS"
FROZEN = ("*.replay.jsonl", "*.replay.jsonl.zst", "shipped/*.replay.jsonl", "orchard.*", "trees.csv", "replies.jsonl")
"""What must never change."""
SHIPPED = ("skirmish", "foraging", "ecology", "epidemic", "segregation", "market")


def frozen() -> list[Path]:
    """Return the files that must never change, in order."""
    return sorted(path for pattern in FROZEN for path in FOLDER.glob(pattern))


def ran(name: str, *options: str, code: int = 0) -> Path:
    """Record a run of the orchard."""
    path = FOLDER / f"{name}.replay.jsonl"
    found = invoke(["run", str(FOLDER / "orchard.toml"), *options, "--out", str(path), "--quiet", "--force", "--trust"])
    assert found == code, name
    report_path(path).unlink(missing_ok=True)
    return path


def from_programs() -> None:
    """Record a run that a program stops, whose planner is a function."""
    path, scenario = FOLDER / "outside.replay.jsonl", load(FOLDER / "orchard.toml")
    rest = type(scenario.domain.idle)

    def chosen(known: Any) -> list[Action]:
        return [rest(2 if known.energy < 30 else 1)]

    with Simulation(scenario, tiers=[chosen, "heuristic"]) as simulation:
        list(islice(recorded(simulation, path, keyframes=2, replace=True), 7))


def main() -> int:
    """Record all files and write their hashes."""
    model = ("--llm", f"scripted:{FOLDER / 'replies.jsonl'}", "--every", "2")
    rules = ran("rules", "--detail", "full", "--keyframes", "4")
    asked = ran("model", *model, "--keyframes", "3")
    ran("thinking", *model, "--think", "1", "--keyframes", "3")
    ran("decided", "--set", "ends_at=5")
    ran("failed", "--set", "fails_at=6", code=1)
    from_programs()
    cut = FOLDER / "cut.jsonl"
    cut.write_bytes(b"".join(rules.read_bytes().splitlines(keepends=True)[:7]))
    steps = [
        ["recover", str(cut), "--out", str(FOLDER / "recovered.replay.jsonl"), "--force"],
        ["fork", str(asked), "--at", "5", "--tiers", "emergency", "--quiet", "--trust"],
        ["pack", str(asked), "--force"],
    ]
    steps[1] += ["--out", str(FOLDER / "fork.replay.jsonl"), "--force"]
    (FOLDER / "shipped").mkdir(exist_ok=True)
    for name in SHIPPED:
        path = FOLDER / "shipped" / f"{name}.replay.jsonl"
        steps.append(["run", name, "--ticks", "15", "--keyframes", "5", "--quiet", "--force", "--out", str(path)])
    for step in steps:
        assert invoke(step) == 0, step
    cut.unlink()
    for path in FOLDER.glob("**/*.report.json"):
        path.unlink()
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(FOLDER)}\n" for path in frozen()]
    HASHES.write_text("".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
