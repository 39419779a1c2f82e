"""The base of everything that a scenario file holds, a domain's settings among it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim.engine.values import native
from sim.errors import ScenarioError
from sim.messages import one_line, sentence, shown

M = TypeVar("M", bound=BaseModel)

AGENTS_MAX: Final = 1_000_000
"""Agents that a run may start with."""
ALIVE_MAX: Final = 4 * AGENTS_MAX
"""Entities that a world may hold at a time: births need room when a run starts with as many agents as it may."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]*$")]
"""A name in a scenario file: of a scenario, a group, a place."""
Text = Annotated[str, Field(max_length=300)]
"""A short text for people."""


class Part(BaseModel):
    """A part of a scenario file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Settings(Part):
    """The constants of a run of one domain. Subclass it; give each field a default and a description.

    >>> from pydantic import Field
    >>> class Wealth(Settings):
    ...     agents: int = Field(100, ge=1, le=10_000, description="People at the start.")
    >>> Wealth(agents=5).agents
    5
    """

    if not TYPE_CHECKING:

        def __init__(self, **data: Any) -> None:
            super().__init__(**native(data))

        # Tells pydantic that this is not a custom constructor, so that JSON is read as JSON.
        __init__.__pydantic_base_init__ = True


def validated(kind: type[M], data: object, source: str = "", key: str = "") -> M:
    """Return plain data as a model, with lists for tuples, as in a file.

    Raises:
        ScenarioError: it does not fit; one sentence with the source, and the dotted key below `key`.
    """
    where, inner = f"{source}: " if source else "", f"{key}." if key else ""
    try:
        return kind.model_validate_json(json.dumps(data, allow_nan=False))
    except ValidationError as error:
        raise ScenarioError(one_line(f"{where}{inner}{sentence(error, kind.model_json_schema())}")) from None
    except (TypeError, ValueError, RecursionError) as error:
        # Dates and times, integers thousands of digits long, NaN: TOML can write them, JSON cannot.
        found = _unwritable(data)
        at = f"{inner}{found}: " if found else f"{key}: " if key else ""
        raise ScenarioError(one_line(f"{where}{at}holds a value that no key takes ({error})")) from None


def _unwritable(data: object) -> str:
    """Return the dotted key of the first value that JSON has no form for; empty for all of the data."""
    left: list[tuple[str, object]] = [("", data)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{key}.{shown(str(name))}" if key else shown(str(name)), each) for name, each in value.items()]
        elif isinstance(value, list):
            left += [(f"{key}[{place}]", each) for place, each in enumerate(value)]
        else:
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError):
                return key
    return ""
