"""The stand-in as a client, without a server: for dry runs, which count what a model would be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ai.fake.model import Plans, Question, answer
from ai.llm.tokens import estimate_tokens
from ai.llm_types import Endpoint, LlmChunk, LlmRequest


class StandInClient:
    """Answers at once with what the rules of the calling run would plan, and counts tokens by estimate.

    `label` is what it stands for, `endpoint` what is known about that.
    """

    def __init__(self, label: str, endpoint: Endpoint) -> None:
        self.label = label
        self.endpoint: Endpoint | None = endpoint

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply in one piece."""
        messages = tuple((message.role, message.content) for message in request.messages)
        question = Question(messages, request.schema, request.grammar, reply=request.by_rules)
        text = "".join(answer(question, seed=request.seed, plan_tokens=1, plans=Plans.RULES))
        read = sum(estimate_tokens(message.content) for message in request.messages)
        usage = {"prompt_tokens": read, "completion_tokens": estimate_tokens(text)}
        yield LlmChunk(text, finish="stop", usage=usage)
