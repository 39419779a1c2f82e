"""Restored at every tick: each tick is made by a fresh simulation that got nothing but the snapshot of the last one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sim.engine.state import WorldState
from sim.run.context import PlanSource
from sim.testing.checks.base import Case, Check, Finding, difference, seen


class Kept:
    """A plan source that outlives the simulations it plans for: open asks have their calls after a restore."""

    def __init__(self, source: PlanSource) -> None:
        self.tiers, self.models = source.tiers, source.models
        self.plan, self.ask, self.arrive = source.plan, source.ask, source.arrive

    def forget(self) -> None:
        """Keep the calls."""

    def close(self) -> None:
        """Stay open."""


def _run(case: Case) -> Finding | None:
    with case.simulation() as plain:
        source = plain.run_context.source
        if source is None or plain.run_context.rounds is None or not plain.run_context.thinks:
            return _restored(case)
        return _restored(case, source=Kept(source))


def _restored(case: Case, **options: Any) -> Finding | None:
    state: WorldState | None = None
    for tick, expected in enumerate(case.expected()):
        # Created in another order each time, so that nothing rests on the order of creation either.
        order = np.roll(np.arange(case.scenario.agents)[::-1], tick)
        with case.simulation(order=order, **options) as simulation:
            if state is not None:
                simulation.restore(state)
            actual = seen(simulation.tick())
            state = simulation.snapshot()
        if actual != expected:
            return difference(tick, expected, actual, case.state_at(tick), state)
    return None


CHECK: Final = Check(
    "restore",
    "every tick made by a fresh simulation, from the snapshot of the last one",
    "state in no component: an attribute of a system or planner, an order of sets or caches, a shared generator",
    _run,
)
