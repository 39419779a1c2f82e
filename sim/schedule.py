"""The order of a tick, as one visible tuple. Order is meaning: a system is its file plus its place here."""

from __future__ import annotations

from typing import Final

from sim.systems.cleanup import Cleanup
from sim.systems.combat import Combat
from sim.systems.execution import Execution
from sim.systems.inputs import Inputs
from sim.systems.perception import Perception
from sim.systems.planning import Planning
from sim.systems.upkeep import Upkeep
from sim.world import System

SCHEDULE: Final[tuple[type[System], ...]] = (Inputs, Perception, Planning, Execution, Combat, Upkeep, Cleanup)
"""Systems in the order they run; digest and record follow the last."""
