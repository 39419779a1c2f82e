"""Arrays that a domain gives: every way to give a field, lists brought into order, and a sentence for each mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.errors import ContractError
from ai.observation import ObservationBatch
from ai.strategies import batches
from tests.ai.llm.village import TABLES, Field, Forager, Villager

KEYS = np.array([2, 5], np.int64)
I4 = np.int32
MOOD = np.array([1, 2], np.int16)
FIELD = Field(9, 9)


def village(**columns: Any) -> ObservationBatch[Villager]:
    """Return a batch of two villagers; money and mood are given unless said otherwise."""
    return Villager.batch(KEYS, tables=TABLES, **{"money": np.array([100, 250], I4), "mood": MOOD, **columns})


def field(**columns: Any) -> ObservationBatch[Forager]:
    """Return a batch of two foragers on one field, at 0,0 and 5,0."""
    usual = {"pos": (np.array([0, 5], I4), np.array([0, 0], I4)), "energy": 1, "field": FIELD}
    return Forager.batch(KEYS, ticks_per_second=4, **{**usual, **columns})


def test_what_is_not_given_has_its_default() -> None:
    """Fields of a default may be left out, lists too; they hold what the object form would."""
    one, _ = village().to_objects()
    assert one == Villager(money=1.0, mood=1)
    assert field().to_objects()[1].room == 20
    assert field().room.tolist() == [20, 20]


def test_one_value_stands_for_all_and_safe_types_are_taken() -> None:
    """A scalar, a smaller integer type and one row of a table are spread over all agents."""
    batch = village(mood=7, money=np.array([3, 4], np.int8), price=np.array([1, 2, 3], I4), asleep=True)
    assert batch.mood.tolist() == [7, 7]
    assert batch.money.dtype == I4
    assert batch.price.tolist() == [[1, 2, 3]] * 2
    assert batch.asleep.tolist() == [True, True]


def test_floats_are_in_the_field_s_unit() -> None:
    """A column of floats is quantised as objects are; whole numbers are stored steps."""
    assert village(money=np.array([2.675, 2.5])).money.tolist() == [268, 250]
    assert field(rested=np.array([0.3, 1.0])).rested.tolist() == [2, 4]


def test_a_shared_value_is_given_once() -> None:
    """One value for all, or positions among distinct ones."""
    assert field().to_objects()[0].field == FIELD
    other = Field(3, 3)
    batch = field(field=np.array([0, 1], I4), shared={"field": (FIELD, other)})
    assert [one.field for one in batch.to_objects()] == [FIELD, other]


@pytest.mark.parametrize("flat", [False, True])
def test_lists_come_nearest_first_cut_and_counted(flat: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Entries in any order and number, flat or in places, are ordered, cut to the limit, and the rest is counted."""
    ids = np.array([9, 3, 4, 1, 8, 7, 6])
    x = np.array([1, 9, 1, 5, 2, 2, 8], I4)
    given: dict[str, Any]
    if flat:
        given = {"rows": np.zeros(7, np.intp), "id": ids, "pos": (x, np.zeros(7, I4)), "berries": ids}
        given["berries"] = ids.astype(I4)
    else:
        wide = np.full((2, 9), -1)
        wide[0, [0, 1, 3, 4, 5, 7, 8]] = ids
        places, zeros = np.zeros((2, 9), I4), np.zeros((2, 9), I4)
        places[0, [0, 1, 3, 4, 5, 7, 8]] = x
        given = {"id": wide, "pos": (places, zeros), "berries": wide.astype(I4)}
    batch = field(bushes=given)
    assert batch.bushes.id.tolist() == [[4, 9, 7, 8, 1, 6], [-1] * 6]
    assert batch.bushes.berries.tolist() == [[4, 9, 7, 8, 1, 6], [0] * 6]
    assert batch.bushes.more.tolist() == [1, 0]


def test_lists_without_ids_say_which_places_are_in_use() -> None:
    """Cells come with `there`, or flat with their rows."""
    cells = {"x": np.array([[1, 2], [3, 4]], I4), "y": 0, "there": np.array([[False, True], [False, False]])}
    assert field(others=cells).to_objects()[0].others == ((2, 0),) or field(others=cells).others.x.tolist() == [
        [2],
        [0],
    ]
    flat = {"rows": [1, 1], "x": np.array([7, 8], I4), "y": np.array([0, 1], I4)}
    assert [len(one.others) for one in field(others=flat).to_objects()] == [0, 2]


def test_texts_of_a_list_are_positions() -> None:
    """Texts point into the batch's texts, -1 for none, whatever holes the rows have."""
    batch = village(texts=("fire", "fish"), heard=np.array([[-1, 1], [0, 1]], I4))
    assert [one.heard for one in batch.to_objects()] == [("fish",), ("fire", "fish")]


def test_what_belongs_to_nobody_is_blanked() -> None:
    """Values of an entry that is not there change nothing."""
    guide = {"id": np.array([-1, 7]), "pos": (np.array([3, 3], I4), np.array([3, 3], I4)), "tired": True}
    blank = {**guide, "pos": (np.array([0, 3], I4), np.array([0, 3], I4)), "tired": np.array([False, True])}
    assert field(guide=guide).digest() == field(guide=blank).digest()


