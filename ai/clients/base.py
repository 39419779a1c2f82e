"""The former place of `ai.llm_types`, for modules that still import it from here."""

from ai.llm_types import (
    SILENCE_MIN_S,
    Endpoint,
    LlmChunk,
    LlmClient,
    LlmRequest,
    Message,
    reading,
)

__all__ = ["SILENCE_MIN_S", "Endpoint", "LlmChunk", "LlmClient", "LlmRequest", "Message", "reading"]
