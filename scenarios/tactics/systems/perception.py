"""The perception phase: it finds agents that need a plan or are alarmed, and observes for the chosen agents."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import NONE
from ai.observation import largest
from scenarios.tactics.components import (
    AGENT,
    ActionSteps,
    Control,
    Morale,
    Progress,
    Status,
)
from scenarios.tactics.grid import SIGHT_MAX, Sightings
from scenarios.tactics.perception import occupancy_of, others_seen, perceive
from sim.engine.columns import Component
from sim.run.context import Run
from sim.run.systems import Observe, choose
from sim.run.world import World

RUNNING: Final = Status.RUNNING.value
"""Read once, because reading the value of an enumeration's member in every tick is slow."""


class Perception(Observe):
    """Gathers the agents that need a plan now, and their observations.

    Reads: every component of an agent.
    Writes: Progress of the alarmed; it leaves `occupancy`, `alarmed`, `chosen` and `batch` on the run.
    Order: after inputs, before planning.
    """

    name = "perception"
    reads: ClassVar[tuple[type[Component], ...]] = AGENT
    writes: ClassVar[tuple[type[Component], ...]] = (Progress,)

    def process(self, world: World, run: Run) -> None:
        """Choose agents and perceive for them: longest waiting first, then key, at most `per_tick_max`."""
        stage = run.game
        most = stage.parameters.planning.per_tick_max
        run.notes.occupancy = occupancy = occupancy_of(world, stage.grid)
        may = run.domain.plannable(world) & ~world[Control].taken
        needing = choose(world, run, may, most)
        watching, within = self._watching(world, run)
        # Agents that need a plan and agents that look around are handled together. In a round, one may be both.
        others = watching if run.rounds is None else watching[~np.isin(watching, needing)]
        viewers = np.concatenate([needing, others])
        enemies, friends = others_seen(world, stage.grid, occupancy, viewers, needing)
        run.alarmed = watching[_threatened(world, enemies, watching, within)]
        if len(run.alarmed):
            world.invalidate(run.alarmed, "alarm")
            run.chosen = choose(world, run, may, most)
        else:
            run.chosen = needing
        if len(run.chosen):
            is_chosen = np.zeros(world.n, np.bool_)
            is_chosen[run.chosen] = True
            seen = (
                enemies.where(is_chosen[enemies.viewer]),
                friends.where(is_chosen[friends.viewer]) if len(run.alarmed) else friends,
            )
            run.batch = perceive(world, stage.grid, occupancy, run.chosen, stage.lore, seen)

    def _watching(self, world: World, run: Run) -> tuple[NDArray[np.intp], NDArray[np.int32] | int]:
        """Return the agents that planned without a threat and look around now, and how far; scanners always look."""
        progress, steps, stage = world[Progress], world[ActionSteps], run.game
        peaceful = progress.status == RUNNING
        peaceful &= progress.alert == 0
        peaceful &= ~(world[Control].taken | world[Morale].broken)
        looking = (world.keys + run.tick) % stage.parameters.planning.alert_every == 0
        scan, used = stage.registry.code("Scan"), largest(steps.length)
        if not np.count_nonzero(steps.kind[:used] == scan):
            rows = (peaceful & looking).nonzero()[0]
            return rows, SIGHT_MAX
        current = progress.step.astype(np.intp)
        every = np.arange(world.n)
        scanning = (steps.kind[current, every] == scan) & (progress.started_at >= 0)
        rows = (peaceful & (scanning | looking)).nonzero()[0]
        radius = steps.args[current[rows], 0, rows]
        radius[~scanning[rows] | (radius == NONE)] = SIGHT_MAX
        return rows, radius


def _threatened(
    world: World, enemies: Sightings, rows: NDArray[np.intp], within: NDArray[np.int32] | int
) -> NDArray[np.bool_]:
    """Return which of `rows` see an enemy at most `within` cells away, `[len(rows)]`."""
    reach2 = np.zeros(world.n, np.int32)
    # Results for agents other than `rows` are not read.
    reach2[rows] = within * within
    threatened = np.zeros(world.n, np.bool_)
    threatened[enemies.viewer[enemies.distance2 <= reach2[enemies.viewer]]] = True
    return threatened[rows]
