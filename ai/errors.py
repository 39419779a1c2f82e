"""The error tree of the planning side.

    AIError
    |- PlannerError        this tier failed; the orchestrator goes on with the next one
    |  |- ClientError      the transport or the server failed (`outcome` says how)
    |  |- ParseError       a reply was read and is not a plan
    |  `- FaultError       a function that a tier calls gave something that it may not
    `- ContractError       a plug-in or a caller broke the rules

A refused plan is data (`ai.plans.Refusal`), not an exception.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Final

_PASSING: Final = frozenset({408, 409, 425, 429, 498, 499})
"""Statuses of refusals for the moment."""


class AIError(Exception):
    """Base of every error that planning raises on purpose."""


class PlannerError(AIError):
    """A tier could not plan; the agents it was asked for go down to the next tier."""

    outcome = "invalid"


class ClientError(PlannerError):
    """The way to the model failed.

    `outcome` is one of `timeout`, `transport`, `rate_limited`, `breaker_open`, `cut`, `unavailable`, `refused` (the
    model declines to answer) or `invalid` (the model's answer is not text that could hold plans). `status` is the HTTP
    status of an answer other than 200. `retry_after_s` is how long the server asks to be left alone, seconds. `context`
    is the room a call has, in tokens, where the prompt did not fit. `permanent` says that the same call can never
    succeed: a wrong key, model, address or option. `sent` is False where no call was made at all: the breaker is open,
    or the own rate limit has no room.
    """

    def __init__(
        self,
        message: str,
        *,
        outcome: str = "transport",
        status: int | None = None,
        retry_after_s: float | None = None,
        context: int | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status
        self.retry_after_s = retry_after_s
        self.context = context
        self.sent = sent

    @property
    def permanent(self) -> bool:
        """Say whether asking again is of no use."""
        if self.outcome in ("unavailable", "invalid"):
            return self.outcome == "unavailable"
        status = self.status or 0
        return (300 <= status < 500 and status not in _PASSING) or status in (501, 505)


class ParseError(PlannerError):
    """A text is not a plan; the message says where and why."""


class FaultError(PlannerError):
    """A function of a domain gave something that it may not; the message names it."""

    outcome = "fault"


class ContractError(AIError):
    """A plug-in or a caller broke a documented rule; the message names it and its place."""


def place_of(written: object) -> str:
    """Return where a class or function was written, for people: `model.py, line 30`, or module and line."""
    module = str(getattr(written, "__module__", "")) or "an unknown module"
    file = getattr(sys.modules.get(module), "__file__", None)
    # A module that no import statement can name was loaded from a file that a person named.
    where = Path(file).name if file and "." not in module and Path(file).stem != module else module
    code = getattr(written, "__code__", None)
    try:
        # The line of a class is looked up in its file, which takes a while: this is for messages only.
        line = inspect.getsourcelines(written)[1] if code is None else code.co_firstlineno  # type: ignore[arg-type] # TypeError says that it is none
    except (OSError, TypeError):
        return where
    return f"{where}, line {line}"
