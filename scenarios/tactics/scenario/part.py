"""What all parts of a scenario share."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

AGENTS_MAX: Final = 200_000
"""Agents a scenario may start with."""


class Part(BaseModel):
    """Is the base of everything that a scenario file holds: no key that is not known, no value of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
