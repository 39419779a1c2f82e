"""The error tree of the planning side.

    AIError
    |- PlannerError        this tier failed; the orchestrator continues with the next one
    |  |- ClientError      the transport or the server failed; see `outcome`
    |  |- ParseError       a reply was read and is not a plan
    |  `- FaultError       a function that a tier calls returned a wrong value
    `- ContractError       a plug-in or a caller broke the rules

A refused plan is data (`ai.plans.Refusal`), not an exception.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Final

_PASSING: Final = frozenset({408, 409, 425, 429, 498, 499})
"""HTTP statuses of temporary refusals."""


class AIError(Exception):
    """The base of every error that planning raises on purpose."""


class PlannerError(AIError):
    """A tier could not plan; its agents go to the next tier."""

    outcome = "invalid"


class ClientError(PlannerError):
    """A call of the model failed.

    `outcome` is one of `timeout`, `transport`, `rate_limited`, `breaker_open`, `cut`, `unavailable`, `refused` (the
    model declines to answer) or `invalid` (the model's answer is not text that could hold plans). `status` is the HTTP
    status of an answer other than 200. `retry_after_s` is the time for which the server asks for no calls, seconds.
    `context` is the size of the context in tokens, if the prompt did not fit. `permanent` is True if the same call can
    never succeed: a wrong key, model, address or option. `sent` is False if no call was made at all: the breaker is
    open, or our rate limit has no room.
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
        """Return whether the same call can never succeed."""
        if self.outcome in ("unavailable", "invalid"):
            return self.outcome == "unavailable"
        status = self.status or 0
        return (300 <= status < 500 and status not in _PASSING) or status in (501, 505)


class ParseError(PlannerError):
    """A text is not a plan; the message gives the place and the reason."""


class FaultError(PlannerError):
    """A function of a domain returned a wrong value; the message names it."""

    outcome = "fault"


class ContractError(AIError):
    """A plug-in or a caller broke a documented rule; the message names it and its place."""


def place_of(written: object) -> str:
    """Return the place of a class or function, for people: `model.py, line 30`, or module and line."""
    module = str(getattr(written, "__module__", "")) or "an unknown module"
    file = getattr(sys.modules.get(module), "__file__", None)
    # A module without an importable name was loaded from a file that a person named.
    where = Path(file).name if file and "." not in module and Path(file).stem != module else module
    code = getattr(written, "__code__", None)
    try:
        # The line of a class is looked up in its file, which is slow, so this is for messages only.
        line = inspect.getsourcelines(written)[1] if code is None else code.co_firstlineno  # type: ignore[arg-type] # TypeError says that it is none
    except (OSError, TypeError):
        return where
    return f"{where}, line {line}"
