"""Rules of combat and morale, the director's budget, and the end of a run."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scenarios.tactics.inputs import (
    Name,
)
from sim.messages import problem
from sim.run.settings import Part


class CombatRules(Part):
    """Changes of the chance to hit: `hit_bonus` is added to every chance, per-mille, before its bounds apply."""

    hit_bonus: int = Field(0, ge=-1000, le=1000, description="Added to every chance to hit, per-mille.")


Share = Annotated[int, Field(ge=0, le=100)]


class MoraleRules(Part):
    """Causes and effects of morale (0 to 100).

    It falls by `harm_percent` of hit points lost, by `squad_loss` for each squad member that dies, by `sight_loss` for
    each other friend seen dying, and by `outnumbered_loss` for each plan made with at least twice as many enemies in
    sight as friends, the agent included. It rises by `victory_gain` for each enemy seen dying. Each second it rises by
    `rest_gain` if the agent saw no enemy when its plan was made, and by `leader_gain` if its leader is within
    `leader_cells`. Each point above or below 50 changes the chance to hit by `aim_permille`. Below `slow_below` an
    agent walks at half its pace; below `break_below` it breaks and flees at full pace; from `rally_at` on it plans
    again.
    """

    harm_percent: int = Field(50, ge=0, le=1000, description="Morale lost, in percent of the hit points lost.")
    squad_loss: Share = Field(10, description="Morale lost for each member of the squad that dies.")
    sight_loss: Share = Field(5, description="Morale lost for each other friend seen dying.")
    outnumbered_loss: Share = Field(
        2, description="Morale lost with each plan made with twice as many enemies as friends in sight."
    )
    victory_gain: Share = Field(5, description="Morale gained for each enemy seen dying.")
    rest_gain: Share = Field(5, description="Morale gained each second by agents that know of no enemy.")
    leader_gain: Share = Field(1, description="Morale gained each second near the leader.")
    leader_cells: int = Field(5, ge=0, le=64, description="Greatest distance to the leader for that, cells.")
    aim_permille: int = Field(
        2,
        ge=0,
        le=20,
        description="Change of the chance to hit for each point of morale above or below 50, per-mille.",
    )
    slow_below: Share = Field(25, description="Morale below which an agent walks at half its pace.")
    break_below: Share = Field(10, description="Morale below which an agent breaks and flees; with 0, no agent does.")
    rally_at: Share = Field(25, description="Morale from which it plans again.")


class Budget(Part):
    """The director's operations: collapses (`traps`), fortifications (`terrain_edits`) and waves (`spawns`)."""

    traps: int = Field(0, ge=0, le=1_000_000, description="Collapses.")
    terrain_edits: int = Field(0, ge=0, le=1_000_000, description="Fortifications.")
    spawns: int = Field(0, ge=0, le=1_000_000, description="Waves.")


class Director(Part):
    """A player that acts on the teams from outside: the squad that its waves join, and its budget."""

    squad: Name = Field(description="Name of the squad that its waves join.")
    budget: Budget = Field(Budget(), description="Number of uses of each operation.")


class AtLimit(Part):
    """The result of a run that is open after its last tick.

    `open`: none; `draw`: a draw; `score`: the highest score wins; `team`: the named team wins.
    """

    rule: Literal["open", "draw", "score", "team"] = Field(
        "open", description="Nothing, a draw, the highest score wins, or the named team wins."
    )
    team: Name | None = Field(None, description='The team that wins, with rule = "team".')

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.rule == "team") != (self.team is not None):
            raise problem("team", "goes with rule = 'team' and with no other; add the one or drop the other")
        return self
