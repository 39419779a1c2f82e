"""Actions of rules: what agents do, each a verb with columns as arguments, made for many agents at once.

To add an action, write its class here and name it in the union at the end. `Do` is any verb at all: what it is done
to, and where, is chosen for each agent.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue, model_validator

from ai.actions import NAME_CHARS_MAX, SECONDS_MAX, Role
from ai.rule_conditions import (
    CellCount,
    Data,
    Mask,
    Text,
    enemy_distance_squared,
    objects_of,
    place_of,
    under,
)
from ai.snapshot import SnapshotBatch

Rows = NDArray[np.intp]
Keys = NDArray[np.int64]
Value = NDArray[Any] | float

IDLE_S: Final = 1.0
"""Seconds that an agent waits when no rule gives it anything to do."""
COVER_CELLS: Final = 8
"""How far away `at = "cover"` looks for a cell of cover."""


@dataclass(frozen=True, slots=True)
class Made:
    """A step for some agents: the verb, its fields by name in written units, and for whom it makes sense.

    A field is one number, or whole numbers for the rows asked, `[m]`; `possible` is `[m] bool`, None for everyone.
    `by_role` fills the fields of a role, whatever they are called; `given` are values that are the same for all, as a
    planner writes them.
    """

    verb: str
    fields: Mapping[str, Value] = field(default_factory=dict)
    possible: Mask | None = None
    by_role: Mapping[Role, NDArray[Any]] = field(default_factory=dict)
    given: Mapping[str, JsonValue] | None = None


class _Action(Data):
    @abstractmethod
    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Return the step for the agents at `rows`."""


def _nearest(batch: SnapshotBatch, rows: Rows) -> tuple[NDArray[np.int64], Mask]:
    enemy = batch.enemy[rows, 0]
    return enemy, enemy >= 0


class HealSelf(_Action):
    """Use a medkit on oneself."""

    kind: Literal["heal_self"] = "heal_self"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Heal without a target means oneself."""
        return Made("Heal", {}, batch.medkits[rows] > 0)


class HealAlly(_Action):
    """Use a medkit on the visible ally with the least health, the nearest of equals."""

    kind: Literal["heal_ally"] = "heal_ally"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Choose among allies that live and are hurt."""
        hp = batch.ally_hp[rows]
        hurt = (batch.ally[rows] >= 0) & (hp > 0) & (hp < batch.hp_max[rows][:, None])
        worst = np.where(hurt, hp, np.iinfo(np.int32).max).argmin(1)
        possible = hurt.any(1) & (batch.medkits[rows] > 0)
        return Made("Heal", {"target_id": batch.ally[rows, worst]}, possible)


class Reload(_Action):
    """Load the weapon, if rounds are left."""

    kind: Literal["reload"] = "reload"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need a reserve."""
        return Made("Reload", {}, batch.reserve[rows] > 0)


class AttackNearest(_Action):
    """Attack the nearest enemy."""

    kind: Literal["attack_nearest"] = "attack_nearest"
    verb: Literal["Attack", "AimedShot", "QuickAttack", "HeavyAttack"] = "Attack"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need an enemy."""
        enemy, seen = _nearest(batch, rows)
        return Made(self.verb, {"target_id": enemy}, seen)


class ApproachNearest(_Action):
    """Go towards the nearest enemy, up to a distance."""

    kind: Literal["approach_nearest"] = "approach_nearest"
    distance: CellCount = 2

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need an enemy that is farther away than that."""
        enemy, seen = _nearest(batch, rows)
        far = enemy_distance_squared(batch)[rows] > self.distance**2
        return Made("Approach", {"target_id": enemy, "distance": self.distance}, seen & far)


class Retreat(_Action):
    """Go away from the nearest enemy, up to a distance."""

    kind: Literal["retreat"] = "retreat"
    distance: CellCount = 8

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need an enemy that is nearer than that."""
        enemy, seen = _nearest(batch, rows)
        near = enemy_distance_squared(batch)[rows] < self.distance**2
        return Made("Retreat", {"target_id": enemy, "distance": self.distance}, seen & near)


class TakeCover(_Action):
    """Go behind cover; the world chooses a place that is cover."""

    kind: Literal["take_cover"] = "take_cover"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:  # noqa: ARG002
        """Name no place."""
        return Made("TakeCover", {})


