"""The base of everything that a scenario file holds, a domain's settings among it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sim.engine.values import native

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
