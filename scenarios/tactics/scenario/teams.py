"""Teams: their squads and archetypes, starting areas and aims."""

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
    """The starting values of a squad's agents.

    The first of `weapons` is in hand at the start and replaces reach, accuracy and magazine. `carry` is the number of
    units of cargo that fit. `role` gives the priorities of such agents to language models
    (`scenarios.tactics.snapshot.ROLES`).
    """

    hp: int = Field(100, ge=1, le=10_000, description="Hit points, at the start and at most.")
    morale: int = Field(100, ge=0, le=100, description="Morale at the start, 0 to 100.")
    magazine: int = Field(30, ge=0, le=1000, description="Rounds in a full magazine.")
    reserve: int = Field(90, ge=0, le=10_000, description="Further rounds that the agent carries.")
    smokes: int = Field(1, ge=0, le=100, description="Smoke grenades.")
    explosives: int = Field(1, ge=0, le=100, description="Explosives.")
    medkits: int = Field(1, ge=0, le=100, description="Medkits.")
    sight: int = Field(10, ge=1, le=16, description="Distance that the agent sees, cells.")
    reach: int = Field(8, ge=1, le=16, description="Reach of the weapon, cells.")
    accuracy: int = Field(
        700, ge=0, le=1000, description="Chance to hit, per-mille, before cover, morale and the like."
    )
    carry: int = Field(10, ge=0, le=10_000, description="Units of cargo that fit.")
    weapons: tuple[Name, ...] = Field(
        (),
        max_length=SLOTS_MAX,
        description="Names of the weapons carried; the first is in hand, and replaces reach, accuracy, magazine.",
    )
    items: dict[Name, Annotated[int, Field(ge=0, le=1000)]] = Field(
        {}, max_length=ITEMS_MAX, description="Items held: the number of each, by name."
    )
    abilities: tuple[Name, ...] = Field(
        (), max_length=ABILITIES_MAX, description="Names of the abilities that the agent has."
    )
    role: Role | None = Field(None, description="Role of the agent, as language models read it.")


class Area(Part):
    """A rectangle of cells."""

    x: CellIndex = Field(description="Cells from the west edge, counted from 0.")
    y: CellIndex = Field(description="Cells from the north edge, counted from 0.")
    width: int = Field(ge=1, le=CELLS_MAX, description="Cells from west to east.")
    height: int = Field(ge=1, le=CELLS_MAX, description="Cells from north to south.")


class Squad(Part):
    """Agents of one archetype that start in one area; the first one leads.

    `start` selects free cells of the area: the first in row order (`rows`), or cells that the run's seed draws
    (`drawn`; then no other squad's area may overlap this one).
    A squad of 0 waits for agents that join it later. `objective` and `goal` (a place) replace the team's, `role`
    replaces the archetype's; agents that join later have the squad's role too.
    """

    name: Name = Field(description="Name of the squad, unique in the whole scenario.")
    archetype: Name = Field(description="Name of the archetype of its agents.")
    count: int = Field(
        ge=0, le=AGENTS_MAX, description="Agents at the start; a squad of 0 waits for agents that come later."
    )
    area: Area = Field(description="Area in which they start.")
    start: Start = Field(
        "rows", description="On which free cells: the first in row order, or some that the run's seed draws."
    )
    objective: Text | None = Field(None, description="The aim that its agents read, if not the team's.")
    goal: Name | None = Field(None, description="Name of the place of that aim, if not the team's.")
    role: Role | None = Field(None, description="Role of its agents, if not the archetype's.")


class Reinforcements(Part):
    """Agents that a team may call: their total number, and the area (its edge of the map) where they enter."""

    count: int = Field(ge=1, le=AGENTS_MAX, description="Total number of agents.")
    area: Area = Field(description="Area where they enter, on its free cells in row order.")


class Team(Part):
    """Squads that fight on one side, the text of their aim (`objective`), and its place (`goal`).

    If these are not given, agents read the first open one of `objectives` and go to its place. `reinforcements` are
    agents that may still come. A team is a group: `planning.groups.NAME` holds its own planning settings.
    """

    name: Name = Field(description="Name of the team.")
    objective: Text | None = Field(
        None, description="The aim that its agents read; without it, their first open objective."
    )
    goal: Name | None = Field(None, description="Name of the place of that aim.")
    objectives: tuple[Objective, ...] = Field(
        (), max_length=OBJECTIVES_MAX, description="Objectives that it must complete to win."
    )
    reinforcements: Reinforcements | None = Field(None, description="Agents that the team may still call in.")
    squads: tuple[Squad, ...] = Field(min_length=1, max_length=1000, description="The squads of the team.")
    terrain_edits: int = Field(3, ge=0, le=1000, description="Changes of the ground that its agents may make.")

    @property
    def count(self) -> int:
        """The number of agents of the team at the start."""
        return sum(squad.count for squad in self.squads)
