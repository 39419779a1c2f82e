"""Tokens: what a plan costs to ask for and to answer, counted and not timed."""

import json
from pathlib import Path

import pytest

from ai.llm.tiers import FullLlm, LlmTier, SimplifiedLlm
from ai.llm.tokens import estimate_tokens
from tests.ai.llm.token_texts import answered, asked

COUNTED = json.loads((Path(__file__).parents[2] / "fixtures" / "tokens.json").read_text("utf-8"))


@pytest.mark.parametrize("name", COUNTED["samples"])
def test_the_estimate_is_within_a_fifth_of_a_real_tokenizer(name: str) -> None:
    """Prompts and replies of every encoding are estimated close to what a real tokenizer counted for them."""
    sample = COUNTED["samples"][name]
    assert estimate_tokens(sample["text"]) == pytest.approx(sample["tokens"], rel=0.2)


@pytest.mark.parametrize("tier", [FullLlm, SimplifiedLlm])
def test_fifty_agents_share_a_prompt_fifteen_times_smaller_than_one_each(tier: type[LlmTier]) -> None:
    """By the estimate and by the recorded real counts, the shared world said once saves fourteen parts of fifteen."""
    together, each = map(estimate_tokens, asked(tier))
    counted = COUNTED["asked"][tier.name]
    for one, many in ((together, each), (counted["together"], counted["each"])):
        assert many >= 15 * one


def test_short_encodings_save_half_and_a_third_of_the_reply() -> None:
    """The same plans take at least 2 times fewer tokens as lines and 1.4 times fewer as tuples than in named JSON."""
    estimated = {name: estimate_tokens(text) for name, text in answered().items()}
    for counts in (estimated, COUNTED["answered"]):
        assert counts["named"] >= 2 * counts["line"]
        assert counts["named"] >= 1.4 * counts["tuple"]
