"""Utility: looking around, waiting, provoking, and helping who is down to get up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import numpy as np

from ai.actions import AllyId, Distance, EnemyId, Seconds
from sim.actions.base import Action, Args, Codes, Refused, Rows, Turn, target_refusals, ticks_of_ms
from sim.actions.offensive import MELEE_DISTANCE2
from sim.components import Health

PROVOKE_CELLS: Final = 8
"""How far a taunt or a distraction carries, cells."""
TAUNT_S: Final = 5.0
"""How long a taunt draws attention, seconds."""
REVIVE_HP: Final = 20
"""Hit points with which someone gets up again; AstraWeave's."""


class Scan(Action):
    """Look around for a second: you notice an enemy within so many cells the moment it can be seen."""

    act: Literal["Scan"] = "Scan"
    radius: Distance = 10
    group: ClassVar[str] = "scan"
    cooldown_s: ClassVar[float] = 5.0
    duration_s: ClassVar[float] = 1.0
    gives: ClassVar[tuple[str, ...]] = ("informed",)
    usual: ClassVar[Mapping[str, float]] = {"radius": 10}

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


class Taunt(Action):
    """Provoke an enemy at most eight cells away in sight: it plans anew and minds you first for five seconds."""

    act: Literal["Taunt"] = "Taunt"
    target_id: EnemyId
    group: ClassVar[str] = "provoke"
    cooldown_s: ClassVar[float] = 6.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse targets that are gone, friends, too far away, hidden, or down."""
        return minding(turn, rows, args, PROVOKE_CELLS * PROVOKE_CELLS)

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Draw the target's attention to oneself, wherever one goes."""
        turn.afflictions.taunt(rows, turn.target_rows(args[0]), turn.seconds(TAUNT_S))


class Revive(Action):
    """Help a friend who is down, on one of the eight cells around, back to its feet with 20 hit points."""

    act: Literal["Revive"] = "Revive"
    ally_id: AllyId
    duration_s: ClassVar[float] = 3.0

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse friends who are gone, too far away or not down, and enemies."""
        judged = target_refusals(turn, rows, args[0], MELEE_DISTANCE2, hostile=False)
        others = np.where(judged == Refused.NO.value, turn.target_rows(args[0]), rows)
        up = (judged == Refused.NO.value) & (turn.world[Health].hp[others] > 0)
        return np.where(up, np.int8(Refused.NOTHING_TO_DO), judged)

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Give hit points; who has some again gets up at the end of the tick."""
        turn.mend(turn.target_rows(args[0]), np.full(len(rows), REVIVE_HP, np.int32))


def minding(turn: Turn, rows: Rows, args: Args, reach2: int) -> Codes:
    """Judge an enemy that is to mind something: it must be in reach and sight, and on its feet."""
    judged = target_refusals(turn, rows, args[0], reach2)
    others = np.where(judged == Refused.NO.value, turn.target_rows(args[0]), rows)
    down = (judged == Refused.NO.value) & (turn.world[Health].hp[others] <= 0)
    return np.where(down, np.int8(Refused.DOWN), judged)


KINDS: Final[tuple[type[Action], ...]] = (Revive, Scan, Taunt, Wait)
