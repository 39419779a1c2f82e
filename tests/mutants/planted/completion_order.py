"""Numbers its agents in the order in which their replies arrive."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np

from ai.actions import ToolRegistry
from ai.llm.encodings import NAMED
from ai.llm_types import LlmRequest
from ai.observation import ObservationBatch
from ai.planners.base import PlanCall, TierPlans
from ai.plans import Outcome, PlanBatch


class Bug:
    """Numbers its agents in the order in which their replies arrive."""

    name = "bug"
    deterministic = False

    needs_client = True

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Ask for everyone at once; who is answered first scans nearest."""
        assert call.client is not None
        client = call.client
        arrived: list[int] = []

        async def ask(key: int) -> None:
            request = LlmRequest(messages=(), slots={"a1": key}, tier=self.name)
            async for _ in client.stream(request):
                pass
            arrived.append(key)

        await asyncio.gather(*(ask(key) for key in batch.keys.tolist()))
        texts = {key: json.dumps({"steps": [{"act": "Scan", "radius": 1 + arrived.index(key)}]}) for key in arrived}
        steps = [NAMED.parse(texts[key], registry) for key in batch.keys.tolist()]
        outcome = np.full(len(batch), Outcome.OK, np.int8)
        return TierPlans(PlanBatch.from_steps(batch.keys, steps, registry), outcome, texts=texts)


PLANNERS = (Bug,)
