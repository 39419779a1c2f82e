"""Arguments: the declarations of an action's fields, and the conversion of written values to stored integers.

    count: int = number(1, 100)                 a whole number
    share: float = number(0, 1, scale=1000)     a number in whole steps of its unit
    pause: float = seconds(0.1, 60)             seconds, in whole milliseconds
    good: str = name("goods")                   a name of a table of the registry
    to: int = known("people", "debt_to")        an id that the agent knows, of these lists, entries or ids
    at: Cell = on("field")                      a cell of a space: a shared fact with `width` and `height`
    x: int = on("field", axis="x")              half of such a cell
    pace: Pace                                  a member of a StrEnum
    reason: str = words(60)                     a text
    stops: tuple[Cell, ...] = several(1, 8, on("field"))
    order: Order                                a `Record` of such fields

Texts, lists and records form a step's payload and are kept whole. Numbers are rounded to their steps, halves away from
zero; ids, coordinates and numbers without a scale must be whole. Booleans, NaN and infinities are refused everywhere.
`default=` gives the value of an argument that may be left out; None needs `X | None`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from numbers import Integral, Real
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.fields import FieldInfo

from ai.errors import ContractError

CELLS_MAX: Final = 4096
"""The most cells along one side of a space."""
KEY_MAX: Final = 2**31 - 1
"""The largest id that a step can name."""
SECONDS_MAX: Final = 600
"""The longest duration that a step may ask for, seconds."""
NAMES_MAX: Final = 256
"""The most names that one table may hold."""
NAME_CHARS_MAX: Final = 64
"""The longest name in a table, characters."""
WORDS_MAX: Final = 2000
"""The longest text that an argument may be declared to take, characters."""
ENTRIES_MAX: Final = 64
"""The most entries that a list of a payload may be declared to take."""
_REQUIRED: Final[Any] = ...


class Kind(IntEnum):
    """The meaning of an argument, which decides how it is checked against the agent's observation."""

    NUMBER = 0
    CELL_X = 1
    CELL_Y = 2
    TARGET = 3
    CHOICE = 4
    NAME = 5
    CELL = 7
    TEXT = 8
    LIST = 9


@dataclass(frozen=True, slots=True)
class Pick:
    """A placeholder for a target or a cell in a rule's action, filled for each agent: `pick("nearest")`.

    A reply never contains one, because replies are plain data.
    """

    text: str

    def __str__(self) -> str:
        return self.text


def pick(text: str) -> Any:
    """Return a placeholder for a target or a cell in a rule: `Talk(pick("nearest"), "Hello")`.

    `ai.rules.picks` describes the texts that it accepts.
    """
    return Pick(text)


