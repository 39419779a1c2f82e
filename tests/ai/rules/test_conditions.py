"""Conditions: texts over declared fields, held against looking at each agent's object."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from ai.errors import ContractError
from ai.observation import Cell, Observation, ObservationBatch, fact
from ai.rules import Condition
from ai.rules.conditions import entries_test
from ai.strategies import batches
from tests.ai.llm.village import (
    TABLES,
    Bush,
    Field,
    Forager,
    Guide,
    Habit,
    Person,
    Villager,
    Weather,
    forager,
    foragers,
    market,
    villager,
)

Check = Callable[[Any], bool]
OPS = {"<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt}
ANY = st.sampled_from(sorted(OPS))
WHOLE = st.integers(-1, 101)


def within(agent: Forager, cell: Cell, cells: float) -> bool:
    return (cell.x - agent.pos.x) ** 2 + (cell.y - agent.pos.y) ** 2 <= cells * cells


OF_A_VILLAGER: st.SearchStrategy[tuple[str, Check]] = st.one_of(
    st.builds(lambda op, n: (f"mood {op} {n}", lambda v: OPS[op](v.mood, n)), ANY, WHOLE),
    st.builds(
        lambda op, n: (f"money {op} {n / 4}", lambda v: OPS[op](round(v.money * 100), n * 25)), ANY, st.integers(0, 8)
    ),
    st.builds(
        lambda op, n: (f"stock.bread {op} {n}", lambda v: OPS[op](v.stock.get("bread", 0), n)), ANY, st.integers(0, 3)
    ),
    st.builds(lambda n: (f"price.fish <= {n}", lambda v: v.price.get("fish", 0) <= n), st.sampled_from([0, 0.5, 3])),
    st.builds(lambda op, n: (f"people {op} {n}", lambda v: OPS[op](len(v.people), n)), ANY, st.integers(0, 4)),
    st.builds(
        lambda t, n: (
            f"people.trade == {t} and people.mood > {n}",
            lambda v: any(p.trade == t and p.mood > n for p in v.people[:12]),
        ),
        st.sampled_from(TABLES["trades"]),
        WHOLE,
    ),
    st.builds(
        lambda op, share: (
            f"people.mood {op} {share}% of mood",
            lambda v: any(OPS[op](p.mood * 100, v.mood * share) for p in v.people[:12]),
        ),
        ANY,
        st.integers(0, 150),
    ),
    st.builds(lambda op: (f"mood {op} money", lambda v: OPS[op](v.mood * 100, round(v.money * 100))), ANY),
    st.builds(
        lambda t: (f"heard contains '{t}'", lambda v: any(t.casefold() in h.casefold() for h in v.heard)),
        st.sampled_from(["HOLD", "gate", "fish"]),
    ),
    st.builds(lambda t: (f"wish contains '{t}'", lambda v: t in (v.wish or "")), st.sampled_from(["hold", "gate"])),
    st.sampled_from(
        [
            ("debt_to", lambda v: v.debt_to is not None),
            ("people.id == debt_to", lambda v: v.debt_to is not None and any(p.id == v.debt_to for p in v.people)),
            ("people", lambda v: bool(v.people)),
            ("heard", lambda v: bool(v.heard)),
            ("wish", lambda v: bool(v.wish)),
            ("asleep", lambda v: v.asleep),
            ("asleep == true", lambda v: v.asleep),
            ("stock.bread", lambda v: v.stock.get("bread", 0) > 0),
            ("stock.gold >= 1", lambda v: False),
            ("always", lambda v: True),
        ]
    ),
)
OF_A_FORAGER: st.SearchStrategy[tuple[str, Check]] = st.one_of(
    st.builds(
        lambda n: (f"bushes within {n}", lambda f: any(within(f, b.pos, n) for b in f.bushes)),
        st.sampled_from([0, 1, 1.5, 3, 30]),
    ),
    st.builds(
        lambda n: (
            f"bushes within {n} and bushes.berries > 0",
            lambda f: any(within(f, b.pos, n) and b.berries > 0 for b in f.bushes[:6]),
        ),
        st.integers(0, 20),
    ),
    st.builds(
        lambda n: (f"others within {n}", lambda f: any(within(f, c, n) for c in f.others[:4])), st.integers(0, 9)
    ),
    st.builds(
        lambda n: (f"home within {n}", lambda f: f.home is not None and within(f, f.home, n)), st.integers(0, 20)
    ),
    st.builds(
        lambda n: (f"guide within {n}", lambda f: f.guide is not None and within(f, f.guide.pos, n)), st.integers(0, 20)
    ),
    st.builds(lambda w: (f"weather == {w}", lambda f: f.weather == w), st.sampled_from(Weather)),
    st.builds(lambda h: (f"habits has {h}", lambda f: h in f.habits), st.sampled_from(Habit)),
    st.builds(lambda op, n: (f"camp {op} {n}", lambda f: f.camp is not None and OPS[op](f.camp, n)), ANY, WHOLE),
    st.builds(lambda op: (f"load {op} room", lambda f: OPS[op](f.load, f.room)), ANY),
    st.builds(
        lambda op, n: (f"rested {op} {n / 2}", lambda f: OPS[op](round(f.rested * 10), n * 5)), ANY, st.integers(0, 8)
    ),
    st.sampled_from(
        [
            ("guide", lambda f: f.guide is not None),
            ("guide.tired", lambda f: f.guide is not None and f.guide.tired),
            ("home", lambda f: f.home is not None),
            ("camp", lambda f: f.camp is not None),
            ("habits", lambda f: bool(f.habits)),
            ("energy", lambda f: f.energy != 0),
        ]
    ),
)


def agrees(batch: ObservationBatch[Any], pairs: list[tuple[int, Any]], drawn: list[tuple[str, Check, bool]]) -> None:
    """Hold a joined condition against its parts, said of each object."""
    text = " and ".join(f"{'no ' * negated}{part}" for part, _, negated in drawn)
    objects = [one for _, one in sorted(pairs, key=lambda pair: pair[0])]
    expected = [all(check(one) != negated for _, check, negated in drawn) for one in objects]
    assert Condition.parse(text).holds(batch).tolist() == expected, text


def joined(of: st.SearchStrategy[tuple[str, Check]]) -> st.SearchStrategy[list[tuple[str, Check, bool]]]:
    """Draw parts of which no two that stand together are about one list, and which are negated."""
    part = st.tuples(of, st.booleans()).map(lambda drawn: (*drawn[0], drawn[1]))
    lists = ("people", "bushes", "others", "heard")

    def about(each: tuple[str, Check, bool]) -> Any:
        found = [name for name in lists if name in each[0]]
        return found[0] if found and not each[2] else object()

    simple = part.filter(lambda each: not (each[2] and " and " in each[0]))
    return st.lists(simple, min_size=1, max_size=3, unique_by=about)


@given(batches(Villager, TABLES).filter(bool), joined(OF_A_VILLAGER))
def test_conditions_of_a_market_hold_for_whom_they_say(
    pairs: list[tuple[int, Villager]], drawn: list[tuple[str, Check, bool]]
) -> None:
    """Numbers, tables, names, texts, lists, ids and shares, joined and negated."""
    agrees(Villager.from_objects(pairs, tables=TABLES), pairs, drawn)


@given(batches(Forager, shared={"field": Field(20, 20)}).filter(bool), joined(OF_A_FORAGER))
def test_conditions_of_a_field_hold_for_whom_they_say(
    pairs: list[tuple[int, Forager]], drawn: list[tuple[str, Check, bool]]
) -> None:
    """Distances, members, absent values, entries that may be absent and seconds."""
    agrees(Forager.from_objects(pairs, ticks_per_second=10), pairs, drawn)


@given(batches(Villager, TABLES).filter(bool), OF_A_VILLAGER, st.data())
def test_a_condition_looks_at_one_agent_at_a_time(
    pairs: list[tuple[int, Villager]], drawn: tuple[str, Check], data: st.DataObject
) -> None:
    """For part of a batch a condition holds as it did for the whole."""
    batch = Villager.from_objects(pairs, tables=TABLES)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(pairs) - 1), min_size=1))))
    test = Condition.parse(drawn[0]).test(Villager.layout)
    assert test(batch.take(rows)).tolist() == test(batch)[rows].tolist()


def test_the_run_s_time_and_the_agent_s_id() -> None:
    """`after` reads the tick, `one in` the id."""
    batch = Villager.from_objects([(key, villager()) for key in range(4)], tables=TABLES, tick=5, ticks_per_second=2)
    held = {
        text: Condition.parse(text).holds(batch).tolist()
        for text in ("after 2.5", "after 3", "one in 2", "one in 3 from 1")
    }
    assert held["after 2.5"] == [True] * 4
    assert held["after 3"] == [False] * 4
    assert held["one in 2"] == [True, False, True, False]
    assert held["one in 3 from 1"] == [False, True, False, False]


def test_parts_about_one_list_are_about_the_same_entry() -> None:
    """Joined parts want one entry that fulfils them all; separate conditions do not."""
    people = (Person(id=1, trade="baker", mood=10), Person(id=2, trade="fisher", mood=90))
    batch = market(villager(people=people))
    assert not Condition.parse("people.trade == baker and people.mood > 50").holds(batch)[0]
    assert Condition.parse("people.trade == baker").holds(batch)[0]
    assert Condition.parse("people.mood > 50").holds(batch)[0]
    assert Condition.parse("people.trade == baker and no people.mood > 95").holds(batch)[0]


def test_named_conditions_stand_for_texts_and_functions() -> None:
    """A name may be used in conditions and other names; in its own text it stands for the field of that name."""
    batch = market(villager(money=1.0), villager(money=9.0, mood=10))
    facts: dict[str, Any] = {
        "poor": "money < 5",
        "in need": "poor and mood > 20",
        "mood": "mood < 20",
        "odd": lambda batch: batch.keys % 2 == 1,
    }
    held = {text: Condition.parse(text).holds(batch, facts).tolist() for text in ("in need", "no poor", "mood", "odd")}
    assert held == {"in need": [True, False], "no poor": [False, True], "mood": [False, True], "odd": [True, False]}
    with pytest.raises(ContractError, match="there is no condition named 'b c'; known: none"):
        Condition.parse("b").test(Villager.layout, {"b": "b c"})
    with pytest.raises(ContractError, match="Villager declares no 'a'"):
        Condition.parse("a").test(Villager.layout, {"a": "b", "b": "a"})


def test_named_places_are_found_in_shared_values() -> None:
    """A shared tuple of values with a name and a cell gives places that conditions can name."""

    class Mark(BaseModel):
        model_config = ConfigDict(frozen=True)
        name: str
        at: Cell

    class Walker(Observation):
        pos: Cell
        marks: tuple[Mark, ...] = fact(default=(), shared=True)

    mill = Mark(name="old mill", at=Cell(3, 4))
    batch = Walker.from_objects([(1, Walker(pos=Cell(0, 0), marks=(mill,))), (2, Walker(pos=Cell(3, 4)))])
    assert Condition.parse("marks 'old mill' within 5").holds(batch).tolist() == [True, False]
    assert Condition.parse("marks 'old mill' within 4").holds(batch).tolist() == [False, False]
    assert Condition.parse("marks 'new mill' within 5").holds(batch).tolist() == [False, False]


def test_entries_are_tested_one_by_one() -> None:
    """A condition about the entries of a list may leave out its name; other fields are the agent's."""
    batch = market(
        villager(mood=50, people=(Person(id=1, trade="baker", mood=10), Person(id=2, trade="baker", mood=90)))
    )
    group = Villager.layout.groups["people"]
    test = entries_test("trade == baker and people.mood > mood", Villager.layout, group)
    assert (test(batch) & np.ones((1, 2), np.bool_)).tolist() == [[False, True]]
    with pytest.raises(ContractError, match="it is about 'bushes' and cannot test 'others'"):
        entries_test("others within 3", Forager.layout, Forager.layout.groups["bushes"])


