"""The benchmark's workload: a mixed battle of any size with the crowd scenario's rules and density.

Two teams in a checkerboard of blocks, one agent to sixteen cells, 12 percent walls and 6 percent cover. Agents are
tough, so that the load stays for hundreds of ticks.
"""

from __future__ import annotations

import math

import numpy as np

from scenarios.tactics.grid import Terrain
from scenarios.tactics.scenario import GeneratedMap, generate_map
from scenarios.tactics.testing.flat import flat, flattened
from sim.run.scenario_file import Scenario, load

BLOCK = 64
WARM_UP_TICKS = 20
"""Ticks that benchmarks leave out: in the first ones everybody plans."""
AGENTS_A_BLOCK = 256


def scaled(agents: int) -> Scenario:
    """Return a scenario of `agents` agents."""
    blocks = math.ceil(agents / AGENTS_A_BLOCK)
    across = math.ceil(math.sqrt(blocks))
    side = across * BLOCK
    teams = [
        {"name": name, "objective": "reach the centre", "goal": "centre", "squads": []} for name in ("red", "blue")
    ]
    left = agents
    for block in range(blocks):
        down, right = divmod(block, across)
        count = min(AGENTS_A_BLOCK, left) if blocks > 1 else left // 2
        for team in teams if blocks == 1 else [teams[(down + right) % 2]]:
            half = 0 if team is teams[0] or blocks > 1 else BLOCK // 2
            team["squads"].append(
                {
                    "name": f"{team['name']} {block}",
                    "archetype": "tough",
                    "count": count,
                    "area": {
                        "x": right * BLOCK,
                        "y": down * BLOCK + half,
                        "width": BLOCK,
                        "height": BLOCK - BLOCK // 2 * (blocks == 1),
                    },
                }
            )
        left -= count
    made = {"width": side, "height": side, "walls_permille": 120, "cover_permille": 60, "seed": 7}
    rules = flattened(load("crowd"))["rules"]
    return flat(
        {
            "name": f"scaled-{agents}",
            "description": "two mixed teams, one agent to sixteen cells",
            "ticks": 10_000,
            "map": {"generate": made, "places": [_open_cell(made)]},
            "archetypes": {"tough": {"hp": 1000, "sight": 10, "reserve": 900}},
            "teams": teams,
            "rules": rules,
            "ends": "never",
        }
    )


def _open_cell(made: dict[str, int]) -> dict[str, str | int]:
    """Return the place `centre`: the open cell nearest to the middle of the generated map."""
    cells = generate_map(GeneratedMap(**made))
    ys, xs = np.nonzero(cells != Terrain.WALL)
    best = int(((ys - made["height"] // 2) ** 2 + (xs - made["width"] // 2) ** 2).argmin())
    return {"name": "centre", "x": int(xs[best]), "y": int(ys[best])}
