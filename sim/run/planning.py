"""The section `planning` of a scenario: which tiers plan for whom, and when agents are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field, model_validator

from ai.actions import ToolRegistry
from ai.errors import ContractError
from ai.llm.sharding import Prefer
from ai.plans import FallbackTier
from ai.rules import Bound, Rules
from sim.errors import ScenarioError
from sim.messages import one_line, problem, suggestion
from sim.run.settings import AGENTS_MAX, Name, Part

if TYPE_CHECKING:
    from sim.run.scenario_file import Scenario

GROUPS_MAX: Final = 64
"""Groups that a scenario may plan for in ways of their own."""

TICKS_MAX: Final = 1_000_000
"""Ticks that a round may be apart."""
Tiers = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(min_length=1, max_length=16)]
"""Names of tiers, in the order in which they are tried."""


def _check_each_once(tiers: Sequence[str]) -> None:
    for index, tier in enumerate(tiers):
        if tier in tiers[:index]:
            raise problem(f"tiers[{index}]", f"{tier!r} is listed twice; each tier is tried once")


class GroupPlanning(Part):
    """How one group of agents is planned for, where that differs from all others."""

    tiers: Tiers | None = Field(None, description="Tiers tried for this group, in order.")
    rules: Rules | None = Field(None, description="Rules of this group alone.")

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _check_each_once(self.tiers or ())
        return self


class Planning(Part):
    """How plans are made: the tiers in order, how many agents a tick, and how long a plan holds."""

    tiers: Tiers = Field(
        ("simplified_llm", "full_llm", "heuristic", "emergency"), description="Tiers in the order they are tried."
    )
    start: str | None = Field(None, description="The tier to begin with; without it, the first.")
    every: int | None = Field(
        None, ge=1, le=TICKS_MAX, description="Ticks from one round of model calls to the next; one second without it."
    )
    think: int = Field(
        0, ge=0, le=TICKS_MAX, description="Ticks from a round to its plans; 0 lets the world wait for its model."
    )
    prefer: Prefer = Field("balanced", description="The goal by which calls are sized: balanced, speed or cost.")
    per_tick_max: int = Field(
        100_000, ge=1, le=AGENTS_MAX, description="Agents planned for in one tick at most, and asked in one round."
    )
    ttl_s: int = Field(20, ge=1, le=3600, description="Seconds after which a plan is made again.")
    alert_every: int = Field(10, ge=1, le=1000, description="Ticks between two looks for alerts.")
    groups: dict[Name, GroupPlanning] = Field({}, max_length=GROUPS_MAX, description="Planning of single groups.")

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _check_each_once(self.tiers)
        if self.start is not None and self.start not in self.tiers:
            raise problem("start", f"{self.start!r} is not in the list of tiers: {', '.join(self.tiers)}")
        return self

    def tiers_of(self, group: str) -> tuple[str, ...]:
        """Return the tiers that are tried for a group."""
        own = self.groups.get(group)
        return self.tiers if own is None or own.tiers is None else own.tiers


def check_groups(planning: Planning, groups: Sequence[str], where: str) -> None:
    """Check that the groups that a scenario plans for exist.

    Raises:
        ScenarioError: one does not; the sentence names the groups there are.
    """
    for name in planning.groups:
        if name not in groups:
            hint = suggestion(name, groups, "groups") if groups else "the domain has no groups"
            raise ScenarioError(f"{where}: planning.groups.{name}: no such group; {hint}")


def tier_order(planning: Planning, groups: Sequence[str]) -> tuple[str, ...]:
    """Return all tiers of a run in one order that every group's own list agrees with, `emergency` last.

    Raises:
        PydanticCustomError: two groups want the same tiers in different orders.
    """
    lists = [planning.tiers_of(group) for group in groups] or [planning.tiers]
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
            raise problem(
                "planning.groups", f"try the tiers {', '.join(sorted(left))} in orders that contradict each other"
            )
        order.append(free[0])
        left.remove(free[0])
    return tuple(order)


def groups_of_tiers(planning: Planning, groups: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Return the tiers that only some groups try, each with the names of those groups."""
    lists = {group: planning.tiers_of(group) for group in groups}
    found: dict[str, frozenset[str]] = {}
    for tier in tier_order(planning, groups):
        served = frozenset(group for group, tiers in lists.items() if tier in tiers)
        if len(served) < len(lists) and tier != FallbackTier.EMERGENCY:
            found[tier] = served
    return found


def check_rules(scenario: Scenario, registry: ToolRegistry | None, source: str = "") -> None:
    """Check that rules name fields, verbs and arguments that there are.

    Args:
        scenario: whose rules.
        registry: the verbs; without any, no agent plans and no rule is used.
        source: the first words of a refusal; the scenario's name, if empty.

    Raises:
        ScenarioError: one does not; the sentence names its key.
    """
    observation = scenario.domain.observation
    if observation is None or registry is None:
        return
    playbook = scenario.playbook()
    every = {"rules": playbook.rules}
    every |= {f"planning.groups.{name}.rules": rules for name, rules in playbook.group_rules.items()}
    for key, rules in every.items():
        for number, rule in enumerate(rules):
            try:
                Bound((rule,), registry, observation.layout, playbook.facts, playbook.moves)
            except ContractError as error:
                reason = str(error).removeprefix("rule 1: ")
                raise ScenarioError(one_line(f"{source or scenario.name}: {key}[{number}]: {reason}")) from None