WRONG: dict[str, str] = {
    "": "a part is empty",
    "mood < 3 and": "a part is empty",
    "mood <": "'<' is followed by a number, a name, a field or a share",
    "< 3": "a part begins with a field, not '<'",
    "3": "a part begins with a field, not '3'",
    "'mood' < 3": "a part begins with a field",
    "mood < 3 4": "'<' is followed by a number",
    "mood < 1e9": "'1e9'",
    "mood < 99999999999999": "is not a number that a condition can hold",
    "mood or asleep": "there is no condition named 'mood or asleep'",
    "mod < 3": "Villager declares no 'mod'; did you mean 'mood'?",
    "age < 3": "Villager declares no 'age'; it declares money, mood",
    "people.age > 3": "Villager declares no 'people.age'",
    "mood contains 'x'": "'mood' is not text, so it contains none",
    "mood has x": "'mood' is one value and has no members; compare it",
    "people within 3": "Villager has no place to measure from",
    "heard within": "'within' stands between a field and a value",
    "people.trade < baker": "'people.trade' is a name; compare it with == or !=",
    "people == baker": "'people' has fields of its own; name one of them",
    "stock > 3": "'stock' is a table; name one of its goods",
    "mood": None,  # type: ignore[dict-item] # holds where it is not 0
    "people.trade": "'people.trade' always has a value",
    "mood == debt_to": "'mood' cannot be compared with 'debt_to'",
    "mood < people.mood": "'people.mood' is a field of another list",
    "wish == hello": "'wish' cannot be compared with ==",
    "after -1": "seconds are not negative",
    "one in 0": "needs a whole number from 1",
    "one in 2.5": "needs a whole number",
    "mood < 'x": "cannot read",
    " and ".join(["mood < 3"] * 17): "at most 16 parts are joined, not 17",
    "mood < 3 " + " " * 1000: "a condition has at most 1000 characters",
}