class ThrowSmoke(_Action):
    """Put smoke half-way between oneself and the nearest enemy."""

    kind: Literal["throw_smoke"] = "throw_smoke"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need a smoke and an enemy."""
        _, seen = _nearest(batch, rows)
        x = (batch.x[rows].astype(np.int64) + batch.enemy_x[rows, 0]) // 2
        y = (batch.y[rows].astype(np.int64) + batch.enemy_y[rows, 0]) // 2
        return Made("ThrowSmoke", {"x": x, "y": y}, seen & (batch.smokes[rows] > 0))


class ThrowExplosive(_Action):
    """Throw an explosive at the nearest enemy's cell."""

    kind: Literal["throw_explosive"] = "throw_explosive"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need an explosive and an enemy."""
        _, seen = _nearest(batch, rows)
        fields = {"x": batch.enemy_x[rows, 0], "y": batch.enemy_y[rows, 0]}
        return Made("ThrowExplosive", fields, seen & (batch.explosives[rows] > 0))


class MoveToObjective(_Action):
    """Go where the objective points."""

    kind: Literal["move_to_objective"] = "move_to_objective"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need a goal that is not the cell the agent stands on; no goal is a cell outside every map."""
        x, y = batch.goal_x[rows], batch.goal_y[rows]
        return Made("MoveTo", {"x": x, "y": y}, (x != batch.x[rows]) | (y != batch.y[rows]))


