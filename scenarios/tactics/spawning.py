"""The agents of a scenario: squads by name, and the starting values of their agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scenarios.tactics.components import (
    Ammo,
    Arsenal,
    Goal,
    Health,
    Inventory,
    Kit,
    Morale,
    Position,
    Progress,
    Senses,
    Squad,
    Team,
    Weapon,
)
from scenarios.tactics.equipment import starting_gear
from scenarios.tactics.grid import Terrain
from scenarios.tactics.objectives import Cell, Objectives, words
from scenarios.tactics.scenario import Archetype, place_agents, terrain
from scenarios.tactics.shared_knowledge import Texts
from scenarios.tactics.snapshot import Role
from sim.engine.columns import Component
from sim.run.world import World

if TYPE_CHECKING:
    from scenarios.tactics.settings import TacticsSettings

Values = dict[type[Component], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SquadInfo:
    """A squad in the world: its number and its team's, its archetype, and its own aim.

    If `objective` and `goal` are None, they are those of the team's current objective. `role` is a number
    (`scenarios.tactics.snapshot.Role`).
    """

    id: int
    team: int
    archetype: Archetype
    gear: Mapping[str, dict[str, Any]]
    objective: str | None
    goal: Cell | None
    role: int

    @property
    def is_fixed(self) -> bool:
        """Whether its aim is independent of the team's objectives."""
        return self.objective is not None and self.goal is not None


Squads = Mapping[str, SquadInfo]


def squads_of(settings: TacticsSettings) -> Squads:
    """Return every squad by name; numbers follow the order in the scenario, across all teams."""
    places = {place.name: (place.x, place.y) for place in settings.map.places}
    found: dict[str, SquadInfo] = {}
    for number, team in enumerate(settings.teams):
        for squad in team.squads:
            archetype = settings.archetypes[squad.archetype]
            name = squad.goal or team.goal
            goal = None if name is None else places[name]
            found[squad.name] = SquadInfo(
                len(found),
                number,
                archetype,
                starting_gear(settings, archetype),
                squad.objective or team.objective,
                goal,
                _role_number(squad.role or archetype.role),
            )
    return found


def _role_number(role: Role | None) -> int:
    """Return the position of a role among the members of `Role`, -1 for none."""
    return -1 if role is None else list(Role).index(role)


def objectives_of(settings: TacticsSettings, squads: Squads) -> Objectives:
    """Return the scenario's objectives, all of them open."""
    return Objectives(
        [team.objectives for team in settings.teams],
        [team.name for team in settings.teams],
        {name: info.id for name, info in squads.items()},
        {place.name: (place.x, place.y) for place in settings.map.places},
    )


def texts_of(settings: TacticsSettings) -> Texts:
    """Return the texts that agents may read from the start."""
    told: list[str | None] = []
    for team in settings.teams:
        told += [
            team.objective,
            *(squad.objective for squad in team.squads),
            *(words(each) for each in team.objectives),
        ]
    return Texts(text for text in told if text is not None)


def current_goal(squad: SquadInfo, objectives: Objectives, texts: Texts) -> tuple[int, int, int]:
    """Return a squad's current aim: the index of its text (-1: none), and x and y of the goal (-1: none)."""
    text, cell = objectives.goal(squad.team)
    text = squad.objective or text
    x, y = cell if squad.goal is None else squad.goal
    return -1 if text is None else texts.index(text), x, y


def starting_values(
    squad: SquadInfo,
    after: Sequence[Any] | NDArray[Any],
    x: NDArray[Any],
    y: NDArray[Any],
    waiting_since: int = 0,
) -> Values:
    """Return the component values of new agents of one squad.

    `after` is the squad's `aim`, or has one value per agent for each part of it; `x` and `y` have one value per agent.
    The agents need plans from the tick `waiting_since` on.
    """
    kind, gear = squad.archetype, squad.gear
    return {
        Position: {"x": x, "y": y},
        Team: {"id": squad.team},
        Squad: {"id": squad.id},
        Health: {"hp": kind.hp, "hp_max": kind.hp},
        Morale: {"value": kind.morale},
        Ammo: gear["Ammo"],
        Arsenal: gear["Arsenal"],
        Inventory: gear["Inventory"],
        Kit: {"smokes": kind.smokes, "explosives": kind.explosives, "medkits": kind.medkits},
        Weapon: gear["Weapon"],
        Senses: {"sight": kind.sight},
        Goal: {"objective": after[0], "x": after[1], "y": after[2]},
        Progress: {"waiting_since": waiting_since},
    }


def spawn(world: World, values: Values, count: int, **options: Any) -> None:
    """Queue the birth of agents: every agent has every component; `options` are those of `World.spawn`."""
    world.spawn({component: values.get(component, {}) for component in world.components}, count, **options)


def populate(
    world: World,
    settings: TacticsSettings,
    squads: Squads,
    objectives: Objectives,
    texts: Texts,
    seed: int,
) -> None:
    """Spawn the first agents; their keys count from 0 in the order of the file.

    Raises:
        ScenarioError: an area has too few free cells.
    """
    placed = place_agents(settings, terrain(settings) == Terrain.WALL, seed)
    keys = np.arange(len(placed), dtype=np.int64)
    infos = list(squads.values())
    aims = np.array([current_goal(squad, objectives, texts) for squad in infos]).reshape(-1, 3)
    kind = np.cumsum([False, *(one.archetype is not other.archetype for one, other in pairwise(infos))])[placed[:, 3]]
    # Consecutive agents of one archetype are spawned together; their squads differ only in number, team and aim.
    for run in np.split(keys, np.flatnonzero(np.diff(kind)) + 1):
        x, y, team, squad = placed[run].T
        values = starting_values(infos[squad[0]], aims[squad].T, x, y)
        values |= {Team: {"id": team}, Squad: {"id": squad}}
        spawn(world, values, len(run), keys=run)
    world.flush()
    elect_leaders(world)


def elect_leaders(world: World) -> None:
    """Make the lowest key of every squad its leader."""
    squad = world[Squad]
    if not world.n:
        return
    lowest = np.full(int(squad.id.max()) + 1, -1, np.int64)
    lowest[squad.id[::-1]] = world.keys[::-1]
    squad.leader[:] = lowest[squad.id]
