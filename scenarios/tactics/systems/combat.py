"""The combat phase: all harm and healing of the tick take effect together."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.components import (
    MORALE_MAX,
    Control,
    Guard,
    Health,
    Morale,
    Position,
    Progress,
    Senses,
    Squad,
    Status,
    Team,
)
from sim.engine.columns import Component
from sim.engine.system import System
from sim.run.context import Run
from sim.run.world import World

PAIRS_AT_ONCE: Final = 1 << 21
"""The most pairs of a living and a dying agent that are compared at once."""


class Combat(System):
    """Sums the effects of the tick's actions on each agent and applies the sum.

    A guard halves the sum of harm (rounded up). Hit points become min(hp + healing - harm, maximum). Morale falls
    with harm and with the deaths of friends, and rises with the deaths of enemies (`MoraleRules`). An agent that is hit
    plans again if it knew of no threat when it planned.

    Reads: Control, Guard, Position, Senses, Squad, Team, and harm and healing of the run.
    Writes: Health, Morale, Progress.
    Order: after execution, before upkeep.
    """

    name = "combat"
    reads: ClassVar[tuple[type[Component], ...]] = (
        Control, Guard, Position, Senses, Squad, Team,
    )  # fmt: skip
    writes: ClassVar[tuple[type[Component], ...]] = (Health, Morale, Progress)

    def process(self, world: World, run: Run) -> None:
        """Apply harm and healing."""
        if not run.notes.harm and not run.notes.mend:
            return
        health, morale, progress = world[Health], world[Morale], world[Progress]
        harm, mend = self._sum(world, run.notes.harm), self._sum(world, run.notes.mend)
        guarded = world[Guard].until > run.tick
        if np.count_nonzero(guarded):
            harm[guarded] = (harm[guarded] + 1) // 2
        alive_before = health.hp > 0
        health.hp[:] = np.where(mend + harm > 0, np.minimum(health.hp + mend - harm, health.hp_max), health.hp)
        died = alive_before & (health.hp <= 0)
        lost = harm.astype(np.int64) * run.game.parameters.morale.harm_percent // 100
        if np.count_nonzero(died):
            lost += self._grief(world, run, died.nonzero()[0])
        morale.value[:] = np.minimum(np.maximum(morale.value - lost, 0), MORALE_MAX)
        startled = (harm > 0) & (progress.alert == 0) & (progress.status != Status.NONE.value)
        startled = (startled & ~world[Control].taken).nonzero()[0]
        if len(startled):
            world.invalidate(startled, "hit")

    def _grief(self, world: World, run: Run, dying: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the morale that each agent loses (gains, if negative) by the deaths of this tick."""
        rules, grid = run.game.parameters.morale, run.game.grid
        position, squad, team = world[Position], world[Squad].id, world[Team].id
        lost: NDArray[np.int64] = rules.squad_loss * np.bincount(squad[dying], minlength=int(squad.max()) + 1)[squad]
        living = (world[Health].hp > 0).nonzero()[0]
        if not len(living):
            return lost
        cells, reach2 = grid.cell(position.x, position.y), world[Senses].sight[living].astype(np.int32) ** 2
        at_once = max(PAIRS_AT_ONCE // len(living), 1)
        for start in range(0, len(dying), at_once):
            some = dying[start : start + at_once]
            dx = position.x[living][:, None] - position.x[some]
            dy = position.y[living][:, None] - position.y[some]
            viewer, place = (dx * dx + dy * dy <= reach2[:, None]).nonzero()
            viewer, other = living[viewer], some[place]
            clear = grid.sees(cells[viewer], cells[other])
            viewer, other = viewer[clear], other[clear]
            foes = viewer[team[viewer] != team[other]]
            friends = viewer[(team[viewer] == team[other]) & (squad[viewer] != squad[other])]
            lost += rules.sight_loss * np.bincount(friends, minlength=world.n)
            lost -= rules.victory_gain * np.bincount(foes, minlength=world.n)
        return lost

    def _sum(self, world: World, parts: list[tuple[NDArray[np.intp], NDArray[np.int32]]]) -> NDArray[np.int32]:
        total = np.zeros(world.n, np.int32)
        for rows, amounts in parts:
            np.add.at(total, rows, amounts)
        return total
