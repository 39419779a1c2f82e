"""The playbook: the data that a domain gives to planners that work without a model.

A planner that uses it has a method `of(playbook)`; other planners are made without arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ai.observation import Array, ObservationBatch
from ai.rules import Facts, Moves, Rule, Step


class Operator(NamedTuple):
    """A step in terms of facts, for planners that search: its needs and effects (`!` before a fact negates it)."""

    step: Step
    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    effort: int = 10


class Goal(NamedTuple):
    """Facts to reach, and the facts that call for them (`!` before a fact negates it)."""

    when: tuple[str, ...]
    want: tuple[str, ...]


class Consideration(NamedTuple):
    """The share of one field in the score of an option: 0 up to `low`, `weight` from `high` on, linear in between.

    If `low` is above `high`, less is better. The field is a number, a number of a table, or a list, which is counted.
    """

    field: str
    low: float
    high: float
    weight: int


Score = Callable[[ObservationBatch[Any]], Array]
"""The score of an option for each agent, `[n] int64`."""


class Option(NamedTuple):
    """A step and its score if `when` holds: a number or a function of the batch, plus the considerations."""

    step: Step
    score: int | Score = 0
    considerations: tuple[Consideration, ...] = ()
    when: str | tuple[str, ...] = "always"


class Branch(NamedTuple):
    """A branch of a behaviour tree: conditions, and either steps to take in turn or branches to choose from."""

    when: str | tuple[str, ...]
    do: Any


@dataclass(frozen=True, slots=True)
class Playbook:
    """The data that a domain gives to planners that work without a model.

    Attributes:
        rules: for `heuristic`, in the order in which they are tried.
        group_rules: rules of groups with their own rules, by the name of the group.
        facts: named conditions; rules, goals and branches use them.
        moves: named functions that make steps, for rules in files.
        goals: for `goap`, the most urgent first.
        operators: for `goap`, the steps that agents can take, with their needs and effects.
        options: for `utility`; of equal scores, the first option wins.
        tree: for `behaviour`, in the order in which branches are tried.
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
