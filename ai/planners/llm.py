"""The two model tiers: one asks for the common verbs with a compact prompt, one for all verbs with more examples."""

from __future__ import annotations

import numpy as np

from ai.actions import COMMON_KINDS, ToolRegistry
from ai.batch import BatchInferenceExecutor, BatchRequest
from ai.encodings import NAMED
from ai.encodings.base import Encoding
from ai.errors import ClientError, PlannerError
from ai.plan import FallbackTier, PlanBatch
from ai.planners.base import PlanCall, TierPlans
from ai.snapshot import SnapshotBatch


class _LlmTier:
    """Asks a language model for one plan an agent. A reply is not repeatable, so it is recorded and read again."""

    name: str
    deterministic = False
    needs_client = True
    examples: bool

    def __init__(self, executor: BatchInferenceExecutor | None = None, *, encoding: Encoding = NAMED) -> None:
        self.executor = BatchInferenceExecutor() if executor is None else executor
        self.encoding = encoding

    def offered(self, registry: ToolRegistry) -> ToolRegistry:
        """Return the registry with the verbs this tier advertises and accepts."""
        return registry

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Ask the model for the agents of `batch`; rows of the answer are the rows asked.

        Raises:
            PlannerError: there is no client, or the registry offers none of this tier's verbs.
        """
        if call.client is None:
            raise ClientError("no language model is configured", outcome="unavailable")
        offered = self.offered(registry)
        if not len(offered):
            raise PlannerError(f"the registry offers no verb that tier {self.name} may use")
        request = BatchRequest(
            batch, offered, self.name, examples=self.examples, seed=call.seed, encoding=self.encoding
        )
        response = await self.executor.execute(
            call.client, request, on_plan=call.on_plan, deadline=call.deadline, clock=call.clock
        )
        steps = [response.plans.get(int(key)) for key in batch.keys]
        return TierPlans(
            plans=PlanBatch.from_steps(batch.keys, steps, offered),
            outcome=response.outcome.astype(np.int8),
            errors=response.errors,
            texts=response.texts,
            shards=response.shards,
            usage=response.usage,
        )


class FullLlm(_LlmTier):
    """All verbs, with cooldowns, costs and more examples."""

    name = FallbackTier.FULL_LLM.value
    examples = True


class SimplifiedLlm(_LlmTier):
    """The common verbs and a compact prompt."""

    name = FallbackTier.SIMPLIFIED_LLM.value
    examples = False

    def offered(self, registry: ToolRegistry) -> ToolRegistry:
        """Return the registry with the common verbs of those it offers."""
        return registry.offering(COMMON_KINDS)


PLANNERS = (FullLlm, SimplifiedLlm)
