"""Fields: the marked types that the fields of an action kind are written in, and how what is written is quantised.

Seconds are rounded to whole milliseconds and distances to whole cells, halves away from zero; coordinates and ids must
be whole numbers. Booleans, NaN and infinities are refused everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

CELLS_MAX: Final = 4096
"""Cells along one side of the largest map."""
KEY_MAX: Final = 2**31 - 1
"""Largest agent key that a step can name."""
SECONDS_MAX: Final = 600
"""Longest duration a step may ask for."""
NAMES_MAX: Final = 256
"""Names that one table (weapons, items, abilities) may hold."""
NAME_CHARS_MAX: Final = 64
"""Longest name of a weapon, an item or an ability, characters."""


class Role(IntEnum):
    """What an integer argument means, and so how it is checked against what the agent knows."""

    NUMBER = 0
    CELL_X = 1
    CELL_Y = 2
    ENEMY = 3
    ALLY = 4
    CHOICE = 5
    WEAPON = 6
    ITEM = 7
    ABILITY = 8
    OBJECT = 9
    PAYLOAD = 10


NAME_ROLES: Final = (Role.WEAPON, Role.ITEM, Role.ABILITY)
"""Roles whose integers are positions in a table of names."""
TARGET_ROLES: Final = (Role.ENEMY, Role.ALLY, Role.OBJECT)
"""Roles whose integers are ids that the agent must know."""


@dataclass(frozen=True, slots=True)
class Arg:
    """Marks a field as one stored integer: its role, its range in stored units, and stored units per written unit."""

    role: Role
    low: int
    high: int
    scale: int = 1


@dataclass(frozen=True, slots=True)
class Payload:
    """Marks a field that is kept whole: a list or a record of marked types, bounded texts and choices."""


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports ValueError as invalid
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be finite")
    return value


def _whole(value: object) -> int:
    number = _number(value)
    if isinstance(number, float) and not number.is_integer():
        raise ValueError("must be a whole number")
    return int(number)


def round_half_away(value: float) -> int:
    """Round to a whole number, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _cells(value: object) -> int:
    number = _number(value)
    if abs(number) > CELLS_MAX:
        raise ValueError(f"must be at most {CELLS_MAX} cells")
    return round_half_away(number)


def _seconds(value: object) -> float:
    number = _number(value)
    if abs(number) > SECONDS_MAX:
        raise ValueError(f"must be at most {SECONDS_MAX} seconds")
    return round_half_away(number * 1000) / 1000


def _share(value: object) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("must be from 0 to 1")
    return round_half_away(number * 1000) / 1000


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic reports ValueError as invalid
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be sound Unicode") from None
    return value


CellX = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=CELLS_MAX - 1), Arg(Role.CELL_X, 0, CELLS_MAX - 1)]
CellY = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=CELLS_MAX - 1), Arg(Role.CELL_Y, 0, CELLS_MAX - 1)]
EnemyId = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=KEY_MAX), Arg(Role.ENEMY, 0, KEY_MAX)]
AllyId = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=KEY_MAX), Arg(Role.ALLY, 0, KEY_MAX)]
Distance = Annotated[int, BeforeValidator(_cells), Field(ge=1, le=64), Arg(Role.NUMBER, 1, 64)]
"""Whole cells, 1 to 64."""
Seconds = Annotated[
    float, BeforeValidator(_seconds), Field(ge=0.1, le=SECONDS_MAX), Arg(Role.NUMBER, 100, SECONDS_MAX * 1000, 1000)
]
"""Seconds, kept to the millisecond; stored as milliseconds."""
BriefSeconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0.1, le=10), Arg(Role.NUMBER, 100, 10_000, 1000)]
"""At most ten seconds, kept to the millisecond; stored as milliseconds."""
Radius = Annotated[int, BeforeValidator(_cells), Field(ge=1, le=4), Arg(Role.NUMBER, 1, 4)]
"""Whole cells, 1 to 4."""
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=100), Arg(Role.NUMBER, 1, 100)]
"""A number of agents, 1 to 100."""
Slot = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=3), Arg(Role.NUMBER, 0, 3)]
"""The slot of a weapon, 0 to 3."""
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1), Arg(Role.NUMBER, 0, 1000, 1000)]
"""A share from 0 to 1, kept to the per-mille; stored as per-mille."""
Text = Annotated[str, BeforeValidator(_text)]
"""A text of a payload; give it a `max_length`."""
_Named = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=NAME_CHARS_MAX)]
WeaponName = Annotated[_Named, Arg(Role.WEAPON, 0, NAMES_MAX - 1)]
ItemName = Annotated[_Named, Arg(Role.ITEM, 0, NAMES_MAX - 1)]
AbilityName = Annotated[_Named, Arg(Role.ABILITY, 0, NAMES_MAX - 1)]
ObjectId = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=KEY_MAX), Arg(Role.OBJECT, 0, KEY_MAX)]


class Cell(BaseModel):
    """One cell of the map."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    x: CellX
    y: CellY


def cells_in(value: object) -> Iterator[Cell]:
    """Yield every cell inside a step or a value of one, however deep."""
    if isinstance(value, Cell):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from cells_in(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from cells_in(item)
