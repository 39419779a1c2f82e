"""Strategies for domains draw what their declarations allow, and shrink to what a person can read."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Literal, Self

import pytest
from hypothesis import find, given
from hypothesis import settings as example_settings
from hypothesis.errors import NoSuchExample
from pydantic import Field, model_validator

from sim.messages import problem
from sim.run.domain import Domain
from sim.run.scenario_file import Scenario
from sim.run.settings import Settings
from sim.testing import scenarios, settings

QUIET = example_settings(database=None, derandomize=True, max_examples=300)


class Kind(StrEnum):
    """A choice."""

    PLAIN = "plain"
    FANCY = "fancy"


class ShopSettings(Settings):
    """Fields of every sort."""

    agents: int = Field(500, ge=2, le=1_000_000, description="People.")
    rate: float = Field(0.5, ge=0, lt=1, description="A share.")
    open: bool = Field(True, description="Whether it is open.")
    kind: Kind = Field(Kind.FANCY, description="Which sort.")
    mode: Literal["calm", "busy"] = Field("busy", description="How it goes.")
    limit: int | None = Field(None, ge=1, description="A limit.")
    goods: tuple[str, ...] = Field(("bread", "fish"), description="Names.")
    guests: int = Field(0, ge=0, description="Never more than people.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.guests > self.agents:
            raise problem("guests", "more than people")
        return self


class Shop(Domain):
    """A domain that needs no world."""

    settings: Any = ShopSettings

    @classmethod
    def examples(cls) -> Iterator[ShopSettings]:
        """Yield the defaults and an example with other names."""
        yield ShopSettings()
        yield ShopSettings(agents=40, goods=("wool",))


@given(settings(Shop))
def test_settings_are_valid_and_not_far_from_the_examples(drawn: ShopSettings) -> None:
    """What is drawn keeps bounds and the rules of its class; lists are those of an example."""
    assert 2 <= drawn.agents <= 500
    assert drawn.goods in (("bread", "fish"), ("wool",))
    assert ShopSettings.model_validate_json(drawn.model_dump_json()) == drawn


@pytest.mark.parametrize(
    "wanted",
    [
        lambda drawn: drawn == ShopSettings(),
        lambda drawn: drawn == ShopSettings(agents=40, goods=("wool",)),
        lambda drawn: drawn.kind is Kind.PLAIN and drawn.mode == "calm" and not drawn.open,
        lambda drawn: drawn.limit is not None and drawn.limit > 3,
        lambda drawn: 0 < drawn.rate < 0.5,
        lambda drawn: drawn.guests > 3,
    ],
)
def test_everything_can_come_up(wanted: Any) -> None:
    """Examples as they are, every choice, absent values and numbers inside their bounds are drawn."""
    find(settings(Shop), wanted, settings=QUIET)


def test_what_is_not_allowed_never_comes_up() -> None:
    """Settings that break a rule of their class are left out."""
    with pytest.raises(NoSuchExample):
        find(settings(Shop), lambda drawn: drawn.guests > drawn.agents or drawn.rate >= 1, settings=QUIET)


def test_settings_shrink_to_the_smallest() -> None:
    """A failure that needs five people shrinks to five, with everything else at its low bound."""
    found = find(settings(Shop), lambda drawn: drawn.agents >= 5, settings=QUIET)
    assert (found.agents, found.rate, found.open, found.limit, found.guests) == (5, 0, False, None, 0)


def test_scenarios_shrink_to_seed_0_and_one_tick() -> None:
    """A scenario has a seed, ticks and settings; the simplest is the smallest of each."""
    found = find(scenarios(Shop), lambda scenario: isinstance(scenario, Scenario), settings=QUIET)
    assert (found.seed, found.ticks, found.settings.agents) == (0, 1, 2)
