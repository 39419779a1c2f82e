"""Compares what our models come to with what Mesa's come to: same settings, 20 seeds each, means with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mesa_models
import numpy as np
from recorded import history
from scipy import stats

from scenarios.ecology.domain import Ecology, EcologySettings
from scenarios.epidemic.domain import Epidemic, EpidemicSettings
from scenarios.segregation.domain import Segregation, SegregationSettings

SEEDS = 20
ALARM = 0.01
"""Adjusted p below which the page says that a model disagrees; by chance that happens in one of a hundred pages."""
Numbers = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One number of one setting: the mean over the seeds, its 95 percent interval, and what Welch's test says."""

    case: str
    number: str
    mesa: float
    mesa_low: float
    mesa_high: float
    ours: float
    ours_low: float
    ours_high: float
    inside: bool
    """Whether each mean lies in the other's interval. Of two equal models one number in six fails this by chance."""
    p: float


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    found = np.asarray(values, float)
    half = float(stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    mean = float(found.mean())
    return mean, mean - half, mean + half


def compared(case: str, mesa: Sequence[Numbers], ours: Sequence[Numbers]) -> Iterator[Row]:
    for name in mesa[0]:
        one, other = [each[name] for each in mesa], [each[name] for each in ours]
        (a, a_low, a_high), (b, b_low, b_high) = interval(one), interval(other)
        inside = a_low <= b <= a_high and b_low <= a <= b_high
        p = float(stats.ttest_ind(one, other, equal_var=False).pvalue)
        yield Row(case, name, a, a_low, a_high, b, b_low, b_high, inside, p)


def both(
    case: str,
    seeds: int,
    mesa: Callable[[int], Sequence[Mapping[str, Any]]],
    ours: Callable[[int], Sequence[Mapping[str, Any]]],
    summed_up: Callable[[Sequence[Mapping[str, Any]]], Numbers],
) -> Iterator[Row]:
    yield from compared(
        case, [summed_up(mesa(seed)) for seed in range(seeds)], [summed_up(ours(seed)) for seed in range(seeds)]
    )


def ecology(seeds: int) -> Iterator[Row]:
    for side in (20, 50):
        cells = side * side
        for name, first, last, values in (
            ("Mesa's defaults", 1, 60, {"wolves": cells // 8}),
            ("grass and sheep", 50, 200, {"wolves": 1, "wolf_gain": 0}),
            ("sheep breed faster", 100, 250, {"wolves": cells // 16, "wolf_gain": 13, "sheep_breed": 80}),
        ):
            settings = EcologySettings(width=side, height=side, sheep=cells // 4, **values)

            def means(found: Sequence[Mapping[str, Any]], first: int = first, last: int = last) -> Numbers:
                return {
                    kind: float(np.mean([each[kind] for each in found[first : last + 1]]))
                    for kind in ("sheep", "wolves", "grass")
                }

            yield from (
                row
                for row in both(
                    f"ecology {side} x {side}, {name}, ticks {first} to {last}",
                    seeds,
                    lambda seed, s=settings, t=last: mesa_models.ecology(s, seed).history(t),
                    lambda seed, s=settings, t=last: history(Ecology(s), seed, t),
                    means,
                )
                if row.number != "wolves" or "wolf_gain" not in values or values["wolf_gain"]
            )


def epidemic(seeds: int) -> Iterator[Row]:
    settings = EpidemicSettings(agents=1000, infected=20)

    def shares(found: Sequence[Mapping[str, Any]]) -> Numbers:
        infected = [each["infected"] / settings.agents for each in found]
        return {
            "share resistant at the end": found[-1]["resistant"] / settings.agents,
            "largest share infected": max(infected),
            "ticks infected, mean of all": sum(infected),
            "tick of the peak": infected.index(max(infected)),
        }

    yield from both(
        "epidemic, 1,000 people",
        seeds,
        lambda seed: mesa_models.epidemic(settings, seed).history(400, until="infected"),
        lambda seed: history(Epidemic(settings), seed, 400),
        shares,
    )


def segregation(seeds: int) -> Iterator[Row]:
    settings = SegregationSettings(width=50, height=50, minority=500)

    def shares(found: Sequence[Mapping[str, Any]]) -> Numbers:
        people = found[0].get("people", settings.agents)
        # A run that is over stays as it is.
        return {
            f"share happy, tick {tick}": found[min(tick, len(found) - 1)]["happy"] / people for tick in (0, 1, 3, 10)
        }

    yield from both(
        "segregation 50 x 50",
        seeds,
        lambda seed: mesa_models.segregation(settings, seed).history(10),
        lambda seed: history(Segregation(settings), seed, 10),
        shares,
    )


def agreement(_folder: Path, *, quick: bool) -> dict[str, Any]:
    seeds = 4 if quick else SEEDS
    rows = [row for part in (ecology, epidemic, segregation) for row in part(seeds)]
    adjusted = stats.false_discovery_control([row.p for row in rows], method="by")
    return {
        "seeds": seeds,
        "rows": [asdict(row) for row in rows],
        "inside": sum(row.inside for row in rows),
        "smallest_adjusted_p": float(min(adjusted)),
        "agrees": bool(min(adjusted) >= ALARM),
    }
