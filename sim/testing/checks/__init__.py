"""Checks of determinism: each runs a scenario in a way that must change nothing, and says what it changed.

One file a check, listed in `CHECKS`. Measured on planted bugs, no single check finds them all: running twice in one
process found 4 of 16, restoring at every tick 9, and five that differ enough found all 16. So all of them are run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sim.testing.checks import bystanders, guard, parts, processes, replies, rerun, restore, spawning
from sim.testing.checks.base import Case, Check, Examined, Finding, NotApplicable, Untested

__all__ = ["CHECKS", "Case", "Check", "Examined", "Finding", "NotApplicable", "Untested", "examine"]

CHECKS: Final[tuple[Check, ...]] = (
    guard.CHECK,
    rerun.CHECK,
    restore.CHECK,
    parts.CHECK,
    spawning.CHECK,
    bystanders.CHECK,
    replies.CHECK,
    processes.HASH_SEED,
    processes.ALLOCATOR,
    processes.CPU,
)
"""Every check, the quick ones first."""


def examine(
    case: Case, checks: Sequence[Check] = CHECKS, *, progress: Callable[[str], None] | None = None
) -> Iterator[Examined]:
    """Run checks over a case; what one finds does not keep the others from running.

    Args:
        case: what is run.
        checks: which, in their order.
        progress: told the name of each check before it runs.

    Raises:
        ScenarioError: the scenario cannot be set up.
        SimError, ContractError: the plain run, which everything is compared with, fails by itself.
    """
    for check in checks:
        if progress is not None:
            progress(check.name)
        examined = check.examine(case)
        yield examined
        if check is guard.CHECK and examined.finding is not None:
            yield from (Examined(other.name, Untested("the guard stops the run")) for other in checks if other != check)
            return
