"""The tier of rules: rules of groups, and what is made ready once."""

from __future__ import annotations

import pytest

from ai.errors import ContractError
from ai.observation import Observation, fact
from ai.planners.heuristic import Heuristic
from ai.planners.playbook import Playbook
from ai.plans import Outcome
from ai.rules import Rule
from tests.ai.llm.village import MARKET, TABLES, Buy, Sleep, Villager, market, villager
from tests.ai.planners.test_goap import ask, steps


def test_groups_may_have_rules_of_their_own() -> None:
    """Agents of a group with own rules follow these alone, all others the common ones."""
    playbook = Playbook(rules=(Rule("always", Sleep(2)),), group_rules={"blue": (Rule("mood > 60", Buy("fish", 1)),)})
    pairs = [(key, villager(mood=mood)) for key, mood in enumerate((90, 90, 10, 90))]
    batch = Villager.from_objects(pairs, tables=TABLES, groups=(("red", "blue"), (0, 1, 1, -1)))
    assert steps(Heuristic.of(playbook), batch) == [
        ["Sleep(hours=2)"], ["Buy(good=fish, count=1)"], ["Sleep(hours=1)"], ["Sleep(hours=2)"],
    ]  # fmt: skip
    assert steps(Heuristic.of(playbook), market(villager(mood=90))) == [["Sleep(hours=2)"]]


def test_without_the_idle_verb_agents_may_be_left_without() -> None:
    """Whoever no rule serves is missing only where the idle step is not offered."""
    answer = ask(
        Heuristic([Rule("mood > 60", Buy("fish", 1))]), market(villager(mood=90), villager()), MARKET.offering(["Buy"])
    )
    assert answer.outcome.tolist() == [Outcome.OK, Outcome.MISSING]


def test_one_planner_serves_several_registries_and_observations() -> None:
    """What is made ready is kept by registry and observation."""

    class Guest(Observation):
        mood: int = fact(default=0)

    planner = Heuristic([Rule("mood > 60", Sleep(5))])
    guests = Guest.from_objects([(1, Guest(mood=70)), (2, Guest())])
    assert steps(planner, guests) == [["Sleep(hours=5)"], ["Sleep(hours=1)"]]
    assert steps(planner, market(villager(mood=70))) == [["Sleep(hours=5)"]]
    assert steps(planner, market(villager(mood=70)), MARKET.offering(["Buy"])) == [[]]


def test_rules_are_checked_before_they_are_used() -> None:
    """Rules of groups are checked as the common ones are."""
    wrong = Heuristic((), {"blue": [Rule("mod < 3", Sleep(1))]})
    with pytest.raises(ContractError, match="rule 1: condition 'mod < 3'"):
        wrong.check(MARKET, Villager.layout)
