"""Checks what a run against a real model must have shown: plans flowed, and the model gave some of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(path: str) -> int:
    """Read the run's JSON object; return 0 when model tiers planned."""
    run = json.loads(Path(path).read_text())
    model = {tier: count for tier, count in run["tiers"].items() if tier.endswith("_llm")}
    print(f"plans {run['plans']}, by tier {run['tiers']}, model {run['llm']}, {run['wall_s']:.1f} s")
    if not sum(model.values()):
        print("no plan came from the model", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
