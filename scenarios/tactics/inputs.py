"""Everything that reaches a world from outside: what a player does, orders to squads, what the director does.

Inputs come from a scenario's timeline or through `Simulation.inject`. They are applied at the start of a tick, in the
order given, with a flush of their own, and are recorded in the replay. A bad one is refused with one sentence and has
no effect.
"""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from ai.actions import CELLS_MAX, KEY_MAX

SPAWN_MAX: Final = 1000
"""Agents one input may spawn."""

STEP_CHARS_MAX: Final = 1000
"""Characters of the JSON of one step that an input may hold."""

CellIndex = Annotated[int, Field(strict=True, ge=0, le=CELLS_MAX - 1)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]*$")]


def _is_short(step: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        length = len(json.dumps(step, allow_nan=False))
    except (ValueError, RecursionError):
        raise ValueError("holds a value that JSON has no form for") from None
    if length > STEP_CHARS_MAX:
        raise ValueError(f"has {length} characters as JSON; at most {STEP_CHARS_MAX} are possible")
    return step


StepData = Annotated[dict[str, JsonValue], AfterValidator(_is_short)]
"""One action step as data, as a planner writes it: `{"act": "Attack", "target_id": 7}`."""


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spot(_Input):
    """A cell of the map."""

    x: CellIndex
    y: CellIndex


class Rect(_Input):
    """A rectangle of cells."""

    x: CellIndex
    y: CellIndex
    width: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)]
    height: Annotated[int, Field(strict=True, ge=1, le=CELLS_MAX)]


class Move(_Input):
    """The player moves one agent: its plan is dropped for a walk to a cell."""

    kind: Literal["move"] = "move"
    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)]
    x: CellIndex
    y: CellIndex


class Control(_Input):
    """The player takes one agent over, or gives it back: while it is taken, no planner plans for it."""

    kind: Literal["control"] = "control"
    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)]
    on: Annotated[bool, Field(strict=True)] = True


class Act(_Input):
    """An agent that the player has taken over drops what it does for one step of any kind."""

    kind: Literal["act"] = "act"
    agent: Annotated[int, Field(strict=True, ge=0, le=KEY_MAX)]
    step: StepData


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


class Fortify(_Input):
    """The director makes cover of the floor in a rectangle; costs one terrain edit."""

    kind: Literal["fortify"] = "fortify"
    rect: Rect


class SpawnWave(_Input):
    """The director sends a wave of one archetype, which joins a squad of its team; costs one spawn.

    It joins `squad`, or the director's squad where none is named, on the free cells nearest to `origin`.
    """

    kind: Literal["spawn_wave"] = "spawn_wave"
    archetype: Name
    count: Annotated[int, Field(strict=True, ge=1, le=SPAWN_MAX)]
    origin: Spot
    squad: Name | None = None


class Collapse(_Input):
    """The director makes a wall of the cells from `a` to `b`, diagonal first, then straight; costs one trap."""

    kind: Literal["collapse"] = "collapse"
    a: Spot
    b: Spot


class SetParameter(_Input):
    """One of the numbers in `scenarios.tactics.parameters.NAMES` changes, from this tick on."""

    kind: Literal["set"] = "set"
    name: Annotated[str, Field(min_length=1, max_length=64)]
    value: Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]


Input = Annotated[
    Move | Control | Act | Order | SetCells | Spawn | Remove | Fortify | SpawnWave | Collapse | SetParameter,
    Field(discriminator="kind"),
]
"""Any input; `kind` says which."""

INPUT: Final[TypeAdapter[Input]] = TypeAdapter(Input)
"""Validates an input from data."""


class TimedInput(BaseModel):
    """An input and the tick at whose start it is applied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tick: Annotated[int, Field(strict=True, ge=0)]
    input: Input
