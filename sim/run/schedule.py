"""The order of a tick, as one visible tuple. Order is meaning: a system is its file plus its place here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ai.errors import ContractError
from scenarios.tactics.systems.cleanup import Cleanup
from scenarios.tactics.systems.combat import Combat
from scenarios.tactics.systems.execution import Execution
from scenarios.tactics.systems.flight import Flight
from scenarios.tactics.systems.inputs import Inputs
from scenarios.tactics.systems.objectives import Advance
from scenarios.tactics.systems.perception import Perception
from scenarios.tactics.systems.planning import Planning
from scenarios.tactics.systems.upkeep import Upkeep
from sim.engine.system import System

SCHEDULE: Final[tuple[type[System], ...]] = (
    Inputs,
    Perception,
    Planning,
    Flight,
    Execution,
    Combat,
    Upkeep,
    Advance,
    Cleanup,
)
"""Systems in the order they run; digest and record follow the last."""


def schedule(more: Sequence[type[System]] = ()) -> tuple[type[System], ...]:
    """Return the systems of a tick with those of plug-ins, each behind the one that its `after` names.

    Several behind the same one keep their order.

    Raises:
        ContractError: a name is taken, or `after` names no system; the message names the system.
    """
    order = list(SCHEDULE)
    for system in more:
        names, after = [each.name for each in order], _after(system)
        if system.name in names:
            raise ContractError(f"system {system.name!r} ({system.__module__}) has a name that is taken; rename it")
        if after not in names:
            raise ContractError(f"system {system.name!r} runs after {after!r}; known: {', '.join(names)}")
        at = names.index(after) + 1
        while at < len(order) and order[at] in more and _after(order[at]) == after:
            at += 1
        order.insert(at, system)
    return tuple(order)


def _after(system: type[System]) -> str:
    return system.after or "upkeep"
