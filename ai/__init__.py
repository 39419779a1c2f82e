"""Planning for many agents at once: language-model tiers first, rules where no model answers in time.

Knows no world and can be used from any engine. Start with `FallbackOrchestrator`.
"""

from ai.actions import ActionStep, ToolRegistry, ToolSpec
from ai.batch import BatchInferenceExecutor, BatchRequest, BatchResponse
from ai.clients.base import LlmChunk, LlmClient, LlmRequest
from ai.errors import AIError, ClientError, ContractError, ParseError, PlannerError
from ai.fallback import FallbackOrchestrator
from ai.heuristics import HeuristicConfig
from ai.metrics import FallbackMetrics
from ai.plan import (
    BatchPlans,
    FallbackAttempt,
    FallbackResult,
    FallbackTier,
    Outcome,
    PlanBatch,
    PlanIntent,
    Refusal,
)
from ai.snapshot import AgentId, SnapshotBatch, WorldSnapshot
from ai.testing import FailingLlm, MockBatchLlm

__all__ = [
    "AIError",
    "ActionStep",
    "AgentId",
    "BatchInferenceExecutor",
    "BatchPlans",
    "BatchRequest",
    "BatchResponse",
    "ClientError",
    "ContractError",
    "FailingLlm",
    "FallbackAttempt",
    "FallbackMetrics",
    "FallbackOrchestrator",
    "FallbackResult",
    "FallbackTier",
    "HeuristicConfig",
    "LlmChunk",
    "LlmClient",
    "LlmRequest",
    "MockBatchLlm",
    "Outcome",
    "ParseError",
    "PlanBatch",
    "PlanIntent",
    "PlannerError",
    "Refusal",
    "SnapshotBatch",
    "ToolRegistry",
    "ToolSpec",
    "WorldSnapshot",
]
