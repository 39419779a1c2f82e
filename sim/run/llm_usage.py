"""What the model of a run did: adds up calls, how they were cut, and what the breaker did.

Times to the first plan are measured and stand in the report beside a replay, never in a replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from ai.clients.resilience import BreakerState
from ai.plans import BatchPlans, LlmUsage


class ModelTally:
    """Sums over the ticks of a run: call `add` for each tick that planned, then read or show the sums.

    `shard_size` is the largest call of each tier in the last tick that used it, `in_flight` the calls at once;
    `breaker` is the state it was left in and `opened` how often it opened.
    """

    def __init__(self) -> None:
        self.usage = LlmUsage()
        self.in_flight: int | None = None
        self.shard_size: dict[str, int] = {}
        self.breaker = BreakerState.CLOSED.value
        self.opened = 0
        self._first_plan_s: list[float] = []

    def add(self, plans: BatchPlans) -> None:
        """Take in the planning of one tick."""
        if plans.first_plan_s is not None:
            self._first_plan_s.append(plans.first_plan_s)
        self.take(plans.usage, plans.shards, plans.model)

    def take(self, usage: LlmUsage, shards: Sequence[Mapping[str, Any]], model: Mapping[str, Any]) -> None:
        """Take in what the planning of one tick used, how it was cut, and what it said about the calls."""
        self.usage.add(usage)
        sizes: dict[str, int] = {}
        for shard in shards:
            sizes[shard["tier"]] = max(shard["k"], sizes.get(shard["tier"], 0))
        self.shard_size.update(sizes)
        self.in_flight = model.get("in_flight", self.in_flight)
        entered = model.get("breaker", [])
        self.opened += entered.count(BreakerState.OPEN.value)
        self.breaker = entered[-1] if entered else self.breaker

    def as_json(self) -> dict[str, Any]:
        """Return the `llm` object of `tickweave run --json`."""
        return {
            "calls": self.usage.calls,
            "agents": self.usage.agents,
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "errors": dict(sorted(self.usage.errors.items())),
            "retries": self.usage.retries,
            "breaker": {"state": self.breaker, "opened": self.opened},
            "in_flight": self.in_flight,
            "shard_size": dict(sorted(self.shard_size.items())),
        }

    def times(self) -> dict[str, float] | None:
        """Return the times from the start of a tick's planning to its first plan of a model, seconds; None without."""
        if not self._first_plan_s:
            return None
        first = self._first_plan_s
        return {"median": round(median(first), 6), "longest": round(max(first), 6), "ticks": len(first)}

    def sentence(self) -> str:
        """Return all of it for people."""
        usage = self.usage
        tokens = "tokens not reported"
        if usage.prompt_tokens is not None or usage.completion_tokens is not None:
            tokens = f"{usage.prompt_tokens or 0:,} tokens read, {usage.completion_tokens or 0:,} written"
        parts = [f"{usage.calls:,} calls for {usage.agents:,} agents, {tokens}"]
        if self.shard_size:
            sizes = ", ".join(f"{size:,} ({tier})" for tier, size in sorted(self.shard_size.items()))
            parts.append(f"at the end up to {sizes} agents in a call, {self.in_flight or 1:,} calls at once")
        if usage.retries:
            parts.append(f"{usage.retries:,} retries")
        if self.opened or self.breaker != BreakerState.CLOSED.value:
            parts.append(f"breaker opened {self.opened:,} times, now {self.breaker.replace('_', ' ')}")
        if usage.errors:
            parts.append(
                "not answered: " + ", ".join(f"{name} {count:,}" for name, count in sorted(usage.errors.items()))
            )
        return "; ".join(parts)
