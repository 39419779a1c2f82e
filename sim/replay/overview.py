"""The contents of a whole replay, from its records alone: nothing is run again."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from ai.plans import LlmUsage
from sim.replay.format import End, Tick, count_of
from sim.replay.record import attempted, tried, usage_of
from sim.replay.replay_file import ReplayFile

_USED: Final = ("calls", "agents", "prompt_tokens", "completion_tokens")


def overview(file: ReplayFile) -> dict[str, Any]:
    """Return what a replay is about, as plain data: scenario, length, end, agents, plans by tier, failures, inputs.

    Raises:
        Corrupt: a line is damaged.
    """
    header, usage = file.header, LlmUsage()
    plans: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    inputs: Counter[str] = Counter()
    ticks, refused, agents, outcome = 0, 0, [0, 0], None
    end: End | None = None
    for record in file.records(file.place(0)):
        match record.body:
            case Tick() as tick:
                agents = [agents[0] if ticks else tick.agents, tick.agents]
                ticks, outcome = ticks + 1, tick.outcome
                refused += len(tick.refused)
                inputs.update(str(each.get("kind")) for each in tick.inputs)
                plans.update({tier: count_of(text) for tier, text in tick.planned.items()})
                for each in tried(tick, header.llm):
                    failed[f"{each.tier} {each.outcome}"] += len(attempted(tick, each))
                if tick.usage is not None:
                    usage.add(usage_of(tick.usage))
            case End() as end:
                pass
    return {
        "scenario": header.scenario.get("name"),
        "domain": header.scenario.get("domain"),
        "seed": header.seed,
        "model": header.llm,
        "ticks": ticks,
        "planned_ticks": header.ticks,
        "ended": "not yet" if end is None else end.reason,
        "outcome": outcome,
        "agents": agents[1],
        "agents_after_first_tick": agents[0],
        "tiers": dict(plans),
        "failed": dict(failed),
        "inputs": dict(inputs),
        "refused": refused,
        "llm": None if usage == LlmUsage() else {name: getattr(usage, name) for name in _USED},
    }
