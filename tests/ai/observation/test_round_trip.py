"""Objects become columns and objects again; digests see what agents know, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.errors import ContractError
from ai.observation import AgentId, Cell, Entry, Observation, ObservationBatch, fact
from ai.strategies import batches
from tests.ai.llm.village import TABLES, Field, Forager, Habit, Person, Villager, forager, foragers, market, villager

SHARED = {"field": Field(20, 20)}
VILLAGE = batches(Villager, TABLES)
FIELDS = batches(Forager, shared=SHARED)
PAIRS = VILLAGE | FIELDS
Pairs = list[tuple[int, Any]]


def batch_of(pairs: Pairs) -> ObservationBatch[Any]:
    """Return the batch of some pairs of one class."""
    kind = type(pairs[0][1])
    return kind.from_objects(pairs, ticks_per_second=10, tables=TABLES if kind is Villager else None)


def as_kept(pair: tuple[int, Any]) -> Any:
    """Return what is kept of one agent's knowledge: lists in their order and cut, members in theirs."""
    _, one = pair
    changed: dict[str, Any] = {}
    for path, group in type(one).layout.groups.items():
        if not group.limit:
            continue
        entries = list(getattr(one, path))
        if group.fact.nearest:
            entries.sort(key=lambda each: ((each.pos.x - one.pos.x) ** 2 + (each.pos.y - one.pos.y) ** 2, each.id))
        changed[path] = tuple(entries[: group.limit])
    if isinstance(one, Villager):
        changed["stock"] = {name: count for name, count in one.stock.items() if count}
        changed["price"] = {name: price for name, price in one.price.items() if price}
        changed["wish"] = one.wish or None
    if isinstance(one, Forager):
        changed["habits"] = tuple(habit for habit in Habit if habit in one.habits)
    return one.model_copy(update=changed)


@given(PAIRS.filter(bool))
def test_objects_survive_the_columns(pairs: Pairs) -> None:
    """Whatever is declared comes back equal, cut and ordered as declared; cuts are counted."""
    batch = batch_of(pairs)
    in_order = sorted(pairs, key=lambda pair: pair[0])
    assert batch.keys.tolist() == [key for key, _ in in_order]
    assert batch.to_objects() == [as_kept(pair) for pair in in_order]
    for path, group in batch.layout.groups.items():
        if group.limit:
            cut = [max(len(getattr(one, path)) - group.limit, 0) for _, one in in_order]
            assert batch.column(f"{path}.more").tolist() == cut


@given(PAIRS.filter(bool), st.randoms(use_true_random=False))
def test_the_order_of_asking_changes_nothing(pairs: Pairs, chance: Any) -> None:
    """Agents given in any order make the same batch."""
    other = list(pairs)
    chance.shuffle(other)
    assert batch_of(other).digest() == batch_of(pairs).digest()


@given(PAIRS.filter(bool), st.data())
def test_a_part_of_a_batch_is_the_batch_of_the_part(pairs: Pairs, data: st.DataObject) -> None:
    """`take` gives what the taken agents alone would have made, by columns, objects and digest."""
    batch = batch_of(pairs)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(pairs) - 1), min_size=1))), np.intp)
    in_order = sorted(pairs, key=lambda pair: pair[0])
    part, alone = batch.take(rows), batch_of([in_order[row] for row in rows.tolist()])
    assert part.digest() == alone.digest()
    assert part.to_objects() == alone.to_objects()
    assert part.take(slice(0, 1)).to_objects() == [part.to_object(0)]


@given(PAIRS.filter(bool))
def test_objects_survive_json(pairs: Pairs) -> None:
    """The JSON of what an agent knows reads back as the same."""
    for _, one in pairs:
        assert type(one).model_validate_json(one.model_dump_json()) == one


@given(PAIRS.filter(bool), st.data())
def test_any_difference_changes_the_digest(pairs: Pairs, data: st.DataObject) -> None:
    """Altering one number of one column in use changes the digest; altering it back restores it."""
    batch = batch_of(pairs)
    before = batch.digest()
    known = [
        p for p, column in batch.columns.items() if column.size and batch.layout.leaf_of(batch.layout.columns[p])[0]
    ]
    path = data.draw(st.sampled_from(known))
    column = batch.columns[path]
    declared = batch.layout.columns[path]
    places = (
        np.argwhere(batch.there(batch.layout.groups[declared.list])) if declared.list else np.argwhere(column == column)
    )
    if not len(places) or path in ("wish", "heard", "field", "landmarks"):
        return
    place = tuple(places[data.draw(st.integers(0, len(places) - 1))].tolist())
    old = column[place]
    column[place] = not old if column.dtype == np.bool_ else old + 1
    assert batch.digest() != before
    column[place] = old
    assert batch.digest() == before


