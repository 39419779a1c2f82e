"""What the systems of one tick share: the run's fixed parts, and what one phase leaves for the next.

A frame lives for one tick and is never part of the state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from ai.plan import BatchPlans
from ai.snapshot import SnapshotBatch
from scenarios.tactics.director import Budgets
from scenarios.tactics.equipment import Gear
from scenarios.tactics.grid import Grid, Occupancy, Smoke
from scenarios.tactics.inputs import Input
from scenarios.tactics.map_objects import Objects
from scenarios.tactics.objectives import Objectives
from scenarios.tactics.parameters import Parameters
from scenarios.tactics.scenario import Scenario
from scenarios.tactics.shared_knowledge import Lore
from scenarios.tactics.spawning import Squads
from scenarios.tactics.terrain_edits import TerrainEdits
from sim.engine.rng import Rng
from sim.run.payloads import Payloads


class PlanSource(Protocol):
    """Where plans come from: live tiers, or a record."""

    @property
    def tiers(self) -> tuple[str, ...]:
        """Names of the tiers, in order."""
        ...

    def plan(self, batch: SnapshotBatch) -> BatchPlans:
        """Return exactly one legal plan for every agent of the batch."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """The fixed parts of a run that systems work with."""

    scenario: Scenario
    registry: ToolRegistry
    grid: Grid
    smoke: Smoke
    rng: Rng
    lore: Lore
    squads: Squads
    objectives: Objectives
    budgets: Budgets
    parameters: Parameters
    payloads: Payloads
    gear: Gear
    objects: Objects
    edits: TerrainEdits
    source: PlanSource

    @property
    def ticks_per_second(self) -> int:
        """Ticks in a simulated second."""
        return self.scenario.ticks_per_second


def _no_rows() -> NDArray[np.intp]:
    return np.zeros(0, np.intp)


@dataclass(slots=True)
class Frame:
    """One tick's notes.

    `inputs` are to be applied; `refused` says at which places of that list nothing came of it, and why. `alarmed` rows
    saw an enemy they had not planned for. `batch` is what the chosen agents (`chosen` rows) know, `plans` what came
    back. `harm` and `mend` are hit points by row, to be summed; `calls` are who called for how many reinforcements;
    `leaving` are the rows that are extracted.
    """

    stage: Stage
    tick: int
    inputs: tuple[Input, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)
    occupancy: Occupancy | None = None
    alarmed: NDArray[np.intp] = field(default_factory=_no_rows)
    chosen: NDArray[np.intp] = field(default_factory=_no_rows)
    batch: SnapshotBatch | None = None
    plans: BatchPlans | None = None
    harm: list[tuple[NDArray[np.intp], NDArray[np.int32]]] = field(default_factory=list)
    mend: list[tuple[NDArray[np.intp], NDArray[np.int32]]] = field(default_factory=list)
    calls: list[tuple[NDArray[np.intp], NDArray[np.int32]]] = field(default_factory=list)
    leaving: NDArray[np.intp] = field(default_factory=_no_rows)
