"""The work of a run's model: adds up calls, how they were cut, and what the breaker did.

Times to the first plan are measured and stand in the report beside a replay, never in a replay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from ai.clients.resilience import BreakerState
from ai.llm.budget import Budget
from ai.llm.models import kind_and_model
from ai.plans import BatchPlans, LlmUsage
from sim.run.rounds import RoundNotes


@dataclass(slots=True)
class Calls:
    """Calls of one kind, the agents in them, the plans they gave, and their tokens; None until a server reports any."""

    calls: int = 0
    agents: int = 0
    plans: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def add(self, shard: Mapping[str, Any]) -> None:
        """Add one call as it was recorded."""
        self.calls += 1
        self.agents += shard["k"]
        usage = shard.get("usage") or {}
        self.prompt_tokens = _more(self.prompt_tokens, usage.get("prompt_tokens"))
        self.completion_tokens = _more(self.completion_tokens, usage.get("completion_tokens"))

    def as_json(self) -> dict[str, Any]:
        """Return them, with the tokens of a plan."""
        return {
            **asdict(self),
            "prompt_tokens_per_plan": _ratio(self.prompt_tokens, self.plans),
            "completion_tokens_per_plan": _ratio(self.completion_tokens, self.plans),
        }


def _more(sum_so_far: int | None, told: int | None) -> int | None:
    return sum_so_far if told is None else (sum_so_far or 0) + told


def _ratio(amount: int | None, count: int) -> float | None:
    return None if amount is None or not count else round(amount / count, 2)


class ModelTally:
    """Sums over the ticks of a run: call `add` for each tick, then read or show the sums.

    `shard_size` is the largest call of each tier in the last tick that used it, `in_flight` the calls at once;
    `breaker` is the state it was left in and `opened` how often it opened. `rounds` are the ticks in which agents were
    asked, `started` the plans of a model that began. `held` counts agent-ticks by what the agent had: a model's plan, a
    bridge, none. `waited_s` is how long the world stood still for its model, measured. `by_tier` and `by_round` are the
    calls of each tier and of each tick that made any. `budget` is what the model may use, where that is limited.
    """

    def __init__(self) -> None:
        self.usage = LlmUsage()
        self.rounds = 0
        self.started = 0
        self.held = [0, 0, 0]
        self.waited_s = 0.0
        self.first = Calls()
        self.again = Calls()
        self.by_tier: defaultdict[str, Calls] = defaultdict(Calls)
        self.by_round: defaultdict[int, Calls] = defaultdict(Calls)
        self.budget: Budget | None = None
        self.in_flight: int | None = None
        self.shard_size: dict[str, int] = {}
        self.breaker = BreakerState.CLOSED.value
        self.opened = 0
        self._first_plan_s: list[float] = []

    def add(self, tick: int, plans: BatchPlans | None, notes: RoundNotes | None) -> None:
        """Take in the planning of one tick."""
        if notes is not None:
            asked = notes.asked is not None and len(notes.asked) > 0
            self.note(asked=asked, held=notes.held, started=notes.started)
            self.waited_s += notes.waited_s
        if plans is not None:
            if plans.first_plan_s is not None:
                self._first_plan_s.append(plans.first_plan_s)
            self.take(tick, plans.usage, plans.shards, plans.model, plans.counts())

    def note(self, *, asked: bool, held: Sequence[int], started: int) -> None:
        """Take in what one tick did about the model tiers: whether it asked, agents by what they have, plans begun."""
        self.rounds += asked
        self.started += started
        self.held = [before + now for before, now in zip(self.held, held, strict=True)]

    def take(
        self,
        tick: int,
        usage: LlmUsage,
        shards: Sequence[Mapping[str, Any]],
        model: Mapping[str, Any],
        given: Mapping[str, int],
    ) -> None:
        """Take in what the planning of one tick used, how it was cut, what it said about the calls, plans by tier."""
        self.usage.add(usage)
        sent = [shard for shard in shards if not shard.get("unsent")]
        for shard in sent:
            self.by_tier[shard["tier"]].add(shard)
            self.by_round[tick].add(shard)
        for tier in {shard["tier"] for shard in sent}:
            self.by_tier[tier].plans += given.get(tier, 0)
            self.by_round[tick].plans += given.get(tier, 0)
        for shard in sent:
            # Agents asked again, by this tier or the next, are few and would make calls look smaller than they are.
            first = kind_and_model(shard["tier"])[0] == kind_and_model(sent[0]["tier"])[0] and not shard.get("again")
            (self.first if first else self.again).add(shard)
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
            "agents_per_call": _ratio(self.first.agents, self.first.calls),
            "prompt_tokens_per_plan": _ratio(self.first.prompt_tokens, self.started),
            "again": {"calls": self.again.calls, "prompt_tokens": self.again.prompt_tokens},
            "by_tier": {tier: calls.as_json() for tier, calls in sorted(self.by_tier.items())},
            "budget": None if self.budget is None else self.budget.as_json(),
            "rounds": self.rounds,
            "started": self.started,
            "under_model": self.held[0],
            "bridged": self.held[1],
            "none": self.held[2],
            "waited_s": round(self.waited_s, 3),
            "retries": self.usage.retries,
            "breaker": {"state": self.breaker, "opened": self.opened},
            "in_flight": self.in_flight,
            "shard_size": dict(sorted(self.shard_size.items())),
        }

    def rounds_json(self) -> list[dict[str, Any]]:
        """Return the calls of each tick that made any, for the report beside a replay."""
        return [{"tick": tick, **calls.as_json()} for tick, calls in sorted(self.by_round.items())]

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
        if self.first.calls and self.rounds:
            parts.append(f"{self.rounds:,} rounds, {self.first.agents / self.first.calls:,.1f} agents a call")
            each = _ratio(self.first.prompt_tokens, self.started)
            if each is not None:
                parts.append(f"{each:,.0f} tokens read for each plan that began")
            shares = [f"{100 * count / (sum(self.held) or 1):.0f} %" for count in self.held]
            parts.append(f"after a tick {shares[0]} of the agents follow a model's plan, {shares[1]} a bridge")
            parts.append(f"the world waited {self.waited_s:,.1f} s")
        for tier, calls in sorted(self.by_tier.items()):
            read, written = (_ratio(told, calls.plans) for told in (calls.prompt_tokens, calls.completion_tokens))
            if read is not None and written is not None:
                parts.append(f"{tier}: {read:,.0f} tokens read and {written:,.0f} written a plan")
        totals = [(each.prompt_tokens or 0) + (each.completion_tokens or 0) for each in self.by_round.values()]
        if any(totals):
            parts.append(f"a round took {median(totals):,.0f} tokens in the median, {max(totals):,} at most")
        if self.budget is not None:
            parts.append(self.budget.sentence())
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
