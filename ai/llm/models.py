"""Several models of one run: the tier `full_llm@red` asks the model that is named `red`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from ai.errors import ClientError, ContractError
from ai.llm_types import LlmChunk, LlmClient, LlmRequest, reading
from ai.plans import FallbackTier

AT: Final = "@"
"""Stands between a tier's kind and the name of its model."""


def kind_and_model(tier: str) -> tuple[str, str]:
    """Return the kind of a tier, and the name of its model; the name is empty where the tier asks the run's model.

    >>> kind_and_model("full_llm@red"), kind_and_model("full_llm")
    (('full_llm', 'red'), ('full_llm', ''))
    """
    kind, _, name = tier.partition(AT)
    return kind, name


def tiers_of_model(name: str = "") -> tuple[str, ...]:
    """Return the default tiers, with those of a model that has this name.

    >>> tiers_of_model("red")
    ('simplified_llm@red', 'full_llm@red', 'heuristic', 'emergency')
    """
    asks = FallbackTier.SIMPLIFIED_LLM, FallbackTier.FULL_LLM
    return tuple(f"{tier}{AT}{name}" if name and tier in asks else str(tier) for tier in FallbackTier)


class Models:
    """Models by name, given to a run as its client; each has retries, a breaker and sizes of calls of its own.

    The model of the empty name is for tiers without a name, and for names that are not here.

    Args:
        clients: the models by name.

    Raises:
        ContractError: there is none.

    >>> from ai.testing import FailingLlm
    >>> Models({"red": FailingLlm(), "blue": FailingLlm()}).label
    'blue=failing, red=failing'
    """

    def __init__(self, clients: Mapping[str, LlmClient]) -> None:
        if not clients:
            raise ContractError("no models were given")
        self.clients = dict(sorted(clients.items()))
        self.label = ", ".join(
            f"{name}={client.label}" if name else client.label for name, client in self.clients.items()
        )

    def of(self, tier: str) -> LlmClient | None:
        """Return the model that a tier asks, None without one."""
        return self.clients.get(kind_and_model(tier)[1], self.clients.get(""))

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        """Yield the reply of the model that the request's tier asks.

        Raises:
            ClientError: the tier has no model (`unavailable`), or its model failed.
        """
        client = self.of(request.tier)
        if client is None:
            raise ClientError(f"no model for the tier {request.tier}", outcome="unavailable", sent=False)
        async with reading(client.stream(request)) as stream:
            async for chunk in stream:
                yield chunk

    async def aclose(self) -> None:
        """Close all of them."""
        for client in self.clients.values():
            closing = getattr(client, "aclose", None)
            if closing is not None:
                await closing()
