"""With bystanders: agents that nobody meets, with keys after all others, may change nothing of anybody else.

Runs are compared up to the first newcomer: from then on keys differ, and with them draws.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.grid import Terrain
from scenarios.tactics.scenario import AGENTS_MAX, GLYPHS, Scenario, terrain
from sim.engine.state import WorldState
from sim.errors import ScenarioError
from sim.run.simulation import Simulation
from sim.testing.checks.base import Case, Check, Finding, difference, seen

TEAM: Final = "bystanders"
"""Name of their team, squad and archetype."""
WALL: Final = next(glyph for glyph, kind in GLYPHS.items() if kind is Terrain.WALL)
WALLS: Final = 2
"""Walled rows between them and the rest."""
COUNT_MAX: Final = 16
"""Bystanders at most."""


def with_bystanders(scenario: Scenario) -> Scenario:
    """Return the scenario with a walled-off row to the south, where a team of its own stands and waits.

    To the south, because cells are numbered row by row: a wider map would give other numbers to the cells that there
    were, and where agents start is drawn by them.

    Raises:
        ScenarioError: the map cannot grow.
    """
    cells = terrain(scenario)
    height, width = cells.shape
    glyphs = {int(kind): glyph for glyph, kind in GLYPHS.items()}
    rows = ["".join(glyphs[int(cell)] for cell in row) for row in cells]
    data: dict[str, Any] = scenario.canonical()
    data["map"] = {**data["map"], "rows": [*rows, *[WALL * width] * WALLS, "." * width], "generate": None}
    data["archetypes"][TEAM] = {}
    area = {"x": 0, "y": height + WALLS, "width": width, "height": 1}
    squad = {"name": TEAM, "archetype": TEAM, "count": min(width, COUNT_MAX), "area": area}
    data["teams"].append({"name": TEAM, "squads": [squad]})
    return Scenario.from_canonical(data, f"{scenario.name} with bystanders")


def _alike(case: Case) -> Scenario:
    """Return the scenario with what a fourth team would change on purpose switched off: an end, a bound on planning."""
    planning = case.scenario.planning.model_copy(update={"per_tick_max": AGENTS_MAX})
    return case.scenario.model_copy(update={"ends": "never", "planning": planning})


def _only(state: WorldState, keys: NDArray[np.int64]) -> WorldState:
    """Return the state of some agents, without resources: the larger map is another one."""
    kept = np.isin(state.keys, keys)
    columns = {name: column[..., kept] for name, column in state.columns.items()}
    return replace(state, keys=state.keys[kept], columns=columns, resources={})


def _run(case: Case) -> Finding | str | None:
    scenario = _alike(case)
    try:
        crowded = with_bystanders(scenario)
    except ScenarioError as error:
        return f"bystanders find no place: {error}"
    keys = np.arange(scenario.agents, dtype=np.int64)
    alone = Simulation(scenario, seed=case.seed, plugins=case.plugins, detail="full")
    watched = Simulation(crowded, seed=case.seed, plugins=case.plugins, detail="full")
    with alone, watched:
        for tick in range(case.ticks):
            if alone.world.next_key > scenario.agents:
                break  # who comes later has other keys beside bystanders, and so other draws
            expected, actual = seen(alone.tick()), seen(watched.tick())
            before, after = _only(alone.snapshot(), keys), _only(watched.snapshot(), keys)
            if not _equal(before, after):
                found = difference(tick, expected, actual, before, after)
                # Bystanders differ in every phase, so the phase says nothing.
                return replace(found, system=None)
    return None


def _equal(one: WorldState, two: WorldState) -> bool:
    same = np.array_equal(one.keys, two.keys)
    return same and all(np.array_equal(column, two.columns[name]) for name, column in one.columns.items())


CHECK: Final = Check(
    "bystanders",
    "a walled-off team that nobody meets",
    "a count of the world, a position in a column, or a generator that agents share",
    _run,
)
