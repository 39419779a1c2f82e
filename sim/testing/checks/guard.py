"""Under the guard: the run must not call anything whose result differs between runs, including in shipped code."""

from __future__ import annotations

from typing import Final

from ai.guard import NondeterminismError, everything
from sim.testing.checks.base import Case, Check, Finding


def _run(case: Case) -> Finding | None:
    with everything(), case.simulation() as simulation:
        try:
            simulation.run(case.ticks)
        except NondeterminismError as error:
            return Finding(simulation.world.tick, reason=str(error))
    return None


CHECK: Final = Check(
    "guard",
    "every system and planner under the guard",
    "the call that the sentence names",
    _run,
    compares=False,
)
