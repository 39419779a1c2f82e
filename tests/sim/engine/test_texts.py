"""Texts in columns: remembered in order, bounded, and hashed, copied and written by content."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engine import texts as module
from sim.engine.codec import decode_state, encode_state
from sim.engine.columns import Component, column, i8
from sim.engine.digest import state_digest
from sim.engine.resources import Resource
from sim.engine.state_diff import Change, changes
from sim.engine.texts import Texts
from sim.engine.world import World
from sim.errors import WorldError


class Villager(Component):
    name: str
    heard: tuple[str, ...] = column(limit=3)
    age: i8


class Board(Resource):
    notice: str
    seen: tuple[str, ...] = column(limit=2)


class Sign(Resource, rows=5):
    text: str


PARTS = {"resources": (Board, Sign), "debug": True}
WORDS = st.sampled_from(("bread", "rain", "fish \U0001f41f", "é", "z"))


@pytest.fixture
def town():
    """A world of three villagers that have heard nothing."""
    with World([Villager], **PARTS) as world:
        world.spawn({Villager: {"name": ["Ann", "Bo", ""]}}, 3)
        world.flush()
        yield world


def heard(world):
    return [agent[Villager].heard for agent in world.agents(Villager)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), WORDS), max_size=6), max_size=5))
def test_a_memory_keeps_the_newest_in_order(calls):
    """Texts join a memory one behind the other, also several at once, and the oldest makes room."""
    expected: list[list[str]] = [[], [], []]
    with World([Villager]) as world:
        world.spawn({Villager: {}}, 3)
        world.flush()
        for told in calls:
            rows, words = [row for row, _ in told], [word for _, word in told]
            world.remember(world[Villager].heard, rows, [world.texts.intern(word) for word in words])
            for row, word in told:
                expected[row] = [*expected[row], word][-3:]
        assert heard(world) == [tuple(texts) for texts in expected]
        assert [world.texts_of(world[Villager].heard, row) for row in range(3)] == heard(world)


def test_texts_are_given_and_read_as_texts(town):
    """A spawn and an agent's attribute take texts, and the attribute gives them."""
    town.spawn({Villager: {"name": "Cy", "heard": ("a", "b")}}, 2)
    town.spawn({Villager: {"heard": [("a",), (), ("b", "c", "d")]}}, 3)
    town.flush()
    assert [agent[Villager].name for agent in town.agents()] == ["Ann", "Bo", "", "Cy", "Cy", "", "", ""]
    assert heard(town) == [(), (), (), ("a", "b"), ("a", "b"), ("a",), (), ("b", "c", "d")]
    agent = town.entity(1)[Villager]
    agent.name, agent.heard = "Bob", ("x",)
    assert (agent.name, agent.heard, heard(town)[1]) == ("Bob", ("x",), ("x",))
    town.remember(town[Villager].heard, slice(0, 2), town.texts.intern("to all"))
    town.remember(town[Villager].heard, [0], town.texts.intern(""))
    assert heard(town)[:2] == [("to all",), ("x", "to all")]
    assert town.texts_of(town[Villager].name, 1) == ("Bob",)


def filled(world, words):
    """Give a world of three villagers the same texts, interned in another order and among others."""
    for word in words:
        world.texts.intern(word)
    for agent, texts in zip(world.agents(), [("b", "a"), (), ("a",)], strict=True):
        agent[Villager].heard = texts
    world[Board].notice = "sale"
    world[Board].seen[...] = [world.texts.intern("sale"), 0]
    world[Sign].add(2, text=["left", "a"])


