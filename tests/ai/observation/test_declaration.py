"""What follows from a declaration: its columns, its two digests, and a sentence for each mistake."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from ai.errors import ContractError
from ai.observation import AgentId, Cell, Entry, Id, Observation, fact, first_difference
from ai.observation.facts import ModelMetaclass
from tests.ai.llm.village import Forager, Villager


class Seen(Entry):
    """Somebody."""

    id: AgentId
    pos: Cell


class Stone(Entry):
    """Something without an id."""

    weight: int = 1


class Pair(Entry):
    """An entry with a list, which only an observation may have."""

    id: AgentId
    heard: tuple[str, ...] = fact(default=(), limit=2)


class Deep(Entry):
    """An entry with an entry."""

    id: AgentId
    seen: Seen


class Priced(Entry):
    """An entry with a table."""

    id: AgentId
    price: dict[str, int] = fact(default={}, table="goods")


class Nobody(Entry):
    """An entry whose id may be absent."""

    id: AgentId | None


Mood = StrEnum("Mood", ["low", "high"])
Many = StrEnum("Many", [f"m{number}" for number in range(32)])


def declared(**fields: Any) -> type[Observation]:
    """Return an observation with some fields, each a type or a type and what stands on its right."""
    annotations = {name: field[0] if isinstance(field, tuple) else field for name, field in fields.items()}
    values = {name: field[1] for name, field in fields.items() if isinstance(field, tuple)}
    namespace = {"__module__": __name__, "__qualname__": "Bad", "__annotations__": annotations, **values}
    return type(Observation)("Bad", (Observation,), namespace)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no type that fits": ({"a": complex}, "Bad.a: an observation cannot hold complex"),
    "a list that is not a tuple": ({"a": list[int]}, "Bad.a: an observation cannot hold list"),
    "a tuple of a fixed length": ({"a": tuple[int, int]}, "Bad.a: a list is written tuple[X, ...]"),
    "two types": ({"a": int | str}, "Bad.a: an observation cannot hold"),
    "a list without a limit": ({"a": tuple[str, ...]}, "Bad.a: a list needs a limit from 1 to 4096"),
    "a limit too large": ({"a": (tuple[str, ...], fact(default=(), limit=5000))}, "a list needs a limit"),
    "a list of absent values": ({"a": (tuple[int | None, ...], fact(limit=2))}, "entries of a list are never None"),
    "a list in a list": ({"a": (tuple[Pair, ...], fact(limit=2))}, "Pair.heard: a list inside a list"),
    "a plain list in a list": ({"a": (tuple[tuple[int, ...], ...], fact(limit=2))}, "a: a list inside a list"),
    "a plain table in a list": ({"a": (tuple[dict[str, int], ...], fact(limit=2))}, "a: a table inside a list"),
    "an entry in a list's entry": ({"a": (tuple[Deep, ...], fact(limit=2))}, "Deep.seen: an entry inside a list"),
    "a table in a list": ({"a": (tuple[Priced, ...], fact(limit=2))}, "Priced.price: a table inside a list"),
    "a table without a name": ({"a": dict[str, int]}, "Bad.a: a dictionary needs a table of its names"),
    "a table of texts": ({"a": (dict[str, str], fact(table="goods"))}, "Bad.a: a table is written dict[str, int]"),
    "a float without a scale": ({"a": float}, "Bad.a: a float needs the stored steps in one unit"),
    "a scale of nothing": ({"a": (float, fact(scale=0))}, "Bad.a: a float needs the stored steps"),
    "a scale of a whole number": ({"a": (int, fact(scale=10))}, "Bad.a: only a float has a scale"),
    "a type of no integer": ({"a": (int, fact(dtype="f8"))}, "dtype 'f8' is not a signed integer type"),
    "a type that is none": ({"a": (int, fact(dtype="huge"))}, "dtype 'huge' is not a signed integer type"),
    "nearest to nothing": ({"a": (tuple[Seen, ...], fact(limit=2, nearest=True))}, "Bad.a: nearest to what?"),
    "nearest without places": (
        {"pos": Cell, "a": (tuple[Stone, ...], fact(limit=2, nearest=True))},
        "nearest first need an id and a Cell",
    ),
    "an id that is not there": ({"a": (tuple[Nobody, ...], fact(limit=2))}, "the id of an entry is never None"),
    "a name of the batch": ({"tick": int}, "Bad.tick: a batch has something of that name"),
    "a name of a method": ({"to_objects": int}, "Bad.to_objects: a batch has something of that name"),
    "the agent itself": ({"self": int}, "Bad.self: a batch has something of that name"),
    "words with a foreign field": ({"a": (int, fact(say="{b} of {}"))}, "names 'b', which is not a field beside it"),
    "words that are no form": ({"a": (int, fact(say="{"))}, "'{' is not a form"),
    "words with a format": ({"a": (int, fact(say="{:>5}"))}, "formats a value"),
    "words of a stranger": ({"a": (Mood, fact(say={"middle": "so so"}))}, "there is no member 'middle'"),
    "words by what is not there": ({"a": (int, fact(by="squad"))}, "by: there is no field 'squad'"),
    "too many members": ({"a": (tuple[Many, ...], fact(default=()))}, "Many has 32 members; at most 31 fit"),
}


@pytest.mark.parametrize(("fields", "message"), WRONG.values(), ids=WRONG)
def test_a_mistake_in_a_declaration_is_told_when_the_class_is_made(fields: dict[str, Any], message: str) -> None:
    """Each is one sentence that names the class and the field."""
    with pytest.raises(ContractError) as caught:
        declared(**fields)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_metaclass_is_pydantic_s_own() -> None:
    """The name that type checkers read is the metaclass that runs."""
    assert ModelMetaclass is type(BaseModel)


def test_columns_follow_from_the_declaration() -> None:
    """Each field has the columns that the table of types promises, lists and tables with their own dimensions."""
    columns = Forager.layout.columns
    assert list(columns) == sorted(columns)
    assert {path: (column.dtype.str[1:], column.list, column.table) for path, column in columns.items()} == {
        "bushes.berries": ("i4", "bushes", ""),
        "bushes.id": ("i8", "bushes", ""),
        "bushes.more": ("i4", "", ""),
        "bushes.pos.x": ("i4", "bushes", ""),
        "bushes.pos.y": ("i4", "bushes", ""),
        "camp": ("i4", "", ""),
        "energy": ("i2", "", ""),
        "field": ("i4", "", ""),
        "guide.id": ("i8", "", ""),
        "guide.pos.x": ("i4", "", ""),
        "guide.pos.y": ("i4", "", ""),
        "guide.tired": ("b1", "", ""),
        "habits": ("i4", "", ""),
        "home.x": ("i4", "", ""),
        "home.y": ("i4", "", ""),
        "landmarks": ("i4", "", ""),
        "load": ("i2", "", ""),
        "others.more": ("i4", "", ""),
        "others.there": ("b1", "others", ""),
        "others.x": ("i4", "others", ""),
        "others.y": ("i4", "others", ""),
        "pos.x": ("i4", "", ""),
        "pos.y": ("i4", "", ""),
        "rested": ("i4", "", ""),
        "room": ("i2", "", ""),
        "weather": ("i4", "", ""),
    }
    assert Villager.layout.columns["stock"].table == "goods"
    assert Villager.layout.tables == ("goods", "trades")
    assert Forager.layout.place is Forager.layout.leaves["pos"]


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "a field more": ({"a": int, "b": int, "c": int}, "the field 'c' is new"),
    "a field less": ({"a": int}, "the field 'b' is missing here"),
    "another type": ({"a": (float, fact(scale=10)), "b": int}, "the field 'a' has another scale: 10, recorded 1"),
    "another width": ({"a": (int, fact(dtype="i8")), "b": int}, "the field 'a' has another columns"),
    "may be absent": ({"a": (int | None, fact(default=None)), "b": int}, "the field 'a' has another columns"),
}


@pytest.mark.parametrize(("fields", "message"), CHANGES.values(), ids=CHANGES)
def test_another_declaration_has_another_digest_and_a_sentence(fields: dict[str, Any], message: str) -> None:
    """What changes how columns are read changes the digest, and the first field that differs is named."""
    before, after = declared(a=int, b=int), declared(**fields)
    assert before.layout.digest != after.layout.digest
    told = first_difference(before.layout.declaration, after.layout.declaration)
    assert told is not None
    assert told.startswith(message)


def test_lists_differ_by_limit_and_order() -> None:
    """A longer limit and another order are other declarations."""
    few = declared(pos=Cell, a=(tuple[Seen, ...], fact(default=(), limit=2)))
    many = declared(pos=Cell, a=(tuple[Seen, ...], fact(default=(), limit=3)))
    near = declared(pos=Cell, a=(tuple[Seen, ...], fact(default=(), limit=2, nearest=True)))
    assert len({each.layout.digest for each in (few, many, near)}) == 3
    told = first_difference(few.layout.declaration, near.layout.declaration)
    assert told == "the field 'a' has another order: nearest, recorded given"
    members = (declared(a=Mood), declared(a=StrEnum("Mood", ["low", "high", "odd"])))
    assert first_difference(*(each.layout.declaration for each in members)) is not None


def test_words_and_order_of_fields_are_no_part_of_the_declaration() -> None:
    """Better wording makes no recording unreadable; it changes the digest of the wording alone."""
    plain = declared(a=int, b=int)
    other = declared(b=(int, fact(say="bee {}", quiet=0, unit="m", meaning="how far")), a=(int, fact(default=3)))
    assert plain.layout.digest == other.layout.digest
    assert plain.layout.wording != other.layout.wording
    assert first_difference(plain.layout.declaration, other.layout.declaration) is None


def test_a_declaration_inherits_fields() -> None:
    """A subclass has the fields of its base, with what was said of them, and its own."""

    class Elder(Villager):
        wisdom: int = fact(default=0, say="wise {}")

    assert set(Elder.layout.columns) == {*Villager.layout.columns, "wisdom"}
    assert Elder.layout.leaves["money"].fact.scale == 100


def test_ids_belong_to_spaces() -> None:
    """An id says whose it is; agents' ids are one space."""
    bush = Annotated[int, Id("bushes")]
    layout = declared(a=bush, b=AgentId).layout
    assert layout.declaration["a"]["space"] == "bushes"
    assert layout.declaration["b"]["space"] == "agents"
