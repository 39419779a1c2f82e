"""Rules: who gets which steps, how picks are worked out, and a sentence for each mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ai.actions import Action, ToolRegistry, known, number, pick
from ai.errors import ContractError, FaultError
from ai.legality import refusals
from ai.observation import AgentId, Cell, Entry, Observation, ObservationBatch, Rows, fact
from ai.rules import Bound, Draft, Rule, Rules, plans_by_rules
from ai.strategies import batches
from tests.ai.llm.village import (
    FORAGING,
    MARKET,
    TABLES,
    Bush,
    Buy,
    Field,
    Forager,
    Go,
    Guide,
    Look,
    Nap,
    Order,
    Person,
    Pick,
    Rest,
    Sell,
    Sleep,
    Talk,
    Tour,
    Villager,
    forager,
    foragers,
    market,
    villager,
)

BAKER, FISHER, WEAVER = (
    Person(id=key, trade=trade, mood=mood)
    for key, trade, mood in ((4, "baker", 70), (5, "fisher", 10), (6, "weaver", 10))
)


def steps(
    rules: list[Rule], batch: ObservationBatch[Any], registry: ToolRegistry = MARKET, **more: Any
) -> list[list[str]]:
    """Return the steps that rules give each agent, as texts."""
    bound = Bound(rules, registry, batch.layout, **more)
    plans = plans_by_rules(bound, batch)
    return [[str(step) for step in plans.steps(row, registry)] for row in range(len(batch))]


def test_the_first_rule_that_serves_an_agent_gives_its_plan() -> None:
    """Rules are tried in order; whoever no rule serves takes the idle step."""
    rules = [
        Rule("mood < 30", Sleep(2)),
        Rule("stock.bread < 1 and money >= 5", (Buy("bread", 1), Sleep())),
        Rule("asleep", Sleep(12)),
    ]
    batch = market(villager(mood=10, asleep=True), villager(money=9), villager(asleep=True), villager())
    assert steps(rules, batch) == [
        ["Sleep(hours=2)"],
        ["Buy(good=bread, count=1)", "Sleep(hours=1)"],
        ["Sleep(hours=12)"],
        ["Sleep(hours=1)"],
    ]


def test_all_of_when_and_none_of_unless() -> None:
    """A list of conditions must hold whole, and any of `unless` keeps an agent out."""
    rules = [Rule(("mood < 60", "money < 5"), Sleep(3), unless=("asleep", "debt_to"))]
    batch = market(villager(), villager(money=9), villager(asleep=True), villager(debt_to=1), villager(mood=90))
    assert [each == ["Sleep(hours=3)"] for each in steps(rules, batch)] == [True, False, False, False, False]


def test_a_rule_whose_step_cannot_be_taken_leaves_its_agents_to_the_next() -> None:
    """A verb that is not offered and a target that is not there are no plan."""
    rules = [
        Rule("always", Sell("bread", 1)),
        Rule("always", (Sleep(2), Talk(pick("first"), "hm"))),
        Rule("always", Sleep(9)),
    ]
    batch = market(villager(people=(BAKER,)), villager())
    few = MARKET.offering(["Talk", "Sleep"])
    assert steps(rules, batch, few) == [["Sleep(hours=2)", "Talk(to=4, what=hm)"], ["Sleep(hours=9)"]]
    assert steps(rules, batch, MARKET.offering(["Buy"])) == [[], []]


PICKS = {
    "first": 4,
    "fewest:mood": 5,
    "most:mood": 4,
    "first people": 4,
    "first where trade == weaver": 6,
    "fewest:mood where trade != fisher": 6,
    "first where id == debt_to": 6,
    "first where mood > mood": 4,
    "first where mood > 90": None,
    "debt_to": 6,
}


@pytest.mark.parametrize(("text", "expected"), PICKS.items(), ids=PICKS)
def test_a_pick_chooses_a_target(text: str, expected: int | None) -> None:
    """Among the entries that fit, the first, or the one with the least or most of a number."""
    batch = market(villager(mood=40, people=(BAKER, FISHER, WEAVER), debt_to=6), villager())
    found, nobody = steps([Rule("always", Talk(pick(text), "x"))], batch)
    assert found == ([f"Talk(to={expected}, what=x)"] if expected else ["Sleep(hours=1)"])
    assert nobody == ["Sleep(hours=1)"]


CELLS = {
    "home": "7,1",
    "pos": "2,3",
    "guide": "1,1",
    "guide.pos": "1,1",
    "nearest bushes": "2,5",
    "nearest bushes where berries > 0": "9,3",
    "most:berries bushes": "9,3",
}


@pytest.mark.parametrize(("text", "expected"), CELLS.items(), ids=CELLS)
def test_a_pick_chooses_a_cell(text: str, expected: str) -> None:
    """A cell of the agent's, of an entry, or of the entry of a list that is picked."""
    bushes = (Bush(id=1, pos=Cell(9, 3), berries=4), Bush(id=2, pos=Cell(2, 5), berries=0))
    batch = foragers(
        forager(home=Cell(7, 1), guide=Guide(id=9, pos=Cell(1, 1)), bushes=bushes), forager(field=Field(1, 1))
    )
    found, nowhere = steps([Rule("always", Go(pick(text)))], batch, FORAGING)
    assert found == [f"Go(at={expected})"]
    assert nowhere == ["Nap(pause=1.0)"]
    x, y = expected.split(",")
    halves = steps([Rule("always", Look(pick(text), pick(text)))], batch, FORAGING)
    assert halves[0] == [f"Look(x={x}, y={y}, mood=shy)"]


