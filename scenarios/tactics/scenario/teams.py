"""Teams: squads of archetypes, where they start, and what they are after."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ai.actions import CELLS_MAX
from scenarios.tactics.components import ABILITIES_MAX, ITEMS_MAX, SLOTS_MAX
from scenarios.tactics.inputs import (
    CellIndex,
    Name,
)
from scenarios.tactics.objectives import OBJECTIVES_MAX, Objective, Text
from scenarios.tactics.scenario.placement import Start
from scenarios.tactics.snapshot import Role
from sim.run.settings import AGENTS_MAX, Part


class Archetype(Part):
    """What kind of agent a squad is made of: its starting values.

    The first of `weapons` is in hand at the start and replaces reach, accuracy and magazine. `carry` is how many units
    of cargo fit. `role` is what such agents care for, as language models read it (`scenarios.tactics.snapshot.ROLES`).
    """

    hp: Annotated[int, Field(ge=1, le=10_000)] = 100
    morale: Annotated[int, Field(ge=0, le=100)] = 100
    magazine: Annotated[int, Field(ge=0, le=1000)] = 30
    reserve: Annotated[int, Field(ge=0, le=10_000)] = 90
    smokes: Annotated[int, Field(ge=0, le=100)] = 1
    explosives: Annotated[int, Field(ge=0, le=100)] = 1
    medkits: Annotated[int, Field(ge=0, le=100)] = 1
    sight: Annotated[int, Field(ge=1, le=16)] = 10
    reach: Annotated[int, Field(ge=1, le=16)] = 8
    accuracy: Annotated[int, Field(ge=0, le=1000)] = 700
    carry: Annotated[int, Field(ge=0, le=10_000)] = 10
    weapons: Annotated[tuple[Name, ...], Field(max_length=SLOTS_MAX)] = ()
    items: Annotated[dict[Name, Annotated[int, Field(ge=0, le=1000)]], Field(max_length=ITEMS_MAX)] = Field(default={})
    abilities: Annotated[tuple[Name, ...], Field(max_length=ABILITIES_MAX)] = ()
    role: Role | None = None


class Area(Part):
    """A rectangle of cells."""

    x: CellIndex
    y: CellIndex
    width: Annotated[int, Field(ge=1, le=CELLS_MAX)]
    height: Annotated[int, Field(ge=1, le=CELLS_MAX)]


class Squad(Part):
    """Agents of one archetype that start in one area; the first one leads.

    `start` says on which of the area's free cells: the first in row order (`rows`), or those that the run's seed draws
    (`drawn`; no other squad's area may overlap then).
    A squad of none waits for those who join it later. `objective` and `goal` (a place) stand in for the team's, `role`
    for the archetype's; whoever joins later has the squad's role too.
    """

    name: Name
    archetype: Name
    count: Annotated[int, Field(ge=0, le=AGENTS_MAX)]
    area: Area
    start: Start = "rows"
    objective: Text | None = None
    goal: Name | None = None
    role: Role | None = None


class Reinforcements(Part):
    """Agents that a team may call in: how many in all, and the area (its edge of the map) where they enter."""

    count: Annotated[int, Field(ge=1, le=AGENTS_MAX)]
    area: Area


class Team(Part):
    """Squads that fight on one side, what they read that they are after (`objective`), and where that is (`goal`).

    Where these are not given, agents read the first of `objectives` that is open, and go to its place.
    `reinforcements` are agents that may still come. A team is a group: `planning.groups.NAME` says how it plans, where
    that differs from the others.
    """

    name: Name
    objective: Text | None = None
    goal: Name | None = None
    objectives: Annotated[tuple[Objective, ...], Field(max_length=OBJECTIVES_MAX)] = ()
    reinforcements: Reinforcements | None = None
    squads: Annotated[tuple[Squad, ...], Field(min_length=1, max_length=1000)]
    terrain_edits: Annotated[int, Field(ge=0, le=1000)] = 3

    @property
    def count(self) -> int:
        """Agents the team starts with."""
        return sum(squad.count for squad in self.squads)
