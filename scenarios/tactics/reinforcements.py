"""Reinforcements: each team's pool of agents that are not in the world yet, and their arrival."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.components import Position, Squad, Team
from scenarios.tactics.game import Game
from scenarios.tactics.spawning import current_goal, spawn, starting_values
from scenarios.tactics.team_counts import TeamCounts
from sim.run.settings import AGENTS_MAX
from sim.run.world import World

Calls = list[tuple[NDArray[np.intp], NDArray[np.int32]]]
"""The rows that call for reinforcements, and the numbers that they ask for."""


class Reserves(TeamCounts):
    """The number of agents that each team still has in reserve."""

    name = "Reserves"


def reserves_of(world: World) -> Reserves:
    """Return the pools of a world."""
    reserves = world.resources["Reserves"]
    assert isinstance(reserves, Reserves)
    return reserves


def call_up(world: World, stage: Game, calls: Calls) -> None:
    """Queue the births that the tick's calls ask for.

    The lowest key is served first. The number that comes is limited by the request, the team's pool, the free cells of
    its area (taken in row order) and the limit of a world. They join the caller's squad.
    """
    reserves = reserves_of(world)
    rows = np.concatenate([callers for callers, _ in calls])
    counts = np.concatenate([wanted for _, wanted in calls])
    position, squads = world[Position], list(stage.squads.values())
    taken = stage.grid.blocked_map.copy()
    taken[position.y, position.x] = True
    alive = world.n
    for place in np.argsort(rows).tolist():
        row = int(rows[place])
        team = int(world[Team].id[row])
        entry = stage.settings.teams[team].reinforcements
        if entry is None:
            continue
        area = entry.area
        window = taken[area.y : area.y + area.height, area.x : area.x + area.width]
        ys, xs = np.nonzero(~window)
        count = min(int(counts[place]), int(reserves.left[team]), len(ys), AGENTS_MAX - alive)
        if count < 1:
            continue
        ys, xs = ys[:count], xs[:count]
        window[ys, xs] = True
        reserves.take(team, count)
        alive += count
        info = squads[int(world[Squad].id[row])]
        after = current_goal(info, stage.objectives, stage.lore.texts)
        values = starting_values(info, after, xs + area.x, ys + area.y, world.tick + 1)
        spawn(world, values, count, like=row)
