"""Whether the order in which a caller names its agents matters: a few batches of the same agents, in drawn orders."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ai.actions import ToolRegistry
from ai.llm.tiers import SimplifiedLlm
from ai.llm_types import LlmClient
from ai.observation import ObservationBatch
from ai.orchestrator import FallbackOrchestrator

RUNS: Final = 3
"""Batches that are asked for."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Results for the same agents, named in several orders.

    `order`, `tiers` and `plans` say whether the answers named the agents in the same order, with plans of the same
    tiers, and the same plans. `by_model` counts each answer's plans of the model, `first_s` is when the first of them
    was complete, seconds, None for an answer without any.
    """

    agents: int
    order: bool
    tiers: bool
    plans: bool
    by_model: tuple[int, ...]
    first_s: tuple[float | None, ...]

    def sentence(self) -> str:
        """Say it on one line."""
        same = [name for name, kept in self._same() if kept]
        other = [name for name, kept in self._same() if not kept]
        told = f"{len(self.first_s)} batches of the same {self.agents} agents, named in drawn orders, gave "
        told += " and ".join(
            part for part in (_listed("the same", same), _listed("different", other)) if part is not None
        )
        first = ", ".join("none" if first_s is None else f"{first_s:.2f} s" for first_s in self.first_s)
        counts = ", ".join(map(str, self.by_model))
        return f"{told}. Plans of the model: {counts}; the first was complete after {first}."

    def _same(self) -> tuple[tuple[str, bool], ...]:
        return ("order", self.order), ("tiers", self.tiers), ("plans", self.plans)


def _listed(what: str, names: list[str]) -> str | None:
    return f"{what} {', '.join(names[:-1])}{' and ' if len(names) > 1 else ''}{names[-1]}" if names else None


async def in_drawn_orders(
    client: LlmClient,
    batch: ObservationBatch[Any],
    registry: ToolRegistry,
    *,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Orders:
    """Ask for the agents of a batch a few times, each time in another order, and compare the answers."""
    pairs = [(int(key), batch.to_object(row)) for row, key in enumerate(batch.keys)]
    draws = np.random.default_rng(seed)
    answers: list[dict[int, tuple[str, str]]] = []
    first: list[float | None] = []
    for _ in range(RUNS):
        orchestrator = FallbackOrchestrator([SimplifiedLlm()], clock=clock)
        heard: list[float] = []
        named = [pairs[place] for place in draws.permutation(len(pairs))]
        begun = clock()
        results = await orchestrator.plan_batch_with_fallback(
            client, named, registry, on_plan=lambda *_, heard=heard: heard.append(clock())
        )
        await orchestrator.aclose()
        first.append(round(heard[0] - begun, 6) if heard else None)
        answers.append({key: (str(one.tier), ", ".join(map(str, one.plan.steps))) for key, one in results.items()})
    one, *others = answers
    return Orders(
        agents=len(pairs),
        order=all(list(other) == list(one) == sorted(one) for other in others),
        tiers=all(_tiers(other) == _tiers(one) for other in others),
        plans=all(other == one for other in others),
        by_model=tuple(sum(tier == SimplifiedLlm.name for tier, _ in each.values()) for each in answers),
        first_s=tuple(first),
    )


def _tiers(answer: dict[int, tuple[str, str]]) -> dict[int, str]:
    return {key: tier for key, (tier, _) in answer.items()}
