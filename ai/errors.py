"""The error tree of the planning side.

    AIError
    |- PlannerError        this tier failed; the orchestrator goes on with the next one
    |  |- ClientError      the transport or the server failed (`outcome` says how)
    |  `- ParseError       a reply was read and is not a plan
    `- ContractError       a plug-in or a caller broke the rules; never caught by the orchestrator

A refused plan is data (`ai.plan.Refusal`), not an exception.
"""

from __future__ import annotations


class AIError(Exception):
    """Base of every error that planning raises on purpose."""


class PlannerError(AIError):
    """A tier could not plan; the agents it was asked for go down to the next tier."""

    outcome = "invalid"


class ClientError(PlannerError):
    """The way to the model failed.

    `outcome` is one of `timeout`, `transport`, `rate_limited`, `breaker_open`, `cut` or `unavailable`.
    """

    def __init__(self, message: str, *, outcome: str = "transport") -> None:
        super().__init__(message)
        self.outcome = outcome


class ParseError(PlannerError):
    """A text is not a plan; the message says where and why."""


class ContractError(AIError):
    """A plug-in or a caller broke a documented rule; the message names it and its place."""
