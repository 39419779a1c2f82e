"""The settings of the game: map, archetypes, teams and squads, and the rules of combat and morale.

`load` reports an error in them in one sentence: the file, the dotted key, the reason.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ai.actions import NAMES_MAX
from scenarios.tactics.components import ABILITIES_MAX, ITEMS_MAX
from scenarios.tactics.equipment import AbilitySpec, ItemSpec, WeaponSpec
from scenarios.tactics.inputs import Name
from scenarios.tactics.scenario.checks import check_together
from scenarios.tactics.scenario.map import Map
from scenarios.tactics.scenario.rules import AtLimit, CombatRules, Director, MoraleRules
from scenarios.tactics.scenario.teams import Archetype, Team
from sim.run.settings import Settings


class TacticsSettings(Settings):
    """The settings of a game."""

    map: Map = Field(description="The map, given as rows or generated from a seed.")
    archetypes: dict[Name, Archetype] = Field(min_length=1, max_length=1000, description="Kinds of agents by name.")
    weapons: dict[Name, WeaponSpec] = Field(
        {}, max_length=NAMES_MAX, description="Weapons by name. Weapons, items and abilities share one set of names."
    )
    items: dict[Name, ItemSpec] = Field(
        {},
        max_length=ITEMS_MAX,
        description="Items by name; `smokes`, `explosives` and `medkits` always exist.",
    )
    abilities: dict[Name, AbilitySpec] = Field({}, max_length=ABILITIES_MAX, description="Abilities by name.")
    teams: tuple[Team, ...] = Field(
        min_length=1, max_length=64, description="The teams, in the order in which agents get their keys."
    )
    combat: CombatRules = Field(CombatRules(), description="Rules of the chance to hit.")
    morale: MoraleRules = Field(MoraleRules(), description="Rules of morale.")
    ends: Literal["last_team", "objectives", "never"] = Field(
        "last_team",
        description="When a run is decided: one team is left (or by objectives), by objectives alone, or never.",
    )
    at_limit: AtLimit = Field(AtLimit(), description="Result of a run that is open after its last tick.")
    director: Director | None = Field(None, description="A player that acts on the teams from outside.")
    downed_s: int = Field(
        0,
        ge=0,
        le=3600,
        description="Seconds during which an agent without hit points can be revived; with 0, it leaves at once.",
    )

    @property
    def agents(self) -> int:
        """The number of agents at the start of the run."""
        return sum(team.count for team in self.teams)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_together(self)
        return self
