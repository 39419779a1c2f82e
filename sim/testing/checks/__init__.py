"""Checks of determinism: each runs a scenario in a way that must change nothing, and says what it changed.

One file a check, listed in `CHECKS`. Measured on planted bugs, no single check finds them all: running twice in one
process found 4 of 16, restoring at every tick 9, and five that differ enough found all 16. So all of them are run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from sim.testing.checks import bystanders, guard, parts, processes, replies, rerun, restore, spawning, surroundings
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
    processes.RESUME,
    surroundings.CHECK,
)
"""Every check, the quick ones first."""
_PROCESSES: Final = (processes.HASH_SEED, processes.ALLOCATOR, processes.CPU, processes.RESUME, surroundings.CHECK)
_JUDGED: Final[Mapping[Check, tuple[Sequence[Check], str]]] = {
    guard.CHECK: (CHECKS, "the guard stops the run"),
    rerun.CHECK: (CHECKS, "the run differs from itself, so that no other difference says anything"),
    restore.CHECK: (
        (bystanders.CHECK, processes.RESUME),
        "a snapshot does not hold all of the state",
    ),
    processes.HASH_SEED: (_PROCESSES, "another process differs already by its hash seed"),
    processes.ALLOCATOR: (_PROCESSES, "another process differs already by its memory"),
    processes.CPU: (_PROCESSES, "another process differs already by its processor"),
}
"""After whose finding which checks cannot be judged any more, and why: only a check that can know a cause names it."""


def examine(
    case: Case, checks: Sequence[Check] = CHECKS, *, progress: Callable[[str], None] | None = None
) -> Iterator[Examined]:
    """Run checks over a case; a finding of one does not keep the others from running.

    Args:
        case: the run to examine.
        checks: which, in their order.
        progress: receives the name of each check before it runs.

    Raises:
        ScenarioError: the scenario cannot be set up.
        SimError, ContractError: the plain run, which everything is compared with, fails by itself.
    """
    unjudged: dict[str, str] = {}
    for check in checks:
        if check.name in unjudged:
            yield Examined(check.name, Untested(unjudged[check.name]))
            continue
        if progress is not None:
            progress(check.name)
        examined = check.examine(case)
        yield examined
        if examined.finding is not None and check in _JUDGED:
            others, why = _JUDGED[check]
            unjudged |= {other.name: why for other in others if other.name not in unjudged}
