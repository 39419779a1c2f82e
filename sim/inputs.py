"""Everything that reaches a world from outside: player moves, orders to squads, the director's changes, spawns.

Inputs come from a scenario's timeline or through `Simulation.inject`. They are applied at the start of a tick, in the
order given, with a flush of their own, and are recorded in the replay. A bad one is refused with one sentence and has
no effect.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ai.actions import CELLS_MAX, KEY_MAX

SPAWN_MAX: Final = 1000
"""Agents one input may spawn."""

CellIndex = Annotated[int, Field(strict=True, ge=0, le=CELLS_MAX - 1)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]*$")]


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Move(_Input):
    """The player moves one agent: its plan is dropped for a walk to a cell."""

    kind: Literal["move"] = "move"
    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)]
    x: CellIndex
    y: CellIndex


class Order(_Input):
    """A squad gets an order in words, and optionally a place to go; its agents plan again."""

    kind: Literal["order"] = "order"
    squad: Name
    text: Annotated[str, Field(min_length=1, max_length=200)]
    x: CellIndex | None = None
    y: CellIndex | None = None


class SetCells(_Input):
    """The director changes the map: a rectangle of cells becomes floor, cover or wall."""

    kind: Literal["set_cells"] = "set_cells"
    cell: Literal["floor", "cover", "wall"]
    x: CellIndex
    y: CellIndex
    width: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)] = 1
    height: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)] = 1


class Spawn(_Input):
    """The director sends agents: they join a squad on the free cells nearest to a place."""

    kind: Literal["spawn"] = "spawn"
    squad: Name
    count: Annotated[int, Field(strict=True, ge=1, le=SPAWN_MAX)]
    x: CellIndex
    y: CellIndex


class Remove(_Input):
    """The director takes one agent out of the world."""

    kind: Literal["remove"] = "remove"
    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)]


Input = Annotated[Move | Order | SetCells | Spawn | Remove, Field(discriminator="kind")]
"""Any input; `kind` says which."""

INPUT: Final[TypeAdapter[Input]] = TypeAdapter(Input)
"""Validates an input from data."""


class TimedInput(BaseModel):
    """An input and the tick at whose start it is applied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tick: Annotated[int, Field(strict=True, ge=0)]
    input: Input
