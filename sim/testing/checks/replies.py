"""Replies in another order: which shard is answered first may change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from ai.llm_types import LlmChunk, LlmClient, LlmRequest
from ai.testing import MockBatchLlm
from sim.run.planning_service import build_tiers
from sim.testing.checks.base import Case, Check, Checked, NotApplicable, Untested

TURNS: Final = 6
"""Turns of the event loop that the longest held reply waits."""


class Held:
    """A client whose replies wait for some turns of the event loop before each piece."""

    def __init__(self, client: LlmClient, *, first_waits_longest: bool) -> None:
        self.label = client.label
        self.replies = 0
        self._client = client
        self._first_waits_longest = first_waits_longest

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Pass on the client's chunks, late."""
        place = min(request.slots.values(), default=0) % TURNS
        turns = TURNS - place if self._first_waits_longest else place
        async for chunk in self._client.stream(request):
            self.replies += bool(chunk.finish)
            for _ in range(turns):
                await asyncio.sleep(0)
            yield chunk


def _run(case: Case) -> Checked:
    planners = [planner for plugin in case.plugins for planner in plugin.planners]
    if not case.scenario.domain.plans:
        return NotApplicable("agents of this domain do not plan")
    if not any(getattr(tier, "needs_client", False) for tier in build_tiers(case.scenario, planners)):
        return NotApplicable("no tier of the scenario asks a model")
    registry = case.scenario.domain.registry([action for plugin in case.plugins for action in plugin.actions])
    assert registry is not None
    made = case.client or (lambda: MockBatchLlm.for_agents(2**31, registry))
    asked = Case(case.scenario, case.ticks, case.seed, case.plugins, made)
    for first_waits_longest in (True, False):
        client = Held(made(), first_waits_longest=first_waits_longest)
        found = asked.compare(asked.simulation(client=client))
        if found is not None:
            return found
        if not client.replies:
            return Untested("the model gave no reply")
    return None


CHECK: Final = Check(
    "replies",
    "replies of a model arriving in another order",
    "something done when a reply arrives instead of in the order of keys",
    _run,
)
