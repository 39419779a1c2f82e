"""Equipment: what an agent does with its gear."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import numpy as np

from sim.actions.base import Action, Args, Codes, Refused, Rows, Turn, first_of
from sim.components import Ammo


class Reload(Action):
    """Fill the magazine from the rounds you carry; takes two seconds."""

    act: Literal["Reload"] = "Reload"
    category: ClassVar[str] = "equipment"
    duration_s: ClassVar[float] = 2.0
    cost: ClassVar[str] = "reserve rounds"

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        """Refuse full magazines and empty pockets."""
        ammo = turn.world[Ammo]
        return first_of(
            (ammo.reserve[rows] <= 0, Refused.NO_AMMO),
            (ammo.rounds[rows] >= ammo.magazine[rows], Refused.NOTHING_TO_DO),
        )

    @classmethod
    def effect(cls, turn: Turn, rows: Rows, args: Args) -> None:
        """Move rounds from the reserve into the weapon."""
        ammo = turn.world[Ammo]
        moved = np.minimum(ammo.magazine[rows] - ammo.rounds[rows], ammo.reserve[rows])
        ammo.rounds[rows] += moved
        ammo.reserve[rows] -= moved


KINDS: Final[tuple[type[Action], ...]] = (Reload,)
