"""What a world is declared with can be kept as JSON, and two declarations differ in a sentence."""

from __future__ import annotations

import json
from enum import IntEnum

import numpy as np
import pytest

from sim.engine.columns import Component, column, i8, i32
from sim.engine.declaration import first_difference
from sim.engine.resources import Resource
from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import Board


class Mood(IntEnum):
    LOW = -1
    HIGH = 1


class OtherMood(IntEnum):
    LOW = -1
    HIGH = 2


def component(name="Money", **columns):
    """Make a component: annotations, or annotations and options."""
    given = {key: value if isinstance(value, tuple) else (value, column()) for key, value in columns.items()}
    body = {key: options for key, (_, options) in given.items()}
    annotations = {key: annotation for key, (annotation, _) in given.items()}
    return type(name, (Component,), {**body, "__annotations__": annotations, "__module__": __name__})


class Grass(Resource):
    left: i32 = column(per="cell")


class Smoke(Resource, rows=3):
    cell: i32


def declared(components, resources=(), tables=None, sizes=None, board=None):
    with World(components, resources=resources, tables=tables, sizes=sizes) as world:
        if board is not None:
            world.add_resource(board)
        return json.loads(json.dumps(world.declaration))


def smoke(rows):
    return type("Smoke", (Resource,), {"__annotations__": {"cell": i32}, "__module__": __name__}, rows=rows)


def test_a_declaration_survives_json():
    """What a header keeps is what the world says."""
    with World([component(coins=i32)], resources=(Smoke,)) as world:
        assert json.loads(json.dumps(world.declaration)) == world.declaration
        assert first_difference(world.declaration, json.loads(json.dumps(world.declaration))) is None


def board_of(dtype):
    board = Board()
    board.cells = board.cells.astype(dtype)
    return board


MONEY, EMPTY = component(coins=i32), component("Empty")
CASES = [
    (([MONEY],), ([],), "component Money is only in the recording"),
    (([],), ([MONEY],), "component Money is only here"),
    (([MONEY, EMPTY],), ([EMPTY, MONEY],), "component Money is at another position in the recording"),
    (([MONEY],), ([component(coins=i8)],), "Money.coins: dtype is int32 in the recording and int8 here"),
    (([MONEY],), ([component(coins=i32, debt=i8)],), "column Money.debt is only here"),
    (([component(a=i8, b=i8)],), ([component(b=i8, a=i8)],), "column Money.a is at another position in the recording"),
    (
        ([component(coins=(i32, column(scale=10)))],), ([component(coins=(i32, column(scale=100)))],),
        "Money.coins: scale is 10 in the recording and 100 here",
    ),
    (
        ([component(coins=(i32, column(default=1)))],), ([component(coins=(i32, column(default=2)))],),
        "Money.coins: default is 1 in the recording and 2 here",
    ),
    (
        ([component(m="Mood")],), ([component(m=(OtherMood, column()))],),
        "Money.m: enum is (LOW=-1, HIGH=1) in the recording and (LOW=-1, HIGH=2) here",
    ),
    (
        ([component(t=("tuple[str, ...]", column(limit=3)))],), ([component(t=("tuple[str, ...]", column(limit=4)))],),
        "Money.t: shape is (3) in the recording and (4) here",
    ),
    (
        ([], [Grass], None, {"cell": 4}), ([], [Grass], None, {"cell": 9}),
        "Grass.left: shape is (4) in the recording and (9) here",
    ),
    (([], [smoke(3)]), ([], [smoke(4)]), "Smoke: rows is 3 in the recording and 4 here"),
    (([], [smoke(3)]), ([], []), "resource Smoke is only in the recording"),
    (
        ([], [], {"goods": ("a", "b")}), ([], [], {"goods": ("b", "a")}),
        "table 'goods' is (a, b) in the recording and (b, a) here",
    ),
    (([], [], None, {"cell": 4}), ([], [], None, None), "size 'cell' is 4 in the recording and not set here"),
    (
        ([], [], None, None, board_of(np.int16)), ([], [], None, None, board_of(np.int32)),
        "board.cells: dtype is int16 in the recording and int32 here",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("recorded", "here", "sentence"), CASES)
def test_the_first_difference_is_named(recorded, here, sentence):
    """Component, column and what differs stand in one sentence, and no difference gives none."""
    assert first_difference(declared(*recorded), declared(*here)) == sentence
    assert first_difference(declared(*recorded), declared(*recorded)) is None


def test_a_restore_says_what_differs():
    """A state of another declaration is refused with that sentence."""
    with (
        World([MONEY]) as world,
        World([component(coins=i8)]) as other,
        pytest.raises(WorldError, match=r"with another declaration: Money\.coins: dtype is int32"),
    ):
        other.restore(world.snapshot())