def test_the_digest_does_not_see_how_texts_were_interned() -> None:
    """Unused texts and another order of the same texts change nothing; another text does."""
    columns = {"money": np.zeros(2, np.int32), "mood": np.zeros(2, np.int16)}

    def batch(places: list[list[int]], texts: tuple[str, ...]) -> str:
        heard = np.array(places, np.int32)
        made = Villager.batch(np.arange(2), texts=texts, tables=TABLES, heard=heard, **columns)
        return made.digest()

    usual = batch([[0, 1], [1, -1]], ("fire", "fish"))
    assert batch([[1, 0], [0, -1]], ("fish", "fire")) == usual
    assert batch([[70, 71], [71, -1]], (*map(str, range(70)), "fire", "fish", "more")) == usual
    assert batch([[0, 1], [0, -1]], ("fire", "fish")) != usual
    assert batch([[0, 1], [1, -1]], ("fire", "flesh")) != usual


def test_the_digest_sees_shared_values_by_content() -> None:
    """Equal fields are equal wherever they stand among the distinct ones; another size is another digest."""
    one, two = forager(), forager(pos=Cell(1, 1))
    large = forager(pos=Cell(1, 1), field=Field(30, 30))
    assert foragers(one, two).digest() != foragers(one, large).digest()
    alone = foragers(one, large).take(np.array([1]))
    assert alone.digest() == foragers(large, keys=(2,)).digest()


def test_the_digest_sees_tick_scale_and_tables() -> None:
    """Time, the length of a tick, the agents and the names of tables are part of what is known."""
    pairs = [(1, villager())]
    digests = {
        Villager.from_objects(pairs, tables=TABLES).digest(),
        Villager.from_objects(pairs, tables=TABLES, tick=1).digest(),
        Villager.from_objects(pairs, tables=TABLES, ticks_per_second=2).digest(),
        Villager.from_objects([(2, villager())], tables=TABLES).digest(),
        Villager.from_objects(pairs, tables={**TABLES, "goods": ("bread",)}).digest(),
    }
    assert len(digests) == 5
    assert Villager.from_objects(pairs, tables={**TABLES, "weather": ("dry",)}).digest() in digests


def test_a_spare_width_changes_nothing() -> None:
    """Arrays wider than what is used have the digest of those that fit."""
    people = {"id": np.array([[5, -1, -1]]), "trade": np.zeros((1, 3), np.int32), "mood": np.zeros((1, 3), np.int16)}
    narrow = {name: column[:, :1] for name, column in people.items()}
    wide, fitting = (
        Villager.batch(np.array([1]), arranged=True, tables=TABLES, money=0, mood=0, people=each)
        for each in (people, narrow)
    )
    assert wide.digest() == fitting.digest()


