"""Rules from data: which one-step plan an agent gets when no model answers.

`HeuristicConfig` holds rules in order. Each has conditions (`when`: one, or a list that must all hold) and an action
(`then`). An agent gets the action of the first rule that holds for it and whose action can be made: the registry offers
the verb, the target exists, the item is there, the cell is on the map. Whoever no rule serves waits. As TOML:

    [[heuristics.rules]]
    when = { kind = "low_morale", below = 30 }
    then = { kind = "heal_self" }

Everything is evaluated for all agents at once: a condition is a boolean column `[n]`, an action is a verb with columns
as arguments. Text is compared once for each distinct text, never for each agent. To add a condition or an action, write
its class here and name it in the union below it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ai.actions import CELLS_MAX, NONE, SECONDS_MAX, Role, ToolRegistry
from ai.errors import ContractError
from ai.plan import PlanBatch
from ai.snapshot import SnapshotBatch

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
Value = NDArray[Any] | float

RULES_MAX: Final = 256
"""Rules that one configuration may have."""
IDLE_S: Final = 1.0
"""Seconds that an agent waits when no rule gives it anything to do."""

Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
CellCount = Annotated[int, Field(strict=True, ge=1, le=64)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=200)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# Conditions.


class _Condition(_Data):
    @abstractmethod
    def holds(self, batch: SnapshotBatch) -> Mask:
        """Return for whom the condition holds, `[n] bool`."""


def _contains(batch: SnapshotBatch, column: NDArray[np.int32], text: str) -> Mask:
    """Whether each agent's text contains `text`, ignoring case; `column` indexes `batch.texts`, -1 is no text."""
    wanted = text.casefold()
    hits = np.array([*(wanted in known.casefold() for known in batch.texts), False])
    return hits[column]


def _enemy_distance_squared(batch: SnapshotBatch) -> NDArray[np.int64]:
    """Squared distance to the nearest enemy in cells, meaningless where none is seen, `[n] int64`."""
    dx = batch.enemy_x[:, 0].astype(np.int64) - batch.x
    dy = batch.enemy_y[:, 0].astype(np.int64) - batch.y
    # Places outside every map may be so far away that their square overflows; no rule looks farther than this.
    dx, dy = np.minimum(np.abs(dx), CELLS_MAX), np.minimum(np.abs(dy), CELLS_MAX)
    squared: NDArray[np.int64] = dx * dx + dy * dy
    return squared


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
        return (batch.enemy[:, 0] >= 0) & (_enemy_distance_squared(batch) <= self.cells**2)


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
    """The agent carries at least one of an item."""

    kind: Literal["has_item"] = "has_item"
    item: Literal["smokes", "explosives", "medkits"]

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Look at the item's column."""
        column: NDArray[np.int32] = getattr(batch, self.item)
        return column > 0


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


class Always(_Condition):
    """Holds for everyone."""

    kind: Literal["always"] = "always"

    def holds(self, batch: SnapshotBatch) -> Mask:
        """Say yes."""
        return np.ones(len(batch), np.bool_)


Condition = Annotated[
    LowMorale | LowHealth | LowAmmo | EnemyWithin | EnemyVisible | NoEnemy | ObjectiveContains | HasOrder
    | OrderContains | AllyHurt | HasItem | Ready | Always,
    Field(discriminator="kind"),
]  # fmt: skip


# Actions.


@dataclass(frozen=True, slots=True)
class Made:
    """A step for some agents: the verb, its fields by name in written units, and for whom it makes sense.

    A field is one number, or whole numbers for the rows asked, `[m]`; `possible` is `[m] bool`, None for everyone.
    """

    verb: str
    fields: Mapping[str, Value]
    possible: Mask | None = None


class _Action(_Data):
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
        far = _enemy_distance_squared(batch)[rows] > self.distance**2
        return Made("Approach", {"target_id": enemy, "distance": self.distance}, seen & far)


class Retreat(_Action):
    """Go away from the nearest enemy, up to a distance."""

    kind: Literal["retreat"] = "retreat"
    distance: CellCount = 8

    def make(self, batch: SnapshotBatch, rows: Rows) -> Made:
        """Need an enemy that is nearer than that."""
        enemy, seen = _nearest(batch, rows)
        near = _enemy_distance_squared(batch)[rows] < self.distance**2
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


