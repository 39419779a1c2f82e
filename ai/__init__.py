"""Planning for many agents at once: language-model tiers first, rules where no model answers in time.

Knows no world and no domain, and can be used from any engine. A host declares what agents know (`Observation`) and what
they can do (`Action`), puts the actions into a `ToolRegistry`, and asks a `FallbackOrchestrator`.
"""

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


def default_tiers(playbook: Playbook | None = None) -> tuple[Planner, ...]:
    """Return the four tiers in their order; the rules are the playbook's."""
    return (SimplifiedLlm(), FullLlm(), Heuristic.of(playbook or Playbook()), Emergency())


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
    "Entry",
    "FailingLlm",
    "FallbackAttempt",
    "FallbackMetrics",
    "FallbackOrchestrator",
    "FallbackResult",
    "FallbackTier",
    "Id",
    "LlmChunk",
    "LlmClient",
    "LlmRequest",
    "MockBatchLlm",
    "Observation",
    "ObservationBatch",
    "Outcome",
    "ParseError",
    "PlanBatch",
    "PlanIntent",
    "PlannerError",
    "Playbook",
    "PromptText",
    "Record",
    "Refusal",
    "Rule",
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