def test_neither_order_nor_unused_texts_are_state(town):
    """Two worlds with the same texts agree in digest, snapshot and bytes, whatever else their tables hold."""
    with town.fork() as other:
        filled(town, [])
        filled(other, ["z", "sale", "unused", "a", "left", "b"])
        assert town.texts.intern("a") != other.texts.intern("a")
        assert state_digest(town) == state_digest(other)
        assert town.snapshot() == other.snapshot()
        assert encode_state(town.snapshot()) == encode_state(other.snapshot())
        assert changes(town.snapshot(), other.snapshot()) == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda world: setattr(world.entity(0)[Villager], "heard", ("a", "b")),
        lambda world: setattr(world.entity(0)[Villager], "heard", ("b", "c")),
        lambda world: setattr(world.entity(1)[Villager], "name", "Bo2"),
        lambda world: setattr(world[Board], "notice", "sole"),
        lambda world: world[Board].seen.__setitem__(0, world.texts.intern("x")),
        lambda world: world[Sign].text.__setitem__(0, world.texts.intern("right")),
        lambda world: world[Sign].remove(0),
    ],
)
def test_every_text_is_in_digest_snapshot_and_bytes(town, change):
    """A text that changes, or its place, changes all of them, and going back restores all."""
    filled(town, ["x"])
    digest, state = state_digest(town), town.snapshot()
    change(town)
    assert state_digest(town) != digest
    assert town.snapshot() != state
    assert encode_state(town.snapshot()) != encode_state(state)
    assert changes(state, town.snapshot())
    town.restore(state)
    assert (state_digest(town), town.snapshot()) == (digest, state)


def test_texts_go_into_another_world(town):
    """A restored world interns what it gets beside what it has, and remembers on."""
    filled(town, [])
    with World([Villager], **PARTS) as other:
        for word in ("other", "b", "sale"):
            other.texts.intern(word)
        other.restore(decode_state(encode_state(town.snapshot()), other))
        assert heard(other) == heard(town)
        assert [other.texts.text(place) for place in other[Sign].text.tolist()] == ["left", "a"]
        for world in (town, other):
            world.remember(world[Villager].heard, [0, 0], [world.texts.intern("c"), world.texts.intern("b")])
        assert state_digest(other) == state_digest(town)
        assert heard(other)[0] == ("a", "c", "b")


def test_a_change_names_the_text(town):
    """Reports show what was heard, not where it stands in a table."""
    before = town.snapshot()
    town.entity(1)[Villager].heard = ("rain",)
    town[Board].notice = "sale"
    assert changes(before, town.snapshot()) == (
        Change("Villager.heard", 1, ["rain", "", ""]),
        Change("Board.notice", 0, "sale"),
    )


def test_the_root_is_the_same_in_another_process():
    """Texts reach a root by content, in every process and under every hash seed."""
    script = (
        "import sys\n"
        "from sim.engine.columns import Component, column\n"
        "from sim.engine.digest import state_digest\n"
        "from sim.engine.world import World\n"
        "class V(Component):\n    heard: tuple[str, ...] = column(limit=2)\n"
        "w = World([V])\n"
        "[w.texts.intern(t) for t in {'p', 'q', 'r', 's', *sys.argv[1:]}]\n"
        "w.spawn({V: {'heard': [('q', 'p'), ('s',)]}}, count=2); w.flush()\n"
        "print(state_digest(w).root)\n"
    )
    roots = {
        subprocess.run(
            [sys.executable, "-c", script, *more],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, more in (("0", []), ("1", ["t"]), ("2", ["a"]))
    }
    assert len(roots) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": 3}, r"Villager\.name: 3 are not texts"),
        ({"name": ["a", 3]}, r"Villager\.name: 3 is not a text"),
        ({"heard": ("a",) * 4}, r"Villager\.heard: 4 texts are more than 3, or one is empty"),
        ({"heard": ("a", "")}, r"Villager\.heard: 2 texts are more than 3, or one is empty"),
        ({"heard": [("a",), 3]}, r"Villager\.heard: .* are not texts"),
        ({"heard": "abc"}, r"Villager\.heard: 'abc' is one text; give a tuple of texts"),
        ({"heard": None}, r"Villager\.heard: None are not texts"),
        ({"name": "\ud800"}, r"Villager\.name: the text .* holds half a surrogate pair"),
        ({"name": "x" * 20_000}, r"Villager\.name: a text of 20000 bytes \('xxx.*\) is longer than 16384 bytes"),
    ],
)
def test_what_is_no_text_is_named(town, values, message):
    """Other values, too many texts and too long ones are refused with the column and the limit."""
    with pytest.raises(WorldError, match=message):
        town.spawn({Villager: values}, 2)


