"""Who lives in a scenario: squads by name, and the starting values of their agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.columns import Component
from sim.components import AGENT, Ammo, Goal, Health, Kit, Morale, Position, Progress, Senses, Squad, Team, Weapon
from sim.errors import ScenarioError
from sim.grid import Terrain
from sim.lore import Texts
from sim.scenario import Archetype, Scenario, place_agents, terrain
from sim.world import World

Values = dict[type[Component], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SquadInfo:
    """A squad as the world sees it: its number and its team's, what it is made of, and what it is after."""

    id: int
    team: int
    archetype: Archetype
    objective: str | None
    goal: tuple[int, int]


Squads = Mapping[str, SquadInfo]


def squads_of(scenario: Scenario) -> Squads:
    """Return every squad by name; numbers follow the order in the scenario, across all teams."""
    places = {place.name: (place.x, place.y) for place in scenario.map.places}
    found: dict[str, SquadInfo] = {}
    for number, team in enumerate(scenario.teams):
        goal = places[team.goal] if team.goal is not None else (-1, -1)
        for squad in team.squads:
            archetype = scenario.archetypes[squad.archetype]
            found[squad.name] = SquadInfo(len(found), number, archetype, team.objective, goal)
    return found


def starting_values(
    squad: SquadInfo, texts: Texts, x: NDArray[Any], y: NDArray[Any], waiting_since: NDArray[Any]
) -> Values:
    """Return the component values of fresh agents of one squad; `x`, `y` and `waiting_since` are one an agent."""
    kind = squad.archetype
    return {
        Position: {"x": x, "y": y},
        Team: {"id": squad.team},
        Squad: {"id": squad.id},
        Health: {"hp": kind.hp, "hp_max": kind.hp},
        Morale: {"value": kind.morale},
        Ammo: {"rounds": kind.magazine, "magazine": kind.magazine, "reserve": kind.reserve},
        Kit: {"smokes": kind.smokes, "explosives": kind.explosives, "medkits": kind.medkits},
        Weapon: {"reach": kind.reach, "accuracy": kind.accuracy},
        Senses: {"sight": kind.sight},
        Goal: {
            "objective": -1 if squad.objective is None else texts.index(squad.objective),
            "x": squad.goal[0],
            "y": squad.goal[1],
        },
        Progress: {"waiting_since": waiting_since},
    }


def populate(
    world: World, scenario: Scenario, squads: Squads, texts: Texts, order: NDArray[np.intp] | None = None
) -> None:
    """Spawn the scenario's agents; their keys count from 0 in the order of the file, whatever `order` they are made in.

    Raises:
        ScenarioError: an area has too few free cells.
    """
    placed = np.array(place_agents(scenario, terrain(scenario) == Terrain.WALL), np.int64)
    if len(placed) != scenario.agents:
        raise ScenarioError(f"{scenario.name}: {len(placed)} of {scenario.agents} agents found a place")
    keys = np.arange(len(placed), dtype=np.int64)
    infos = list(squads.values())
    sequence = keys if order is None else keys[order]
    squad_of = placed[sequence, 3]
    stagger = scenario.planning.stagger_ticks
    # Runs of one squad are spawned together; a shuffled order has many short runs.
    edges = np.flatnonzero(np.diff(squad_of)) + 1
    for run in np.split(sequence, edges):
        squad = infos[int(placed[run[0], 3])]
        values = starting_values(squad, texts, placed[run, 0], placed[run, 1], run % stagger)
        world.spawn(values, count=len(run), keys=run)
    world.flush()
    promote(world)


def new_world(scenario: Scenario, more: Sequence[type[Component]] = (), **options: Any) -> World:
    """Return an empty world with room for the scenario's agents; they have `more` components than the shipped ones."""
    return World((*AGENT, *more), name=scenario.name, capacity=scenario.agents, **options)


def promote(world: World) -> None:
    """Make the lowest key of every squad its leader."""
    squad = world[Squad]
    if not world.n:
        return
    lowest = np.full(int(squad.id.max()) + 1, -1, np.int64)
    lowest[squad.id[::-1]] = world.keys[::-1]
    squad.leader[:] = lowest[squad.id]
