"""The other process of `check_planner`: plans for the batches that standard input holds, and says their digests."""

from __future__ import annotations

import asyncio
import json
import sys

from ai.brought import unpacked
from ai.errors import PlannerError
from ai.planners.base import PlanCall


def main() -> None:
    """Plan and say."""
    planner, registry, batches = unpacked(json.load(sys.stdin))
    found: list[str | None] = []
    for batch in batches:
        try:
            answer = asyncio.run(planner.plan(batch, registry, PlanCall(None, lambda: 0.0)))
            found.append(answer.plans.digest(()))
        except PlannerError:
            found.append(None)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
