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

    hit_bonus: Annotated[int, Field(ge=-1000, le=1000)] = 0


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

    harm_percent: Annotated[int, Field(ge=0, le=1000)] = 50
    squad_loss: Share = 10
    sight_loss: Share = 5
    outnumbered_loss: Share = 2
    victory_gain: Share = 5
    rest_gain: Share = 5
    leader_gain: Share = 1
    leader_cells: Annotated[int, Field(ge=0, le=64)] = 5
    aim_permille: Annotated[int, Field(ge=0, le=20)] = 2
    slow_below: Share = 25
    break_below: Share = 10
    rally_at: Share = 25


class Budget(Part):
    """How many operations the director has: collapses (`traps`), fortifications, and waves (`spawns`)."""

    traps: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    terrain_edits: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    spawns: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class Director(Part):
    """Who plays against the teams from outside: the squad that its waves join, and what it may do."""

    squad: Name
    budget: Budget = Budget()


class AtLimit(Part):
    """What a run that is open after its last tick comes to.

    `open`: nothing; `draw`: a draw; `score`: the highest score wins; `team`: the named team wins.
    """

    rule: Literal["open", "draw", "score", "team"] = "open"
    team: Name | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.rule == "team") != (self.team is not None):
            raise problem("team", "goes with rule = 'team' and with no other; add the one or drop the other")
        return self