@given(batches(Forager, shared={"field": FIELD}).filter(bool))
def test_columns_given_again_make_the_same_batch(pairs: list[tuple[int, Forager]]) -> None:
    """What a batch holds, given back field by field, is arranged into itself."""
    before = Forager.from_objects(pairs, ticks_per_second=4)
    fields: dict[str, Any] = {}
    for path in before.layout.columns:
        owner = fields
        *outer, last = path.split(".")
        for part in outer:
            owner = owner.setdefault(part, {})
        owner[last] = before.column(path)
    after = Forager.batch(before.keys, ticks_per_second=4, shared=before.shared, **fields)
    assert after.digest() == before.digest()
    assert after.to_objects() == before.to_objects()


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_whole_numbers_of_another_type_are_stored_if_they_fit(dtype: Any) -> None:
    """A wider column of a world needs no conversion, which could wrap around without a word."""
    assert village(mood=np.array([1, 200], dtype)).mood.dtype == np.int16
    assert village(mood=np.array([1, 200], dtype)).mood.tolist() == [1, 200]


WRONG: dict[str, tuple[Any, str]] = {
    "a field that is not declared": (lambda: village(mony=1), "Villager declares no 'mony'; did you mean 'money'"),
    "a field missing": (
        lambda: Villager.batch(KEYS, tables=TABLES, money=1),
        "Villager.mood was not given and has no default",
    ),
    "a length of others": (
        lambda: village(mood=np.zeros(3, np.int16)),
        "Villager.mood is int16[3], not int16[2 agents]",
    ),
    "a number too large": (lambda: village(mood=2**20), "Villager.mood is 1048576 to 1048576; int16 holds -32768 to"),
    "numbers too large": (lambda: village(mood=np.array([1, -(2**20)])), "Villager.mood is -1048576 to 1; int16 holds"),
    "a float of a whole number": (lambda: village(mood=np.array([1.0, 2.0])), "Villager.mood is float64[2]"),
    "a float too large": (lambda: village(money=np.array([1e9, 0])), "money: a value does not fit int32"),
    "no number": (lambda: village(money=np.array([np.nan, 0])), "money: NaN stands for nothing"),
    "a table of other names": (
        lambda: village(stock=np.zeros((2, 2), I4)),
        "Villager.stock is int32[2, 2], not int32[2 agents, 3",
    ),
    "a table that is not given": (
        lambda: Villager.batch(KEYS, money=1, mood=1, stock=np.zeros((2, 3), I4)),
        "Villager.stock needs the table 'goods'",
    ),
    "a list without ids": (lambda: village(people={"mood": np.zeros((2, 1), np.int16)}), "Villager.people needs 'id'"),
    "a list that is one array": (lambda: village(people=np.zeros((2, 1))), "Villager.people is a list; give a mapping"),
    "a list of nothing": (lambda: village(people={}), "Villager.people was given without any of its fields"),
    "a list of others": (
        lambda: village(people={"id": np.zeros((3, 1), np.int64)}),
        "has arrays of shape [3, 1], not [2",
    ),
    "an entry's field missing": (lambda: village(people={"id": np.array([[1], [2]])}), "people.trade was not given"),
    "an entry's field misspelt": (
        lambda: village(people={"id": np.array([[1], [2]]), "mod": 3}),
        "declares no 'people.mod'",
    ),
    "an entry of nobody": (
        lambda: field(bushes={"rows": [9], "id": [1], "pos": (np.zeros(1, I4), np.zeros(1, I4)), "berries": 1}),
        "bushes: an entry belongs to row 9 of 2 agents",
    ),
    "a group that is one array": (lambda: field(guide=np.zeros(2)), "Forager.guide is a group; give a mapping"),
    "a cell of three": (lambda: field(pos=(1, 2, 3)), "Forager.pos is a cell; give two arrays, x and y"),
    "a shared value missing": (
        lambda: Forager.batch(KEYS, pos=(1, 2), energy=1),
        "Forager.field was not given and has no default",
    ),
    "keys of another type": (lambda: Villager.batch(np.array([1, 2], I4), money=1, mood=1), "keys are int64[n]"),
    "keys out of order": (lambda: Villager.batch(np.array([2, 1]), money=1, mood=1), "keys must be ascending"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_array_is_told_by_its_field(make: Any, message: str) -> None:
    """Each is one sentence that names the class, the field, and what is wrong with it."""
    with pytest.raises(ContractError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12))
def test_flat_entries_stay_in_their_order(pairs: list[tuple[int, int]]) -> None:
    """Without an order of distance, entries of one agent keep the order in which they were given."""
    keys = np.arange(4)
    rows, ids = [row for row, _ in pairs], [100 + place for place, _ in enumerate(pairs)]
    people = {"rows": rows, "id": np.array(ids, np.int64), "trade": 0, "mood": np.int16(3)}
    batch = Villager.batch(keys, tables=TABLES, money=0, mood=0, people=people)
    for row, one in enumerate(batch.to_objects()):
        assert [each.id for each in one.people] == [i for r, i in zip(rows, ids, strict=True) if r == row][:12]
