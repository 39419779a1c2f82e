"""What kinds cost that nobody uses: one battle with fifteen kinds registered and with all, tick by tick in turns."""

from __future__ import annotations

import statistics
import time

import numpy as np
from scaled import WARM_UP_TICKS, scaled

from scenarios.tactics.actions import discover, registry_of
from scenarios.tactics.components import Health, Position
from sim.run.simulation import Simulation

AGENTS = 1_000
TICKS = 300
FEW = (
    "AimedShot", "Approach", "Attack", "Block", "Heal", "HeavyAttack", "MoveTo", "QuickAttack", "Reload", "Retreat",
    "Scan", "TakeCover", "ThrowExplosive", "ThrowSmoke", "Wait",
)  # fmt: skip
"""The kinds of the smaller registry; the rules of the battle use five of them."""
LIMIT_RATIO = 1.1
"""What a tick with all kinds may take of a tick with few: its cost follows the kinds in use, not those there are."""


def test_cost_of_kinds_that_nobody_uses(benchmark) -> None:
    """Two runs of one battle differ in their registries alone; each tick's ratio is of its own two times."""
    few_ms, all_ms, ratios = [], [], []
    smaller = scaled(AGENTS)
    every = smaller.domain.registry()
    few_actions = [action for action in discover() if action.__name__ in FEW]
    smaller.domain.registry = lambda _=(): registry_of(few_actions).with_tables(every.tables)
    with Simulation(smaller) as few, Simulation(scaled(AGENTS)) as many:
        assert (len(few.registry.specs), len(many.registry.specs)) == (len(FEW), len(every.specs))

        def both() -> None:
            # Who goes first takes turns, so that what the first leaves in the processor's caches favours neither.
            order = (few, many) if few.world.tick % 2 else (many, few)
            took = {}
            for simulation in order:
                start = time.thread_time()
                simulation.tick()
                took[simulation] = time.thread_time() - start
            few_ms.append(took[few] * 1000)
            all_ms.append(took[many] * 1000)
            ratios.append(took[many] / took[few])

        benchmark.pedantic(both, rounds=TICKS, warmup_rounds=WARM_UP_TICKS)
        for one, other in zip(
            (few.world[Position].x, few.world[Position].y, few.world[Health].hp),
            (many.world[Position].x, many.world[Position].y, many.world[Health].hp),
            strict=True,
        ):
            assert np.array_equal(one, other), "the two battles went different ways"
    benchmark.extra_info.update(
        agents=AGENTS,
        kinds_few=len(FEW),
        kinds_all=len(every.specs),
        vocabulary_ratio=statistics.median(ratios[WARM_UP_TICKS:]),
        limit_ratio=LIMIT_RATIO,
        few_ms=statistics.median(few_ms[WARM_UP_TICKS:]),
        all_ms=statistics.median(all_ms[WARM_UP_TICKS:]),
    )
