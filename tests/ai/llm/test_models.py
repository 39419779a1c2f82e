"""Several models of one run: each tier asks its own, and a client of them routes calls by the tier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ai import ClientError, ContractError, LlmChunk, LlmClient, LlmRequest
from ai.llm.models import Models, kind_and_model, tiers_of_model
from ai.llm.tiers import FullLlm, SimplifiedLlm


class Named:
    """Answers with its own label."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.closed = False

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        yield LlmChunk(self.label, finish="stop")

    async def aclose(self) -> None:
        self.closed = True


def reply(client: LlmClient, tier: str) -> str:
    """Return the reply to a request of a tier."""

    async def read() -> str:
        request = LlmRequest(messages=(), tokens_max=1, seed=0, tier=tier)
        return "".join([chunk.text async for chunk in client.stream(request)])

    return asyncio.run(read())


def test_a_tier_asks_the_model_that_its_name_names() -> None:
    """A name that is not here, and no name, ask the run's own model."""
    red, own = Named("a"), Named("b")
    models = Models({"red": red, "": own})
    assert models.label == "b, red=a"
    assert [reply(models, tier) for tier in ("full_llm@red", "full_llm@blue", "full_llm")] == ["a", "b", "b"]
    assert models.of("full_llm@red") is red
    asyncio.run(models.aclose())
    assert red.closed
    assert own.closed


def test_without_a_model_of_the_run_other_tiers_have_none() -> None:
    """A call is refused as unavailable, and no models at all are refused at once."""
    models = Models({"red": Named("a")})
    assert models.of("full_llm") is None
    with pytest.raises(ClientError, match="no model for the tier full_llm@blue") as caught:
        reply(models, "full_llm@blue")
    assert caught.value.outcome == "unavailable"
    with pytest.raises(ContractError, match="no models"):
        Models({})


def test_names_of_tiers_hold_the_name_of_the_model() -> None:
    """A tier of a model is named after it, and the name gives both back."""
    names = [kind(model="red").name for kind in (SimplifiedLlm, FullLlm)]
    assert names == ["simplified_llm@red", "full_llm@red"]
    assert tiers_of_model("red") == (*names, "heuristic", "emergency")
    assert tiers_of_model() == ("simplified_llm", "full_llm", "heuristic", "emergency")
    assert [kind_and_model(name) for name in names] == [("simplified_llm", "red"), ("full_llm", "red")]
