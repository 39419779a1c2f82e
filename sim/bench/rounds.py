"""Interleaving: every round asks in every way once for each number of agents, each round in another order.

So slow changes during a benchmark (heat, other load, the server's caches) affect all ways equally.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from sim.bench.strategies import Kind, Sample, Strategy


class Cell(NamedTuple):
    """One measurement to make: the round, the number of agents, and the strategy."""

    round: int
    agents: int
    strategy: Strategy


def interleaved(
    rounds: int, agents: Sequence[int], strategies: Sequence[Strategy], *, naive_rounds: int | None = None
) -> list[Cell]:
    """Return all measurements in order; each round begins with another way.

    `naive_rounds` is the number of first rounds with naive singles (None: all rounds), because they take longest.

    >>> a, b = Strategy(Kind.GIANT, "line"), Strategy(Kind.SHARDS, "line")
    >>> [(cell.round, cell.strategy.kind.value) for cell in interleaved(2, [5], [a, b])]
    [(1, 'giant'), (1, 'shards'), (2, 'shards'), (2, 'giant')]
    """
    cells: list[Cell] = []
    for number in range(rounds):
        start = number * max(len(strategies) // rounds, 1) % max(len(strategies), 1)
        rotated = [*strategies[start:], *strategies[:start]]
        part = [
            each for each in rotated if each.kind is not Kind.NAIVE or naive_rounds is None or number < naive_rounds
        ]
        cells += [Cell(number + 1, count, each) for count in agents for each in part]
    return cells


async def measured(
    cells: Sequence[Cell],
    measure: Callable[[Cell], Awaitable[Sample]],
    *,
    take: Callable[[Sample], None],
    left_s: Callable[[], float],
) -> list[Cell]:
    """Make the measurements in order and hand each to `take`; return those for which no time was left."""
    for place, cell in enumerate(cells):
        if left_s() <= 0:
            return list(cells[place:])
        take(await measure(cell))
    return []
