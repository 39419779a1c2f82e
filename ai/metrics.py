"""Counts of how planning went: one recorder for the single and the batch path alike."""

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
    """What a `FallbackOrchestrator` did so far.

    `requests` counts agents asked and `calls` the calls they came in. `successes` holds plans by tier, `failures` holds
    tries that gave none by tier and outcome. A tier that was passed over as unavailable is neither a try nor a failure.
    `attempts` counts tries over all agents, `duration_s` adds up the calls.
    """

    requests: int = 0
    calls: int = 0
    successes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, dict[str, int]] = field(default_factory=dict)
    attempts: int = 0
    duration_s: float = field(default=0.0, compare=False)

    @property
    def mean_attempts(self) -> float:
        """Tiers tried for one agent, on average."""
        return self.attempts / self.requests if self.requests else 0.0

    @property
    def mean_duration_s(self) -> float:
        """Seconds one call took, on average."""
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
