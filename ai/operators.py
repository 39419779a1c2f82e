"""Operators: the registry's kinds as preconditions and effects, and the steps that a sequence of them becomes.

A kind can be an operator when it declares what it `gives` (`ai.facts`) and its required arguments can be filled: a
target by the nearest enemy, a cell by that enemy's or, for kinds that need none, by the goal, anything else by what the
kind declares as `usual`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import NONE, ArgSpec, Role, ToolRegistry, ToolSpec
from ai.facts import bits
from ai.plan import PlanBatch
from ai.snapshot import SnapshotBatch

_FILLED: Final = frozenset({Role.ENEMY, Role.CELL_X, Role.CELL_Y})


@dataclass(frozen=True, slots=True)
class Operator:
    """A kind as a planner sees it: facts that must hold and must not, facts it makes hold and makes not, its effort."""

    verb: str
    on: int
    off: int
    gives: int
    takes: int
    effort: int

    def applies(self, facts: int) -> bool:
        """Tell whether the preconditions hold."""
        return facts & self.on == self.on and not facts & self.off

    def after(self, facts: int) -> int:
        """Return the facts after it."""
        return (facts | self.gives) & ~self.takes


def operators(registry: ToolRegistry) -> tuple[Operator, ...]:
    """Return the offered kinds that can be operators, in name order.

    Raises:
        ContractError: a kind declares a fact that there is not.
    """
    found: list[Operator] = []
    for spec in registry.specs:
        if spec.name in registry and spec.kind.gives and all(_fillable(spec, arg) for arg in spec.args):
            on, off = bits(spec.kind.needs, f"{spec.name}.needs")
            gives, takes = bits(spec.kind.gives, f"{spec.name}.gives")
            found.append(Operator(spec.name, on, off, gives, takes, spec.kind.effort))
    return tuple(found)


def _fillable(spec: ToolSpec, arg: ArgSpec) -> bool:
    return not arg.required or arg.role in _FILLED or arg.name in spec.kind.usual


def write(
    plans: PlanBatch, rows: NDArray[np.intp], verbs: Sequence[str], batch: SnapshotBatch, registry: ToolRegistry
) -> None:
    """Store the same sequence of verbs for some agents, each with its own targets and cells."""
    plans.length[rows] = len(verbs)
    for position, verb in enumerate(verbs):
        code = registry.code(verb)
        spec = registry.spec(code)
        plans.kind[position, rows] = code
        plans.args[position][:, rows] = NONE
        for place, arg in enumerate(spec.args):
            plans.args[position, place, rows] = _value(spec, arg, batch, rows)


def _value(spec: ToolSpec, arg: ArgSpec, batch: SnapshotBatch, rows: NDArray[np.intp]) -> NDArray[np.int64] | int:
    usual: Mapping[str, float] = spec.kind.usual
    if arg.name in usual:
        return round(usual[arg.name] * arg.scale)
    if not arg.required:
        return NONE
    if arg.role is Role.ENEMY:
        nearest: NDArray[np.int64] = batch.enemy[rows, 0]
        return nearest
    at_enemy = "enemy" in spec.kind.needs or "enemy in reach" in spec.kind.needs
    if arg.role is Role.CELL_X:
        return (batch.enemy_x[rows, 0] if at_enemy else batch.goal_x[rows]).astype(np.int64)
    return (batch.enemy_y[rows, 0] if at_enemy else batch.goal_y[rows]).astype(np.int64)
