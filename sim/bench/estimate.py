"""An estimate of a run's model calls, from a dry run with a stand-in: rounds, calls, tokens, money, time.

Nothing is sent. The stand-in answers with what the scenario's rules would plan; a model that plans otherwise leads the
run elsewhere. Tokens are estimates (`ai.llm.tokens`), within a fifth of a real tokenizer's.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ai.fake.client import StandInClient
from ai.llm.price import Price
from ai.llm_types import Endpoint
from sim.run.planning_service import ModelOptions
from sim.run.plugins import Plugin
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation

CONTEXT: Final = 8192
"""Tokens of prompt and reply together that the stand-in has room for by default."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server that is thought of: calls at once, seconds to the first token, tokens a second of each call."""

    slots: int
    latency_s: float
    tokens_per_s: float
    context: int = CONTEXT
    grammar: bool = False

    def seconds(self, replies: Sequence[int]) -> float:
        """Return how long the calls of one round take, by the tokens of their replies, first come, first served.

        >>> Server(2, 0.5, 10.0).seconds([10, 20, 30])
        5.0
        """
        free = [0.0] * min(self.slots, max(len(replies), 1))
        for tokens in replies:
            heapq.heapreplace(free, free[0] + self.latency_s + tokens / self.tokens_per_s)
        return max(free)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The model calls of a run. `rounds` are the ticks in which calls were made, `agents` those asked in all calls.

    `model_s` is how long the model would work on it in these rounds, seconds, one after another. `cost` is in US
    dollars, without discounts for what a cache holds; None where no price is known.
    """

    ticks: int
    rounds: int
    calls: int
    agents: int
    prompt_tokens: int
    completion_tokens: int
    model_s: float
    cost: float | None
    price: str | None

    @property
    def agents_per_call(self) -> float:
        """Agents of a call in the mean."""
        return self.agents / self.calls if self.calls else 0.0


def estimate(
    scenario: Scenario,
    label: str,
    server: Server,
    *,
    ticks: int,
    seed: int | None = None,
    plugins: Sequence[Plugin] = (),
    options: ModelOptions | None = None,
    price: Price | None = None,
) -> Estimate:
    """Run some ticks with the stand-in and add up what it was asked."""
    endpoint = Endpoint(
        True, True, "enforced", server.grammar, server.slots, server.context, flavour="stand-in", wants_rules=True
    )
    rounds: list[Sequence[Mapping[str, Any]]] = []
    client = StandInClient(label, endpoint)
    with Simulation(scenario, seed=seed, plugins=plugins, client=client, model=options) as simulation:
        for report in simulation.reports(ticks):
            made = [] if report.plans is None else [shard for shard in report.plans.shards if shard["usage"]]
            if made:
                rounds.append(made)
        ran = simulation.world.tick
    calls = [shard for made in rounds for shard in made]
    read, written = (sum(shard["usage"][name] for shard in calls) for name in ("prompt_tokens", "completion_tokens"))
    return Estimate(
        ticks=ran,
        rounds=len(rounds),
        calls=len(calls),
        agents=sum(shard["k"] for shard in calls),
        prompt_tokens=read,
        completion_tokens=written,
        model_s=sum(server.seconds([shard["usage"]["completion_tokens"] for shard in made]) for made in rounds),
        cost=None if price is None else price.of(read, written),
        price=None if price is None else price.name,
    )
