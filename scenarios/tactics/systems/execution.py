"""The execution phase: every running plan advances by one tick; conflicts are settled at the end.

`sim.run.systems.Act` starts, ends and refuses steps. All verbs read the state at the start of the phase. Walkers claim
cells: only cells that are free at that moment can be claimed, and the lowest key wins. New smoke and conditions hold
from the end of the phase on. An agent that is suppressed, or has low morale (`MoraleRules.slow_below`) but has not
broken, walks at half the pace.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.actions.base import TRIES_MAX, Refused, Turn, aims_of
from scenarios.tactics.actions.defensive import SMOKE_S
from scenarios.tactics.actions.utility import settle_uses
from scenarios.tactics.components import (
    AGENT,
    ActionSteps,
    Ammo,
    Arsenal,
    Attention,
    Condition,
    Conditions,
    Cooldowns,
    Guard,
    Inventory,
    Kit,
    Morale,
    Position,
    Progress,
    Stamina,
    Weapon,
)
from scenarios.tactics.terrain_edits import reshape
from sim.engine.columns import Component
from sim.run.actions import Rows
from sim.run.context import Run
from sim.run.systems import Act
from sim.run.world import World


class Execution(Act):
    """Runs one tick of the current step of every running plan.

    Reads: every component of an agent.
    Writes: ActionSteps, Ammo, Arsenal, Attention, Conditions, Cooldowns, Guard, Inventory, Kit, Morale, Position,
        Progress, Stamina, Weapon; objects, the terrain and deliveries; harm, healing and calls for reinforcements go
        to the notes.
    Order: after planning, before combat.
    """

    name = "execution"
    reads: ClassVar[tuple[type[Component], ...]] = AGENT
    writes: ClassVar[tuple[type[Component], ...]] = (
        ActionSteps, Ammo, Arsenal, Attention, Conditions, Cooldowns, Guard, Inventory, Kit, Morale,
        Position, Progress, Stamina, Weapon,
    )  # fmt: skip

    def turn(self, world: World, run: Run) -> Turn:
        """Return the turn that the verbs of this phase share."""
        assert run.notes.occupancy is not None
        return Turn(world, run, occupancy=run.notes.occupancy)

    def prepare(self, turn: Turn, rows: Rows, kind: NDArray[np.int16]) -> None:
        """Judge all aims at enemies once, for all verbs and for both the start and the end of steps."""
        aiming = rows[turn.stage.aimed.take(kind)]
        if len(aiming):
            turn.aims = aims_of(turn, aiming, turn.world[ActionSteps].args[turn.progress.step[aiming], 0, aiming])

    def settle(self, turn: Turn) -> None:
        """Resolve all requests of the verbs of a turn together."""
        stage, run = turn.stage, turn.run
        for rows, place, values in turn.rewritten:
            turn.world[ActionSteps].args[turn.progress.step[rows], place, rows] = values
            turn.progress.tries[rows] = 0
        self._walk(turn)
        self.finish(turn)
        turn.afflictions.settle()
        if turn.uses:
            settle_uses(turn)
        if turn.laid:
            self._lay(turn)
        if turn.reshaped:
            reshape(turn.world, stage.grid, stage.edits, turn.reshaped)
        if turn.clouds:
            stage.smoke.add(np.concatenate(turn.clouds), run.tick + 1 + turn.seconds(SMOKE_S))
        turn.settle()
        run.notes.harm, run.notes.mend, run.notes.calls = turn.harmed, turn.mended, turn.calls

    def _lay(self, turn: Turn) -> None:
        """Put dropped items on their cells, in the order of the agents that dropped them and of the items."""
        rows, items, cells = (np.concatenate(parts) for parts in zip(*turn.laid, strict=True))
        order = np.lexsort((cells, items, rows))
        x, y = turn.grid.xy(cells[order])
        turn.stage.objects.lay(items[order], x, y)

    def _walk(self, turn: Turn) -> None:
        """Settle all walks together: the lowest key wins a cell; an agent that fails too often is blocked."""
        if not turn.walks:
            return
        rows = np.concatenate([walkers for walkers, _ in turn.walks])
        cells = np.concatenate([wanted for _, wanted in turn.walks])
        position, progress = turn.position, turn.progress
        wanting = (cells >= 0).nonzero()[0]
        asking, asked = rows[wanting], cells[wanting]
        won = turn.world.claim(asked, asking, turn.grid.size)
        winners = won.nonzero()[0]
        moved = asking[winners]
        position.x[moved], position.y[moved] = turn.grid.xy(asked[winners])
        progress.tries[moved] = 0
        if turn.afflictions.holds(Condition.AMBUSH):
            turn.afflictions.lift(Condition.AMBUSH, moved)
        if len(moved) == len(rows):
            return
        failed = np.ones(len(rows), np.bool_)
        failed[wanting[winners]] = False
        stuck = rows[failed]
        progress.tries[stuck] += 1
        blocked = stuck[progress.tries[stuck] >= TRIES_MAX]
        if len(blocked):
            self.refuse(turn, blocked, Refused.BLOCKED)
