"""Utility: the option that scores highest among those that an agent can take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.actions import pick
from ai.errors import ContractError
from ai.planners.playbook import Consideration, Option, Playbook
from ai.planners.utility import Utility
from tests.ai.llm.village import MARKET, Buy, Person, Sleep, Talk, market, villager
from tests.ai.planners.test_goap import ask, steps

BAKER = Person(id=4, trade="baker", mood=7)
OPTIONS = (
    Option(Sleep(3), considerations=(Consideration("mood", 60, 0, 100),)),
    Option(
        Buy("bread", 1), 40, (Consideration("money", 0, 10, 40), Consideration("stock.bread", 0, 2, -80)), "money >= 2"
    ),
    Option(Talk(pick("first"), "Hello!"), considerations=(Consideration("people", 0, 4, 200),)),
    Option(Sleep(1), lambda batch: batch.keys * 0 + 1),
)


def test_options_are_weighed() -> None:
    """The tired sleep, the rich buy, the sociable talk, the others take what is worth a little."""
    batch = market(
        villager(mood=0, money=0.0),
        villager(money=9.0),
        villager(money=9.0, stock={"bread": 2}),
        villager(mood=90, money=0.0),
        villager(people=(BAKER, BAKER.model_copy(update={"id": 5}))),
    )
    assert [each[0].partition("(")[0] for each in steps(Utility(OPTIONS), batch)] == [
        "Sleep",
        "Buy",
        "Sleep",
        "Sleep",
        "Talk",
    ]
    assert steps(Utility.of(Playbook(options=OPTIONS)), batch)[3] == ["Sleep(hours=1)"]


def test_the_next_best_is_taken_where_the_best_cannot_be() -> None:
    """An option without a target or without an offered verb leaves the agent to the next."""
    options = (
        Option(Talk(pick("first"), "x"), 9),
        Option(Buy("bread", 1), 5),
        Option(Sleep(1), 1),
        Option(Sleep(2), 0),
    )
    assert steps(Utility(options), market(villager())) == [["Buy(good=bread, count=1)"]]
    assert steps(Utility(options), market(villager()), MARKET.offering(["Sleep"])) == [["Sleep(hours=1)"]]
    assert ask(Utility(), market(villager())).plans.length.tolist() == [0]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=5))
def test_of_equal_scores_the_first_option_wins(scores: list[int]) -> None:
    """The best positive score, and the first of several."""
    options = [Option(Sleep(place + 1), score) for place, score in enumerate(scores)]
    best = max(scores)
    expected = [[f"Sleep(hours={scores.index(best) + 1})"]] if best > 0 else [[]]
    assert steps(Utility(options), market(villager())) == expected


@given(st.integers(0, 100), st.sampled_from([(0, 100), (100, 0), (20, 60), (60, 20)]), st.integers(1, 50))
def test_a_consideration_is_a_share_of_its_weight(mood: int, bounds: tuple[int, int], weight: int) -> None:
    """Nothing up to the low bound, all from the high one on, in between a share in whole numbers."""
    low, high = bounds
    share = min(max((mood - low) * (1 if high > low else -1), 0), abs(high - low)) * weight // abs(high - low)
    for score, wins in ((share, False), (share + 1, True)):
        options = (
            Option(Sleep(1), considerations=(Consideration("mood", low, high, weight),)),
            Option(Sleep(2), score),
        )
        expected = [["Sleep(hours=2)"]] if wins else [["Sleep(hours=1)"]] if share else [[]]
        assert steps(Utility(options), market(villager(mood=mood))) == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (Option(Sleep(1), considerations=(Consideration("mod", 0, 1, 1),)), "option 1: 'mod' is not a number"),
        (Option(Sleep(1), considerations=(Consideration("people.mood", 0, 1, 1),)), "'people.mood' is not a number"),
        (Option(Sleep(1), considerations=(Consideration("mood", 3, 3, 1),)), "needs two different bounds"),
        (Option(Sleep(1), when="mod < 3"), "option 1: condition 'mod < 3'"),
        (Option({"act": "Fly"}), "option 1: there is no action 'Fly'"),
    ],
)
def test_a_wrong_option_is_told_by_its_number(option: Option, message: str) -> None:
    """Fields, bounds, conditions and verbs."""
    with pytest.raises(ContractError) as caught:
        ask(Utility([option]), market(villager()))
    assert message in str(caught.value)
