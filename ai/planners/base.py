"""The one face of a tier: it is asked for a batch and answers for whom it can.

To add a planner, put one file in this folder (or name it under the entry point group `tickweave.planners`) with a class
that has this face and a module constant `PLANNERS: tuple[type[Planner], ...]` naming it. `ai.testing.check_planner`
checks it. A planner that cannot work without a model says so with `needs_client = True`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ai.actions import Action, ToolRegistry
from ai.llm_types import LlmClient
from ai.observation import AgentId, ObservationBatch
from ai.plans import LlmUsage, PlanBatch

OnPlan = Callable[[AgentId, tuple[Action, ...]], None]
"""Called as each plan of a model tier closes, before it is accepted; for progress, never for state."""


@dataclass(frozen=True, slots=True)
class PlanCall:
    """What a tier may use besides the batch: the model, progress, the deadline, and time as an injected clock.

    `begun` and `deadline` are readings of `clock` in seconds: when the planning call started, and when it must be over,
    or None. `seed` makes model sampling repeatable where servers allow.
    """

    client: LlmClient | None
    clock: Callable[[], float]
    on_plan: OnPlan | None = None
    deadline: float | None = None
    begun: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class TierPlans:
    """A tier's answer: plans (length 0 where it has none) and, for those, how it ended.

    `outcome [n] int8` holds `Outcome` codes; `OK` means a plan is offered and still has to pass the legality check.
    `texts` has the raw text of every plan offered by a tier that is not deterministic: a replay reads the plan from it.
    `first_plan_s` is when the first plan closed, seconds after the planning call started.
    """

    plans: PlanBatch
    outcome: NDArray[np.int8]
    errors: dict[int, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    shards: list[dict[str, Any]] = field(default_factory=list)
    usage: LlmUsage = field(default_factory=LlmUsage)
    first_plan_s: float | None = None


@runtime_checkable
class Planner(Protocol):
    """A tier. `deterministic` tiers depend on batch and registry alone and are computed again in replays."""

    name: str
    deterministic: bool

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Plan for the agents of `batch`; rows of the answer are the rows asked.

        Raises:
            PlannerError: the whole tier failed for these agents; they go down.
        """
        ...
