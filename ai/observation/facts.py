"""The declaration of observations: `fact`, cells, ids, and the classes that hold the declared fields.

The annotation of a field is its Python type in the object form. `= fact(...)` on the right declares the storage, the
wording and the limits of the field; a field with nothing on the right has the defaults.

    annotation                        stored as                                        worded by default as
    int, bool                         one column                                       "mood 5"
    float, scale= or ticks=True       one column of whole steps                        "money 12.5"
    AgentId, Annotated[int, Id(..)]   one i64 column, -1 for none                      "owner 5"
    StrEnum                           the member's position                            "weather rain"
    tuple[StrEnum, ...]               one bit for each member                          "tired hungry"
    Cell                              two i32 columns                                  "home 3,4"
    str                               a position in the batch's texts                  "heard 1", or the quoted text
    str, table="trades"               a position in a named table                      "trade baker"
    dict[str, int], table="goods"     one column for each name, [n, T]                 "bread 3 fish 1"
    Entry                             the entry's own columns                          what the entry says
    tuple[Entry, ...], limit=8        the entry's columns [n, width], and how many were cut
    tuple[Cell, ...], limit=8         likewise for cells, ids, texts, names and numbers
    any value, shared=True            a position among the batch's distinct values     once, above the rows
    X | None                          an absent value, which is worded as nothing
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeAlias, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field

from ai.errors import ContractError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    # The metaclass has no public name; a test checks that this is the right one.
    ModelMetaclass = type(BaseModel)

AGENTS: Final = "agents"
"""The name of the space of agent ids."""
REQUIRED: Final[Any] = ...
"""The default of a required fact."""


@dataclass(frozen=True, slots=True)
class Id:
    """Marks an `int` as an id and names its space; ids of two spaces may be equal."""

    space: str


AgentId: TypeAlias = Annotated[int, Id(AGENTS)]
"""The id of an agent."""


@dataclass(frozen=True, slots=True)
class Fact:
    """The declaration of one field, except its type. `fact` explains each part."""

    default: Any = REQUIRED
    say: str | Mapping[str, str] | None = None
    quiet: Any = None
    low: float | None = None
    high: float | None = None
    scale: int | None = None
    unit: str = ""
    dtype: str = "i4"
    ticks: bool = False
    limit: int = 0
    nearest: bool = False
    table: str = ""
    by: str = ""
    shared: bool = False
    meaning: str | Mapping[str, str] = ""


_KINDS: Final[dict[str, Any]] = {
    "low": int | float | None,
    "high": int | float | None,
    "scale": int | None,
    "limit": int,
    "table": str,
    "by": str,
}
"""The types of the parts of `fact` that are used before a declaration is read."""


def fact(
    *,
    default: Any = REQUIRED,
    say: str | Mapping[str, str] | None = None,
    quiet: Any = None,
    low: float | None = None,
    high: float | None = None,
    scale: int | None = None,
    unit: str = "",
    dtype: str = "i4",
    ticks: bool = False,
    limit: int = 0,
    nearest: bool = False,
    table: str = "",
    by: str = "",
    shared: bool = False,
    meaning: str | Mapping[str, str] = "",
) -> Any:
    """Declare the storage, the wording and the limits of a field.

    Args:
        default: the value of objects and batches that do not give the field.
        say: the wording of the field in a prompt. `"carries {} of {room}"` has the field's own value in `{}` and others
            of the same entry by name; a table has `{name}` as well. A mapping words single members: `{"rain": "it
            rains"}`. An empty text is never worded.
        quiet: the value that a prompt does not mention.
        low: the least value an object may have.
        high: the greatest value an object may have.
        scale: stored steps in one unit; needed by every `float` that is not in ticks.
        unit: the name of one unit in documentation.
        dtype: the signed integer type of a number's column.
        ticks: whether the object has seconds and the column whole ticks, rounded up.
        limit: the most entries of a list; more are cut and counted.
        nearest: whether the list is ordered by distance from the agent, ties by id; otherwise it keeps the given order.
        table: the table of a text, or of the keys of a dictionary.
        by: a path; agents with equal values at it share this field, and a prompt words it once for them.
        shared: whether many agents have the same value, which may be any frozen one; it is stored once.
        meaning: an explanation of the field for documentation, or of each member, which a prompt states once.
    """
    given: dict[str, object] = {"low": low, "high": high, "scale": scale, "limit": limit, "table": table, "by": by}
    for name, value in given.items():
        if not isinstance(value, _KINDS[name]) or isinstance(value, bool):
            raise ContractError(
                f"fact({name}={value!r}): give {'a text' if name in ('table', 'by') else 'a plain number'}"
            )
    return Fact(
        default, say, quiet, low, high, scale, unit, dtype, ticks, limit, nearest, table, by, shared, meaning
    )  # fmt: skip


def completed(made: Any) -> Any:
    """Return a model whose annotations name classes of the function in which it is defined, too.

    Pydantic looks for these in the caller of its metaclass. That is our metaclass, so they are one frame further up.
    """
    if not made.__pydantic_complete__:
        local = sys._getframe(2).f_locals  # noqa: SLF001 - as pydantic does
        made.model_rebuild(raise_errors=False, _types_namespace=local)
    return made


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(fact, Field))
class Declared(ModelMetaclass):
    """Reads `fact(...)` from a class body: pydantic gets its own fields, and `__facts__` keeps the declarations."""

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any], **options: Any) -> type:
        """Make the class and, if it has its own `_declare`, call that at once to read its fields."""
        facts = {key: value for key, value in space.items() if isinstance(value, Fact)}
        for key, given in facts.items():
            text = given.meaning if isinstance(given.meaning, str) else ""
            space[key] = Field(given.default, ge=given.low, le=given.high, description=text or None)
        made: Any = completed(super().__new__(mcs, name, bases, space, **options))
        made.__facts__ = {
            k: v for base in reversed(made.__mro__[1:]) for k, v in vars(base).get("__facts__", {}).items()
        }
        made.__facts__ |= facts
        declare = getattr(made, "_declare", None)
        if declare is not None:
            declare()
        return made  # type: ignore[no-any-return] # a class, although pydantic's metaclass says otherwise


Coordinate = Annotated[int, Field(strict=True, ge=-(2**31) + 1, le=2**31 - 1)]


class Cell(BaseModel):
    """A cell of a grid: `Cell(3, 4)`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: Coordinate
    y: Coordinate

    def __init__(self, x: int, y: int) -> None:
        super().__init__(x=x, y=y)

    # With this mark pydantic validates data without calling this method.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined] # functions take attributes

    def __str__(self) -> str:
        return f"{self.x},{self.y}"


class Entry(BaseModel, metaclass=Declared):
    """A group of declared fields: an entry of a list, or a part of an observation.

    The wording of an entry with an `id` and a `Cell` starts with these: `12@3,4`. `head` gives another wording.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    __facts__: ClassVar[dict[str, Fact]]
    head: ClassVar[str] = ""
