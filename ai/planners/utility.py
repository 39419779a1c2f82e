"""Utility: every option gets a score from what the agent knows, and the agent takes the best it can do.

Scores are integers, for all agents at once; of equal scores the option listed first wins. A score of 0 or less means
that the option is not worth doing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai.actions import ToolRegistry
from ai.facts import REACH_CELLS
from ai.heuristics import write
from ai.plan import Outcome, PlanBatch
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.rule_actions import (
    Action,
    ApproachNearest,
    AttackNearest,
    HealAlly,
    HealSelf,
    MoveToLeader,
    MoveToObjective,
    Reload,
    Retreat,
    Scan,
    TakeCover,
    ThrowExplosive,
)
from ai.snapshot import SnapshotBatch

Scores = NDArray[np.int64]

BLAST_CELLS: Final = 2
"""How far from its centre an explosion counts as hitting, cells."""


class Known(NamedTuple):
    """What scores are made of, `[n] int64`: health in percent, distance to the nearest enemy, enemies seen."""

    health: Scores
    distance: Scores
    seen: Scores
    batch: SnapshotBatch


def _known(batch: SnapshotBatch) -> Known:
    health = batch.hp.astype(np.int64) * 100 // np.maximum(batch.hp_max.astype(np.int64), 1)
    dx, dy = batch.enemy_x[:, 0].astype(np.int64) - batch.x, batch.enemy_y[:, 0].astype(np.int64) - batch.y
    # The larger of the two, plus half of the smaller: within a tenth of the straight distance, in integers.
    wide, narrow = np.maximum(np.abs(dx), np.abs(dy)), np.minimum(np.abs(dx), np.abs(dy))
    return Known(health, wide + narrow // 2, (batch.enemy >= 0).sum(1), batch)


def _if(mask: NDArray[np.bool_], score: Scores | int) -> Scores:
    scored: Scores = np.where(mask, score, 0)
    return scored


def _attack(known: Known) -> Scores:
    near = (known.seen > 0) & (known.distance <= REACH_CELLS) & (known.batch.ammo > 0)
    weak = np.maximum(60 - known.batch.enemy_hp[:, 0].astype(np.int64), 0)
    return _if(near, 500 + (REACH_CELLS - known.distance) * 20 + weak * 3)


def _aim(known: Known) -> Scores:
    far = (known.seen > 0) & (known.distance > REACH_CELLS - 2) & (known.distance <= REACH_CELLS + 3)
    return _if(far & (known.batch.ammo > 1), 520)


def _strike(known: Known) -> Scores:
    return _if((known.seen > 0) & (known.distance <= 1), 800)


def _throw(known: Known) -> Scores:
    batch = known.batch
    dx = batch.enemy_x.astype(np.int64) - batch.enemy_x[:, :1]
    dy = batch.enemy_y.astype(np.int64) - batch.enemy_y[:, :1]
    together = ((batch.enemy >= 0) & (np.maximum(np.abs(dx), np.abs(dy)) <= BLAST_CELLS)).sum(1)
    return _if((known.distance > BLAST_CELLS + 1) & (known.distance <= REACH_CELLS), together * 350)


def _heal(known: Known) -> Scores:
    return _if(known.health < 70, (100 - known.health) * 8)


def _heal_ally(known: Known) -> Scores:
    return _if(known.seen == 0, 260)


def _reload(known: Known) -> Scores:
    empty = known.batch.ammo <= 0
    return np.where(empty, 900, _if((known.seen == 0) & (known.batch.ammo < 8), 300))


def _cover(known: Known) -> Scores:
    return _if((known.seen > 0) & (known.batch.cover == 0), 350 + (100 - known.health) * 4)


def _retreat(known: Known) -> Scores:
    outnumbered = (known.seen > 2) & (known.health < 40)
    return _if(outnumbered & (known.distance < REACH_CELLS), 640)


def _approach(known: Known) -> Scores:
    return _if((known.seen > 0) & (known.distance > REACH_CELLS), 380 + known.health)


def _objective(known: Known) -> Scores:
    return _if(known.batch.goal_x >= 0, 240)


def _leader(known: Known) -> Scores:
    return _if(known.seen == 0, 120)


def _scan(known: Known) -> Scores:
    return np.full(len(known.seen), 50, np.int64)


OPTIONS: Final[tuple[tuple[Action, Callable[[Known], Scores]], ...]] = (
    (AttackNearest(verb="HeavyAttack"), _strike),
    (ThrowExplosive(), _throw),
    (AttackNearest(verb="Attack"), _attack),
    (AttackNearest(verb="AimedShot"), _aim),
    (Reload(), _reload),
    (HealSelf(), _heal),
    (Retreat(), _retreat),
    (TakeCover(), _cover),
    (ApproachNearest(distance=REACH_CELLS - 1), _approach),
    (HealAlly(), _heal_ally),
    (MoveToObjective(), _objective),
    (MoveToLeader(), _leader),
    (Scan(), _scan),
)
"""What an agent may do, and what that is worth to it."""


class Utility:
    """Gives every agent the one-step plan that scores highest among those it can do."""

    name: str = "utility"
    deterministic: bool = True

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:  # noqa: ARG002
        """Score all options for all agents, then hand out the best, the second best, and so on."""
        plans = PlanBatch.empty(batch.keys)
        known = _known(batch)
        scores = np.stack([score(known) for _, score in OPTIONS])
        ranked = np.argsort(-scores, axis=0, kind="stable")
        pending = np.ones(len(batch), np.bool_)
        for rank in range(len(OPTIONS)):
            for option in np.unique(ranked[rank, pending]).tolist():
                rows = np.flatnonzero(pending & (ranked[rank] == option) & (scores[option] > 0))
                if len(rows):
                    made = OPTIONS[option][0].make(batch, rows)
                    pending[write(plans, rows, [made], batch, registry)] = False
            if not pending.any():
                break
        return TierPlans(plans, np.where(pending, Outcome.MISSING, Outcome.OK).astype(np.int8))


PLANNERS: tuple[type[Planner], ...] = (Utility,)
