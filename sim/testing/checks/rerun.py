"""The same again: a second run in the same process."""

from __future__ import annotations

from typing import Final

from sim.testing.checks.base import Case, Check, Finding


def _run(case: Case) -> Finding | None:
    return case.compare(case.simulation())


CHECK: Final = Check(
    "rerun",
    "a second run in the same process",
    "something that outlives a run (a variable of a module, a cache, a shared generator), or the address of an object",
    _run,
)
