"""Checks what a run against a real model must have shown: plans flowed, and the model gave some of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(path: str) -> int:
    """Read the run's JSON object, print what it came to, and return 0 when model tiers planned."""
    run = json.loads(Path(path).read_text())
    llm, plans = run["llm"], run["plans"]
    by_model = sum(count for tier, count in run["tiers"].items() if tier.endswith("_llm"))
    print(
        f"{run['scenario']}: {plans} plans, {by_model} of the model, {llm['calls']} calls of "
        f"{llm['agents'] / max(llm['calls'], 1):.1f} agents, {(llm['prompt_tokens'] or 0) / max(by_model, 1):.0f} "
        f"tokens read and {(llm['completion_tokens'] or 0) / max(by_model, 1):.0f} written for each of the model, "
        f"{run['wall_s']:.1f} s"
    )
    if not by_model:
        print(f"no plan came from the model: {run['tiers']}, {llm}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
