"""Rules: they give an agent its plan when no model answers.

    Rule("mood < 30", Sleep(2))
    Rule("people and money >= 5", Talk(pick("nearest"), "Good day!"))
    Rule(("bushes within 8", "load < room"), (Go(pick("nearest bushes")), Pick(pick("nearest"))), unless="storm")

An agent gets the steps of the first rule that holds for it and whose steps can all be taken: the registry offers the
verbs, and every pick finds a target or cell. In a file, a step is a table with the verb under `act`, and a pick is a
text in place of a target or cell:

    [[rules]]
    when = "people and money >= 5"
    then = { act = "Talk", to = "nearest", words = "Good day!" }

`then` may also be a function of batch and rows that returns a `Draft`, or the name of such a function of the domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from ai.actions.action import STEPS_MAX, Action
from ai.actions.arguments import Kind, Pick
from ai.actions.integers import NONE
from ai.actions.registry import ToolRegistry, picks_in
from ai.actions.spec import ArgSpec, ToolSpec
from ai.errors import ContractError, FaultError, place_of
from ai.legality import extent
from ai.observation import Array, Bools, Cell, Layout, Rows
from ai.plans import PlanBatch
from ai.rules.conditions import Batch, Condition, Facts, Test, all_of, negated
from ai.rules.parts import CHARS_MAX
from ai.rules.picks import Column, column_of

RULES_MAX: Final = 256
"""The most rules that one planner may have."""
CONDITIONS_MAX: Final = 16
"""The most conditions that one rule may list."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A step for some agents: the verb, its stored arguments by name, and the agents that can take it.

    An argument is one number for all or an array `[m]` of stored integers; `possible` is `[m] bool`, None for all
    agents. `like` gives the arguments that are not in `args`, including lists and records.
    """

    verb: str
    args: Mapping[str, Array | int] = field(default_factory=dict)
    possible: Bools | None = None
    like: Action | None = None


Drafting = Callable[[Batch, Rows], "Draft | Sequence[Draft]"]
"""Makes steps for the agents of some rows."""
Step = Action | Mapping[str, Any] | str | Drafting
"""A step, or a function or move that makes steps."""
Moves = Mapping[str, Drafting]
"""Named functions that make steps, for rules in files."""


Json = dict[str, Any]


def _several(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _one_or_several(item: Json, least: int, most: int) -> WithJsonSchema:
    """Describe the input of `_several` in a JSON schema."""
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": least, "maxItems": most}]})


_TEXT: Final[Json] = {"type": "string", "maxLength": CHARS_MAX}
_STEP: Final[Json] = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["act"]}]}
Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]
When = Annotated[Texts, Field(min_length=1, max_length=CONDITIONS_MAX), _one_or_several(_TEXT, 1, CONDITIONS_MAX)]
Unless = Annotated[Texts, Field(max_length=CONDITIONS_MAX), _one_or_several(_TEXT, 0, CONDITIONS_MAX)]
Steps = Annotated[
    tuple[Any, ...],
    BeforeValidator(_several),
    Field(min_length=1, max_length=STEPS_MAX),
    _one_or_several(_STEP, 1, STEPS_MAX),
]


class Rule(BaseModel):
    """Conditions and steps: if all of `when` and none of `unless` hold, the agent takes the steps of `then` in turn."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    when: When = Field(description="Conditions that must all hold.")
    then: Steps = Field(description="Steps taken in turn, or the name of a move.")
    unless: Unless = Field((), description="Conditions of which none may hold.")

    def __init__(
        self, when: str | Sequence[str], then: Step | Sequence[Step], unless: str | Sequence[str] = ()
    ) -> None:
        super().__init__(when=when, then=then, unless=unless)

    # With this mark pydantic validates data without calling this method.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined] # functions take attributes

    @field_validator("when", "unless")
    @classmethod
    def _readable(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            try:
                Condition.parse(text)
            except ContractError as error:
                raise ValueError(str(error)) from None
        return texts

    @field_validator("then")
    @classmethod
    def _steps(cls, steps: tuple[Any, ...]) -> tuple[Any, ...]:
        for step in steps:
            if isinstance(step, type):
                raise ValueError(f"{step.__name__} is a class; write a step, {step.__name__}(...)")  # noqa: TRY004 - for pydantic
            known = isinstance(step, Action | str) or callable(step)
            if not known and not (isinstance(step, Mapping) and isinstance(step.get("act"), str)):
                raise ValueError("a step is an action, a table with a verb under 'act', a name, or a function")
        return steps


Rules = Annotated[tuple[Rule, ...], Field(max_length=RULES_MAX)]
"""The rules of a configuration, in the order in which they are tried."""


# -- steps for many agents ---------------------------------------------------------------------------------------------


class Fitted:
    """A step for some agents as stored integers: code, one number per argument or one per agent, and its agents."""

    __slots__ = ("args", "code", "payload", "possible")

    def __init__(self, code: int, args: list[Array | int], possible: Bools | None, payload: bytes = b"") -> None:
        self.code, self.args, self.possible, self.payload = code, args, possible, payload

    def only(self, fits: Bools) -> None:
        """Restrict the step to fewer agents."""
        if np.count_nonzero(fits) < len(fits):
            self.possible = fits if self.possible is None else self.possible & fits


Make = Callable[[Batch, Rows], "list[Fitted] | None"]
"""Makes stored steps for the agents of some rows; returns None if no agent can take them."""


class Fitting(NamedTuple):
    """A step for one registry and observation: its verb, empty if a function makes the step, and what makes it."""

    verb: str
    make: Make


def fitting(step: Step, registry: ToolRegistry, layout: Layout, facts: Facts, moves: Moves, where: str) -> Fitting:
    """Return a step that is prepared for many agents at once.

    Raises:
        ContractError: the registry has no such verb, or it does not take these arguments; the message starts with
            `where`.
    """
    if isinstance(step, str):
        if step not in moves:
            raise ContractError(f"{where}: there is no move {step!r}; known: {', '.join(moves) or 'none'}")
        step = moves[step]
    if isinstance(step, Mapping):
        step = from_table(step, registry, where)
    if isinstance(step, Action):
        return Fitting(step.act, _of_action(step, registry, layout, facts, where))
    return Fitting("", _of_function(step, registry, where))


def from_table(data: Mapping[str, Any], registry: ToolRegistry, where: str) -> Action:
    """Return a step from a file as an action; texts in place of targets and cells are picks.

    Raises:
        ContractError: the registry has no such verb, or it does not take these arguments.
    """
    try:
        spec = registry.spec(str(data["act"]))
        loose = {arg.name.partition(".")[0] for arg in spec.args if arg.kind in _PICKED}
        fields = {k: Pick(v) if k in loose and isinstance(v, str) else v for k, v in data.items() if k != "act"}
        return registry.make(spec.name, **fields)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None


_PICKED: Final = (Kind.TARGET, Kind.CELL_X, Kind.CELL_Y)


def _of_action(step: Action, registry: ToolRegistry, layout: Layout, facts: Facts, where: str) -> Make:
    picks = picks_in(step)
    try:
        spec = registry.spec(step.act)
        blank = {name: Cell(0, 0) if _is_cell(spec, name) else 0 for name in picks}
        encoded = registry.encode(step.model_copy(update=blank))
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None
    columns: list[tuple[int, ArgSpec, Column]] = []
    for place, arg in enumerate(spec.args):
        pick = picks.get(arg.name.partition(".")[0])
        if pick is not None:
            columns.append((place, arg, column_of(pick, arg, layout, facts, f"{where}: {spec.name}.{arg.name}")))
    if not columns:
        fixed = [Fitted(encoded.kind, list(encoded.args), None, encoded.payload)]
        return lambda batch, rows: fixed  # noqa: ARG005 - the same for all agents

    def made(batch: Batch, rows: Rows) -> list[Fitted]:
        fitted = Fitted(encoded.kind, list(encoded.args), None, encoded.payload)
        for place, arg, column in columns:
            values, there = column(batch, rows)
            fitted.args[place] = values
            if arg.kind is Kind.TARGET:  # an id that is there is at least 0
                fitted.only(there & (values <= arg.high))
            else:
                fitted.only(there)
                _within(fitted, arg, values, batch, rows)
        return [fitted]

    return made


def _is_cell(spec: ToolSpec, name: str) -> bool:
    return any(arg.name.startswith(f"{name}.") for arg in spec.args)


def _within(fitted: Fitted, arg: ArgSpec, values: Array, batch: Batch, rows: Rows) -> None:
    """Leave out the agents for which a value is outside the argument's range, or a cell outside its space."""
    high: Array | int = arg.high
    if arg.kind in (Kind.CELL_X, Kind.CELL_Y):
        high = extent(batch, arg.sources[0], "width" if arg.kind is Kind.CELL_X else "height", rows)
        high = high - 1
    fitted.only((values >= arg.low) & (values <= high))


def _of_function(make: Drafting, registry: ToolRegistry, where: str) -> Make:
    where = f"{where}: {getattr(make, '__qualname__', make)} ({place_of(make)})"

    def made(batch: Batch, rows: Rows) -> list[Fitted] | None:
        drafts: object = make(batch, rows)
        found: list[Fitted] = []
        for draft in drafts if isinstance(drafts, list | tuple) else [drafts]:
            if not isinstance(draft, Draft):
                raise FaultError(f"{where}: it returned {type(draft).__name__}; return a Draft or several")
            if draft.verb not in registry:
                return None
            found.append(_drafted(draft, registry, batch, rows, where))
        return found

    return made


def _drafted(draft: Draft, registry: ToolRegistry, batch: Batch, rows: Rows, where: str) -> Fitted:
    """Return a drafted step as stored integers."""
    code = registry.code(draft.verb)
    spec = registry.specs[code]
    args: list[Array | int] = [NONE] * len(registry.lows[code])
    payload = b""
    if draft.like is not None:
        encoded = registry.encode(draft.like)
        args, payload = list(encoded.args), encoded.payload
    names = {arg.name: place for place, arg in enumerate(spec.args)}
    strange = sorted(set(draft.args) - set(names))
    missing = [a.name for a in spec.args if a.required and a.name not in draft.args and draft.like is None]
    if strange or missing:
        problem = f"has no argument {strange[0]!r}" if strange else f"needs the argument {missing[0]!r}"
        raise FaultError(f"{where}: {spec.name} {problem}; it takes {', '.join(names) or 'none'}")
    fitted = Fitted(code, args, draft.possible, payload)
    for name, value in draft.args.items():
        place = names[name]
        fitted.args[place] = value
        if isinstance(value, np.ndarray):
            if value.shape != rows.shape:
                raise FaultError(
                    f"{where}: {name} has the shape {value.shape}; give one number for each of {len(rows)} agents"
                )
            _within(fitted, spec.args[place], value, batch, rows)
        elif not spec.args[place].low <= value <= spec.args[place].high:
            fitted.only(np.zeros(len(rows), np.bool_))
    return fitted


# -- rules for many agents ---------------------------------------------------------------------------------------------


class Bound:
    """Rules prepared for one registry and one observation.

    Raises:
        ContractError: a rule names a field, verb, argument or move that does not exist; the message has the rule's
            number.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        registry: ToolRegistry,
        layout: Layout,
        facts: Facts | None = None,
        moves: Moves | None = None,
    ) -> None:
        if len(rules) > RULES_MAX:
            raise ContractError(f"a planner takes at most {RULES_MAX} rules, not {len(rules)}")
        self.registry = registry
        self.longest = max((_most_steps(rule) for rule in rules), default=1)
        self.rules: list[tuple[Test, list[Fitting]]] = []
        for number, rule in enumerate(rules, 1):
            where = f"rule {number}"
            test = rule_test(rule, layout, facts or {}, where)
            steps = [fitting(step, registry, layout, facts or {}, moves or {}, where) for step in rule.then]
            self.rules.append((test, steps))


def _most_steps(rule: Rule) -> int:
    """Return the most steps that a rule may lead to; a function may make several."""
    whole = all(isinstance(step, Action | Mapping) for step in rule.then)
    return len(rule.then) if whole else STEPS_MAX


def verb_of(step: Step) -> str:
    """Return the verb of a step, or an empty text if a function makes the step."""
    if isinstance(step, Action):
        return step.act
    return str(step["act"]) if isinstance(step, Mapping) else ""


def rule_test(rule: Rule, layout: Layout, facts: Facts, where: str) -> Test:
    """Return a test for which agents a rule's conditions hold.

    Raises:
        ContractError: a condition does not fit the observation; the message starts with `where`.
    """
    try:
        wanted = [Condition.parse(text).test(layout, facts) for text in rule.when]
        unwanted = [negated(Condition.parse(text).test(layout, facts)) for text in rule.unless]
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None
    return all_of([*wanted, *unwanted])


def write(plans: PlanBatch, rows: Rows, steps: Sequence[Fitting], batch: Batch, registry: ToolRegistry) -> Rows:
    """Store steps as the plans of the agents that can take all of them, and return the rows of these agents."""
    fitted: list[Fitted] = []
    possible: Bools | None = None
    for step in steps:
        made = step.make(batch, rows) if not step.verb or step.verb in registry else None
        if made is None:
            return rows[:0]
        fitted += made
    for each in fitted:
        if each.possible is not None:
            possible = each.possible if possible is None else possible & each.possible
    everyone = possible is None or np.count_nonzero(possible) == len(rows)
    chosen = rows if everyone else rows[possible]
    if not len(fitted) or len(fitted) > len(plans.kind):
        raise FaultError(f"a rule leads to {len(fitted)} steps; 1 to {len(plans.kind)} fit")
    plans.length[chosen] = len(fitted)
    for position, each in enumerate(fitted):
        plans.kind[position][chosen] = each.code
        for stored, value in zip(plans.args[position], each.args, strict=True):
            stored[chosen] = value[possible] if isinstance(value, np.ndarray) and not everyone else value
        if each.payload:
            plans.payloads |= {(row, position): each.payload for row in chosen.tolist()}
    return chosen


def plans_by_rules(bound: Bound, batch: Batch) -> PlanBatch:
    """Return every agent's plan: that of the first rule that serves it, else the idle step if it is offered."""
    plans = PlanBatch.empty(batch.keys, bound.longest)
    pending = np.ones(len(batch), np.bool_)
    for test, steps in bound.rules:
        rows = (pending & test(batch)).nonzero()[0]
        if len(rows):
            pending[write(plans, rows, steps, batch, bound.registry)] = False
            if not np.count_nonzero(pending):
                return plans
    if bound.registry.idle.act in bound.registry:
        idle = bound.registry.idle_step
        rows = pending.nonzero()[0]
        plans.set_all(rows, idle.kind, *idle.args)
        if idle.payload:
            plans.payloads |= {(row, 0): idle.payload for row in rows.tolist()}
    return plans
