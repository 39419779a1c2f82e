"""The interface of a tier: it is asked for a batch and answers for the agents that it can plan for.

To add a planner, put one file in this folder (or name it under the entry point group `tickweave.planners`). The file
needs a class with this interface and a module constant `PLANNERS: tuple[type[Planner], ...]` that lists it.
`ai.testing.check_planner` checks it. A planner that needs a model sets `needs_client = True`.
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
"""Called when each plan of a model tier is complete, before it is accepted; for progress, never for state."""


@dataclass(frozen=True, slots=True)
class PlanCall:
    """The things that a tier may use in addition to the batch: model, progress, deadline, and an injected clock.

    `begun` and `deadline` are readings of `clock` in seconds: the start of the planning call, and the time by which it
    must end, or None. `seed` makes the sampling of models repeatable on servers that support it.
    """

    client: LlmClient | None
    clock: Callable[[], float]
    on_plan: OnPlan | None = None
    deadline: float | None = None
    begun: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class TierPlans:
    """A tier's answer: plans (length 0 if it has none for an agent), and an outcome for each agent.

    `outcome [n] int8` holds `Outcome` codes; `OK` means that a plan is offered and still has to pass the legality
    check. `texts` has the raw text of every plan offered by a tier that is not deterministic: a replay reads the plan
    from it. `first_plan_s` is the time at which the first plan was complete, in seconds from the start of the planning
    call.
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
    """A tier. `deterministic` tiers depend on batch and registry alone, and replays compute them again."""

    name: str
    deterministic: bool

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Plan for the agents of `batch`; the answer has the rows of the batch.

        Raises:
            PlannerError: the whole tier failed for these agents; they go to the next tier.
        """
        ...
