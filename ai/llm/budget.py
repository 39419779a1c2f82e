"""How much the model of a run may be used: tokens, or money. When that is used up, rules plan for the rest of the run.

A call is made only where it could not go over the budget, however long its reply gets: until it ends, its whole prompt
and the limit of its reply count. The first call that does not fit ends the use of the model for good.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ai.errors import ClientError, ContractError
from ai.llm.price import Price
from ai.llm.tokens import estimate_tokens
from ai.llm_types import ClientAround, LlmChunk, LlmClient, LlmRequest, reading

logger = logging.getLogger(f"tickweave.{__name__}")


class Budget:
    """Counts the usage of calls, and says when no more may be used.

    `tokens` and `cost` (US dollars) are the usage so far, `over` is the reason why no further call is made, None as
    long as calls are made.

    Args:
        tokens_max: tokens read and written together; None for no limit.
        cost_max: US dollars; None for no limit.
        prices: the price of each model's tokens, by the name of the model in the run.

    Raises:
        ContractError: a limit is not positive, or money is limited and no price is known.
    """

    def __init__(
        self,
        tokens_max: int | None = None,
        cost_max: float | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        if (tokens_max is not None and tokens_max < 1) or (cost_max is not None and not cost_max > 0):
            raise ContractError("a budget must be more than nothing")
        if cost_max is not None and not prices:
            raise ContractError("money can be limited only where the model's price is known")
        self.tokens = 0
        self.cost: float | None = 0.0 if prices else None
        self.over: str | None = None
        self._limits = tokens_max, cost_max
        self._prices = prices or {}
        self._open_tokens, self._open_cost = 0, 0.0

    def open(self, prompt: int, reply: int, model: str = "") -> bool:
        """Reserve the tokens of a call, of its prompt and at most of its reply; return whether enough were left.

        Raises:
            ContractError: money is limited, and the model has no price.
        """
        tokens_max, cost_max = self._limits
        cost = self._cost(model, prompt, reply)
        if (
            self.over is None
            and tokens_max is not None
            and self.tokens + self._open_tokens + prompt + reply > tokens_max
        ):
            self.over = f"the budget of {tokens_max:,} tokens is used up"
        if self.over is None and cost_max is not None and (self.cost or 0.0) + self._open_cost + cost > cost_max:
            self.over = f"the budget of {cost_max:g} US dollars is used up"
        if self.over is not None:
            return False
        self._open_tokens += prompt + reply
        self._open_cost += cost
        return True

    def close(self, opened: tuple[int, int], used: tuple[int, int], cached: int = 0, model: str = "") -> None:
        """Put the tokens that a call used, prompt and reply, in the place of the room that it took."""
        self._open_tokens -= sum(opened)
        self._open_cost -= self._cost(model, *opened)
        self.tokens += sum(used)
        if self.cost is not None:
            self.cost += self._cost(model, *used, cached)

    def as_json(self) -> dict[str, Any]:
        """Return the limits, the usage, and the reason why no further call is made."""
        tokens_max, cost_max = self._limits
        used = {"tokens": self.tokens, "cost": None if self.cost is None else round(self.cost, 6)}
        return {"max_tokens": tokens_max, "max_cost": cost_max, **used, "over": self.over}

    def sentence(self) -> str:
        """Return the usage, for people."""
        money = "" if self.cost is None else f" and {self.cost:.4f} US dollars"
        told = f"{self.tokens:,} tokens{money} of the budget used"
        return told if self.over is None else f"{told}: {self.over}, and rules planned from then on"

    def _cost(self, model: str, prompt: int, reply: int, cached: int = 0) -> float:
        price = self._prices.get(model)
        if price is None and self._limits[1] is not None:
            raise ContractError(f"money is limited, and the price of the model {model!r} is not known")
        return 0.0 if price is None else price.of(prompt, reply, cached)


class BudgetedClient(ClientAround):
    """A client around another that makes calls as long as the budget has room for them.

    Where the server does not count tokens, they are estimated.

    Args:
        client: the model.
        budget: shared by all models of a run.
        model: the name of the model in the run, which has its price.
    """

    def __init__(self, client: LlmClient, budget: Budget, model: str = "") -> None:
        super().__init__(client)
        self.budget = budget
        self._model = model

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply as it arrives.

        Raises:
            ClientError: the budget has no room for the call (`unavailable`), or the client itself failed.
        """
        opened = sum(estimate_tokens(message.content) for message in request.messages), request.tokens_max
        known = self.budget.over is not None
        if not self.budget.open(*opened, self._model):
            if not known:
                logger.warning("%s: %s; rules plan from now on", self.label, self.budget.over)
            message = f"{self.label}: not called, {self.budget.over}"
            raise ClientError(message, outcome="unavailable", sent=False)
        text: list[str] = []
        told: dict[str, Any] = {}
        try:
            async with reading(self.client.stream(request)) as stream:
                async for chunk in stream:
                    text += [chunk.text, chunk.thinking]
                    told.update(chunk.usage or {})
                    yield chunk
        finally:
            # A call that failed before its first byte is counted too: the server may have read the prompt.
            written = told.get("completion_tokens", estimate_tokens("".join(text)))
            used = told.get("prompt_tokens", opened[0]), written
            self.budget.close(opened, used, told.get("cached_tokens", 0), self._model)
