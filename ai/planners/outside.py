"""Planners that a program passes as objects: instances with arguments, functions, policies with weights.

A replay cannot make such an object again. So its plans are recorded, as a model's replies are, and a replay does not
need the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from ai.actions import Action, ToolRegistry
from ai.errors import ContractError
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.plans import Outcome, PlanBatch

Choose = Callable[[Any], Action | Sequence[Action] | None]
"""A planner in its simplest form: it takes an agent's observation and returns steps; None means the next tier."""
QUOTED_CHARS_MAX: Final = 60
"""The most characters that are shown of a value that is not a step."""


class Function:
    """Asks a function for one agent after another.

    >>> def patient(agent):
    ...     return None  # or a step, or a list of steps
    >>> Function(patient).name
    'patient'
    """

    deterministic: bool = False

    def __init__(self, choose: Choose, name: str | None = None) -> None:
        self._choose = choose
        self.name = name or getattr(choose, "__name__", type(choose).__name__).strip("<>")

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Ask for every agent; the outcome is `missing` without steps, and `invalid` if the result is not steps."""
        plans: list[tuple[Action, ...]] = []
        outcome = np.full(len(batch), Outcome.MISSING, np.int8)
        errors: dict[int, str] = {}
        for row, key in enumerate(batch.keys.tolist()):
            chosen = self._choose(batch.to_object(row))
            steps = () if chosen is None else (chosen,) if not isinstance(chosen, list | tuple) else tuple(chosen)
            if not all(isinstance(step, Action) for step in steps):
                outcome[row] = Outcome.INVALID
                errors[key] = (
                    f"returned {repr(chosen)[:QUOTED_CHARS_MAX]}; a function returns an Action, a list of them, or None"
                )
                steps = ()
            elif steps:
                outcome[row] = Outcome.OK
            plans.append(steps)
        texts = {key: text_of(steps) for key, steps in zip(batch.keys.tolist(), plans, strict=True) if steps}
        return TierPlans(PlanBatch.from_steps(batch.keys, plans, registry), outcome, errors, texts)


class Recorded:
    """Returns another planner's plans together with their texts, so that a replay does not need that planner."""

    deterministic: bool = False

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.name = planner.name

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Ask the planner, and add the texts of its plans."""
        given = await self._planner.plan(batch, registry, call)
        offered = (given.outcome == Outcome.OK).nonzero()[0].tolist()
        given.texts = {int(batch.keys[row]): text_of(given.plans.steps(row, registry)) for row in offered}
        return given


def text_of(steps: Sequence[Action]) -> str:
    """Return a plan in named JSON, which every reader of recorded plans can parse."""
    return json.dumps({"steps": [step.model_dump(mode="json") for step in steps]}, separators=(",", ":"))


def handed_over(planner: Planner | type[Planner] | Choose) -> Planner:
    """Return a planner, a class of planners or a function as a tier whose plans are recorded.

    Raises:
        ContractError: it is none of the three, or the class needs arguments.
    """
    made: Any = planner
    if isinstance(planner, type):
        try:
            made = planner()
        except TypeError as error:
            raise ContractError(f"{planner.__name__} needs arguments ({error}); give an instance") from None
    if isinstance(made, Planner):
        return Recorded(made) if made.deterministic else made
    if callable(made):
        return Function(made)
    raise ContractError(f"{made!r} is not a planner; give a tier's name, a planner, or a function of one agent")