Action = Annotated[
    HealSelf | HealAlly | Reload | AttackNearest | ApproachNearest | Retreat | TakeCover | ThrowSmoke | ThrowExplosive
    | MoveToObjective | MoveToLeader | Block | Scan | Wait,
    Field(discriminator="kind"),
]  # fmt: skip


# Rules.


def _as_several(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


class Rule(_Data):
    """Conditions that must all hold, and the action they lead to; `when` takes one condition or a list."""

    when: Annotated[tuple[Condition, ...], BeforeValidator(_as_several), Field(min_length=1, max_length=16)]
    then: Action


def _rule(when: Condition, then: Action) -> Rule:
    return Rule(when=(when,), then=then)


DEFAULT_RULES: Final = (
    _rule(LowMorale(below=30), HealSelf()),
    _rule(LowAmmo(at_most=0), Reload()),
    _rule(EnemyWithin(cells=3), AttackNearest()),
    _rule(EnemyVisible(), TakeCover()),
    _rule(ObjectiveContains(text="extract"), MoveToObjective()),
    _rule(ObjectiveContains(text="reach"), MoveToObjective()),
    _rule(Always(), Scan(radius=10)),
)
"""The source's seven rules in its order, with its mistakes corrected (see the design's section 6)."""


_IDLE: Final = _rule(Always(), Wait(duration=IDLE_S))


class HeuristicConfig(_Data):
    """The rules, first one first."""

    rules: Annotated[tuple[Rule, ...], Field(max_length=RULES_MAX)] = DEFAULT_RULES


def evaluate(config: HeuristicConfig, batch: SnapshotBatch, registry: ToolRegistry) -> PlanBatch:
    """Return every agent's one-step plan.

    Nobody is left without one unless the registry offers no `Wait`.

    Raises:
        ContractError: a verb is offered, but its kind does not take the fields that a rule's action gives.
    """
    plans = PlanBatch.empty(batch.keys)
    plans.args[:] = NONE
    pending = np.ones(len(batch), np.bool_)
    for rule in (*config.rules, _IDLE):
        mask = pending
        for condition in rule.when:
            mask = mask & condition.holds(batch)
        rows = mask.nonzero()[0]
        if len(rows):
            pending[write(plans, rows, rule.then.make(batch, rows), batch, registry)] = False
            if not np.count_nonzero(pending):
                break
    plans.length[~pending] = 1
    plans.args[:, :, pending] = 0
    return plans


def write(plans: PlanBatch, rows: Rows, made: Made, batch: SnapshotBatch, registry: ToolRegistry) -> Rows:
    """Store a step as the first of the plans of the agents that can have it, and return their rows.

    Raises:
        ContractError: the verb's kind does not take these fields.
    """
    if made.verb not in registry:
        return rows[:0]
    code = registry.code(made.verb)
    spec = registry.spec(code)
    fields, possible = made.fields, made.possible
    places = [(place, arg) for place, arg in enumerate(spec.args) if arg.required or arg.name in fields]
    if len(places) != len(fields) or not all(arg.name in fields for _, arg in places):
        raise ContractError(
            f"a heuristic rule gives {made.verb} the fields {sorted(fields)}, but it takes "
            f"{[arg.name for arg in spec.args]} (required: {[arg.name for arg in spec.args if arg.required]}); leave "
            f"the rule out or offer another kind"
        )
    given: list[tuple[int, NDArray[Any] | int]] = []
    for place, arg in places:
        value = fields[arg.name]
        high = arg.high
        if not isinstance(value, np.ndarray):
            # The configuration's numbers; one check serves everyone.
            value = round(value * arg.scale)
            if not arg.low <= value <= high:
                return rows[:0]
            given.append((place, value))
            continue
        if arg.role is Role.CELL_X:
            high = min(high, batch.map.width - 1)
        elif arg.role is Role.CELL_Y:
            high = min(high, batch.map.height - 1)
        fits = (value >= arg.low) & (value <= high)
        possible = fits if possible is None else possible & fits
        given.append((place, value))
    if possible is not None and not possible.all():
        rows = rows[possible]
        given = [(place, value[possible] if isinstance(value, np.ndarray) else value) for place, value in given]
    plans.kind[0][rows] = code
    for place, value in given:
        plans.args[0, place][rows] = value
    return rows