def test_the_nearest_of_a_list_in_another_order_is_measured() -> None:
    """`nearest` measures where a list is not nearest first by declaration."""

    class Mate(Entry):
        id: AgentId
        pos: Cell

    class Walker(Observation):
        pos: Cell
        mates: tuple[Mate, ...] = fact(default=(), limit=4)

    class Hail(Action):
        """Hail somebody."""

        to: int = known("mates")

    mates = (Mate(id=1, pos=Cell(9, 9)), Mate(id=2, pos=Cell(1, 0)), Mate(id=3, pos=Cell(0, 1)))
    batch = Walker.from_objects([(7, Walker(pos=Cell(0, 0), mates=mates))])
    registry = ToolRegistry([Hail], idle=Sleep())
    assert steps([Rule("mates", Hail(pick("nearest")))], batch, registry) == [["Hail(to=2)"]]


def test_rules_in_a_file_are_tables() -> None:
    """TOML's form: texts for conditions, a table with the verb under `act`, picks as texts, a name for a move."""
    data = [
        {"when": "people", "then": {"act": "Talk", "to": "fewest:mood", "what": "Cheer up!"}},
        {"when": ["mood < 30", "no people"], "then": [{"act": "Buy", "good": "fish", "count": 1}, {"act": "Sleep"}]},
        {"when": "always", "unless": "asleep", "then": "pass the time"},
    ]
    rules = TypeAdapter(Rules).validate_python(data)
    again = TypeAdapter(Rules).validate_json(TypeAdapter(Rules).dump_json(rules))
    assert again == rules

    def pass_the_time(batch: ObservationBatch[Any], rows: Rows) -> Draft:
        return Draft("Sleep", {"hours": (batch.keys[rows] % 12 + 1).astype(np.int64)})

    batch = market(villager(people=(BAKER, FISHER)), villager(mood=3), villager(), villager(asleep=True))
    assert steps(list(rules), batch, moves={"pass the time": pass_the_time}) == [
        ["Talk(to=5, what=Cheer up!)"],
        ["Buy(good=fish, count=1)", "Sleep(hours=1)"],
        ["Sleep(hours=4)"],
        ["Sleep(hours=1)"],
    ]


def test_a_function_may_draft_several_steps_for_some() -> None:
    """What cannot be said in a text is a function; it says for whom its steps are possible."""

    def errand(batch: ObservationBatch[Any], rows: Rows) -> list[Draft]:
        like = Tour(1, (Cell(1, 1),), (), Order("nuts", 0.5))
        return [
            Draft("Rest", {"at.x": 3, "at.y": batch.pos.y[rows], "pause": 500}, batch.energy[rows] > 3),
            Draft("Tour", like=like),
        ]

    batch = foragers(forager(energy=5), forager(energy=1), forager(energy=5, field=Field(2, 2)))
    found = steps([Rule("always", errand)], batch, FORAGING)
    assert found[0][0] == "Rest(at=3,3, pause=0.5)"
    assert found[0][1].startswith("Tour(pace=1, stops=[1,1]")
    assert found[1:] == [["Nap(pause=1.0)"]] * 2


RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["always", "people", "mood < 50", "no debt_to", "stock.bread >= 1"]),
        st.sampled_from(
            [
                Sleep(3),
                Buy("fish", 2),
                Talk(pick("first"), "x"),
                Talk(pick("debt_to"), "y"),
                Talk(pick("most:mood"), "z"),
            ]
        ),
    ),
    max_size=4,
)


@given(batches(Villager, TABLES).filter(bool), RULES, st.sets(st.sampled_from(MARKET.names)), st.data())
def test_rules_give_legal_plans_whoever_else_is_asked(
    pairs: list[tuple[int, Villager]], rules: list[Rule], offered: set[str], data: st.DataObject
) -> None:
    """For any rules and any offer a plan is legal or none, none only without the idle verb, and each agent's own."""
    registry = MARKET.offering(offered)
    batch = Villager.from_objects(pairs, tables=TABLES)
    bound = Bound(rules, registry, Villager.layout)
    plans = plans_by_rules(bound, batch)
    verdict = refusals(batch, plans, registry)
    assert not verdict[plans.length > 0].any()
    assert "Sleep" not in offered or (plans.length > 0).all()
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(pairs) - 1), min_size=1))))
    assert plans_by_rules(bound, batch.take(rows)).digest(()) == plans.take(rows).digest(())


