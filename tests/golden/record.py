"""Records the golden replays again, after an intended change of rules or columns: `make golden`.

Each is short, of full detail and without keyframes, so that it stays small enough to read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from sim.cli import invoke
from sim.cli.common import report_path

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "replays" / "golden"
SCRIPT: Final = ROOT / "tests" / "fixtures" / "skirmish.script.jsonl"
DRILL: Final = ROOT / "tests" / "golden" / "drill.toml"

RUNS: Final = {
    "ambush": ["ambush", "--ticks", "45"],
    "crowd": ["crowd", "--ticks", "2"],
    "drill": [str(DRILL), "--ticks", "60"],
    "extraction": ["extraction", "--ticks", "45"],
    "ecology": ["ecology", "--ticks", "30"],
    "epidemic": ["epidemic", "--ticks", "40"],
    "foraging": ["foraging", "--ticks", "40"],
    "gathering": ["gathering", "--ticks", "60"],
    "infiltration": ["infiltration", "--ticks", "50"],
    "market": ["market", "--ticks", "40"],
    "segregation": ["segregation", "--ticks", "10"],
    "siege": ["siege", "--ticks", "40"],
    "skirmish-rules": ["skirmish", "--ticks", "40"],
    "skirmish-scripted": ["skirmish", "--seed", "2", "--ticks", "25", "--llm", f"scripted:{SCRIPT}"],
    "stress-10k": ["stress-10k", "--ticks", "1"],
}
"""What is run for each replay, by its name."""


def main() -> int:
    """Record all of them over the old ones; return 0 when each could be recorded and verified."""
    for name, arguments in RUNS.items():
        out = FOLDER / f"{name}.replay.jsonl"
        form = ["--detail", "full", "--keyframes", "0", "--quiet", "--force"]
        code = invoke(["run", *arguments, *form, "--out", str(out)])
        report_path(out).unlink(missing_ok=True)
        if code:
            return code
    return invoke(["verify", *map(str, sorted(FOLDER.glob("*.replay.jsonl")))])


if __name__ == "__main__":
    sys.exit(main())
