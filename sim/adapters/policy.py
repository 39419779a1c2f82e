"""A policy as a planner: its choices are recorded, as a model's are, so a replay needs no policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ai.actions import ToolRegistry
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch
from sim.adapters.vectors import Vectors

Predict = Callable[[NDArray[np.float32]], ArrayLike]
"""Vectors of observations, `[n, size] float32`, in; actions, `[n, arguments + 1]` integers, out."""


class Policy:
    """Asks a function of vectors for all agents at once; `Simulation(..., tiers=[Policy(model.predict), "heuristic"])`.

    Args:
        predict: the policy.
        name: of the tier.
    """

    deterministic: bool = False

    def __init__(self, predict: Predict, name: str = "policy") -> None:
        self.name = name
        self._predict = predict
        self._vectors: dict[ToolRegistry, Vectors] = {}

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Ask the policy; an agent whose choice needs a target where none is known has no plan."""
        vectors = self._vectors.get(registry)
        if vectors is None:
            vectors = self._vectors[registry] = Vectors(registry, batch.layout, dict(batch.tables))
        chosen = np.asarray(self._predict(vectors.observations(batch))).reshape(len(batch), -1)
        return plans_of(vectors, batch, {int(key): chosen[row] for row, key in enumerate(batch.keys)})


def plans_of(vectors: Vectors, batch: ObservationBatch[Any], chosen: dict[int, Any]) -> TierPlans:
    """Return the plans that actions by agent stand for; agents whose action is missing or impossible have none."""
    steps = [
        vectors.step(batch, row, chosen[key]) if key in chosen else None for row, key in enumerate(batch.keys.tolist())
    ]
    plans = PlanBatch.from_encoded(batch.keys, [None if step is None else [step] for step in steps])
    outcome = np.array([Outcome.MISSING if step is None else Outcome.OK for step in steps], np.int8)
    texts = {key: vectors.text(step) for key, step in zip(batch.keys.tolist(), steps, strict=True) if step is not None}
    return TierPlans(plans, outcome, texts=texts)
