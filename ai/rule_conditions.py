"""Conditions of rules: what must hold for an agent, each a boolean column `[n]` over all agents at once.

Text is compared once for each distinct text, never for each agent. To add a condition, write its class here and name it
in the union at the end.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ai.actions import CELLS_MAX, SECONDS_MAX
from ai.snapshot import ALLIES_MAX, CONDITION_NAMES, ENEMIES_MAX, STANCE_NAMES, SnapshotBatch

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

KIT: Final = ("smokes", "explosives", "medkits")
"""Items that have a column of their own."""

Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
CellCount = Annotated[int, Field(strict=True, ge=1, le=64)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
Held = Literal["ambush", "calling", "dodge", "down", "focus", "marked", "parry", "suppressed"]
"""What someone can be under for a time; the names of `ai.snapshot.CONDITION_NAMES`."""


class Data(BaseModel):
    """Part of a configuration: frozen, and without a key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Condition(Data):
    @abstractmethod
    def holds(self, batch: SnapshotBatch) -> Mask:
        """Return for whom the condition holds, `[n] bool`."""


def _contains(batch: SnapshotBatch, column: NDArray[np.int32], text: str) -> Mask:
    """Whether each agent's text contains `text`, ignoring case; `column` indexes `batch.texts`, -1 is no text."""
    wanted = text.casefold()
    hits = np.array([*(wanted in known.casefold() for known in batch.texts), False])
    return hits[column]


def distance_squared(batch: SnapshotBatch, x: NDArray[np.int32], y: NDArray[np.int32]) -> Ints:
    """Return squared distances from the agents to places `[n]` (or `[n, places]`), in cells."""
    along = np.empty((2, *x.shape), np.int64)
    own_x, own_y = (batch.x, batch.y) if x.ndim == 1 else (batch.x[:, None], batch.y[:, None])
    np.subtract(x, own_x, out=along[0], dtype=np.int64)
    np.subtract(y, own_y, out=along[1], dtype=np.int64)
    # Places outside every map may be so far away that their square overflows; no rule looks farther than this.
    np.minimum(np.abs(along, out=along), CELLS_MAX, out=along)
    along *= along
    squared: Ints = along[0] + along[1]
    return squared


def enemy_distance_squared(batch: SnapshotBatch) -> Ints:
    """Return the squared distance to the nearest enemy in cells, meaningless where none is seen, `[n]`."""
    return distance_squared(batch, batch.enemy_x[:, 0], batch.enemy_y[:, 0])


def under(bits: NDArray[np.int32], name: str) -> Mask:
    """Return where a condition holds among bits by the position in `CONDITION_NAMES`."""
    held: Mask = (bits >> CONDITION_NAMES.index(name)) & 1 > 0
    return held


def objects_of(batch: SnapshotBatch, kind: str) -> Mask:
    """Return which of the things seen are of a kind and not empty, `[n, O]`."""
    if kind not in batch.object_kinds:
        return np.zeros(batch.object.shape, np.bool_)
    there: Mask = (batch.object >= 0) & (batch.object_state != 0)
    there &= batch.object_kind == batch.object_kinds.index(kind)
    return there


def place_of(batch: SnapshotBatch, name: str) -> tuple[int, int] | None:
    """Return the cell of a named place, None if there is no such place."""
    return next(((poi.pos.x, poi.pos.y) for poi in batch.map.pois if poi.k == name), None)


def _hurt(hp: NDArray[np.int32], hp_max: NDArray[np.int32], below_percent: int) -> Mask:
    return hp.astype(np.int64) * 100 < hp_max.astype(np.int64) * below_percent


class LowMorale(_Condition):
    """Morale is below a number from 0 to 100."""

    kind: Literal["low_morale"] = "low_morale"
    below: Percent = 30

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare morale."""
        return batch.morale < self.below


class LowHealth(_Condition):
    """Health is below a share of full health."""

    kind: Literal["low_health"] = "low_health"
    below_percent: Percent = 30

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare health with full health."""
        return _hurt(batch.hp, batch.hp_max, self.below_percent)


