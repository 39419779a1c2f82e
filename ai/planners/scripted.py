"""A script: plans written in advance, by agent and tick.

An agent that is asked at some tick gets the last line for it (or for all agents) up to that tick. An agent without a
line so far goes to the next tier, and so does an agent whose line is not legal at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ai.actions import KEY_MAX, STEPS_MAX, Action, ToolRegistry
from ai.errors import ParseError
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.playbook import Playbook
from ai.plans import Outcome, PlanBatch

LINES_MAX = 10_000
"""The most lines of a script."""


class Line(BaseModel):
    """The plan of one agent (of all agents without `agent`) when it is asked at `tick` or later."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)] | None = None
    tick: Annotated[int, Field(strict=True, ge=0)] = 0
    steps: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=STEPS_MAX)]


class Script(BaseModel):
    """The lines of a script, in any order; of two for the same tick, the later one in the list counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: Annotated[tuple[Line, ...], Field(max_length=LINES_MAX)] = ()


class Scripted:
    """Plays plans that were written in advance."""

    name: str = "scripted"
    deterministic: bool = True

    def __init__(self, script: Script | None = None) -> None:
        self._lines = sorted((script or Script()).lines, key=lambda line: line.tick)
        self._by_agent: dict[int | None, list[int]] = {}
        for number, line in enumerate(self._lines):
            self._by_agent.setdefault(line.agent, []).append(number)

    @classmethod
    def of(cls, playbook: Playbook) -> Self:
        """Return the planner of a scenario's script."""
        return cls(playbook.script)

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Read each agent's line; a line that the registry cannot read is `invalid`, with the reason."""
        plans: list[tuple[Action, ...]] = [()] * len(batch)
        outcome = np.full(len(batch), Outcome.MISSING, np.int8)
        errors: dict[int, str] = {}
        read: dict[int, tuple[Action, ...] | ParseError] = {}
        for row, key in enumerate(batch.keys.tolist()):
            number = self._number(key, batch.tick)
            if number is None:
                continue
            if number not in read:
                read[number] = _steps(self._lines[number].steps, registry)
            steps = read[number]
            if isinstance(steps, ParseError):
                outcome[row], errors[key] = Outcome.INVALID, str(steps)
            else:
                outcome[row], plans[row] = Outcome.OK, steps
        return TierPlans(PlanBatch.from_steps(batch.keys, plans, registry), outcome, errors)

    def _number(self, agent: int, tick: int) -> int | None:
        """Return the position of the line that counts for an agent at a tick; its own line wins a tie."""
        found: int | None = None
        for numbers in (self._by_agent.get(None, ()), self._by_agent.get(agent, ())):
            for number in numbers:
                at = self._lines[number].tick
                if at <= tick and (found is None or at >= self._lines[found].tick):
                    found = number
        return found


def _steps(steps: tuple[Mapping[str, Any], ...], registry: ToolRegistry) -> tuple[Action, ...] | ParseError:
    try:
        return tuple(registry.parse_step(dict(step)) for step in steps)
    except ParseError as error:
        return error


PLANNERS: tuple[type[Planner], ...] = (Scripted,)
