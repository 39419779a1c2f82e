"""With bystanders: agents that are unrelated to all others, with later keys, must not change any other agent.

Only a domain with `isolates` promises this. Runs are compared up to the first birth: from then on keys differ, and so
do draws.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.engine.state import WorldState
from sim.messages import quoted
from sim.run.settings import AGENTS_MAX, Settings
from sim.run.simulation import Simulation
from sim.testing.checks.base import Case, Check, Checked, NotApplicable, Untested, difference, seen


def _only(state: WorldState, keys: NDArray[np.int64]) -> WorldState:
    """Return the state of some agents, without resources, because those of the larger world differ."""
    kept = np.isin(state.keys, keys)
    columns = {name: column[..., kept] for name, column in state.columns.items()}
    return replace(state, keys=state.keys[kept], columns=columns, resources={})


def _alike(one: WorldState, two: WorldState) -> tuple[WorldState, WorldState]:
    """Return both states with columns of one shape.

    A snapshot holds a column with `used_by` only up to the longest entry in use by any agent, including bystanders; the
    rest is zeros.
    """
    grown: list[WorldState] = []
    for state, other in ((one, two), (two, one)):
        columns = dict(state.columns)
        for name, column in state.columns.items():
            more = other.columns[name].shape[0] - column.shape[0] if column.ndim > 1 else 0
            if more > 0:
                columns[name] = np.pad(column, [(0, more)] + [(0, 0)] * (column.ndim - 1))
        grown.append(replace(state, columns=columns))
    return grown[0], grown[1]


def _run(case: Case) -> Checked:
    domain = case.scenario.domain
    if not domain.isolates:
        return NotApplicable("the domain does not promise that unrelated agents change nothing")
    both: object = domain.bystanders()
    if both is None:
        return Untested("the domain promises it, and its bystanders() has none for these settings")
    if not (isinstance(both, tuple) and len(both) == 2 and all(isinstance(each, Settings) for each in both)):
        return Untested(f"bystanders() returned {quoted(both)}; return settings without and with unrelated agents")
    planning = {**case.scenario.planning.model_dump(mode="json"), "per_tick_max": AGENTS_MAX}
    quiet, crowded = (
        case.scenario.replaced(settings=settings.model_dump(mode="json"), planning=planning) for settings in both
    )
    alone = Simulation(quiet, seed=case.seed, plugins=case.plugins, detail="full")
    watched = Simulation(crowded, seed=case.seed, plugins=case.plugins, detail="full")
    with alone, watched:
        keys = alone.world.keys.copy()
        if not 0 < len(keys) < watched.world.n:
            return Untested(f"bystanders() adds to {len(keys)} agents and comes to {watched.world.n}; add some")
        born = alone.world.next_key
        for tick in range(case.ticks):
            if alone.world.next_key > born or alone.outcome is not None or watched.outcome is not None:
                break  # with bystanders, an agent born later has another key and therefore other draws
            expected, actual = seen(alone.tick()), seen(watched.tick())
            before, after = _alike(_only(alone.snapshot(), keys), _only(watched.snapshot(), keys))
            if not _equal(before, after):
                found = difference(tick, expected, actual, before, after)
                # Bystanders differ in every phase, so the phase gives no hint.
                return replace(found, system=None)
    return None


def _equal(one: WorldState, two: WorldState) -> bool:
    same = np.array_equal(one.keys, two.keys)
    return same and all(np.array_equal(column, two.columns[name]) for name, column in one.columns.items())


CHECK: Final = Check(
    "bystanders",
    "unrelated agents beside the others",
    "a count of the world, an index of a row, or a generator that agents share",
    _run,
)
