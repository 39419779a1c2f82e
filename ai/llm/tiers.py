"""The two model tiers: one asks for first verbs with a compact prompt, one for all verbs with more examples."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ai.actions import ToolRegistry
from ai.errors import ClientError, PlannerError
from ai.legality import explained, refusals
from ai.llm.encodings import LINE, NAMED
from ai.llm.encodings.base import Encoding
from ai.llm.executor import BatchInferenceExecutor, BatchRequest, BatchResponse
from ai.llm.models import AT, Models
from ai.llm.prompt import Detail
from ai.llm_types import Endpoint, LlmClient
from ai.observation import ObservationBatch, Rows
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.plans import NO_TIER, FallbackTier, Outcome, PlanBatch, Refusal

logger = logging.getLogger(f"tickweave.{__name__}")
_CONTENT: Final = tuple(outcome.value for outcome in (Outcome.MISSING, Outcome.INVALID, Outcome.CUT))
"""Outcomes of a reply that came, so that asking again may help; the connection to the model did not fail."""


class LlmTier:
    """Asks a language model for one plan an agent. A reply is not repeatable, so it is recorded and read again.

    Agents whose plan is missing, wrong or not legal are asked once more, those only, with the reason, when the deadline
    leaves as much time as the first plan took.

    Args:
        executor: runs the calls; tiers may share one.
        encoding: how replies write plans; None takes the shortest that the endpoint is known to hold a model to.
        rules: the planner whose plans a stand-in for a server may ask for.
        model: the name of the model that is asked (`ai.llm.models`); it becomes part of the tier's name.
    """

    name: str
    deterministic = False
    needs_client = True
    detail: Detail

    def __init__(
        self,
        executor: BatchInferenceExecutor | None = None,
        *,
        encoding: Encoding | None = None,
        rules: Planner | None = None,
        model: str = "",
    ) -> None:
        if model:
            self.name = f"{self.name}{AT}{model}"
        self.executor = BatchInferenceExecutor() if executor is None else executor
        self._encoding = encoding
        self._rules = rules

    def offered(self, registry: ToolRegistry) -> ToolRegistry:
        """Return the registry with the verbs that this tier offers and accepts."""
        return registry

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Ask the model for the agents of `batch`; rows of the answer are the rows asked.

        Raises:
            PlannerError: there is no client, or the registry offers none of this tier's verbs.
        """
        client = call.client.of(self.name) if isinstance(call.client, Models) else call.client
        if client is None:
            raise ClientError("no language model is configured", outcome="unavailable")
        offered = self.offered(registry)
        if not len(offered):
            raise PlannerError(f"the registry offers no verb that tier {self.name} may use")
        begun = call.clock()
        response = await self._ask(client, batch, offered, call, {})
        answer = _answer(response, batch)
        if response.first_plan_s is not None:
            answer.first_plan_s = begun - call.begun + response.first_plan_s
        reasons = _reasons(answer, batch, offered)
        needed_s = call.clock() - begun if response.first_plan_s is None else response.first_plan_s
        if reasons and (call.deadline is None or call.clock() + needed_s < call.deadline):
            logger.info("%s: %d of %d agents are asked again", self.name, len(reasons), len(batch))
            rows = np.flatnonzero(np.isin(batch.keys, list(reasons)))
            part = batch.take(rows)
            _take_over(answer, rows, _answer(await self._ask(client, part, offered, call, reasons), part))
        return answer

    async def _ask(
        self,
        client: LlmClient,
        batch: ObservationBatch[Any],
        offered: ToolRegistry,
        call: PlanCall,
        reasons: Mapping[int, str],
    ) -> BatchResponse:
        request = BatchRequest(
            batch,
            offered,
            self.name,
            detail=self.detail,
            seed=call.seed,
            encoding=_suited(client) if self._encoding is None else self._encoding,
            reasons=reasons,
            rules=self._rules,
        )
        return await self.executor.execute(client, request, on_plan=call.on_plan, clock=call.clock, asking=call.asking)

    async def aclose(self) -> None:
        """Wait for calls that were left behind at a deadline."""
        await self.executor.aclose()


def _suited(client: LlmClient) -> Encoding:
    """Return lines where the endpoint takes a grammar, else named JSON, which needs no enforcing to be understood."""
    endpoint: Endpoint | None = getattr(client, "endpoint", None)
    return LINE if endpoint is not None and endpoint.grammar else NAMED


def _answer(response: BatchResponse, batch: ObservationBatch[Any]) -> TierPlans:
    plans = [response.plans.get(key) for key in batch.keys.tolist()]
    return TierPlans(
        plans=PlanBatch.from_encoded(batch.keys, plans),
        outcome=response.outcome.astype(np.int8),
        errors=response.errors,
        texts=response.texts,
        shards=response.shards,
        usage=response.usage,
    )


def _reasons(answer: TierPlans, batch: ObservationBatch[Any], offered: ToolRegistry) -> dict[int, str]:
    """Return why agents are worth asking again: the model answered, and their plan is missing, wrong or not legal.

    A model that wrote nothing like a plan for any agent is not asked the same again; the next tier asks otherwise.
    """
    if not answer.texts:
        return {}
    verdict = refusals(batch, answer.plans, offered)
    given = answer.outcome == Outcome.OK.value
    reasons: dict[int, str] = {}
    for row in np.flatnonzero(~given | (verdict != Refusal.ACCEPTED.value)).tolist():
        key = int(batch.keys[row])
        if given[row]:
            reasons[key] = explained(batch, answer.plans, row, offered)
        elif int(answer.outcome[row]) in _CONTENT:
            reasons[key] = answer.errors[key]
    return reasons


def _take_over(answer: TierPlans, rows: Rows, again: TierPlans) -> None:
    """Put the second answers of agents that were asked again in place of their first ones."""
    answer.plans.put(rows, again.plans, np.arange(len(rows)), NO_TIER)
    answer.outcome[rows] = again.outcome
    for key in again.plans.keys.tolist():
        answer.texts.pop(key, None)
        answer.errors.pop(key, None)
    answer.texts.update(again.texts)
    answer.errors.update({key: f"asked twice: {error}" for key, error in again.errors.items()})
    answer.shards += again.shards
    answer.usage.add(again.usage)


class FullLlm(LlmTier):
    """All verbs, with cooldowns, costs and more examples."""

    name = FallbackTier.FULL_LLM.value
    detail = Detail.FULL


class SimplifiedLlm(LlmTier):
    """The verbs that are declared for the first tier, and a compact prompt."""

    name = FallbackTier.SIMPLIFIED_LLM.value
    detail = Detail.COMPACT

    def offered(self, registry: ToolRegistry) -> ToolRegistry:
        """Return the registry with its first-tier verbs."""
        return registry.first_tier


PLANNERS = (FullLlm, SimplifiedLlm)
