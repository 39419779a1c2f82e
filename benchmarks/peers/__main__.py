"""Runs the comparison and writes its page: `bash benchmarks/peers/run.sh`."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from agreement import agreement
from own import own
from page import machine, page
from speed import speed

PARTS = {"speed": speed, "own": own, "agreement": agreement}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bash benchmarks/peers/run.sh", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part alone; others keep their figures")
    parser.add_argument("--quick", action="store_true", help="few seeds and turns, to see that it works")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="folder of the page")
    options = parser.parse_args()
    asked = options.only or PARTS
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.out / "peers.json"
    found: dict[str, Any] = json.loads(data.read_text("utf-8")) if options.only and data.exists() else {}
    found["machine"], found["quick"] = machine(), options.quick
    with tempfile.TemporaryDirectory() as temporary:
        for name, part in PARTS.items():
            if name in asked:
                found[name] = part(Path(temporary), quick=options.quick)
                data.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
                (options.out / "peers.md").write_text(page(found), "utf-8")
                print(f"{name}: done", flush=True)
    print(page(found))
    return 0 if found.get("agreement", {"agrees": True})["agrees"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
