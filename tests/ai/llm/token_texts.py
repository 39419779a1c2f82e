"""The texts whose tokens are counted: what fifty agents are asked and what they answer, in every form compared."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.llm.encodings import ENCODINGS
from ai.llm.prompt import PromptRequest
from ai.llm.tiers import LlmTier
from ai.observation import ObservationBatch
from sim import Simulation, load

AGENTS = 50


@cache
def crowd() -> tuple[ObservationBatch[Any], ToolRegistry]:
    """Return what fifty agents of the crowd know after twenty ticks, and what they can do."""
    with Simulation(load("crowd")) as simulation:
        list(simulation.reports(20))
        assert simulation.registry is not None
        return simulation.domain.observe(simulation.world, np.arange(AGENTS)), simulation.registry


def plans() -> dict[str, list[dict[str, object]]]:
    """Return three steps for each of fifty agents, by slot."""
    return {
        f"a{n}": [
            {"act": "TakeCover"},
            {"act": "MoveTo", "x": n % 64, "y": (7 * n) % 48},
            {"act": "Attack", "target_id": 50 + n},
        ]
        for n in range(1, AGENTS + 1)
    }


def asked(tier: type[LlmTier]) -> tuple[str, str]:
    """Return the input texts of a tier: one prompt for all, and a pretty-printed one for each agent, put together."""
    known, registry = crowd()
    request = PromptRequest(known, tier().offered(registry), detail=tier.detail)
    each = [f"{request.system}\n{one.model_dump_json(indent=2)}" for one in known.to_objects()]
    return f"{request.system}\n{request.user}", "\n".join(each)


def answered() -> dict[str, str]:
    """Return the same plans as replies in every encoding."""
    _, registry = crowd()
    steps = {slot: [registry.parse_step(step) for step in plan] for slot, plan in plans().items()}
    return {
        encoding.name: encoding.frame({slot: encoding.write(plan, registry) for slot, plan in steps.items()})
        for encoding in ENCODINGS
    }
