"""The texts whose tokens are counted: what fifty agents are asked and what they answer, in every form compared."""

from __future__ import annotations

import numpy as np
from ai.snapshot import SnapshotBatch

from ai.llm.encodings import ENCODINGS
from ai.llm.prompt import PromptRequest
from ai.llm.tiers import LlmTier
from scenarios.tactics.actions import default_registry
from scenarios.tactics.perception import occupancy_of, perceive
from sim.run.scenario_file import load
from sim.run.simulation import Simulation

AGENTS = 50
REGISTRY = default_registry()


def batch() -> SnapshotBatch:
    """Return what fifty agents of the crowd know after twenty ticks."""
    with Simulation(load("crowd")) as simulation:
        list(simulation.reports(20))
        world, stage = simulation.world, simulation.run_context.game
        return perceive(world, stage.grid, occupancy_of(world, stage.grid), np.arange(AGENTS), stage.lore)


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
    known = batch()
    asking = PromptRequest(known, tier().offered(REGISTRY), detail=tier.detail)
    each = [f"{asking.system}\n{known.snapshot(row).model_dump_json(indent=2)}" for row in range(AGENTS)]
    return f"{asking.system}\n{asking.user}", "\n".join(each)


def answered() -> dict[str, str]:
    """Return the same plans as replies in every encoding."""
    steps = {slot: [REGISTRY.parse_step(step) for step in plan] for slot, plan in plans().items()}
    return {
        encoding.name: encoding.frame({slot: encoding.write(plan, REGISTRY) for slot, plan in steps.items()})
        for encoding in ENCODINGS
    }