class LowAmmo(_Condition):
    """At most so many rounds are loaded."""

    kind: Literal["low_ammo"] = "low_ammo"
    at_most: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 0

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare loaded rounds."""
        return batch.ammo <= self.at_most


class EnemyWithin(_Condition):
    """The nearest enemy stands within so many cells, measured straight."""

    kind: Literal["enemy_within"] = "enemy_within"
    cells: CellCount = 3

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare the squared distance to the nearest enemy."""
        return (batch.enemy[:, 0] >= 0) & (enemy_distance_squared(batch) <= self.cells**2)


class EnemyVisible(_Condition):
    """An enemy is seen."""

    kind: Literal["enemy_visible"] = "enemy_visible"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the nearest enemy's place."""
        return batch.enemy[:, 0] >= 0


class NoEnemy(_Condition):
    """No enemy is seen."""

    kind: Literal["no_enemy"] = "no_enemy"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the nearest enemy's place."""
        return batch.enemy[:, 0] < 0


class ObjectiveContains(_Condition):
    """The objective contains a text, in upper or lower case."""

    kind: Literal["objective_contains"] = "objective_contains"
    text: Text

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Search each distinct objective once."""
        return _contains(batch, batch.objective, self.text)


class HasOrder(_Condition):
    """The agent has an order."""

    kind: Literal["has_order"] = "has_order"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the order's place."""
        return batch.order >= 0


class OrderContains(_Condition):
    """The agent's order contains a text, in upper or lower case."""

    kind: Literal["order_contains"] = "order_contains"
    text: Text

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Search each distinct order once."""
        return _contains(batch, batch.order, self.text)


class AllyHurt(_Condition):
    """A visible ally's health is below a share of the agent's own full health; an ally's own is not known."""

    kind: Literal["ally_hurt"] = "ally_hurt"
    below_percent: Percent = 50

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare every visible, living ally."""
        hurt = _hurt(batch.ally_hp, batch.hp_max[:, None], self.below_percent)
        found: Mask = np.any((batch.ally >= 0) & (batch.ally_hp > 0) & hurt, axis=1)
        return found


class HasItem(_Condition):
    """The agent has at least so many of an item, or units of `cargo`; a weapon counts 1, and 2 in hand."""

    kind: Literal["has_item"] = "has_item"
    item: Text
    at_least: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the item's column; nobody has what no column counts."""
        if self.item in KIT:
            column: NDArray[np.int32] = getattr(batch, self.item)
            return column >= self.at_least
        if self.item not in batch.holding_names:
            return np.zeros(len(batch), np.bool_)
        held: Mask = batch.holding[:, batch.holding_names.index(self.item)] >= self.at_least
        return held


class Ready(_Condition):
    """A cooldown group is not cooling down; a group the batch does not know is ready."""

    kind: Literal["ready"] = "ready"
    group: Text

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the group's column."""
        if self.group not in batch.cooldown_names:
            return np.ones(len(batch), np.bool_)
        left: NDArray[np.int32] = batch.ready[:, batch.cooldown_names.index(self.group)]
        return left <= 0


class Under(_Condition):
    """The agent itself is under a condition: suppressed, marked, in ambush and so on."""

    kind: Literal["under"] = "under"
    condition: Held

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the condition's bit."""
        return under(batch.conditions, self.condition)


class AllyUnder(_Condition):
    """A visible ally is under a condition: `down`, for one."""

    kind: Literal["ally_under"] = "ally_under"
    condition: Held

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at every visible ally."""
        found: Mask = np.any((batch.ally >= 0) & under(batch.ally_conditions, self.condition), axis=1)
        return found


class EnemyUnder(_Condition):
    """A known enemy is under a condition, as far as that can be seen."""

    kind: Literal["enemy_under"] = "enemy_under"
    condition: Held

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at every known enemy."""
        found: Mask = np.any((batch.enemy >= 0) & under(batch.enemy_conditions, self.condition), axis=1)
        return found


class EnemiesAtLeast(_Condition):
    """So many enemies are known."""

    kind: Literal["enemies_at_least"] = "enemies_at_least"
    count: Annotated[int, Field(strict=True, ge=1, le=ENEMIES_MAX)]

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the place of the last of them; places are filled from the first on."""
        return batch.enemy[:, self.count - 1] >= 0


class AlliesAtLeast(_Condition):
    """So many allies are seen."""

    kind: Literal["allies_at_least"] = "allies_at_least"
    count: Annotated[int, Field(strict=True, ge=1, le=ALLIES_MAX)]

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the place of the last of them; places are filled from the first on."""
        return batch.ally[:, self.count - 1] >= 0


