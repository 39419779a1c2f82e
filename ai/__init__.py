"""Planning for many agents at once: language-model tiers first, rules where no model answers in time.

Knows no world and no domain, and can be used from any engine. A host declares the knowledge of agents (`Observation`)
and their possible steps (`Action`), puts the actions into a `ToolRegistry`, and asks a `FallbackOrchestrator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai.lazy import lazy

if TYPE_CHECKING:
    from ai.actions import (
        Action,
        PromptText,
        Record,
        ToolRegistry,
        check,
        known,
        name,
        number,
        on,
        pick,
        seconds,
        several,
        words,
    )
    from ai.errors import AIError, ClientError, ContractError, ParseError, PlannerError
    from ai.llm.executor import BatchInferenceExecutor, BatchRequest, BatchResponse
    from ai.llm.models import Models
    from ai.llm.tiers import FullLlm, SimplifiedLlm
    from ai.llm_types import LlmChunk, LlmClient, LlmRequest
    from ai.metrics import FallbackMetrics
    from ai.observation import AgentId, Cell, Entry, Id, Observation, ObservationBatch, fact
    from ai.orchestrator import FallbackOrchestrator
    from ai.planners.base import Planner
    from ai.planners.emergency import Emergency
    from ai.planners.heuristic import Heuristic
    from ai.planners.playbook import Playbook
    from ai.plans import (
        BatchPlans,
        FallbackAttempt,
        FallbackResult,
        FallbackTier,
        Outcome,
        PlanBatch,
        PlanIntent,
        Refusal,
    )
    from ai.rules import Rule
    from ai.testing import FailingLlm, MockBatchLlm

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ai.llm.models": "Models",
        "ai.llm.tiers": "FullLlm SimplifiedLlm",
        "ai.planners.base": "Planner",
        "ai.planners.emergency": "Emergency",
        "ai.planners.heuristic": "Heuristic",
        "ai.actions": "Action PromptText Record ToolRegistry check known name number on pick seconds several words",
        "ai.errors": "AIError ClientError ContractError ParseError PlannerError",
        "ai.llm.executor": "BatchInferenceExecutor BatchRequest BatchResponse",
        "ai.llm_types": "LlmChunk LlmClient LlmRequest",
        "ai.metrics": "FallbackMetrics",
        "ai.observation": "AgentId Cell Entry Id Observation ObservationBatch fact",
        "ai.orchestrator": "FallbackOrchestrator",
        "ai.planners.playbook": "Playbook",
        "ai.plans": "BatchPlans FallbackAttempt FallbackResult FallbackTier Outcome PlanBatch PlanIntent Refusal",
        "ai.rules": "Rule",
        "ai.testing": "FailingLlm MockBatchLlm",
    },
)

__all__ = [
    "AIError",
    "Action",
    "AgentId",
    "BatchInferenceExecutor",
    "BatchPlans",
    "BatchRequest",
    "BatchResponse",
    "Cell",
    "ClientError",
    "ContractError",
    "Emergency",
    "Entry",
    "FailingLlm",
    "FallbackAttempt",
    "FallbackMetrics",
    "FallbackOrchestrator",
    "FallbackResult",
    "FallbackTier",
    "FullLlm",
    "Heuristic",
    "Id",
    "LlmChunk",
    "LlmClient",
    "LlmRequest",
    "MockBatchLlm",
    "Models",
    "Observation",
    "ObservationBatch",
    "Outcome",
    "ParseError",
    "PlanBatch",
    "PlanIntent",
    "Planner",
    "PlannerError",
    "Playbook",
    "PromptText",
    "Record",
    "Refusal",
    "Rule",
    "SimplifiedLlm",
    "ToolRegistry",
    "check",
    "default_tiers",
    "fact",
    "known",
    "name",
    "number",
    "on",
    "pick",
    "seconds",
    "several",
    "words",
]


def default_tiers(playbook: Playbook | None = None) -> tuple[Planner, ...]:
    """Return the four tiers in their order; the rules are the playbook's."""
    from ai.llm.tiers import FullLlm, SimplifiedLlm
    from ai.planners.emergency import Emergency
    from ai.planners.heuristic import Heuristic
    from ai.planners.playbook import Playbook

    return (SimplifiedLlm(), FullLlm(), Heuristic.of(playbook or Playbook()), Emergency())
