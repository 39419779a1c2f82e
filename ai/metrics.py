"""Counts of the results of planning, with one recorder for both the single and the batch path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ai.plans import BatchPlans, Outcome

_OK: Final = Outcome.OK.value
_UNAVAILABLE: Final = Outcome.UNAVAILABLE.value
_FAILURES = tuple(outcome for outcome in Outcome if outcome not in (Outcome.OK, Outcome.UNAVAILABLE))


@dataclass(slots=True)
class FallbackMetrics:
    """The results of a `FallbackOrchestrator` so far.

    `requests` counts agents asked and `calls` counts calls. `successes` counts plans by tier, `failures` counts tries
    without a plan by tier and outcome. A tier that was skipped as unavailable is neither a try nor a failure.
    `attempts` counts tries over all agents, `duration_s` is the total time of the calls.
    """

    requests: int = 0
    calls: int = 0
    successes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, dict[str, int]] = field(default_factory=dict)
    attempts: int = 0
    duration_s: float = field(default=0.0, compare=False)

    @property
    def mean_attempts(self) -> float:
        """The mean number of tiers tried for one agent."""
        return self.attempts / self.requests if self.requests else 0.0

    @property
    def mean_duration_s(self) -> float:
        """The mean time of one call, seconds."""
        return self.duration_s / self.calls if self.calls else 0.0

    def record(self, result: BatchPlans) -> None:
        """Add one call's result."""
        self.requests += len(result.plans)
        self.calls += 1
        self.duration_s += result.duration_s
        for tier, count in result.counts().items():
            self.successes[tier] = self.successes.get(tier, 0) + count
        for attempt in result.attempts:
            shared = attempt.shared
            if shared == _UNAVAILABLE:
                continue
            if shared == _OK:
                self.attempts += len(attempt.outcome)
                continue
            numbers = np.bincount(attempt.outcome, minlength=len(Outcome)).tolist()
            tried = len(attempt.outcome) - numbers[_UNAVAILABLE]
            self.attempts += tried
            if tried == numbers[_OK]:
                continue
            for outcome in _FAILURES:
                if numbers[outcome]:
                    by_outcome = self.failures.setdefault(attempt.tier, {})
                    by_outcome[outcome.label] = by_outcome.get(outcome.label, 0) + numbers[outcome]

    def as_dict(self) -> dict[str, Any]:
        """Return counts and means as plain data, for summaries and JSON."""
        return {
            "requests": self.requests,
            "calls": self.calls,
            "successes": dict(self.successes),
            "failures": {tier: dict(by_outcome) for tier, by_outcome in self.failures.items()},
            "mean_attempts": self.mean_attempts,
            "mean_duration_s": self.mean_duration_s,
        }
