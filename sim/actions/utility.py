"""Utility: looking around and waiting."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from ai.actions import Distance, Seconds
from sim.actions.base import Action, Args, Rows, Turn, ticks_of_ms


class Scan(Action):
    """Look around for a second: you notice an enemy within so many cells the moment it can be seen."""

    act: Literal["Scan"] = "Scan"
    radius: Distance = 10
    group: ClassVar[str] = "scan"
    cooldown_s: ClassVar[float] = 5.0
    duration_s: ClassVar[float] = 1.0

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Nothing is left to do: perception has checked every tick for whoever scans."""


class Wait(Action):
    """Stay where you are for some seconds."""

    act: Literal["Wait"] = "Wait"
    duration: Seconds = 1.0

    @classmethod
    def ticks(cls, turn: Turn, args: Args) -> Any:
        """Return the ticks that the seconds asked for take."""
        return ticks_of_ms(args[0], turn.ticks_per_second)

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Waiting has no effect but the time."""


KINDS: Final[tuple[type[Action], ...]] = (Scan, Wait)
