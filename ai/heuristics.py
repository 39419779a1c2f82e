"""Rules from data: which plan an agent gets when no model answers.

`HeuristicConfig` holds rules in order. Each has conditions (`when`: one, or a list that must all hold; `unless`: one,
or a list of which none may hold) and actions (`then`: one, or a list that is done in turn). An agent gets the actions
of the first rule that holds for it and whose actions can all be made: the registry offers the verbs, the targets exist,
the items are there, the cells are on the map. Whoever no rule serves waits. As TOML:

    [[heuristics.rules]]
    when = { kind = "low_morale", below = 30 }
    then = { kind = "heal_self" }

    [[heuristics.rules]]
    when = [{ kind = "enemy_within", cells = 8 }, { kind = "ready", group = "command" }]
    unless = { kind = "enemy_under", condition = "marked" }
    then = [{ kind = "do", verb = "MarkTarget", enemy = "nearest" }, { kind = "attack_nearest" }]

Everything is evaluated for all agents at once: a condition is a boolean column `[n]`, an action is a verb with columns
as arguments. Conditions stand in `ai.rule_conditions`, actions in `ai.rule_actions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from ai.actions import NONE, STEPS_MAX, ArgSpec, Role, ToolRegistry, ToolSpec
from ai.errors import ContractError
from ai.plan import PlanBatch
from ai.rule_actions import (
    IDLE_S,
    Action,
    AttackNearest,
    HealSelf,
    Made,
    MoveToObjective,
    Reload,
    Rows,
    Scan,
    TakeCover,
    Wait,
)
from ai.rule_conditions import (
    Always,
    Condition,
    Data,
    EnemyVisible,
    EnemyWithin,
    LowAmmo,
    LowMorale,
    Mask,
    ObjectiveContains,
)
from ai.snapshot import SnapshotBatch

RULES_MAX: Final = 256
"""Rules that one configuration may have."""


def _as_several(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Conditions = Annotated[tuple[Condition, ...], BeforeValidator(_as_several), Field(max_length=16)]
Actions = Annotated[tuple[Action, ...], BeforeValidator(_as_several), Field(min_length=1, max_length=STEPS_MAX)]


class Rule(Data):
    """Conditions, and the actions they lead to; each of the three keys takes one or a list.

    All of `when` must hold and none of `unless`; `then` is done in turn.
    """

    when: Annotated[Conditions, Field(min_length=1)]
    unless: Conditions = ()
    then: Actions


def _rule(when: Condition, then: Action) -> Rule:
    return Rule(when=(when,), then=(then,))


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


class HeuristicConfig(Data):
    """The rules, first one first."""

    rules: Annotated[tuple[Rule, ...], Field(max_length=RULES_MAX)] = DEFAULT_RULES


def evaluate(config: HeuristicConfig, batch: SnapshotBatch, registry: ToolRegistry) -> PlanBatch:
    """Return every agent's plan.

    Nobody is left without one unless the registry offers no `Wait`.

    Raises:
        ContractError: a verb is offered, but its kind does not take the fields that a rule's action gives.
    """
    plans = PlanBatch.empty(batch.keys, max((len(rule.then) for rule in config.rules), default=1))
    pending = np.ones(len(batch), np.bool_)
    for rule in (*config.rules, _IDLE):
        mask = pending
        for condition in rule.when:
            mask = mask & condition.holds(batch)
        for condition in rule.unless:
            mask = mask & ~condition.holds(batch)
        rows = mask.nonzero()[0]
        if len(rows):
            made = [action.make(batch, rows) for action in rule.then]
            pending[write(plans, rows, made, batch, registry)] = False
            if not np.count_nonzero(pending):
                break
    return plans


def check_rules(config: HeuristicConfig, registry: ToolRegistry) -> Iterator[tuple[str, str]]:
    """Yield the rules that name a verb in a way that its kind does not take: the dotted key and why."""
    nobody = SnapshotBatch(keys=np.zeros(0, np.int64))
    for number, rule in enumerate(config.rules):
        for place, action in enumerate(rule.then):
            made = action.make(nobody, np.zeros(0, np.intp))
            if made.verb in registry:
                try:
                    _fit(made, nobody, registry)
                except ContractError as error:
                    yield f"rules[{number}].then[{place}]", str(error)


class _Fitted:
    """A step as columns: the code, and by argument one stored number or one each; and for whom it can be made."""

    def __init__(self, spec: ToolSpec, code: int, possible: Mask | None) -> None:
        self.spec, self.code, self.possible = spec, code, possible
        self.stored: list[tuple[int, NDArray[Any] | int]] = []
        self.payload = b""

    def only(self, fits: Mask) -> None:
        """Let it be made for fewer."""
        self.possible = fits if self.possible is None else self.possible & fits


def write(plans: PlanBatch, rows: Rows, steps: Sequence[Made], batch: SnapshotBatch, registry: ToolRegistry) -> Rows:
    """Store steps as the plans of those agents that can have all of them, and return their rows.

    Raises:
        ContractError: a verb's kind does not take these fields.
    """
    fitted: list[_Fitted] = []
    possible: Mask | None = None
    for made in steps:
        step = _fit(made, batch, registry) if made.verb in registry else None
        if step is None:
            return rows[:0]
        if step.possible is not None:
            possible = step.possible if possible is None else possible & step.possible
        fitted.append(step)
    everyone = possible is None or np.count_nonzero(possible) == len(rows)
    chosen = rows if everyone else rows[possible]
    plans.length[chosen] = len(fitted)
    for position, step in enumerate(fitted):
        plans.kind[position][chosen] = step.code
        given = dict(step.stored)
        for place in range(plans.args.shape[1]):
            value = given.get(place, NONE)
            if isinstance(value, np.ndarray) and not everyone:
                value = value[possible]
            plans.args[position, place][chosen] = value
        if step.payload:
            plans.payloads |= {(row, position): step.payload for row in chosen.tolist()}
    return chosen


def _fit(made: Made, batch: SnapshotBatch, registry: ToolRegistry) -> _Fitted | None:
    """Return a step as stored integers, None where nobody can have it.

    Raises:
        ContractError: the verb's kind does not take these fields.
    """
    code = registry.code(made.verb)
    step = _Fitted(registry.spec(code), code, made.possible)
    if made.given is None:
        fields: Mapping[str, Any] = made.fields
    else:
        fields = _fill(step, made, registry)
    places = _places(step, fields)
    for place, arg in places:
        value, high = fields[arg.name], arg.high
        if not isinstance(value, np.ndarray):
            # The configuration's numbers; one check serves everyone.
            value = round(value * arg.scale)
            if not arg.low <= value <= high:
                return None
        else:
            if arg.role is Role.CELL_X:
                high = min(high, batch.map.width - 1)
            elif arg.role is Role.CELL_Y:
                high = min(high, batch.map.height - 1)
            step.only((value >= arg.low) & (value <= high))
        step.stored.append((place, value))
    return step


def _places(step: _Fitted, fields: Mapping[str, Any]) -> list[tuple[int, ArgSpec]]:
    """Return the arguments that fields stand for, with their places.

    Raises:
        ContractError: the kind does not take these fields.
    """
    taken = {place for place, _ in step.stored}
    places = [
        (place, arg)
        for place, arg in enumerate(step.spec.args)
        if place not in taken and (arg.required or arg.name in fields)
    ]
    if len(places) != len(fields) or not all(arg.name in fields for _, arg in places):
        raise ContractError(
            f"a heuristic rule gives {step.spec.name} the fields {sorted(fields)}, but it takes "
            f"{[arg.name for arg in step.spec.args]} (required: {[a.name for a in step.spec.args if a.required]}); "
            f"leave the rule out or offer another kind"
        )
    return places


def _fill(step: _Fitted, made: Made, registry: ToolRegistry) -> dict[str, Any]:
    """Store what is the same for all, and return the fields with the columns that stand for roles.

    Raises:
        ContractError: the kind has no field of a role, or does not take these values.
    """
    spec, fields = step.spec, dict(made.fields)
    blank: dict[str, Any] = dict(made.given or {})
    for role, column in made.by_role.items():
        arg = next((arg for arg in spec.args if arg.role is role), None)
        if arg is None:
            raise ContractError(f"a heuristic rule gives {spec.name} {_SAID[role]}, but it takes none; leave it out")
        fields[arg.name] = column
        owner, *inner = arg.name.split(".")
        blank[owner] = {**blank.get(owner, {}), inner[0]: 0} if inner else 0
    encoded = registry.encode(registry.make(spec.name, **blank))
    step.payload = encoded.payload
    for place, stored in enumerate(encoded.args[: spec.payload_place + bool(spec.payload)]):
        named = place < len(spec.args) and spec.args[place].name in fields
        if stored != NONE and not named:
            step.stored.append((place, stored))
    return fields


_SAID: Final = {
    Role.ENEMY: "an enemy",
    Role.ALLY: "an ally",
    Role.OBJECT: "an object",
    Role.CELL_X: "a cell",
    Role.CELL_Y: "a cell",
}
