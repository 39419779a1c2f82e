"""The playbook: what a domain tells the planners that think by themselves.

A planner that uses it has `of(playbook)`; one that does not is made without arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ai.observation import Array, ObservationBatch
from ai.rules import Facts, Moves, Rule, Step


class Operator(NamedTuple):
    """A step in terms of facts, for planners that search: what it needs and gives (`!` before a fact: its opposite)."""

    step: Step
    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    effort: int = 10


class Goal(NamedTuple):
    """Facts to strive for, when other facts call for it."""

    when: tuple[str, ...]
    want: tuple[str, ...]


class Consideration(NamedTuple):
    """What one field adds to the score of an option: nothing up to `low`, `weight` from `high` on, in between a share.

    Where `low` is above `high`, less is better. The field is a number, one of a table, or a list, which is counted.
    """

    field: str
    low: float
    high: float
    weight: int


Score = Callable[[ObservationBatch[Any]], Array]
"""What an option is worth to each agent, `[n] int64`."""


class Option(NamedTuple):
    """A step and what it is worth where `when` holds: a number or a function of the batch, plus the considerations."""

    step: Step
    score: int | Score = 0
    considerations: tuple[Consideration, ...] = ()
    when: str | tuple[str, ...] = "always"


class Branch(NamedTuple):
    """A branch of a behaviour tree: what must hold, and steps to take in turn or further branches to choose from."""

    when: str | tuple[str, ...]
    do: Any


@dataclass(frozen=True, slots=True)
class Playbook:
    """What a domain tells the planners that think by themselves.

    Attributes:
        rules: for `heuristic`, the first rule first.
        group_rules: rules of groups that have their own, by the name of the group.
        facts: named conditions; rules, goals and branches use them.
        moves: named functions that make steps, for rules in files.
        goals: for `goap`, the most urgent first.
        operators: for `goap`, what agents can do.
        options: for `utility`; of equal scores the first.
        tree: for `behaviour`, the first branch first.
        script: for `scripted`, an `ai.planners.scripted.Script`.
    """

    rules: tuple[Rule, ...] = ()
    group_rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    moves: Moves = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    operators: tuple[Operator, ...] = ()
    options: tuple[Option, ...] = ()
    tree: tuple[Branch, ...] = ()
    script: Any = None