WRONG: dict[str, tuple[Any, str]] = {
    "a field that is not there": (Rule("mod < 3", Sleep()), "rule 1: condition 'mod < 3': Villager declares no 'mod'"),
    "an unknown verb": (Rule("always", Nap()), "there is no action 'Nap'; known: Buy, Sell, Sleep, Talk, Tip"),
    "an unknown verb in a table": (Rule("always", {"act": "Nap"}), "rule 1: there is no action 'Nap'"),
    "a wrong argument": (Rule("always", {"act": "Buy", "good": "bread", "count": 0}), "rule 1: Buy.count: must be"),
    "an unknown name": (Rule("always", Buy("gold", 1)), "rule 1: Buy: good: no goods named 'gold'"),
    "an unknown move": (Rule("always", "dance"), "rule 1: there is no move 'dance'; known: none"),
    "a pick that is none": (Rule("always", Talk(pick("nearest of all"), "x")), "Talk.to: 'nearest of all'"),
    "an empty pick": (Rule("always", Talk(pick(" "), "x")), "it is not nearest, first, fewest:FIELD"),
    "a list without a choice": (Rule("always", Talk(pick("people"), "x")), "'people' is a list; say which one"),
    "a condition without a choice": (Rule("always", Talk(pick("debt_to where mood > 3"), "x")), "say which one"),
    "another list": (Rule("always", Talk(pick("first heard"), "x")), "entries of 'heard' have no id"),
    "no list": (Rule("always", Talk(pick("first mood"), "x")), "'mood' is not a list; Villager has heard, people"),
    "no place": (Rule("always", Talk(pick("nearest"), "x")), "nearest needs a cell in 'people'"),
    "no number": (Rule("always", Talk(pick("fewest:trade"), "x")), "'trade' is not a number of 'people'"),
    "a wrong filter": (Rule("always", Talk(pick("first where age > 3"), "x")), "'age > 3': Villager declares no"),
    "the agent itself": (Rule("always", Talk(pick("self"), "x")), "to takes ids of people, debt_to, not of 'self'"),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_rule_is_told_by_its_number(rule: Rule, message: str) -> None:
    """Each is one sentence with the rule's number, found when the rules are made ready."""
    with pytest.raises(ContractError) as caught:
        Bound([rule], MARKET, Villager.layout)
    assert message in str(caught.value)
    assert "rule 1" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nearest", "a cell needs the list it is taken from"),
        ("nearest others where x > 3", "declares no 'x'"),
        ("weather", "'weather' is neither a cell nor an entry with one; Forager has pos, home"),
        ("bushes", "'bushes' is neither a cell nor an entry with one"),
        ("home 'mill'", "'home' has no named places"),
    ],
)
def test_a_wrong_cell_is_told(text: str, message: str) -> None:
    """A pick of a cell names a cell, an entry, or a list and which of its entries."""
    with pytest.raises(ContractError) as caught:
        Bound([Rule("always", Go(pick(text)))], FORAGING, Forager.layout)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        {"when": "mood <", "then": "x"},
        {"when": [], "then": "x"},
        {"when": "always", "then": []},
        {"when": "always", "then": {"verb": "Sleep"}},
        {"when": "always", "then": 3},
        {"when": "always", "then": "x", "else": "y"},
        {"when": ["always"] * 17, "then": "x"},
        {"when": "always", "then": ["x"] * 9},
    ],
)
def test_a_malformed_rule_is_refused_when_it_is_read(data: object) -> None:
    """Conditions that cannot be read, nothing to do, and keys that are none."""
    with pytest.raises(ValidationError):
        Rule.model_validate(data)


class Count(Action):
    """Count something."""

    much: int = number(1, 5)


COUNTING = ToolRegistry([Count], idle=Count(1))


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        (Draft("Count", {"many": 1}), "Count has no argument 'many'; it takes much"),
        (Draft("Count"), "Count needs the argument 'much'; it takes much"),
    ],
)
def test_a_wrong_draft_is_told(draft: Draft, message: str) -> None:
    """A function that gives other arguments than the verb takes is told with the rule's number and its name."""
    bound = Bound([Rule("always", lambda batch, rows: draft)], COUNTING, Villager.layout)
    with pytest.raises(FaultError, match=rf"rule 1: .*lambda> .*: {message}"):
        plans_by_rules(bound, market(villager()))


def test_a_draft_out_of_range_is_possible_for_nobody() -> None:
    """A number outside of its argument's range leaves the agents to the next rule."""
    rules = [Rule("always", lambda batch, rows: Draft("Count", {"much": 9})), Rule("always", Count(3))]
    assert steps(rules, market(villager()), COUNTING) == [["Count(much=3)"]]


def test_many_rules_are_refused() -> None:
    """A planner takes a bounded number of rules."""
    with pytest.raises(ContractError, match="at most 256 rules, not 257"):
        Bound([Rule("always", Sleep())] * 257, MARKET, Villager.layout)


def test_pick_and_rest_are_told_apart() -> None:
    """Verbs with optional cells take none where a rule says nothing of them."""
    assert steps([Rule("always", Rest(pause=2))], foragers(forager()), FORAGING) == [["Rest(pause=2.0)"]]
    assert Pick(pick("nearest")).bush == pick("nearest")
