"""Which tiers a run has when every team may name its own, and in which order they are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ai.plan import FallbackTier
from sim.messages import problem

if TYPE_CHECKING:
    from scenarios.tactics.scenario.model import Scenario

Tiers = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(min_length=1, max_length=16)]
"""Names of tiers, in the order in which they are tried."""


def check_each_once(tiers: tuple[str, ...]) -> None:
    """Refuse a list that names a tier twice.

    Raises:
        PydanticCustomError: it does.
    """
    for index, tier in enumerate(tiers):
        if tier in tiers[:index]:
            raise problem(f"tiers[{index}]", f"{tier!r} is listed twice; each tier is tried once")


def tier_order(scenario: Scenario) -> tuple[str, ...]:
    """Return all tiers of a run in one order that every team's own list agrees with, `emergency` last.

    Raises:
        PydanticCustomError: two teams want the same tiers in different orders.
    """
    lists = [team.tiers or scenario.planning.tiers for team in scenario.teams]
    left = list(dict.fromkeys(tier for tiers in lists for tier in tiers))
    order: list[str] = []
    while left:
        free = [
            tier
            for tier in left
            if (tier != FallbackTier.EMERGENCY or len(left) == 1)
            and all(before in order for tiers in lists if tier in tiers for before in tiers[: tiers.index(tier)])
        ]
        if not free:
            raise problem("teams", f"try the tiers {', '.join(sorted(left))} in orders that contradict each other")
        order.append(free[0])
        left.remove(free[0])
    return tuple(order)


def tiers_of_teams(scenario: Scenario) -> dict[str, frozenset[int]]:
    """Return the tiers that only some teams try, each with the numbers of those teams."""
    lists = [team.tiers or scenario.planning.tiers for team in scenario.teams]
    found: dict[str, frozenset[int]] = {}
    for tier in tier_order(scenario):
        teams = frozenset(number for number, tiers in enumerate(lists) if tier in tiers)
        if len(teams) < len(lists) and tier != FallbackTier.EMERGENCY:
            found[tier] = teams
    return found
