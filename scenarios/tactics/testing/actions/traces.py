"""The checks of an action's traces: its requests to the turn, and its writes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.actions.base import (
    Turn,
)
from scenarios.tactics.components import Position
from scenarios.tactics.testing.actions.arena import Arena
from scenarios.tactics.testing.actions.verdict import must
from sim.engine.state import WorldState
from sim.engine.state_diff import changes
from sim.run.actions import Rows


def check_steps(arena: Arena, rows: Rows, cells: NDArray[np.int64]) -> None:
    """Check that agents want to go to cells beside their own, stay, or find no free cell (-1)."""
    grid = arena.simulation.run_context.game.grid
    position = arena.world[Position]
    away = cells - grid.cell(position.x[rows], position.y[rows])
    odd = ~np.isin(away, [0, *grid.neighbours]) & (cells != -1)
    must(not odd.any(), arena.name, "wants to go farther than one cell north, west, east or south at once")


def asking(turn: Turn) -> list[tuple[Any, ...]]:
    """Return the requests of a turn about agents; each begins with their rows."""
    return [*turn.harmed, *turn.mended, *turn.walks, *turn.laid, *turn.uses, *turn.rewritten, *turn.calls]


def check_asked(arena: Arena, turn: Turn) -> None:
    """Check that the requests of a turn concern existing agents and are not negative."""
    rows = np.concatenate([turn.afflictions.touched, *(asked[0] for asked in asking(turn))])
    there = ((rows >= 0) & (rows < arena.world.n)).all()
    must(bool(there), arena.name, "does something to a target that is gone (its row is -1); refuse such targets")
    for _, amounts in (*turn.harmed, *turn.mended):
        must(bool((amounts >= 0).all()), arena.name, "harms or mends by less than nothing")
    for walkers, cells in turn.walks:
        check_steps(arena, walkers, cells)


def check_foreign(arena: Arena, before: WorldState, rows: Rows) -> None:
    """Check that the values of other agents have not changed since a state."""
    world = arena.world
    own = set(world.keys[rows].tolist())
    for change in changes(before, world.snapshot()):
        foreign = change.key not in own and change.column.split(".")[0] not in world.resources
        must(not foreign, arena.name, f"writes {change.column} of agent {change.key}, who does something else")
