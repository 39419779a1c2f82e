"""Facts: what agents know as yes or no, for planners that think in preconditions and effects.

A kind declares what it `needs` and what it `gives` as names of facts, `!` before a name for its opposite. Facts are
bits of one integer an agent, so that agents who know the same are planned for once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ai.errors import ContractError
from ai.rule_conditions import Mask, enemy_distance_squared
from ai.snapshot import SnapshotBatch

Facts = NDArray[np.int64]

HEALTHY_PERCENT: Final = 60
"""Share of full health from which an agent counts as healthy."""
REACH_CELLS: Final = 6
"""Distance within which an enemy counts as in reach."""
CLOSE_DISTANCE2: Final = 2
"""Squared distance of the eight cells around."""


def _enemy(batch: SnapshotBatch, distance2: int) -> Mask:
    return (batch.enemy[:, 0] >= 0) & (enemy_distance_squared(batch) <= distance2)


def _nobody(batch: SnapshotBatch) -> Mask:
    return np.zeros(len(batch), np.bool_)


_KNOWN: Final[dict[str, Callable[[SnapshotBatch], Mask]]] = {
    "ammo": lambda batch: batch.ammo > 0,
    "at goal": lambda batch: (batch.goal_x == batch.x) & (batch.goal_y == batch.y),
    "cover": lambda batch: batch.cover > 0,
    "enemy": lambda batch: batch.enemy[:, 0] >= 0,
    "enemy beaten": _nobody,
    "enemy close": lambda batch: _enemy(batch, CLOSE_DISTANCE2),
    "enemy in reach": lambda batch: _enemy(batch, REACH_CELLS**2),
    "explosive": lambda batch: batch.explosives > 0,
    "goal": lambda batch: batch.goal_x >= 0,
    "healthy": lambda batch: batch.hp.astype(np.int64) * 100 >= batch.hp_max.astype(np.int64) * HEALTHY_PERCENT,
    "informed": _nobody,
    "medkit": lambda batch: batch.medkits > 0,
    "reserve": lambda batch: batch.reserve > 0,
    "smoke": lambda batch: batch.smokes > 0,
    "unseen": _nobody,
}
FACTS: Final = tuple(_KNOWN)
"""Every fact; its position is its bit. `enemy beaten`, `informed` and `unseen` hold for nobody: they are only striven
for."""
_BIT: Final = {name: 1 << position for position, name in enumerate(FACTS)}


def facts_of(batch: SnapshotBatch) -> Facts:
    """Return the facts that hold for each agent, `[n] int64`, bits by the position in `FACTS`."""
    found = np.zeros(len(batch), np.int64)
    for name, holds in _KNOWN.items():
        found |= np.where(holds(batch), _BIT[name], 0)
    return found


def bits(names: Iterable[str], where: str) -> tuple[int, int]:
    """Return the facts that names ask to hold and those that they ask not to, as bits.

    Raises:
        ContractError: a name is no fact; `where` says who gave it.
    """
    on = off = 0
    for name in names:
        plain = name.removeprefix("!")
        if plain not in _BIT:
            raise ContractError(f"{where}: there is no fact {plain!r}; known: {', '.join(FACTS)}")
        if name == plain:
            on |= _BIT[plain]
        else:
            off |= _BIT[plain]
    return on, off
