"""The combat phase: harm and healing of the tick take effect together."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from sim.columns import Component
from sim.components import Control, Guard, Health, Morale, Progress, Squad, Status
from sim.frame import Frame
from sim.world import System, World

LOSS_MORALE: Final = 10
"""Morale that the squad loses for each of its dead."""


class Combat(System):
    """Sums what the tick's actions did to each agent and applies it at once.

    A guard halves the sum of harm (rounded up). Hit points become min(hp + healing - harm, maximum). Morale falls by
    half the harm taken, and by 10 for every squad mate who died. Who is hit while its plan knew of no threat plans
    anew.

    Reads: Control, Guard, Squad, and harm and healing of the frame.
    Writes: Health, Morale, Progress.
    Order: after execution, before upkeep.
    """

    name = "combat"
    reads: ClassVar[tuple[type[Component], ...]] = (Control, Guard, Squad)
    writes: ClassVar[tuple[type[Component], ...]] = (Health, Morale, Progress)

    def process(self, world: World, frame: Frame) -> None:
        """Apply harm and healing."""
        if not frame.harm and not frame.mend:
            return
        health, morale, progress = world[Health], world[Morale], world[Progress]
        harm, mend = self._sum(world, frame.harm), self._sum(world, frame.mend)
        harm = np.where(world[Guard].until > frame.tick, (harm + 1) // 2, harm)
        alive_before = health.hp > 0
        health.hp[:] = np.where(mend + harm > 0, np.minimum(health.hp + mend - harm, health.hp_max), health.hp)
        died = alive_before & (health.hp <= 0)
        lost = (harm // 2).astype(np.int64)
        squads = world[Squad].id
        if died.any():
            lost += LOSS_MORALE * np.bincount(squads[died], minlength=int(squads.max()) + 1)[squads]
        morale.value[:] = np.maximum(morale.value - lost, 0)
        startled = (harm > 0) & (progress.threats == 0) & (progress.status != Status.NONE.value)
        startled = (startled & ~world[Control].taken).nonzero()[0]
        progress.status[startled] = Status.STALE
        progress.waiting_since[startled] = frame.tick

    def _sum(self, world: World, parts: list[tuple[NDArray[np.intp], NDArray[np.int32]]]) -> NDArray[np.int32]:
        total = np.zeros(world.n, np.int32)
        for rows, amounts in parts:
            np.add.at(total, rows, amounts)
        return total
