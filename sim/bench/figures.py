"""The figures of measurements: medians over rounds, and ratios between ways of asking. All functions are pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from sim.bench.strategies import Kind, Sample, Strategy


@dataclass(frozen=True, slots=True)
class Figures:
    """One way of asking at one number of agents: medians over its rounds; None means unknown.

    Times are seconds. The ratios compare its total time with that of naive singles (N), careful singles in named JSON
    (B) and singles in its own encoding (S); a larger ratio is faster. `first_share` is its time to the first complete
    plan, divided by B's total time. A ratio is None if either side gave no legal plan. `valid` is the share of agents
    that got a legal plan, `steps` the length of such a plan.
    """

    strategy: Strategy
    agents: int
    rounds: int
    total_s: float
    first_s: float | None
    calls: int
    prompt_tokens: float | None
    cached_tokens: float | None
    completion_tokens: float | None
    valid: float
    steps: float | None
    over_n: float | None = None
    over_b: float | None = None
    over_s: float | None = None
    first_share: float | None = None


def figures(samples: Iterable[Sample]) -> list[Figures]:
    """Return the figures of every measured way and number of agents, by agents and in order of first appearance."""
    cells: dict[tuple[int, Strategy], list[Sample]] = {}
    for sample in samples:
        cells.setdefault((sample.agents, sample.strategy), []).append(sample)
    totals = {key: median(sample.total_s for sample in of) for key, of in cells.items()}
    # A way without any plan is fast for the wrong reason, so nothing is compared with it.
    worth = {key: totals[key] for key, of in cells.items() if any(sample.valid for sample in of)}

    def total(agents: int, kind: Kind, encoding: str) -> float | None:
        return worth.get((agents, Strategy(kind, encoding)))

    order = list(Kind)
    found: list[Figures] = []
    for (agents, strategy), of in sorted(cells.items(), key=lambda cell: (cell[0][0], order.index(cell[0][1].kind))):
        own, first_s = worth.get((agents, strategy)), known_median([sample.first_s for sample in of])
        baseline = total(agents, Kind.BASELINE, "named")
        valid = sum(sample.valid for sample in of)
        found.append(
            Figures(
                strategy=strategy,
                agents=agents,
                rounds=len(of),
                total_s=totals[agents, strategy],
                first_s=first_s,
                calls=max(sample.calls for sample in of),
                prompt_tokens=known_median([sample.prompt_tokens for sample in of]),
                cached_tokens=known_median([sample.cached_tokens for sample in of]),
                completion_tokens=known_median([sample.completion_tokens for sample in of]),
                valid=valid / (agents * len(of)),
                steps=sum(sample.steps for sample in of) / valid if valid else None,
                over_n=ratio(total(agents, Kind.NAIVE, "named"), own),
                over_b=ratio(baseline, own),
                over_s=ratio(total(agents, Kind.SINGLES, strategy.encoding), own),
                first_share=ratio(first_s, baseline),
            )
        )
    return found


def known_median(values: Sequence[float | None]) -> float | None:
    """Return the median, or None if one of the values is unknown or there are none.

    >>> known_median([3, 1, 2.5]), known_median([1, None])
    (2.5, None)
    """
    known = [value for value in values if value is not None]
    return median(known) if known and len(known) == len(values) else None


def ratio(over: float | None, under: float | None) -> float | None:
    """Return `over` divided by `under`, or None if one of them is unknown or `under` is 0.

    >>> ratio(6.0, 2.0), ratio(None, 2.0), ratio(1.0, 0.0)
    (3.0, None, None)
    """
    return over / under if over is not None and under else None
