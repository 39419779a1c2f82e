"""The interface of a tier: it is asked for a batch and answers for the agents that it can plan for.

To add a planner, put one file in this folder (or name it under the entry point group `tickweave.planners`). The file
needs a class with this interface and a module constant `PLANNERS: tuple[type[Planner], ...]` that lists it.
`ai.testing.check_planner` checks it. A planner that needs a model sets `needs_client = True`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
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


class Deadline:
    """The time by which a planning call must end: `at` is a reading of its clock in seconds, None for no limit.

    It may be set during the call, in the event loop of the call; this wakes the coroutines that wait.
    """

    def __init__(self, at: float | None = None) -> None:
        self.at = at
        self._waiting: set[asyncio.Future[None]] = set()

    def set(self, at: float) -> None:
        """Set the end of a call that has started already."""
        self.at = at
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    async def wait(self, tasks: Collection[asyncio.Task[Any]], clock: Callable[[], float]) -> None:
        """Wait until all tasks are done, one has raised an error, or the time is over."""
        pending = {task for task in tasks if not task.done()}
        while pending:
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(moved)
            left = None if self.at is None else self.at - clock()
            try:
                done, _ = await asyncio.wait(
                    [*pending, moved], timeout=None if left is None else max(left, 0.0), return_when="FIRST_COMPLETED"
                )
            finally:
                self._waiting.discard(moved)
            pending -= done
            if not done or any(each is not moved and not each.cancelled() and each.exception() for each in done):
                return


@dataclass(slots=True)
class Asking:
    """The options of a run for one batch, in addition to those of other callers; the defaults are for a single batch.

    Attributes:
        walks: `[n] int8`, codes of `Walk`: the tiers that are tried for each agent; None for all tiers.
        deadline: the time from which no model is waited for; it may be set later.
        together: the number of agents asked at the same time, in this batch and others that share the model.
        on_call: called when each call of a model begins, and when it has ended.
        signals: a list for measurements of calls that affect the sizes of later calls; None applies them at once.
    """

    walks: NDArray[np.int8] | None = None
    deadline: Deadline = field(default_factory=Deadline)
    together: int = 0
    on_call: Callable[[Any], None] | None = None
    signals: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class PlanCall:
    """The things that a tier may use in addition to the batch: model, progress, deadline, and an injected clock.

    `begun` is a reading of `clock` in seconds, at the start of the planning call. `seed` makes the sampling of models
    repeatable on servers that support it. `asking` holds the options of the run.
    """

    client: LlmClient | None
    clock: Callable[[], float]
    on_plan: OnPlan | None = None
    begun: float = 0.0
    seed: int = 0
    asking: Asking = field(default_factory=Asking)

    @property
    def deadline(self) -> float | None:
        """When the planning call must be over; it may become known while the call goes on."""
        return self.asking.deadline.at


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
