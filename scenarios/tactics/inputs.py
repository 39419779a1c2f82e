"""The inputs of the game: moves of a player, orders to squads, and operations of the director.

The system `scenarios.tactics.systems.inputs.Inputs` applies them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ai.actions import CELLS_MAX
from sim.run.inputs import SPAWN_MAX, Act, AgentKey, Control, Input
from sim.run.settings import Name

__all__ = ["INPUTS", "Act", "Collapse", "Control", "Fortify", "Input", "Move", "Name", "Order", "Rect", "Remove",
           "SetCells", "SetParameter", "Spawn", "SpawnWave", "Spot"]  # fmt: skip

CellIndex = Annotated[int, Field(strict=True, ge=0, le=CELLS_MAX - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spot(_Part):
    """A cell of the map."""

    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")


class Rect(_Part):
    """A rectangle of cells."""

    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")
    width: int = Field(strict=True, ge=1, le=CELLS_MAX, description="Cells from west to east.")
    height: int = Field(strict=True, ge=1, le=CELLS_MAX, description="Cells from north to south.")


class Move(Input):
    """The player moves one agent: a walk to a cell replaces its plan."""

    agent: AgentKey
    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")


class Order(Input):
    """A squad gets an order in words, and optionally a place to go; its agents plan again."""

    squad: Name = Field(description="Name of the squad.")
    text: str = Field(min_length=1, max_length=200, description="The words of the order.")
    x: CellIndex | None = Field(None, description="Cells from the west edge, counted from 0.")
    y: CellIndex | None = Field(None, description="Cells from the north edge, counted from 0.")


class SetCells(Input):
    """The director changes the map: a rectangle of cells becomes floor, cover or wall."""

    cell: Literal["floor", "cover", "wall"] = Field(description="New terrain of the cells.")
    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")
    width: int = Field(1, strict=True, ge=1, le=CELLS_MAX, description="Cells from west to east.")
    height: int = Field(1, strict=True, ge=1, le=CELLS_MAX, description="Cells from north to south.")


class Spawn(Input):
    """The director sends agents: they join a squad on the free cells nearest to a place."""

    squad: Name = Field(description="Name of the squad.")
    count: int = Field(strict=True, ge=1, le=SPAWN_MAX, description="Number of agents.")
    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")


class Remove(Input):
    """The director removes one agent from the world."""

    agent: AgentKey


class Fortify(Input):
    """The director turns the floor in a rectangle to cover; costs one terrain edit."""

    rect: Rect = Field(description="The cells whose floor becomes cover.")


class SpawnWave(Input):
    """The director sends a wave of one archetype, which joins a squad of its team; costs one spawn.

    It joins `squad`, or the director's squad if none is named, on the free cells nearest to `origin`.
    """

    archetype: Name = Field(description="Name of the archetype.")
    count: int = Field(strict=True, ge=1, le=SPAWN_MAX, description="Number of agents.")
    origin: Spot = Field(description="The cell near which they appear.")
    squad: Name | None = Field(None, description="Name of the squad; without it, the director's.")


class Collapse(Input):
    """The director turns the cells from `a` to `b` to wall, diagonally first, then straight; costs one trap."""

    a: Spot = Field(description="First cell of the line that becomes wall.")
    b: Spot = Field(description="Last cell of the line.")


class SetParameter(Input):
    """One of the numbers in `scenarios.tactics.parameters.NAMES` changes, from this tick on."""

    kind: ClassVar[str] = "set"
    name: str = Field(min_length=1, max_length=64, description="Name of the parameter, as `planning.ttl_s`.")
    value: int = Field(strict=True, ge=-(2**31), le=2**31 - 1, description="New value, within the bounds of its key.")


INPUTS: Final = (Move, Control, Act, Order, SetCells, Spawn, Remove, Fortify, SpawnWave, Collapse, SetParameter)
"""Every kind of input of the game."""
