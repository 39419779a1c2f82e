"""A behaviour tree: the first branch that succeeds gives the plan."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.actions import pick
from ai.errors import ContractError
from ai.planners.behaviour import Behaviour
from ai.planners.playbook import Branch, Playbook
from tests.ai.llm.village import MARKET, Buy, Person, Sell, Sleep, Talk, market, villager
from tests.ai.planners.test_goap import ask, steps

BAKER = Person(id=4, trade="baker", mood=7)
TREE = (
    Branch("mood < 30", (Branch("asleep", Sleep(9)), Branch("money >= 5", (Buy("bread", 1), Sleep(2))))),
    Branch(("people", "money < 20"), Talk(pick("first"), "Hello!")),
    Branch("poor", Sell("fish", 1)),
    Branch("always", Sleep(1)),
)
FACTS = {"poor": "money < 1"}


def test_branches_are_tried_in_order_and_inside_each_other() -> None:
    """An inner branch that nothing serves fails as a whole, and the next outer one is tried."""
    batch = market(
        villager(mood=3, asleep=True),
        villager(mood=3, money=9),
        villager(mood=3, people=(BAKER,)),
        villager(people=(BAKER,)),
        villager(money=0.0),
        villager(),
    )
    assert steps(Behaviour(TREE, facts=FACTS), batch) == [
        ["Sleep(hours=9)"],
        ["Buy(good=bread, count=1)", "Sleep(hours=2)"],
        ["Talk(to=4, what=Hello!)"],
        ["Talk(to=4, what=Hello!)"],
        ["Sell(good=fish, count=1)"],
        ["Sleep(hours=1)"],
    ]
    assert steps(Behaviour.of(Playbook(tree=TREE, facts=FACTS)), batch)[0] == ["Sleep(hours=9)"]


def test_a_branch_whose_verbs_are_not_offered_fails() -> None:
    """The next branch is tried."""
    few = MARKET.offering(["Sleep", "Buy"])
    assert steps(Behaviour(TREE, facts=FACTS), market(villager(money=0.0)), few) == [["Sleep(hours=1)"]]


@given(
    st.lists(
        st.tuples(st.sampled_from(["mood < 30", "asleep", "no asleep", "money < 5"]), st.integers(1, 9)), max_size=6
    )
)
def test_a_flat_tree_is_the_first_branch_that_holds(branches: list[tuple[str, int]]) -> None:
    """Held against looking at the conditions in order."""
    tree = [Branch(text, Sleep(hours)) for text, hours in branches]
    held = {"mood < 30": False, "asleep": True, "no asleep": False, "money < 5": True}
    first = next((hours for text, hours in branches if held[text]), None)
    expected = [[f"Sleep(hours={first})"]] if first else [[]]
    assert steps(Behaviour(tree), market(villager(asleep=True))) == expected


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        (Branch("always", ()), "a branch takes 1 to 8 steps, not 0"),
        (Branch("always", (Sleep(1),) * 9), "a branch takes 1 to 8 steps, not 9"),
        (Branch("mod < 3", Sleep(1)), "branch 1: condition 'mod < 3'"),
        (Branch("always", {"act": "Fly"}), "branch 1: there is no action 'Fly'"),
        (Branch("always", Branch("always", {"act": "Fly"})), "branch 1 1: there is no action 'Fly'"),
    ],
)
def test_a_wrong_branch_is_told_by_its_number(branch: Any, message: str) -> None:
    """Conditions, verbs and numbers of steps."""
    with pytest.raises(ContractError) as caught:
        ask(Behaviour([branch]), market(villager()))
    assert message in str(caught.value)
