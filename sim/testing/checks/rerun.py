"""The same again: a second run in the same process."""

from __future__ import annotations

from typing import Final

from sim.testing.checks.base import Case, Check, Finding

OBJECTS: Final = 1_009
"""Objects of each size that hold the places in memory that the first run has used; a prime number."""
SIZES: Final = range(0, 512, 16)
"""The sizes for which Python keeps places, bytes."""


def _run(case: Case) -> Finding | None:
    held = [[object() for _ in range(OBJECTS)], *([bytes(size) for _ in range(OBJECTS)] for size in SIZES)]
    found = case.compare(case.simulation())
    del held  # kept until here, so that objects of the second run have other addresses
    return found


CHECK: Final = Check(
    "rerun",
    "a second run in the same process",
    "something that outlives a run (a variable of a module, a cache, a shared generator), or the address of an object",
    _run,
)
