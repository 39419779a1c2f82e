"""Budgets of tokens and money: never gone over, used up for good, counted whatever becomes of a call."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.errors import ClientError, ContractError
from ai.llm.budget import Budget, BudgetedClient
from ai.llm.price import price_of
from ai.llm.tokens import estimate_tokens
from ai.llm_types import Endpoint, LlmChunk, LlmRequest, Message

PROMPT = "Reply with one minified JSON object."
PRICE = price_of("openai:gpt-4o-mini")


class Counting:
    """Writes so many tokens a call and tells usage, or not; it may fail after its text."""

    label = "counting"

    def __init__(self, written: int, *, tells: bool = True, fails: bool = False) -> None:
        self.endpoint: Endpoint | None = Endpoint(True, slots=3)
        self.calls = 0
        self._written, self._tells, self._fails = written, tells, fails

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.calls += 1
        yield LlmChunk("7" * min(self._written, request.tokens_max))
        if self._fails:
            raise ClientError("broken")
        usage = {"prompt_tokens": 5, "completion_tokens": self._written} if self._tells else None
        yield LlmChunk(finish="stop", usage=usage)


def asked(client: BudgetedClient, tokens_max: int = 20) -> str:
    async def one() -> str:
        return "".join([chunk.text async for chunk in client.stream(request)])

    request = LlmRequest((Message("user", PROMPT),), tokens_max=tokens_max)
    return asyncio.run(one())


@given(st.integers(1, 500), st.lists(st.integers(1, 40), max_size=30), st.booleans(), st.booleans())
def test_no_more_tokens_are_used_than_allowed(limit: int, lengths: list[int], tells: bool, fails: bool) -> None:  # noqa: FBT001
    """Whatever calls want, what was used stays within the budget, and after the first refusal nothing is asked."""
    inner = Counting(7, tells=tells, fails=fails)
    budget = Budget(tokens_max=limit)
    refused = 0
    for length in lengths:
        before = inner.calls
        with contextlib.suppress(ClientError):
            asked(BudgetedClient(inner, budget), length)
        refused += inner.calls == before
        assert (budget.over is not None) == (refused > 0)
        assert budget.tokens <= limit
    assert inner.calls + refused == len(lengths)


def test_calls_that_run_at_once_share_the_budget() -> None:
    """Room that is taken counts until the call has ended."""
    budget = Budget(tokens_max=100)
    assert budget.open(30, 20)
    assert budget.open(30, 20)
    assert not budget.open(1, 1)
    budget.close((30, 20), (30, 2))
    assert budget.over == "the budget of 100 tokens is used up"
    assert not budget.open(1, 1)


def test_a_budget_that_is_used_up_is_an_outcome_that_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """No call is made, nothing is tried again, and the log says once that rules plan from now on."""
    client = BudgetedClient(Counting(7), Budget(tokens_max=estimate_tokens(PROMPT) + 25))
    assert asked(client) == "7777777"
    for _ in range(2):
        with pytest.raises(ClientError, match=r"counting: not called, the budget of .* is used up") as caught:
            asked(client)
        assert (caught.value.outcome, caught.value.sent, caught.value.permanent) == ("unavailable", False, True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert client.endpoint == Endpoint(True, slots=3)


def test_money_is_counted_at_the_price() -> None:
    """What calls used, at the provider's price; the budget ends where the next call could cost more than is left."""
    assert PRICE is not None
    budget = Budget(cost_max=2.5 * PRICE.of(estimate_tokens(PROMPT), 20), prices={"": PRICE})
    client = BudgetedClient(Counting(20), budget)
    asked(client)
    assert budget.cost == pytest.approx(PRICE.of(5, 20))
    asked(client)
    with pytest.raises(ClientError, match="US dollars is used up"):
        asked(client)
    assert budget.tokens == 50


def test_models_share_a_budget_each_at_its_own_price() -> None:
    """What all of them used counts, at different prices; a model without a price is not called."""
    dear = price_of("openai:gpt-4o")
    assert PRICE is not None
    assert dear is not None
    budget = Budget(cost_max=dear.of(estimate_tokens(PROMPT), 20) + PRICE.of(5, 20), prices={"a": PRICE, "b": dear})
    first, second = BudgetedClient(Counting(20), budget, "a"), BudgetedClient(Counting(20), budget, "b")
    asked(first)
    asked(second)
    assert budget.cost == pytest.approx(PRICE.of(5, 20) + dear.of(5, 20))
    with pytest.raises(ClientError, match="US dollars is used up"):
        asked(second)
    with pytest.raises(ClientError, match="US dollars is used up"):
        asked(first)
    with pytest.raises(ContractError, match="the price of the model 'c' is not known"):
        asked(BudgetedClient(Counting(20), budget, "c"))


def test_a_budget_that_means_nothing_is_refused() -> None:
    """Nothing to spend, or money without a price."""
    for wrong in ({"tokens_max": 0}, {"cost_max": 0.0}, {"cost_max": float("nan")}, {"cost_max": 1.0}):
        with pytest.raises(ContractError):
            Budget(**wrong, prices=None)  # type: ignore[arg-type]
