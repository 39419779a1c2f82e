"""A public call of worlds, spaces and runs works with what is passed, or says in one sentence what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from sim import (
    Component,
    Grid,
    Network,
    Plane,
    Resource,
    Simulation,
    World,
    column,
    f64,
    i32,
    load,
    record,
)
from sim.errors import SimError
from sim.space import walk


class Mood(IntEnum):
    """Moods."""

    CALM = 1


class Being(Component):
    """A column of each kind."""

    energy: i32 = column(default=1)
    heat: f64 = column(default=0)
    money: float = column(scale=10)
    mood: Mood = column(default=Mood.CALM)
    word: str = column()
    heard: tuple[str, ...] = column(limit=3)
    stock: i32 = column(per="goods")


class Tag(Component):
    """No column."""


class Pot(Resource):
    """One value."""

    total: i32 = column()


class Smoke(Resource, rows=10):
    """Rows."""

    where: i32 = column()
    word: str = column()


class Odd:
    """Something of somebody else."""


ODD: tuple[Any, ...] = (
    *(None, "x", b"x", "", 1.5, float("nan"), float("inf"), -1, 0, 3, 10**30, True, ..., Odd(), int, Being, Tag),
    *([], [0], [[0]], [[1], [2, 3]], [0.5], ["a"], [None], [10**30], [True], (0,), range(3), {}, {"a": 1}, {1, 2}),
    *(np.arange(3), np.array(["a"]), np.array([Odd()], object), np.array(5), np.zeros((2, 2, 2)), np.array([1j])),
    *(np.array([True, False]), slice(None), slice("a"), slice(0.5), Mood.CALM, [Odd()]),
)
CELLS, FREE, LINKED = np.zeros(9, np.int64), np.ones(9, np.bool_), np.ones(5, np.bool_)


def world() -> World:
    """Return a world of three beings."""
    made = World([Being, Tag], resources=[Pot, Smoke], tables={"goods": ("bread", "fish")}, sizes={"cells": 9})
    made.spawn({Being: {}}, count=3)
    made.flush()
    made[Smoke].add(2)
    return made


def on(name: str) -> Callable[..., Any]:
    """Return the call of a method of a world, which is flushed afterwards."""

    def call(*args: Any, **kwargs: Any) -> None:
        made = world()
        found = getattr(made, name)(*args, **kwargs)
        if name == "agents":
            list(found)
        made.flush()

    return call


def of_smoke(name: str) -> Callable[..., Any]:
    """Return the call of a method of a resource."""

    def call(*args: Any, **kwargs: Any) -> None:
        getattr(world()[Smoke], name)(*args, **kwargs)

    return call


def beings_column(name: str, value: Any) -> None:
    world().spawn({Being: {name: value}}, count=2)


def beings_value(name: str, value: Any) -> None:
    setattr(world().entity(1)[Being], name, value)


def to_column(name: str, column_of: str) -> Callable[..., Any]:
    """Return the call of a method that takes a column first."""

    def call(*args: Any) -> None:
        made = world()
        getattr(made, name)(getattr(made[Being], column_of), *args)

    return call


GRID, TORUS, NETWORK, PLANE = Grid(3, 3), Grid(3, 3, torus=True), Network.ring(5), Plane(10, 10)
INDEX = GRID.index([0, 0, 1])
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "World": (
        World,
        ([Being],),
        {"resources": [Pot], "tables": {"goods": ("a",)}, "sizes": {"b": 2}, "seed": 1, "name": "w", "capacity": 8},
    ),
    "world[...]": (on("__getitem__"), (Being,), {}),
    "rows": (on("rows"), (Being, Tag), {}),
    "has": (on("has"), (Being,), {}),
    "row_of": (on("row_of"), (1,), {}),
    "rows_of": (on("rows_of"), ([1],), {}),
    "entity": (on("entity"), (1,), {}),
    "agents": (on("agents"), (Being,), {}),
    "spawn": (on("spawn"), ({Being: {}}, 2), {"like": [0, 0], "keys": [7, 8]}),
    "spawn a component": (lambda values: world().spawn({Being: values}), ({},), {}),
    "kill": (on("kill"), ([0],), {}),
    "kill_keys": (on("kill_keys"), ([0],), {}),
    "attach": (on("attach"), ([0], Tag, {}), {}),
    "detach": (on("detach"), ([0], Being), {}),
    "draws": (on("draws"), ([0], 5, 0), {}),
    "below": (on("below"), ([0], 5, 10, 0), {}),
    "chance": (on("chance"), ([0], 5, 10, 0), {}),
    "order": (on("order"), ([0], 5, 0), {}),
    "draws_at": (on("draws_at"), ([0], 5, 0), {}),
    "below_at": (on("below_at"), ([0], 5, 10, 0), {}),
    "chance_at": (on("chance_at"), ([0], 5, 10, 0), {}),
    "order_at": (on("order_at"), ([0], 5, 0), {}),
    "claim": (on("claim"), ([1], [1], 3), {}),
    "install": (on("install"), ([],), {}),
    "add_resource": (on("add_resource"), (Pot,), {}),
    "restore": (on("restore"), (None,), {}),
    "scatter_add": (to_column("scatter_add", "energy"), ([0], 1), {}),
    "scatter_add to": (on("scatter_add"), (None, [0], 1), {}),
    "remember": (to_column("remember", "heard"), ([0], [0]), {}),
    "remember in": (on("remember"), (None, [0], [0]), {}),
    "texts_of": (to_column("texts_of", "heard"), (0,), {}),
    "texts_of in": (on("texts_of"), (None, 0), {}),
    "view.energy": (lambda value: setattr(world()[Being], "energy", value), (0,), {}),
    "entity[...]": (lambda component: world().entity(1)[component], (Being,), {}),
    "in entity": (lambda component: component in world().entity(1), (Being,), {}),
    "stock[...]": (lambda name: world().entity(1)[Being].stock[name], ("bread",), {}),
    "stock[...] =": (lambda value: world().entity(1)[Being].stock.__setitem__("bread", value), (1,), {}),
    "pot.total": (lambda value: setattr(world()[Pot], "total", value), (1,), {}),
    "smoke.add": (of_smoke("add"), (2,), {"where": 1, "word": "a"}),
    "smoke.remove": (of_smoke("remove"), ([0],), {}),
    **{
        f"{what} {name}": (lambda value, name=name, call=call: call(name, value), (0,), {})
        for name in ("energy", "heat", "money", "mood", "word", "heard", "stock")
        for what, call in (("column", beings_column), ("value", beings_value))
    },
    "Grid": (Grid, (3, 3), {}),
    "cell": (GRID.cell, ([0], [0]), {}),
    "cell of a torus": (TORUS.cell, ([0], [0]), {}),
    "inside": (GRID.inside, ([0], [0]), {}),
    "xy": (GRID.xy, ([0],), {}),
    "anywhere": (GRID.anywhere, ([0],), {}),
    "scatter": (GRID.scatter, (np.arange(9), 2), {"allowed": FREE}),
    "offset": (TORUS.offset, ([0], [1]), {}),
    "spans": (lambda radius: GRID.spans(radius, moore=True), (1,), {}),
    "neighbours": (GRID.neighbours, ([0], 1), {}),
    "gather": (GRID.gather, (CELLS, [0], 0), {}),
    "sum_around": (GRID.sum_around, (CELLS, 1), {}),
    "step": (GRID.step, ([0], [5]), {"score": CELLS, "allowed": FREE, "radius": 1}),
    "step on a torus": (TORUS.step, ([0], [5]), {"radius": 1}),
    "descend": (GRID.descend, ([0], CELLS), {"allowed": FREE}),
    "sees": (GRID.sees, ([0], [1], ~FREE), {}),
    "field": (GRID.field, ([0], FREE), {}),
    "steps_to": (GRID.steps_to, ([0], [1], FREE), {}),
    "along": (GRID.along, ([0], [1], FREE), {"allowed": FREE}),
    "index": (GRID.index, ([0, 1], [0, 1]), {}),
    "rows_at": (INDEX.rows_at, (0,), {}),
    "first": (INDEX.first, ([0],), {}),
    "nth": (INDEX.nth, ([0], [0]), {}),
    "on": (INDEX.on, ([0],), {}),
    "near": (INDEX.near, ([0], 1), {}),
    "pairs": (INDEX.pairs, (1,), {}),
    "unsorted": (INDEX.unsorted, ([0], 1), {}),
    "Network": (Network, (5, [[0, 1]]), {}),
    "ring": (Network.ring, (5, 1), {}),
    "erdos_renyi": (lambda nodes, links: Network.erdos_renyi(nodes, links, words), (5, 3), {}),
    "watts_strogatz": (lambda *args: Network.watts_strogatz(*args, words), (5, 1, 10), {}),
    "barabasi_albert": (lambda nodes, links: Network.barabasi_albert(nodes, links, words), (5, 1), {}),
    "neighbours of nodes": (NETWORK.neighbours, ([0],), {}),
    "count": (NETWORK.count, (LINKED,), {}),
    "sum": (NETWORK.sum, (LINKED,), {}),
    "hops": (NETWORK.hops, ([0], LINKED), {}),
    "index of nodes": (NETWORK.index, ([0, 1], [0, 1]), {}),
    "Plane": (Plane, (10, 10), {}),
    "anywhere on a plane": (PLANE.anywhere, ([0], [0]), {}),
    "offset on a plane": (PLANE.offset, ([0], [0], [1], [1]), {}),
    "move": (PLANE.move, ([0], [0], [1], [1]), {}),
    "toward": (PLANE.toward, ([0], [0], [1], [1], 1), {}),
    "pairs on a plane": (PLANE.pairs, ([0, 1], [0, 1], 2), {}),
    "nearest": (PLANE.nearest, ([0, 1], [0, 1], 2, 1), {}),
    "walk.toward": (walk.toward, (GRID, [0], [1]), {"allowed": FREE}),
    "walk.away": (walk.away, (GRID, [0], [1]), {"allowed": FREE}),
    "walk.settled": (walk.settled, (GRID, [0], [0], [1]), {}),
}


def words(count: int, part: int) -> Any:
    """Return the words of a drawn network."""
    return np.random.default_rng(part).integers(2**32, size=count)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_a_wrong_argument_is_told_in_one_sentence(name: str) -> None:
    """Each argument in turn is something else: the call works all the same, or its error is ours and one line."""
    call, args, kwargs = CALLS[name]
    for place in (*range(len(args)), *kwargs):
        if name.startswith("walk") and place == 0 and args[0] is GRID:
            continue  # a type checker's matter
        for odd in ODD:
            given, named = list(args), dict(kwargs)
            if isinstance(place, int):
                given[place] = odd
            else:
                named[place] = odd
            sentence = ""
            try:
                call(*given, **named)
            except SimError as error:
                sentence = str(error)
            assert "\n" not in sentence
            assert len(sentence) < 600


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: load(cast(Any, 3)), "3 is not a scenario"),
        (lambda: Simulation(cast(Any, 3)), "a domain or a Scenario is expected, not 3$"),
        (lambda: market(tiers="heuristic"), r"tiers: give a list, as in \['heuristic'\]"),
        (lambda: market(tiers=3), "tiers: give a list"),
        (lambda: market(listeners=print), "listeners: give a list"),
        (lambda: market(plugins=["rules"]), "plugins: 'rules' is not a plug-in"),
        (lambda: market(client="ollama:x"), "client: 'ollama:x' is not a model; .*client_from_spec"),
        (lambda: market().run(cast(Any, "x")), "ticks: 'x' is not a whole number"),
        (lambda: market().collect(cast(Any, 2.5)), "ticks: 2.5 is not a whole number"),
        (lambda: market().collect(2, every=0), "every: 0 is not in 1"),
        (lambda: market().collect(2, tables=["agent"]), "no table 'agent'; tables: agents, plans"),
    ],
)
def test_wrong_arguments_of_runs_are_one_sentence(call: Callable[[], object], sentence: str) -> None:
    """What a run cannot use is said when it is made, or before it goes on."""
    with pytest.raises(SimError, match=sentence) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [{"ticks": "x"}, {"ticks": -1}, {"keyframes": "x"}])
def test_a_recording_with_wrong_arguments_leaves_no_file(wrong: dict[str, Any], tmp_path: Path) -> None:
    """The next attempt finds nothing in its place."""
    with pytest.raises(SimError, match=r"whole number|is not in"):
        record(market(), tmp_path / "a.replay.jsonl", **wrong)
    assert [*tmp_path.iterdir()] == []


def market(**given: Any) -> Simulation:
    """Return a run of the market."""
    return Simulation(load("market"), **given)
