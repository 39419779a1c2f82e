"""Objects that the systems and verbs of the game share: handles of its resources, and the notes of one tick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from scenarios.tactics.director import Budgets
from scenarios.tactics.equipment import EquipmentTables
from scenarios.tactics.grid import Grid, Occupancy, Smoke
from scenarios.tactics.map_objects import Objects
from scenarios.tactics.objectives import Objectives
from scenarios.tactics.parameters import Parameters
from scenarios.tactics.shared_knowledge import SharedKnowledge
from scenarios.tactics.spawning import Squads
from scenarios.tactics.terrain_edits import TerrainEdits
from sim.engine.rng import Rng
from sim.run.context import NO_ROWS
from sim.run.payloads import Payloads

if TYPE_CHECKING:
    from scenarios.tactics.settings import TacticsSettings


@dataclass(frozen=True, slots=True)
class Game:
    """The fixed parts of one run. `aimed [verbs]` marks the verbs whose first argument is an enemy."""

    settings: TacticsSettings
    ticks: int
    ticks_per_second: int
    registry: ToolRegistry
    grid: Grid
    smoke: Smoke
    rng: Rng
    lore: SharedKnowledge
    squads: Squads
    objectives: Objectives
    budgets: Budgets
    parameters: Parameters
    payloads: Payloads
    gear: EquipmentTables
    objects: Objects
    edits: TerrainEdits
    aimed: NDArray[np.bool_]


Effects = list[tuple[NDArray[np.intp], NDArray[np.int32]]]
"""Rows, and a number for each."""


@dataclass(slots=True)
class Notes:
    """Notes from one system to the next.

    `harm` and `mend` are hit points by row, to be summed; `calls` has the rows that called for reinforcements, and the
    number of agents that each asked for; `leaving` are the rows that are extracted.
    """

    occupancy: Occupancy | None = None
    harm: Effects = field(default_factory=list)
    mend: Effects = field(default_factory=list)
    calls: Effects = field(default_factory=list)
    leaving: NDArray[np.intp] = field(default_factory=lambda: NO_ROWS)
