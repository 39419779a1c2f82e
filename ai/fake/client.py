"""The stand-in as a client, without a server: for dry runs, which count the calls and tokens that a model would get."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ai.fake.model import Plans, Question, answer
from ai.llm.tokens import estimate_tokens
from ai.llm_types import Endpoint, LlmChunk, LlmRequest


class StandInClient:
    """Answers at once with the plans of the calling run's rules, and counts tokens by estimate.

    `label` names the model that it stands for, `endpoint` holds the facts known about that model.
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
