"""The settings of the game: map, archetypes, teams and squads, and the rules of fights and morale.

Whatever is wrong with them, `load` says it in one sentence: the file, the dotted key, the reason.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

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
    """What a game starts from."""

    map: Map
    archetypes: Annotated[dict[Name, Archetype], Field(min_length=1, max_length=1000)]
    weapons: Annotated[dict[Name, WeaponSpec], Field(max_length=NAMES_MAX)] = Field(default={})
    items: Annotated[dict[Name, ItemSpec], Field(max_length=ITEMS_MAX)] = Field(default={})
    abilities: Annotated[dict[Name, AbilitySpec], Field(max_length=ABILITIES_MAX)] = Field(default={})
    teams: Annotated[tuple[Team, ...], Field(min_length=1, max_length=64)]
    combat: CombatRules = CombatRules()
    morale: MoraleRules = MoraleRules()
    ends: Literal["last_team", "objectives", "never"] = "last_team"
    at_limit: AtLimit = AtLimit()
    director: Director | None = None
    downed_s: Annotated[int, Field(ge=0, le=3600)] = 0

    @property
    def agents(self) -> int:
        """Agents the run starts with."""
        return sum(team.count for team in self.teams)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_together(self)
        return self