def test_the_table_is_bounded(monkeypatch):
    """The number of texts and their bytes together have limits, which the sentence names."""
    monkeypatch.setattr(module, "TEXTS_MAX", 2)
    texts = Texts()
    assert [texts.intern("a"), texts.intern("b"), texts.intern("a"), texts.intern("")] == [1, 2, 1, 0]
    with pytest.raises(WorldError, match="at most 2 different texts"):
        texts.intern("c")
    monkeypatch.setattr(module, "TEXTS_MAX", 9)
    monkeypatch.setattr(module, "TEXTS_BYTES_MAX", 4)
    with pytest.raises(WorldError, match="at most 4 bytes together"):
        texts.intern("cde")
    for place in (-1, 3):
        with pytest.raises(WorldError, match=f"there is no text {place}; the table holds 3"):
            texts.text(place)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.remember(w[Villager].name, [0], 1), r"Villager\.name is not a column of tuple"),
        (lambda w: w.remember(w[Villager].age, [0], 1), r"Villager\.age is not a column of tuple"),
        (lambda w: w.remember(np.zeros((3, 3)), [0], 1), "this array is not a column of the world"),
        (lambda w: w.remember(w[Villager].heard, [3], 1), r"Villager\.heard: rows 3\.\.3 are not in 0\.\.2"),
        (lambda w: w.remember(w[Villager].heard, [0, 1], [1, 9]), "there is no text 9"),
        (lambda w: w.remember(w[Villager].heard, [0, 1], [1, -1]), "there is no text -1"),
        (lambda w: w.remember(w[Villager].heard, [0, 1], [1, 1, 1]), r"\(3,\) texts for 2 rows"),
        (lambda w: w.remember(w[Villager].heard, [0], ["a"]), "'a' is not an integer"),
        (lambda w: w.texts_of(w[Villager].age, 0), r"Villager\.age is not a column of texts"),
        (lambda w: w.texts_of(w[Villager].heard, 4), r"Villager\.heard: rows 4"),
    ],
)
def test_what_cannot_be_remembered_is_said(town, call, message):
    """Another column, a row that does not exist and a text that is not in the table are errors, and change nothing."""
    before = state_digest(town)
    with pytest.raises(WorldError, match=message):
        call(town)
    assert state_digest(town) == before


def tampered(town, change):
    """Return a state's bytes with its head changed."""
    head, _, rest = encode_state(town.snapshot()).partition(b"\n")
    data = json.loads(head)
    change(data["texts"])
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode() + b"\n" + rest


@pytest.mark.parametrize(
    "change",
    [
        lambda texts: texts.update({"Villager.heard": ["b", "a"]}),
        lambda texts: texts.update({"Villager.heard": ["a", "a"]}),
        lambda texts: texts.update({"Villager.heard": ["a"]}),
        lambda texts: texts.update({"Villager.heard": ["a", "b", "c"]}),
        lambda texts: texts.update({"Villager.heard": ["", "a"]}),
        lambda texts: texts.update({"Villager.heard": ["a", 3]}),
        lambda texts: texts.update({"Villager.heard": ["a", "\ud800"]}),
        lambda texts: texts.update({"Villager.heard": ["a", "b" * 20_000]}),
        lambda texts: texts.update({"Villager.heard": "ab"}),
        lambda texts: texts.update({"Villager.age": []}),
        lambda texts: texts.pop("Board.notice"),
    ],
)
def test_bytes_with_other_texts_are_refused(town, change):
    """A file cannot bring texts in that the columns do not use, in another order, too long, or for another column."""
    filled(town, [])
    with pytest.raises(WorldError):
        decode_state(tampered(town, change), town)
    assert decode_state(tampered(town, lambda texts: None), town) == town.snapshot()