@dataclass(frozen=True, slots=True)
class Argument:
    """A declared argument. Bounds are in stored units, and `scale` stored units are one written unit.

    `sources` are the sources of a target, the table of a name, or the space of a cell. `rounded` accepts numbers that
    are not whole. `item` declares the entries of a list.
    """

    kind: Kind
    low: int = 0
    high: int = 0
    scale: int = 1
    sources: tuple[str, ...] = ()
    rounded: bool = False
    item: Argument | None = None
    default: Any = _REQUIRED

    def __post_init__(self) -> None:
        """Check the bounds."""
        bounds: tuple[object, ...] = (self.low, self.high)
        if not all(isinstance(each, Integral) for each in bounds):
            raise ContractError(f"an argument from {self.low!r} to {self.high!r}: its bounds are whole numbers")
        if not -KEY_MAX <= self.low <= self.high <= KEY_MAX:
            raise ContractError(
                f"an argument from {self.low} to {self.high}: give the low bound first; {KEY_MAX} is the most"
            )

    def field(self) -> Any:
        """Return the pydantic field that reads the argument."""
        lengths = {"min_length": self.low, "max_length": self.high} if self.kind is Kind.LIST else {}
        info: FieldInfo = Field(self.default, **lengths)  # type: ignore[call-overload] # lengths are ints
        info.metadata += [WrapValidator(self._validated), self]
        return info

    def stored(self, value: object) -> int:
        """Return a written number, id or coordinate as its stored integer.

        Raises:
            ValueError: the value is not a number of this kind, or is out of range.
        """
        if isinstance(value, np.integer | np.floating):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports ValueError as invalid
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("must be finite")
        if self.scale == 1 and not self.rounded and value != int(value):
            raise ValueError("must be a whole number")
        stored = round_half_away(value * self.scale)
        if not self.low <= stored <= self.high:
            low, high = (bound if self.scale == 1 else bound / self.scale for bound in (self.low, self.high))
            raise ValueError(f"must be from {low:g} to {high:g}" if self.high < KEY_MAX else f"must be at least {low}")
        return stored

    def read(self, value: object) -> Any:
        """Return a written value in the form that the field takes.

        Raises:
            ValueError: the value does not fit.
        """
        match self.kind:
            case Kind.NAME | Kind.TEXT:
                return self._text(value)
            case Kind.CELL:
                return self._cell(value)
            case Kind.LIST:
                if self.item is None or not isinstance(value, list | tuple):
                    return value
                return [self.item.read(item) for item in value[: self.high + 1]]
        stored = self.stored(value)
        return stored if self.scale == 1 else stored / self.scale

    def _validated(self, value: object, handler: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, Pick) and self.kind in (Kind.TARGET, Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
            return value
        return handler(None if value is None else self.read(value))

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")  # noqa: TRY004 - pydantic reports ValueError as invalid
        if not self.low <= len(value) <= self.high:
            raise ValueError(f"must have from {self.low} to {self.high} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must be valid Unicode") from None
        return value

    def _cell(self, value: object) -> object:
        if isinstance(value, BaseModel):
            value = {"x": getattr(value, "x", None), "y": getattr(value, "y", None)}
        if not isinstance(value, dict) or value.keys() != {"x", "y"}:
            raise ValueError('must be a cell: {"x": 3, "y": 4}')
        return {axis: self.stored(value[axis]) for axis in ("x", "y")}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted name as objects in objects.

    >>> nested({"act": "MoveTo", "to.x": 3, "to.y": 4})
    {'act': 'MoveTo', 'to': {'x': 3, 'y': 4}}
    """
    made: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        owner = made
        for part in path:
            owner = owner.setdefault(part, {})
        owner[last] = value
    return made


def round_half_away(value: float) -> int:
    """Round to a whole number, halves away from zero."""
    return value if isinstance(value, int) else int(math.copysign(math.floor(abs(value) + 0.5), value))


def number(low: float, high: float, *, scale: int = 1, rounded: bool = False, default: Any = _REQUIRED) -> Any:
    """Declare a number from `low` to `high`.

    Args:
        low: the least value, in the written unit.
        high: the greatest value.
        scale: stored steps in one unit; an `int` field has 1.
        rounded: whether numbers that are not whole are rounded; if False, they are refused where `scale` is 1.
        default: the value of an argument that may be left out.
    """
    given: tuple[object, ...] = (low, high, scale)
    if not all(isinstance(each, Real) and math.isfinite(each) for each in given):
        raise ContractError(f"an argument from {low!r} to {high!r} in steps of 1 / {scale!r}: give three numbers")
    least, most = round_half_away(low * scale), round_half_away(high * scale)
    return Argument(Kind.NUMBER, least, most, scale=scale, rounded=rounded, default=default)


def seconds(low: float = 0.1, high: float = SECONDS_MAX, *, default: Any = _REQUIRED) -> Any:
    """Declare seconds, stored in whole milliseconds."""
    return number(low, high, scale=1000, default=default)


def name(table: str, *, default: Any = _REQUIRED) -> Any:
    """Declare a name from a table of the registry."""
    return Argument(Kind.NAME, 1, NAME_CHARS_MAX, sources=(table,), default=default)


def known(*sources: str, default: Any = _REQUIRED) -> Any:
    """Declare an id that the agent knows: from one of these lists, entries or ids of its observation, or `self`."""
    return Argument(Kind.TARGET, 0, KEY_MAX, sources=sources, default=default)


def on(space: str, *, axis: str = "", default: Any = _REQUIRED) -> Any:
    """Declare a cell of a space, or with `axis` its x or y.

    Args:
        space: a shared fact of the observation whose value has `width` and `height`.
        axis: `x` or `y`, for a field that is an `int`.
        default: the value of an argument that may be left out.
    """
    kind = {"x": Kind.CELL_X, "y": Kind.CELL_Y}.get(axis, Kind.CELL)
    return Argument(kind, 0, CELLS_MAX - 1, sources=(space,), default=default)


def words(limit: int, *, least: int = 0, default: Any = _REQUIRED) -> Any:
    """Declare a text of at most `limit` characters."""
    return Argument(Kind.TEXT, least, limit, default=default)


def several(least: int, most: int, item: Any = None, *, default: Any = _REQUIRED) -> Any:
    """Declare a list of `least` to `most` entries; `item` is `on(...)`, `known(...)` and so on, or None for records."""
    return Argument(Kind.LIST, least, most, item=item, default=default)
