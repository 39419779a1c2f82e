"""Prices of models: found by spec, summed by tokens, unknown where nobody sells the model."""

import sys

import pytest

from ai.llm.price import price_of, prices_installed


@pytest.mark.parametrize("spec", ["openai:gpt-4o-mini", "openai:gpt-4o-mini@https://api.openai.com/v1"])
def test_a_model_of_a_provider_has_a_price(spec: str) -> None:
    """A model without a URL counts as OpenAI's own; written tokens cost more than read ones, cached ones less."""
    price = price_of(spec)
    assert price is not None
    assert price.name == "openai/gpt-4o-mini"
    assert 0 < price.of(1000, 0, 1000) < price.of(1000, 0) < price.of(0, 1000)
    assert price.of(1000, 1000) == pytest.approx(price.of(1000, 0) + price.of(0, 1000))
    assert price.of(1000, 0, 5000) == price.of(1000, 0, 1000)


@pytest.mark.parametrize(
    "spec",
    [
        "openai:a-model-of-mine",
        "openai:gpt-4o@http://127.0.0.1:8080/v1",
        "ollama:llama3.2",
        "scripted:x.jsonl",
        "openai:",
    ],
)
def test_a_model_that_nobody_sells_has_none(spec: str) -> None:
    """Unknown names, servers of one's own, and other kinds of clients."""
    assert price_of(spec) is None


def test_without_the_package_no_price_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; nothing else needs it."""
    assert prices_installed()
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert not prices_installed()
    assert price_of("openai:gpt-4o-mini") is None
