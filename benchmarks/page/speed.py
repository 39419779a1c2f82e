"""Our three ecological and social models beside Mesa's own, in agents times ticks a second of processor time.

Both count what Mesa's examples collect; ours also hashes its state in every tick and writes a recording. Each turn
builds fresh models with the same settings (which is not timed) and runs both, one after the other.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mesa_models
from recorded import Recorded
from timing import seconds

from scenarios.ecology.domain import Ecology, EcologySettings
from scenarios.epidemic.domain import Epidemic, EpidemicSettings
from scenarios.segregation.domain import Segregation, SegregationSettings
from sim import Domain


@dataclass(frozen=True)
class Case:
    """A model at one size.

    Attributes:
        ticks: ticks of a turn.
        repeats: fresh runs that a turn of ours is made of, as it is short.
        goal: times Mesa's speed.
    """

    name: str
    domain: Callable[[], Domain]
    mesa: Callable[[int], mesa_models.Model]
    animals: Callable[[dict[str, Any]], int]
    ticks: int
    repeats: int
    goal: float


def cases() -> Iterator[Case]:
    for side, repeats, goal in ((20, 5, 1.0), (100, 2, 15.0)):
        # Mesa's settings and densities.
        pasture = EcologySettings(width=side, height=side, sheep=side * side // 4, wolves=side * side // 8)
        yield Case(
            f"ecology {side} x {side}",
            lambda s=pasture: Ecology(s),
            lambda seed, s=pasture: mesa_models.ecology(s, seed),
            lambda count: count["sheep"] + count["wolves"],
            50,
            repeats,
            goal,
        )
    people = EpidemicSettings(agents=10_000, infected=200)
    yield Case(
        "epidemic, 10,000 people",
        lambda: Epidemic(people),
        lambda seed: mesa_models.epidemic(people, seed),
        lambda count: people.agents,
        40,
        2,
        10.0,
    )
    town = SegregationSettings(width=125, height=100, minority=500)
    yield Case(
        "segregation, 10,000 people",
        lambda: Segregation(town),
        lambda seed: mesa_models.segregation(town, seed),
        lambda count: town.agents,
        15,
        2,
        10.0,
    )


def agent_ticks(case: Case, counts: list[dict[str, Any]]) -> int:
    """Return agents alive before each tick, summed up."""
    return sum(case.animals(count) for count in counts[:-1])


def mesa_rate(case: Case, seed: int) -> tuple[float, float]:
    """Return agents times ticks a second, and the agents of a tick on average."""
    model = case.mesa(seed)
    counts = [model.count()]
    spent = 0.0
    gc.collect()
    for _ in range(case.ticks):
        spent += seconds(model.step, 1)
        counts.append(model.count())
    agents = agent_ticks(case, counts)
    return agents / spent, agents / case.ticks


def our_rate(case: Case, seed: int, path: Path) -> tuple[float, float]:
    """Return the same of our model, recorded; the recording is proven afterwards."""
    spent, agents, ticks = 0.0, 0, 0
    for repeat in range(case.repeats):
        run = Recorded(case.domain(), seed + 1000 * repeat, path)
        counts = [run.simulation.metrics()]
        gc.collect()
        while len(counts) <= case.ticks and not run.over:
            spent += seconds(run.step, 1)
            counts.append(run.simulation.metrics())
        agents += agent_ticks(case, counts)
        ticks += len(counts) - 1
        verdict = run.verdict()
        if verdict != "match":
            raise SystemExit(f"{case.name}: a recording does not verify: {verdict}")
    return agents / spent, agents / ticks


def speed(folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    rows = []
    for case in cases():
        turns = [
            (mesa_rate(case, seed), our_rate(case, seed, folder / "speed.replay.jsonl"))
            for seed in range(2 if quick else 5)
        ]
        mesa, ours = zip(*turns, strict=True)
        ratios = [one[0] / other[0] for one, other in zip(ours, mesa, strict=True)]
        rows.append(
            {
                "case": case.name,
                "agents": round(statistics.mean(each[1] for each in (*mesa, *ours))),
                "mesa_per_second": round(statistics.median(each[0] for each in mesa)),
                "ours_per_second": round(statistics.median(each[0] for each in ours)),
                "ratio": statistics.median(ratios),
                "ratios": ratios,
                "goal": case.goal,
            }
        )
    return rows