class CoverWanted(_Condition):
    """Someone of the squad asks for covering fire."""

    kind: Literal["cover_wanted"] = "cover_wanted"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look for who asks."""
        return batch.caller >= 0


class InCover(_Condition):
    """The agent stands in cover."""

    kind: Literal["in_cover"] = "in_cover"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the agent's cell."""
        return batch.cover > 0


class Leads(_Condition):
    """The agent follows nobody: it leads its squad, or is the last of it."""

    kind: Literal["leads"] = "leads"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look for a leader."""
        return batch.leader < 0


class LeaderWithin(_Condition):
    """The agent's leader stands within so many cells."""

    kind: Literal["leader_within"] = "leader_within"
    cells: CellCount = 3

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare the squared distance to the leader."""
        near = distance_squared(batch, batch.leader_x, batch.leader_y) <= self.cells**2
        return (batch.leader >= 0) & near


class LeaderStance(_Condition):
    """The agent's leader stands, crouches (in cover or in ambush), or lies prone (it is down)."""

    kind: Literal["leader_stance"] = "leader_stance"
    stance: Literal["stand", "crouch", "prone"]

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the leader."""
        held: Mask = batch.leader_stance == STANCE_NAMES.index(self.stance)
        return held & (batch.leader >= 0)


class GoalWithin(_Condition):
    """The agent's goal lies within so many cells."""

    kind: Literal["goal_within"] = "goal_within"
    cells: CellCount = 3

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare the squared distance to the goal."""
        near = distance_squared(batch, batch.goal_x, batch.goal_y) <= self.cells**2
        return (batch.goal_x >= 0) & near


class PlaceWithin(_Condition):
    """A named place lies within so many cells."""

    kind: Literal["place_within"] = "place_within"
    place: Text
    cells: CellCount = 3

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare the squared distance to the place; nobody is near one that there is not."""
        found = place_of(batch, self.place)
        if found is None:
            return np.zeros(len(batch), np.bool_)
        x, y = (np.full(len(batch), axis, np.int32) for axis in found)
        return distance_squared(batch, x, y) <= self.cells**2


class ObjectWithin(_Condition):
    """A thing of a kind that is not empty is seen within so many cells."""

    kind: Literal["object_within"] = "object_within"
    object: Text
    cells: CellCount = 64

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at every thing seen."""
        near = distance_squared(batch, batch.object_x, batch.object_y) <= self.cells**2
        found: Mask = np.any(objects_of(batch, self.object) & near, axis=1)
        return found


class HasReserves(_Condition):
    """The agent's team may still call agents in."""

    kind: Literal["has_reserves"] = "has_reserves"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at what is left."""
        return batch.reserves > 0


class After(_Condition):
    """So many seconds of the run have passed."""

    kind: Literal["after"] = "after"
    seconds: Annotated[int, Field(strict=True, ge=0, le=SECONDS_MAX * 100)]

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Compare the tick, the same for everyone."""
        return np.full(len(batch), batch.tick >= self.seconds * batch.ticks_per_second)


class OneIn(_Condition):
    """One in so many agents by its key, counted from `offset`: roles within a squad."""

    kind: Literal["one_in"] = "one_in"
    count: Annotated[int, Field(strict=True, ge=1, le=1000)]
    offset: Annotated[int, Field(strict=True, ge=0, le=999)] = 0

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Divide the key."""
        chosen: Mask = batch.keys % self.count == self.offset % self.count
        return chosen


class Always(_Condition):
    """Holds for everyone."""

    kind: Literal["always"] = "always"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Say yes."""
        return np.ones(len(batch), np.bool_)


Condition = Annotated[
    LowMorale | LowHealth | LowAmmo | EnemyWithin | EnemyVisible | NoEnemy | ObjectiveContains | HasOrder
    | OrderContains | AllyHurt | HasItem | Ready | Under | AllyUnder | EnemyUnder | EnemiesAtLeast | AlliesAtLeast
    | CoverWanted | InCover | Leads | LeaderWithin | LeaderStance | GoalWithin | PlaceWithin | ObjectWithin
    | HasReserves | After | OneIn | Always,
    Field(discriminator="kind"),
]  # fmt: skip
"""Any condition; `kind` says which."""
