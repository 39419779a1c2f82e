"""How long commands take to start, in multiples of importing NumPy; processor time."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from children import TICKWEAVE, spent

COMMANDS = {
    "tickweave --version": (["--version"], 3.0),
    "tickweave run ecology --ticks 1": (["run", "ecology", "--ticks", "1"], 6.0),
    "tickweave run skirmish --ticks 1": (["run", "skirmish", "--ticks", "1"], 6.0),
}


def starts(folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    numpy, found = [], {name: [] for name in COMMANDS}
    for turn in range(3 if quick else 10):
        base = spent([sys.executable, "-c", "import numpy"], folder)[1]
        took = {
            name: spent([*TICKWEAVE, *words, *(["--force", "--out", "start.replay.jsonl"] * (len(words) > 1))], folder)
            for name, (words, _) in COMMANDS.items()
        }
        if turn:  # the first one compiles
            numpy.append(base)
            for name, (_, processor) in took.items():
                found[name].append(processor / base)
    return [
        {"command": name, "multiple": statistics.median(found[name]), "goal": goal, "numpy_s": statistics.median(numpy)}
        for name, (_, goal) in COMMANDS.items()
    ]