class MoveToLeader(_Action):
    """Go to the leader, unless it is at arm's length."""

    kind: Literal["move_to_leader"] = "move_to_leader"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need a leader that stands neither on this cell nor on one of the eight around it."""
        x, y = batch.leader_x[rows], batch.leader_y[rows]
        dx, dy = x.astype(np.int64) - batch.x[rows], y.astype(np.int64) - batch.y[rows]
        apart = np.maximum(np.abs(dx), np.abs(dy)) > 1
        return Made("MoveTo", {"x": x, "y": y}, (batch.leader[rows] >= 0) & apart)


class Block(_Action):
    """Brace against the next hit."""

    kind: Literal["block"] = "block"

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:  # noqa: ARG002
        """Need nothing."""
        return Made("Block", {})


class Scan(_Action):
    """Look around."""

    kind: Literal["scan"] = "scan"
    radius: CellCount = 10

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:  # noqa: ARG002
        """Need nothing."""
        return Made("Scan", {"radius": self.radius})


class Wait(_Action):
    """Stay for some seconds."""

    kind: Literal["wait"] = "wait"
    duration: Annotated[float, Field(strict=True, ge=0.1, le=SECONDS_MAX)] = IDLE_S

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:  # noqa: ARG002
        """Need nothing."""
        return Made("Wait", {"duration": self.duration})


class Do(_Action):
    """Do any verb: to an enemy, an ally or a thing, at a cell, with `values` for its other fields.

    `enemy` is the nearest, the weakest (fewest hit points), or the nearest that the team has marked or the squad
    attacks together; `ally` the nearest, the weakest, the nearest who is down, the one who asks for cover, or the
    leader; `object` the nearest thing of a kind that is not empty. `at` is the goal, one's own cell, that of the enemy,
    ally or object chosen, of the leader, the nearest cover with nobody known on it, or the cell that draws one's
    attention; `place` is a named place instead. What `at` names only says where.
    Whoever knows of no such enemy, ally, thing or cell does not do it.
    """

    kind: Literal["do"] = "do"
    verb: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
    enemy: Literal["nearest", "weakest", "marked", "focus"] | None = None
    ally: Literal["nearest", "weakest", "down", "caller", "leader"] | None = None
    object: Text | None = None
    at: Literal["goal", "here", "enemy", "ally", "object", "leader", "cover", "distraction"] | None = None
    place: Text | None = None
    values: Annotated[dict[str, JsonValue], Field(max_length=16, default_factory=dict)]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.at is not None and self.place is not None:
            raise ValueError("'at' and 'place' both name a cell; keep one of them")
        if self.at in ("enemy", "ally", "object") and getattr(self, self.at) is None:
            raise ValueError(f"at = {self.at!r} needs '{self.at}', which says which one")
        return self

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Choose targets and cells, and note for whom there are all of them."""
        possible = np.ones(len(rows), np.bool_)
        by_role: dict[Role, NDArray[Any]] = {}
        cells: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
        for role, name in ((Role.ENEMY, "enemy"), (Role.ALLY, "ally"), (Role.OBJECT, "object")):
            if getattr(self, name) is not None:
                key, x, y = getattr(self, f"_{name}")(batch, rows)
                cells[name] = x, y
                if self.at != name:
                    by_role[role] = key
                possible &= key >= 0
        if self.at is not None or self.place is not None:
            x, y = self._cell(batch, rows, cells)
            by_role |= {Role.CELL_X: x, Role.CELL_Y: y}
            possible &= (x >= 0) & (y >= 0)
        return Made(self.verb, possible=possible, by_role=by_role, given=self.values)

    def _enemy(self, batch: SnapshotBatch, rows: Rows) -> tuple[Keys, NDArray[np.int32], NDArray[np.int32]]:
        keys = batch.enemy[rows]
        fit = keys >= 0
        if self.enemy in ("marked", "focus"):
            fit &= under(batch.enemy_conditions[rows], self.enemy)
        score = batch.enemy_hp[rows] if self.enemy == "weakest" else np.zeros(keys.shape, np.int32)
        return _pick(fit, score, keys, batch.enemy_x[rows], batch.enemy_y[rows])

    def _ally(self, batch: SnapshotBatch, rows: Rows) -> tuple[Keys, NDArray[np.int32], NDArray[np.int32]]:
        if self.ally == "leader":
            return batch.leader[rows], batch.leader_x[rows], batch.leader_y[rows]
        keys = batch.ally[rows]
        fit = keys >= 0
        if self.ally == "caller":
            fit &= keys == batch.caller[rows][:, None]
        else:
            fit &= under(batch.ally_conditions[rows], "down") == (self.ally == "down")
        score = batch.ally_hp[rows] if self.ally == "weakest" else np.zeros(keys.shape, np.int32)
        return _pick(fit, score, keys, batch.ally_x[rows], batch.ally_y[rows])

    def _object(self, batch: SnapshotBatch, rows: Rows) -> tuple[Keys, NDArray[np.int32], NDArray[np.int32]]:
        assert self.object is not None
        keys = batch.object[rows].astype(np.int64)
        if not keys.shape[1]:
            none = np.full(len(rows), -1, np.int32)
            return none.astype(np.int64), none, none
        fit = objects_of(batch, self.object)[rows]
        return _pick(fit, np.zeros(keys.shape, np.int32), keys, batch.object_x[rows], batch.object_y[rows])

    def _cell(
        self, batch: SnapshotBatch, rows: Rows, cells: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return x and y of where it is to be done, -1 for nowhere."""
        if self.place is not None:
            x, y = place_of(batch, self.place) or (-1, -1)
            return np.full(len(rows), x, np.int32), np.full(len(rows), y, np.int32)
        match self.at:
            case "goal":
                return batch.goal_x[rows], batch.goal_y[rows]
            case "here":
                return batch.x[rows], batch.y[rows]
            case "leader":
                led = batch.leader[rows] >= 0
                return np.where(led, batch.leader_x[rows], -1), np.where(led, batch.leader_y[rows], -1)
            case "distraction":
                return batch.drawn_x[rows], batch.drawn_y[rows]
            case "cover":
                return _nearest_cover(batch, rows)
        assert self.at is not None
        return cells[self.at]


def _pick(
    fit: Mask, score: NDArray[np.int32], keys: Keys, x: NDArray[np.int32], y: NDArray[np.int32]
) -> tuple[Keys, NDArray[np.int32], NDArray[np.int32]]:
    """Return key and cell of the first with the lowest score among those that fit, key -1 where none does."""
    best = np.where(fit, score, np.iinfo(np.int32).max).argmin(1)
    rows = np.arange(len(keys))
    return np.where(fit.any(1), keys[rows, best], -1).astype(np.int64), x[rows, best], y[rows, best]


COVER_OFFSETS: Final = tuple(
    sorted(
        (
            (dx, dy)
            for dy in range(-COVER_CELLS, COVER_CELLS + 1)
            for dx in range(-COVER_CELLS, COVER_CELLS + 1)
            if dx * dx + dy * dy <= COVER_CELLS**2
        ),
        key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, offset[1], offset[0]),
    )
)
"""Where cover is looked for: offsets (dx, dy) by distance, then dy, then dx."""


def _nearest_cover(batch: SnapshotBatch, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the nearest cell of cover on which no ally or enemy is known to stand, -1 where there is none so near."""
    if batch.map.cover is None:
        none = np.full(len(rows), -1, np.int64)
        return none, none
    dx, dy = np.array(COVER_OFFSETS, np.int64).T
    x, y = batch.x[rows][:, None] + dx, batch.y[rows][:, None] + dy
    on_map = (x >= 0) & (y >= 0) & (x < batch.map.width) & (y < batch.map.height)
    good = on_map & batch.map.cover[np.where(on_map, y, 0), np.where(on_map, x, 0)]
    for who, at_x, at_y in (
        (batch.ally[rows], batch.ally_x[rows], batch.ally_y[rows]),
        (batch.enemy[rows], batch.enemy_x[rows], batch.enemy_y[rows]),
    ):
        for place in range(who.shape[1]):
            there = (x == at_x[:, place, None]) & (y == at_y[:, place, None])
            good &= ~(there & (who[:, place, None] >= 0))
    best, every = good.argmax(1), np.arange(len(rows))
    found = good[every, best]
    return np.where(found, x[every, best], -1), np.where(found, y[every, best], -1)


Action = Annotated[
    HealSelf | HealAlly | Reload | AttackNearest | ApproachNearest | Retreat | TakeCover | ThrowSmoke | ThrowExplosive
    | MoveToObjective | MoveToLeader | Block | Scan | Wait | Do,
    Field(discriminator="kind"),
]  # fmt: skip
"""Any action; `kind` says which."""
