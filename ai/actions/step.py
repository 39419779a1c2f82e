"""Steps: what an action kind derives from, and the two kinds that every registry has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from ai.actions.fields import Distance, Seconds

STEPS_MAX: Final = 8
"""Steps that one plan may carry."""

COMMON_KINDS: Final = (
    "MoveTo",
    "ThrowSmoke",
    "ThrowExplosive",
    "AoEAttack",
    "TakeCover",
    "Attack",
    "Approach",
    "Retreat",
    "MarkTarget",
    "Distract",
    "Reload",
    "Scan",
    "Wait",
    "Block",
    "Heal",
)
"""The fifteen verbs of the simplified tier (AstraWeave, `fallback_system.rs`); a registry offers those it has."""


class ActionStep(BaseModel):
    """One step of a plan; subclass it once for each action kind.

    A subclass declares `act: Literal["Name"] = "Name"` first, then its fields, and a one-sentence docstring.
    Class variables: `category` groups the kind in prompts, `cooldown_s` is the time before it works again,
    `cost` is what it uses up, in words. For planners that think in preconditions and effects (`ai.facts`): what it
    `needs` and `gives`, its `effort`, and the values that they give it where there is no better one (`usual`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    category: ClassVar[str] = "utility"
    cooldown_s: ClassVar[float] = 0.0
    cost: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    gives: ClassVar[tuple[str, ...]] = ()
    effort: ClassVar[int] = 10
    usual: ClassVar[Mapping[str, float]] = {}

    act: str

    def __str__(self) -> str:
        """Show the step as `Name(field=value, ...)`."""
        fields = self.model_dump(mode="json", exclude={"act"}, exclude_none=True)
        return f"{self.act}({', '.join(f'{name}={value}' for name, value in fields.items())})"


class Scan(ActionStep):
    """Look around for a moment."""

    gives: ClassVar[tuple[str, ...]] = ("informed",)
    usual: ClassVar[Mapping[str, float]] = {"radius": 10}

    act: Literal["Scan"] = "Scan"
    radius: Distance = 10


class Wait(ActionStep):
    """Stay where you are for some seconds."""

    act: Literal["Wait"] = "Wait"
    duration: Seconds = 1.0
