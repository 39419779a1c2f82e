"""The cost of a model's calls, where its provider's prices are known: from the package genai-prices (extra `cost`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ai.errors import ContractError
from ai.urls import model_and_url

INSTALL: Final = "pip install 'tickweave[cost]'"
"""How the prices come to be known."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one provider's model; `name` is PROVIDER/MODEL as the table of prices has it."""

    name: str
    model: str
    provider: str

    def of(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Return the cost of a call's tokens, US dollars; `cached_tokens` are those of the prompt found in a cache."""
        from genai_prices import Usage, calc_price

        cached = min(cached_tokens, prompt_tokens)
        usage = Usage(input_tokens=prompt_tokens, output_tokens=completion_tokens, cache_read_tokens=cached)
        return float(calc_price(usage, self.model, provider_id=self.provider).total_price)


def price_of(spec: str) -> Price | None:
    """Return the price of the model that a spec names, None where none is known.

    A model without a URL counts as OpenAI's own. Only the interface of OpenAI has prices: other specs name models that
    run on machines of one's own.
    """
    scheme, _, rest = spec.partition(":")
    if scheme != "openai":
        return None
    try:
        from genai_prices import Usage, calc_price

        from ai.clients.openai import HOSTED_URL  # runs without a model load no client

        model, url = model_and_url(rest, scheme)
        found: Any = calc_price(Usage(input_tokens=1), model, provider_api_url=url or HOSTED_URL)
    except (ImportError, LookupError, ContractError):
        return None
    return Price(f"{found.provider.id}/{found.model.id}", model, found.provider.id)


def cost_of(spec: str, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
    """Return the US dollars that tokens of a model cost; None where no price is known, or nothing was counted."""
    price = None if prompt_tokens is None else price_of(spec)
    return None if price is None else price.of(prompt_tokens or 0, completion_tokens or 0)


def prices_installed() -> bool:
    """Return whether the package is installed."""
    try:
        import genai_prices  # noqa: F401 - only whether it can be imported
    except ImportError:
        return False
    return True
