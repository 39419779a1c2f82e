"""Agents created in another order: they keep the keys of the file, and all results must stay the same."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.testing.checks.base import Case, Check, Checked, NotApplicable


def _run(case: Case) -> Checked:
    agents = case.scenario.agents
    if agents < 2:
        return NotApplicable("a run of fewer than two entities has no order of creation")
    backwards = np.arange(agents)[::-1]
    # Every seventh agent comes first, then the next ones, so neighbours in the file are created far apart.
    scattered = np.argsort(np.arange(agents) % 7, kind="stable")
    return case.compare(case.simulation(order=backwards)) or case.compare(case.simulation(order=scattered))


CHECK: Final = Check(
    "spawning",
    "agents created in another order",
    "an order of creation: esper's ids, its queries, a list that is appended to",
    _run,
)
