"""How people write seeds: a number of them, a list, or a range."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sim.errors import ScenarioError
from sim.messages import one_line, quoted

SEEDS_MAX: Final = 100_000
"""Seeds of one comparison or sweep."""
SEED_MAX: Final = 2**63 - 1
"""The largest seed."""


def seeds_of(given: str | int | Iterable[int]) -> tuple[int, ...]:
    """Return seeds: 5 stands for 0 to 4, `1,2,3` for these, `0:50` for 0 to 49.

    Raises:
        ScenarioError: it is none of these, or they are too many, too large or repeated.

    >>> seeds_of("5"), seeds_of("1,2,9"), seeds_of("3:5"), seeds_of([7])
    ((0, 1, 2, 3, 4), (1, 2, 9), (3, 4), (7,))
    """
    if isinstance(given, str):
        ends = re.fullmatch(r"\s*(\d{1,19})\s*:\s*(\d{1,19})\s*", given)
        if ends is not None:
            found: Iterable[int] = range(int(ends[1]), int(ends[2]))
        elif re.fullmatch(r"\s*\d{1,19}\s*", given):
            found = range(int(given))
        elif re.fullmatch(r"\s*\d{1,19}\s*(,\s*\d{1,19}\s*)*,?\s*", given):
            found = [int(each) for each in given.split(",") if each.strip()]
        else:
            raise ScenarioError(one_line(f"{quoted(given)} are no seeds; write 5, 1,2,3 or 0:50"))
    else:
        found = range(given) if isinstance(given, int) else given
    seeds = tuple(found[: SEEDS_MAX + 1] if isinstance(found, range | list) else found)
    if not 1 <= len(seeds) <= SEEDS_MAX:
        raise ScenarioError(f"{quoted(given)}: 1 to {SEEDS_MAX} seeds are possible")
    if max(seeds) > SEED_MAX or min(seeds) < 0:
        raise ScenarioError(f"{quoted(given)}: a seed is 0 to {SEED_MAX}")
    if len(set(seeds)) < len(seeds):
        raise ScenarioError(f"{quoted(given)}: a seed is there twice")
    return seeds
