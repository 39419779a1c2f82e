"""Everything that reaches the game from outside: what a player does, orders to squads, what the director does.

The system `scenarios.tactics.systems.inputs.Inputs` applies them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ai.actions import CELLS_MAX, KEY_MAX
from sim.run.inputs import SPAWN_MAX, Act, Control, Input
from sim.run.settings import Name

__all__ = ["INPUTS", "Act", "Collapse", "Control", "Fortify", "Input", "Move", "Name", "Order", "Rect", "Remove",
           "SetCells", "SetParameter", "Spawn", "SpawnWave", "Spot"]  # fmt: skip

CellIndex = Annotated[int, Field(strict=True, ge=0, le=CELLS_MAX - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spot(_Part):
    """A cell of the map."""

    x: CellIndex
    y: CellIndex


class Rect(_Part):
    """A rectangle of cells."""

    x: CellIndex
    y: CellIndex
    width: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)]
    height: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)]


class Move(Input):
    """The player moves one agent: its plan is dropped for a walk to a cell."""

    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)]
    x: CellIndex
    y: CellIndex


class Order(Input):
    """A squad gets an order in words, and optionally a place to go; its agents plan again."""

    squad: Name
    text: Annotated[str, Field(min_length=1, max_length=200)]
    x: CellIndex | None = None
    y: CellIndex | None = None


class SetCells(Input):
    """The director changes the map: a rectangle of cells becomes floor, cover or wall."""

    cell: Literal["floor", "cover", "wall"]
    x: CellIndex
    y: CellIndex
    width: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)] = 1
    height: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)] = 1


class Spawn(Input):
    """The director sends agents: they join a squad on the free cells nearest to a place."""

    squad: Name
    count: Annotated[int, Field(strict=True, ge=1, le=SPAWN_MAX)]
    x: CellIndex
    y: CellIndex


class Remove(Input):
    """The director takes one agent out of the world."""

    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)]


class Fortify(Input):
    """The director makes cover of the floor in a rectangle; costs one terrain edit."""

    rect: Rect


class SpawnWave(Input):
    """The director sends a wave of one archetype, which joins a squad of its team; costs one spawn.

    It joins `squad`, or the director's squad where none is named, on the free cells nearest to `origin`.
    """

    archetype: Name
    count: Annotated[int, Field(strict=True, ge=1, le=SPAWN_MAX)]
    origin: Spot
    squad: Name | None = None


class Collapse(Input):
    """The director makes a wall of the cells from `a` to `b`, diagonal first, then straight; costs one trap."""

    a: Spot
    b: Spot


class SetParameter(Input):
    """One of the numbers in `scenarios.tactics.parameters.NAMES` changes, from this tick on."""

    kind: ClassVar[str] = "set"
    name: Annotated[str, Field(min_length=1, max_length=64)]
    value: Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]


INPUTS: Final = (Move, Control, Act, Order, SetCells, Spawn, Remove, Fortify, SpawnWave, Collapse, SetParameter)
"""Every kind of input of the game."""