@pytest.mark.parametrize(("text", "message"), [(t, m) for t, m in WRONG.items() if m], ids=lambda each: each[:30])
def test_a_condition_that_cannot_be_is_told(text: str, message: str) -> None:
    """Each is one sentence with the text and what is wrong with it."""
    with pytest.raises(ContractError) as caught:
        Condition.parse(text).test(Villager.layout)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weather == snow", "'weather' has no member 'snow'; known: dry, rain"),
        ("habits has lazy", "'habits' has no member 'lazy'; known: slow, shy"),
        ("camp within 3", "'camp' has no cell, so nothing is within any distance of it"),
        ("home 'x' within 3", "'home' has no named places"),
        ("bushes within -1", "a distance is not negative"),
        ("bushes.id == guide.id", "'bushes.id' has ids of bushes, 'guide.id' of agents"),
        ("rested < energy", "only one of 'rested' and 'energy' is in ticks"),
        ("weather", "'weather' always has a value"),
    ],
)
def test_a_condition_that_cannot_be_is_told_on_a_field_too(text: str, message: str) -> None:
    """Members, distances, spaces of ids and units."""
    with pytest.raises(ContractError) as caught:
        Condition.parse(text).test(Forager.layout)
    assert message in str(caught.value)


@given(st.text(max_size=30) | st.text(st.sampled_from(" abcmood<>=!0.9%'\"and no"), max_size=40))
def test_any_text_is_a_condition_or_one_sentence(text: str) -> None:
    """Whatever is written is read or refused, and never breaks anything."""
    batch = market(villager(), villager(mood=3))
    with suppress(ContractError):
        held = Condition.parse(text).holds(batch)
        assert held.shape == (2,)
        assert held.dtype == np.bool_


def test_a_list_is_found_nearest_first_wherever_it_is_wide() -> None:
    """The first place decides of a list that is nearest first, also where nobody has an entry."""
    near = forager(
        pos=Cell(0, 0), bushes=(Bush(id=1, pos=Cell(9, 0), berries=1), Bush(id=2, pos=Cell(0, 2), berries=0))
    )
    batch = foragers(near, forager(guide=Guide(id=7, pos=Cell(2, 3))))
    assert Condition.parse("bushes within 2").holds(batch).tolist() == [True, False]
    assert Condition.parse("bushes within 2").holds(foragers(forager())).tolist() == [False]
    assert Condition.parse("guide within 0").holds(batch).tolist() == [False, True]