def test_names_without_a_table_are_sorted() -> None:
    """A host that gives no tables gets the names of its batch, sorted, for all fields of a table together."""
    batch = Villager.from_objects([(1, villager(stock={"wool": 1})), (2, villager(price={"fish": 2.0, "ale": 1.0}))])
    assert batch.tables["goods"] == ("ale", "fish", "wool")
    assert batch.stock.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert batch.price.tolist() == [[0, 0, 0], [100, 200, 0]]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(1, villager()), (1, villager())], "agent 1 was asked for twice"),
        ([(-1, villager())], "agent ids are whole numbers from 0 to 2**63 - 1, not -1"),
        ([(True, villager())], "not True"),
        ([(1, forager())], "an agent's knowledge is a Forager, not Villager"),
        ([(1, villager(stock={"gold": 1}))], "stock: no goods named 'gold'; known: bread, fish, fine wool"),
        ([(1, villager(people=(Person(id=2, trade="thief", mood=1),)))], "people.trade: no trades named 'thief'"),
        ([(1, villager(money=1e9))], "money: a value does not fit int32 with 100 steps a unit"),
        ([(1, villager(people=(Person(id=2, trade="baker", mood=2**40),)))], "people.mood: a value does not fit int16"),
        ([(1, villager(people=(Person(id=2**70, trade="baker", mood=1),)))], "people.id: an id is a whole number"),
        ([(1, villager(debt_to=-3))], "debt_to: an id is a whole number from 0 to 2**63 - 1, not -3"),
        ([(1, villager(wish="x" * 4001))], "wish: a text has 4001 characters; at most 4000 are kept"),
        ([(1, villager(heard=("x",) * 4097))], "heard: a list has 4097 entries; at most 4096 are taken"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_the_field(pairs: Pairs, message: str) -> None:
    """Nothing is clipped or dropped in silence."""
    with pytest.raises(ContractError) as caught:
        Villager.from_objects(pairs, tables=TABLES)
    assert message in str(caught.value)


class Plans(Observation):
    """Something shared that may be anything."""

    plan: Any = fact(shared=True)


def test_shared_values_are_frozen() -> None:
    """A value that can change cannot be shared, and one whose content cannot be told cannot be hashed."""
    with pytest.raises(ContractError, match="plan: a shared value must be hashable"):
        Plans.from_objects([(1, Plans(plan=["mutable"]))])
    with pytest.raises(ContractError, match="a shared fact holds a object, whose content cannot be hashed"):
        Plans.from_objects([(1, Plans(plan=object()))]).digest()
    same = [Plans.from_objects([(1, Plans(plan=frozenset(names)))]).digest() for names in (["a", "b"], ["b", "a"])]
    assert same[0] == same[1]


def test_units_are_kept_as_whole_steps() -> None:
    """Money is rounded to the hundredth, halves away from zero; seconds become ticks, rounded up."""
    batch = market(villager(money=2.675), villager(money=0.005), villager(money=-0.005))
    assert batch.money.tolist() == [268, 1, -1]
    rests = Forager.from_objects(
        [(n, forager(rested=s)) for n, s in enumerate([0.0, 0.1, 0.25, 1.0])], ticks_per_second=10
    )
    assert rests.rested.tolist() == [0, 1, 3, 10]
    assert [one.rested for one in rests.to_objects()] == [0.0, 0.1, 0.3, 1.0]


def test_unknown_fields_are_refused() -> None:
    """A field that is not declared is an error, nested too; so are values out of bounds."""
    for wrong in (
        {"money": 1, "mood": 1, "gold": 3},
        {"money": 1, "mood": 1, "people": [{"id": 1, "trade": "baker", "mood": 1, "age": 3}]},
        {"money": 1, "mood": 101},
        {"money": 1},
    ):
        with pytest.raises(ValueError, match=r"gold|age|mood"):
            Villager.model_validate(wrong)


class Group(Entry):
    """A part that may be absent."""

    weight: int = fact(default=5)
    at: Cell | None = fact(default=None)


class Holder(Observation):
    """Something with all kinds of absent values."""

    part: Group | None = fact(default=None)
    count: int | None = fact(default=None)
    done: bool | None = fact(default=None)
    owner: AgentId | None = fact(default=None)
    share: float | None = fact(default=None, scale=10)


def test_absent_values_are_told_from_zeros() -> None:
    """None comes back as None and zero as zero, in entries too."""
    held = [
        Holder(),
        Holder(part=Group(weight=0, at=Cell(0, 0)), count=0, done=False, owner=0, share=0.0),
        Holder(part=Group(), count=-5, done=True, owner=7, share=-0.5),
    ]
    assert Holder.from_objects(list(enumerate(held))).to_objects() == held


def test_attached_values_and_groups_are_no_knowledge() -> None:
    """What is attached and who belongs to which group changes no digest and goes along with parts."""
    batch = Villager.from_objects([(1, villager()), (2, villager())], tables=TABLES, groups=(("red", "blue"), (1, 0)))
    assert batch.groups is not None
    assert batch.take(np.array([1])).groups.index.tolist() == [0]  # type: ignore[union-attr] # it has groups
    assert batch.digest() == market(villager(), villager()).digest()


def test_undeclared_columns_are_told() -> None:
    """A misspelt column is an error that lists what is declared, as an attribute and by path."""
    batch = market(villager())
    with pytest.raises(AttributeError, match="Villager declares no 'mony'; did you mean 'money'"):
        _ = batch.mony
    with pytest.raises(AttributeError, match=r"declares no 'people\.age'"):
        _ = batch.people.age
    with pytest.raises(ContractError, match="declares no 'mony'"):
        batch.column("mony")
