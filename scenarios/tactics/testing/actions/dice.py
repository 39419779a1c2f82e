"""Valid and some invalid arguments, drawn for every agent of an arena."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai.actions import ARGS_MAX, NONE, ArgSpec, Kind, ListShape, RecordShape, Shape, TextShape, ToolSpec
from scenarios.tactics.components import Position, Team
from scenarios.tactics.map_objects import Objects
from sim.engine.rng import Rng, purpose
from sim.run.actions import Args
from sim.run.simulation import Simulation


class Dice:
    """Draws for every agent of an arena, with a new purpose for each draw."""

    def __init__(self, number: int, keys: NDArray[np.int64]) -> None:
        self.rng, self.keys, self.purpose = Rng(number), keys, purpose("dice")

    def below(self, bound: int) -> NDArray[np.int64]:
        """Return whole numbers from 0 to bound - 1, one per agent."""
        self.purpose += 1
        return self.rng.below(self.keys, 0, self.purpose, max(bound, 1))

    def often(self, percent: int) -> NDArray[np.bool_]:
        """Return True for about `percent` in a hundred agents."""
        return self.below(100) < percent


def arguments(spec: ToolSpec, simulation: Simulation, dice: Dice) -> Args:
    """Return arguments for every agent, mostly valid, `[ARGS_MAX, n]`; payloads are stored."""
    world = simulation.world
    found = np.full((ARGS_MAX, world.n), NONE, np.int32)
    given: dict[str, NDArray[np.bool_]] = {}
    for place, arg in enumerate(spec.args):
        owner = arg.name.partition(".")[0]
        if owner not in given:
            given[owner] = np.ones(world.n, np.bool_) if arg.required else dice.often(60)
        found[place] = np.where(given[owner], _values(arg, simulation, dice), NONE)
    if spec.payload:
        drawn = {field.name: _contents(field.shape, simulation, dice) for field in spec.payload}
        contents = [{name: values[row] for name, values in drawn.items()} for row in range(world.n)]
        written = [json.dumps(each, sort_keys=True, separators=(",", ":")).encode() for each in contents]
        found[spec.payload_place] = [simulation.run_context.game.payloads.add(content) for content in written]
    return found


def _contents(shape: Shape, simulation: Simulation, dice: Dice) -> list[Any]:
    """Return a value of a payload for every agent."""
    if isinstance(shape, TextShape):
        return ["text"[: shape.chars_max]] * simulation.world.n
    if isinstance(shape, ListShape):
        entries = [_contents(shape.item, simulation, dice) for _ in range(min(shape.high, max(shape.low, 2)))]
        return [list(entry) for entry in zip(*entries, strict=True)]
    if isinstance(shape, RecordShape):
        fields = {field.name: _contents(field.shape, simulation, dice) for field in shape.fields}
        return [{name: values[row] for name, values in fields.items()} for row in range(simulation.world.n)]
    if shape.kind is Kind.CELL:
        axes = [_values(replace(shape, kind=kind), simulation, dice).tolist() for kind in (Kind.CELL_X, Kind.CELL_Y)]
        return [{"x": x, "y": y} for x, y in zip(*axes, strict=True)]
    values = _values(shape, simulation, dice).tolist()
    if shape.choices:
        return [shape.choices[value] for value in values]
    return values if shape.scale == 1 else [value / shape.scale for value in values]


def _values(arg: ArgSpec, simulation: Simulation, dice: Dice) -> NDArray[np.int64]:
    world, grid = simulation.world, simulation.run_context.game.grid
    position = world[Position]
    if arg.kind in (Kind.CELL_X, Kind.CELL_Y):
        here, size = (position.x, grid.width) if arg.kind is Kind.CELL_X else (position.y, grid.height)
        near = here + dice.below(5) - 2
        return np.clip(np.where(dice.often(80), near, dice.below(size)), 0, size - 1)
    if arg.sources == ("objects",):
        objects = world.resources["Objects"]
        assert isinstance(objects, Objects)
        far = (objects.x - position.x[:, None]) ** 2 + (objects.y - position.y[:, None]) ** 2
        near = np.argsort(far, axis=1, kind="stable")[np.arange(world.n), dice.below(6)]
        return np.where(dice.often(85), objects.id[near], dice.below(len(objects) + 20))
    if arg.kind is Kind.TARGET:
        dx, dy = position.x - position.x[:, None], position.y - position.y[:, None]
        wanted = (world[Team].id != world[Team].id[:, None]) == (arg.sources == ("enemies",))
        far = np.where(wanted, dx * dx + dy * dy, 10_000) + np.where(np.eye(world.n, dtype=np.bool_), 20_000, 0)
        by_distance = np.argsort(far, axis=1, kind="stable")
        nearest = world.keys[by_distance[np.arange(world.n), dice.below(3)]]
        return np.where(dice.often(75), nearest, dice.below(world.n * 3 // 2))
    spread = 3000 if arg.scale > 1 and not arg.choices else 5
    return arg.low + dice.below(min(arg.high - arg.low + 1, spread))
