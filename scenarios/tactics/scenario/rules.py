"""Rules: how fights and morale go, what the director may do, and how a run ends."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scenarios.tactics.inputs import (
    Name,
)
from sim.messages import problem
from sim.run.settings import Part


class CombatRules(Part):
    """What changes every hit: `hit_bonus` is added to each chance to hit, per-mille, before its bounds."""

    hit_bonus: int = Field(0, ge=-1000, le=1000, description="Added to every chance to hit, per-mille.")


Share = Annotated[int, Field(ge=0, le=100)]


class MoraleRules(Part):
    """What moves morale (0 to 100), and what it does.

    It falls by `harm_percent` of hit points lost, by `squad_loss` for each of the squad who dies, by `sight_loss` for
    each other friend seen dying, and by `outnumbered_loss` for each plan made with at least twice as many enemies in
    sight as friends, oneself included. It rises by `victory_gain` for each enemy seen dying; and each second by
    `rest_gain` for those whose plan knows of no enemy, and by `leader_gain` for those whose leader is within
    `leader_cells`. Each point above or below 50 is worth `aim_permille` on the chance to hit. Below `slow_below` an
    agent walks at half its pace; below `break_below` it breaks and flees as fast as it can; from `rally_at` on it plans
    again.
    """

    harm_percent: int = Field(50, ge=0, le=1000, description="Morale lost, in percent of the hit points lost.")
    squad_loss: Share = Field(10, description="Morale lost for each member of the squad that dies.")
    sight_loss: Share = Field(5, description="Morale lost for each other friend seen dying.")
    outnumbered_loss: Share = Field(
        2, description="Morale lost with each plan made seeing two enemies for each friend."
    )
    victory_gain: Share = Field(5, description="Morale gained for each enemy seen dying.")
    rest_gain: Share = Field(5, description="Morale gained each second by agents that know of no enemy.")
    leader_gain: Share = Field(1, description="Morale gained each second near the leader.")
    leader_cells: int = Field(5, ge=0, le=64, description="How near that is, cells.")
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
    """How many operations the director has: collapses (`traps`), fortifications, and waves (`spawns`)."""

    traps: int = Field(0, ge=0, le=1_000_000, description="Collapses.")
    terrain_edits: int = Field(0, ge=0, le=1_000_000, description="Fortifications.")
    spawns: int = Field(0, ge=0, le=1_000_000, description="Waves.")


class Director(Part):
    """Who plays against the teams from outside: the squad that its waves join, and what it may do."""

    squad: Name = Field(description="Name of the squad that its waves join.")
    budget: Budget = Field(Budget(), description="How often it may use each of its operations.")


class AtLimit(Part):
    """What a run that is open after its last tick comes to.

    `open`: nothing; `draw`: a draw; `score`: the highest score wins; `team`: the named team wins.
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
