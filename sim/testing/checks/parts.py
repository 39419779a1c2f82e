"""The batch in parts: an agent's plan may not depend on the other agents of the same call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.observation import ObservationBatch
from ai.plans import BatchPlans, PlanBatch
from sim.run.context import PlanSource
from sim.testing.checks.base import Case, Check, Checked, NotApplicable, Untested

Cut = Callable[[int], list[NDArray[np.intp]]]


class InParts:
    """Plans each batch in parts and puts the plans together; `cuts` counts batches of more than one agent."""

    def __init__(self, source: PlanSource, cut: Cut) -> None:
        self.tiers, self.models = source.tiers, source.models
        self.ask, self.arrive, self.forget, self.close = source.ask, source.arrive, source.forget, source.close
        self._source = source
        self._cut = cut
        self.cuts = 0

    def plan(self, batch: ObservationBatch[Any], walks: NDArray[np.int8] | None = None) -> BatchPlans:
        """Plan part by part."""
        merged = PlanBatch.empty(batch.keys)
        self.cuts += len(batch) > 1
        for rows in self._cut(len(batch)):
            rows = np.sort(rows)
            part = self._source.plan(batch.take(rows), None if walks is None else walks[rows]).plans
            for tier in np.unique(part.tier).tolist():
                picked = np.flatnonzero(part.tier == tier)
                merged.put(rows[picked], part, picked, tier)
        return BatchPlans(merged, self.tiers, [])


def _singles_backwards(n: int) -> list[NDArray[np.intp]]:
    return [np.array([row], np.intp) for row in reversed(range(n))]


def _every_third(n: int) -> list[NDArray[np.intp]]:
    rows: NDArray[np.intp] = np.arange(n)
    return [part for part in (rows[2::3], rows[::3], rows[1::3]) if len(part)]


def _run(case: Case) -> Checked:
    for cut in (_every_third, _singles_backwards):
        simulation = case.simulation()
        source = simulation.run_context.source
        if source is None:
            simulation.close()
            return NotApplicable("agents of this domain do not plan")
        parts = InParts(source, cut)
        simulation.run_context.source = parts
        finding = case.compare(simulation)
        if finding is not None:
            return finding
    return None if parts.cuts else Untested("no tick planned for more than one agent")


CHECK: Final = Check(
    "parts",
    "every batch planned in parts, and agent by agent in reverse",
    "a planner that looks at others of its batch, at positions in it, or at a generator that they share",
    _run,
)
