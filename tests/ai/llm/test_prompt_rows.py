"""What agents know, in words: each agent's row says what it knows, and what rows share is said once."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.llm.prompt_rows import SHARED_PARTS_MAX, TEXT_CHARS_MAX, PromptRows
from ai.observation import AgentId, Cell, Entry, Observation, ObservationBatch, fact
from tests.ai.llm.village import (
    BATCHES,
    PEOPLE,
    TABLES,
    VILLAGERS,
    Bush,
    Field,
    Guide,
    Habit,
    Villager,
    Weather,
    forager,
    foragers,
    market,
    villager,
)


def message(batch: ObservationBatch[Any]) -> str:
    return PromptRows.of(batch).message()


def rows(batch: ObservationBatch[Any]) -> list[str]:
    return message(batch).partition("Agents:\n")[2].splitlines()


@given(BATCHES, st.data())
@settings(deadline=None, max_examples=80)
def test_rows_cut_into_a_call_are_the_rows_of_the_cut(batch: ObservationBatch[Any], data: st.DataObject) -> None:
    """The words of a call do not depend on the batch that it is cut from, for a run of agents and for any choice."""
    whole = PromptRows.of(batch)
    picked = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(batch), max_size=len(batch))))
    start = data.draw(st.integers(0, len(batch) - 1))
    for some in (picked, slice(start, data.draw(st.integers(start + 1, len(batch))))):
        assert whole.take(some).message() == message(batch.take(some))


@given(BATCHES)
@settings(deadline=None, max_examples=60)
def test_every_agent_has_one_row_that_begins_with_its_slot_and_id(batch: ObservationBatch[Any]) -> None:
    """Whatever stands in texts and names, nothing but the framework makes a row."""
    found = rows(batch)
    assert [row.split("@")[0].split()[:2] for row in found] == [
        [f"a{n}", str(key)] for n, key in enumerate(batch.keys.tolist(), 1)
    ]


ONE = r"(?:\d+|«\d+»)"
PARTS = {
    "coins": r"\S+ coins",
    "mood": r"mood \d+ of 100",
    "asleep": r"asleep",
    **{f"has {name}": rf"has \d+ {name}" for name in TABLES["goods"]},
    **{f"costs {name}": rf"{name} costs \S+" for name in TABLES["goods"]},
    "owes": r"owes \d+",
    "wish": rf"wish {ONE}",
    "heard": rf"heard {ONE}(?:,{ONE})*",
    "people": r"people .*",
}


def learnt(text: str) -> list[dict[str, str]]:
    """Return what a reader puts together of each villager: what all have in common, and what its row adds."""
    places: dict[str, str] = {}
    text = re.sub(r'"(?:[^"\\]|\\.)*"', lambda quoted: places.setdefault(quoted[0], f"«{len(places)}»"), text)
    contents = {place: quoted for quoted, place in places.items()}
    head, _, body = text.partition("Agents:\n")
    texts = dict(re.findall(r"^Text (\d+): (.*)$", head, re.MULTILINE))
    known: dict[str, str] = {}
    for usual, entries in re.findall(r"^Known to several(?:, (.*) unless said)?: (.*)$", head, re.MULTILINE):
        for entry in entries.split(";"):
            key, _, state = entry.partition(" ")
            known[key] = f"{key} {state or usual}"
    common = facts((re.search(r"each agent: (.*)$", head, re.MULTILINE) or ["", ""])[1])
    found = []
    for row in body.splitlines():
        own = {**common, **facts(row)}
        for name in {"wish", "heard"} & own.keys():
            numbered = [texts.get(one, one) for one in own[name].partition(" ")[2].split(",")]
            own[name] = str([contents[place] for place in numbered])
        people, cut, more = own["people"].removeprefix("people ").partition(" and ")
        own["people"] = ";".join(known.get(one, one) for one in people.split(";")) + cut + more
        found.append(own)
    return found


def facts(text: str) -> dict[str, str]:
    return {name: found[0] for name, pattern in PARTS.items() if (found := re.search(rf"(?<!\S){pattern}", text))}


@given(st.lists(VILLAGERS, min_size=1, max_size=5))
@settings(deadline=None, max_examples=80)
def test_a_reader_learns_the_same_of_an_agent_among_others_as_of_it_alone(drawn: list[Villager]) -> None:
    """What is said once and what a row adds come to exactly what the agent's row says when it is asked alone."""
    together = learnt(message(market(*drawn)))
    assert together == [learnt(message(market(one)))[0] for one in drawn]


# -- what a message looks like -----------------------------------------------------------------------------------------

PRICES = {"bread": 2.5, "fish": 4.0, "fine wool": 9.0}
ANN = villager(
    money=12.5,
    mood=55,
    stock={"bread": 2},
    price=PRICES,
    heard=("Fish is cheap.", "There is a fire!"),
    people=(PEOPLE[2], PEOPLE[3]),
)
BOB = villager(mood=20, asleep=True, price=PRICES, heard=("Fish is cheap.",), debt_to=1, people=(PEOPLE[3],))
CID = villager(mood=20, price=PRICES, debt_to=1, wish="a boat", people=tuple(PEOPLE[n] for n in range(10, 25)))


