"""How a run ends."""

from __future__ import annotations

import numpy as np

from sim.components import Team
from sim.scenario import Scenario
from sim.world import World


def decide(scenario: Scenario, world: World) -> str | None:
    """Return `NAME wins` when one team is left, `draw` when none is, None while it is open.

    Scenarios that never end, or that started with a single team, stay open.
    """
    if scenario.ends == "never" or len(scenario.teams) < 2:
        return None
    left = np.bincount(world[Team].id).nonzero()[0]
    if len(left) > 1:
        return None
    return f"{scenario.teams[int(left[0])].name} wins" if len(left) else "draw"
