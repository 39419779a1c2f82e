"""Measures the speed of everything and writes the page: `make bench`, or `bash benchmarks/page/run.sh`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from agreement import agreement
from engine import engine
from jobs import jobs
from layer import layer
from machine import calibration, machine
from memory import memory
from own import own
from picture import draw
from speed import speed
from starts import starts
from tick import tick
from writer import page

PARTS = {
    "own": own,
    "speed": speed,
    "engine": engine,
    "tick": tick,
    "layer": layer,
    "memory": memory,
    "starts": starts,
    "jobs": jobs,
    "agreement": agreement,
}
BESIDE_OLD = ("tick", "layer")
"""Parts that compare with another checkout."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bash benchmarks/page/run.sh", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part alone; others keep their figures")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few turns, to see that it works")
    parser.add_argument("--old", type=Path, help="a checkout of the first edition, to compare the game with")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="folder of the page")
    options = parser.parse_args()
    old = options.old.resolve() if options.old else None
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.out / "speed.json"
    found: dict[str, Any] = json.loads(data.read_text("utf-8")) if options.only and data.exists() else {}
    found["machine"], found["quick"], found["before"] = machine(), options.quick, calibration()
    with tempfile.TemporaryDirectory() as temporary:
        for name, part in PARTS.items():
            if name in (options.only or PARTS):
                begun = time.perf_counter()
                run = partial(part, old=old) if name in BESIDE_OLD else part
                found[name] = run(Path(temporary), quick=options.quick)
                data.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
                sys.stderr.write(f"{name}: {time.perf_counter() - begun:.0f} s\n")
    found["after"] = calibration()
    data.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if "own" in found and "memory" in found:
        draw(found, options.out / "scaling.svg")
    (options.out / "speed.md").write_text(page(found), "utf-8")
    sys.stdout.write(page(found))
    return 0 if found.get("agreement", {"agrees": True})["agrees"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