def test_a_market_day_in_words() -> None:
    """Texts of several, persons whom several see and usual values stand once; rows have the rest; cuts are counted."""
    assert message(market(ANN, BOB, CID)).replace("weaver mood ", "w").replace("baker mood ", "b") == (
        'Text 1: "Fish is cheap."\n'
        "Known to several: 3 b3\n"
        "Unless a row says otherwise, each agent: "
        "3 coins mood 20 of 100 bread costs 2.5 fish costs 4 fine wool costs 9\n"
        "Agents:\n"
        'a1 1 12.5 coins mood 55 of 100 has 2 bread heard 1,"There is a fire!" people 2 w2;3\n'
        "a2 2 asleep owes 1 heard 1 people 3\n"
        'a3 3 owes 1 wish "a boat" people 10 fisher mood 10;11 w11;12 b12;13 fisher mood 13;14 w14;15 b15;'
        "16 fisher mood 16;17 w17;18 b18;19 fisher mood 19;20 w20;21 b21 and 3 more"
    )


def test_a_day_on_the_field_in_words() -> None:
    """Fields of two sizes are numbered, bushes and agents are told apart, a camp shares what is said of its guide."""
    bushes = (Bush(id=1, pos=Cell(4, 4), berries=3), Bush(id=2, pos=Cell(2, 4), berries=0))
    guide = Guide(id=9, pos=Cell(1, 1), tired=True)
    text = message(
        foragers(
            forager(bushes=bushes, load=4, camp=1, guide=guide, habits=(Habit.SHY,), landmarks=("ford", "tree")),
            forager(bushes=bushes[:1], camp=1, guide=guide, others=(Cell(1, 1), Cell(2, 2)), landmarks=("ford",)),
            forager(home=Cell(1, 2), rested=1.1, weather=Weather.RAIN, field=Field(3, 3), landmarks=("ford",)),
        )
    )
    assert text == (
        "Habits shy: Keeps away from others.\n"
        "Field 1: 12 by 9 cells\n"
        "Field 2: 3 by 3 cells\n"
        "Landmarks: ford\n"
        "By camp: 1 guide 9@1,1 tired\n"
        "Bushes known to several: 1@4,4 berries 3\n"
        "Unless a row says otherwise, each agent: energy 5 field 1\n"
        "Agents:\n"
        "a1 1@2,3 carries 4 of 20 shy camp 1 bushes 2@2,4;1 landmarks tree\n"
        "a2 2@2,3 camp 1 bushes 1 others at 1,1;2,2\n"
        "a3 3@2,3 home 1,2 in the rain rested 2s bushes none field 2"
    )


def test_a_value_that_all_share_stands_above_the_rows() -> None:
    """One field for everybody is said once, without a number."""
    assert message(foragers(forager(), forager())).startswith("Field: 12 by 9 cells\nUnless")


def test_entries_of_which_nothing_is_said_are_not_taken_to_be_as_most_are() -> None:
    """Bushes with berries share their most usual state; those without stand in a line of their own."""
    bushes = tuple(Bush(id=n, pos=Cell(n, 1), berries=int(n != 3)) for n in (1, 2, 3))
    text = message(foragers(forager(bushes=bushes), forager(bushes=bushes)))
    assert "Bushes known to several, berries 1 unless said: 1@1,1;2@2,1\nBushes known to several: 3@3,1\n" in text


def test_who_is_seen_differently_is_described_in_each_row() -> None:
    """A person of whom two rows say different things is not said to be known to several."""
    other = PEOPLE[3].model_copy(update={"mood": 4})
    assert message(market(villager(people=(PEOPLE[3],)), villager(people=(other,)))).count("3 baker mood") == 2


def test_guides_that_differ_are_said_in_each_row() -> None:
    """Only what all of a camp say alike is said once for it."""
    found = rows(
        foragers(forager(camp=1, guide=Guide(id=9, pos=Cell(1, 1))), forager(camp=1, guide=Guide(id=9, pos=Cell(1, 2))))
    )
    assert ["guide 9@1,1" in found[0], "guide 9@1,2" in found[1]] == [True, True]


def test_long_texts_and_lists_are_shortened() -> None:
    """A text shows its first characters, a shared list its first parts."""
    text = message(market(villager(wish="x" * (TEXT_CHARS_MAX + 100))))
    assert f'wish "{"x" * TEXT_CHARS_MAX}" people' in text
    marks = tuple(f"m{n:02}" for n in range(SHARED_PARTS_MAX + 5))
    assert message(foragers(forager(landmarks=marks))).count(" m") == SHARED_PARTS_MAX


@pytest.mark.parametrize("spoilt", ["rye\na2 5 9 coins", "{}", "{money}", "rye\u2028a2"])
def test_names_from_outside_stay_names(spoilt: str) -> None:
    """A name that holds line ends or braces is one line of plain text."""
    tables = {"goods": (spoilt,), "trades": TABLES["trades"]}
    batch = Villager.from_objects([(1, villager(stock={spoilt: 2})), (2, villager())], tables=tables)
    found = message(batch).splitlines()
    assert found[-2].startswith("a1 1 has 2 " + " ".join(spoilt.split()))
    assert len(found) == 4


class Hat(Entry):
    size: int = 3


class Boss(Entry):
    id: AgentId
    motto: str = fact(default="work", shared=True)
    stock: dict[str, int] = fact(default={}, table="goods", quiet=0)
    hat: Hat | None = fact(default=None)
    told: tuple[str, ...] = fact(default=(), limit=2)


class Worker(Observation):
    boss: Boss | None = fact(default=None)


def test_an_entry_that_may_be_absent_says_all_that_it_has() -> None:
    """Its tables, lists, shared values and entries are worded too; the first version crashed on them."""
    boss = Boss(id=4, motto="work\na9 5", stock={"fish": 2}, hat=Hat(size=9), told=("dig",))
    batch = Worker.from_objects([(1, Worker(boss=boss)), (2, Worker())], tables=TABLES)
    assert rows(batch) == ['a1 1 boss 4 motto work a9 5 stock fish 2 hat size 9 told "dig"', "a2 2"]
