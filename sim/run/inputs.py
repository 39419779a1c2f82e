"""Inputs: everything that reaches a world from outside while it runs.

An input is a small model with an `apply`. It comes from a scenario's timeline, from a file or stream, or through
`Simulation.inject`. Inputs are applied at the start of a tick, in the order given, each whole or not at all, and are
recorded in the replay. An input that cannot be applied is refused with one sentence and has no effect.

The framework brings `Act`, `Control`, `Kill` and `Spawn`; all others are the domain's (`Domain.inputs`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from ai.actions import KEY_MAX
from ai.errors import ParseError
from sim.engine.values import native
from sim.errors import ScenarioError, WorldError
from sim.messages import one_line, shown, suggestion
from sim.run import plan_columns
from sim.run.settings import validated

if TYPE_CHECKING:
    from sim.run.context import Run
    from sim.run.world import World

STEP_CHARS_MAX: Final = 1000
"""Characters of the JSON of one step that an input may hold."""
SPAWN_MAX: Final = 1000
"""Entities that one input may spawn."""

AgentKey = Annotated[int, Field(strict=True, ge=0, le=KEY_MAX, description="Key of the agent, counted from 0.")]


class Input(BaseModel):
    """The base of all inputs. `kind` is the class name in snake case unless the class sets it.

    >>> class RaiseTax(Input):
    ...     percent: int
    >>> RaiseTax(percent=5).model_dump()
    {'kind': 'raise_tax', 'percent': 5}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "input"

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Derive `kind`."""
        super().__pydantic_init_subclass__(**options)
        if "kind" not in cls.__dict__:
            cls.kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    if not TYPE_CHECKING:

        def __init__(self, **data: Any) -> None:
            super().__init__(**native(data))

        # Tells pydantic that this is not a custom constructor, so that JSON is read as JSON.
        __init__.__pydantic_base_init__ = True

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}

    def apply(self, world: World, run: Run) -> str | None:
        """Change the world, or return one sentence that says why not; then nothing may have changed."""
        raise NotImplementedError(type(self).__name__)


def _is_short(step: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        length = len(json.dumps(step, allow_nan=False))
    except (ValueError, RecursionError):
        raise ValueError("holds a value that JSON has no form for") from None
    if length > STEP_CHARS_MAX:
        raise ValueError(f"has {length} characters as JSON; at most {STEP_CHARS_MAX} are possible")
    return step


StepData = Annotated[dict[str, JsonValue], AfterValidator(_is_short)]
"""One action step as data, as a planner writes it: `{"act": "Talk", "to": 7, "words": "Hello."}`."""


class Control(Input):
    """Take one agent over, or give it back: no planner plans for an agent that is taken over."""

    agent: AgentKey
    on: bool = Field(True, strict=True, description="Whether to take it over or to give it back.")

    def apply(self, world: World, run: Run) -> str | None:
        """Set or clear the mark; the agent drops its plan."""
        row = world.row_of(self.agent)
        if row < 0:
            return f"agent {self.agent} is not in the world"
        taken = world[plan_columns.Control].taken
        if bool(taken[row]) == self.on:
            return f"agent {self.agent} is taken over already" if self.on else f"agent {self.agent} is not taken over"
        taken[row] = self.on
        run.write_plan(world, row, ())
        return None


class Act(Input):
    """An agent that is taken over drops what it does for one step."""

    agent: AgentKey
    step: StepData = Field(description='One step as planners write it: `{ act = "Talk", to = 7 }`.')

    def apply(self, world: World, run: Run) -> str | None:
        """Write the step as the agent's plan."""
        row = world.row_of(self.agent)
        if row < 0:
            return f"agent {self.agent} is not in the world"
        if not world[plan_columns.Control].taken[row]:
            return f"agent {self.agent} is not taken over; send a control input first"
        assert run.registry is not None
        try:
            step = run.registry.parse_step(self.step)
        except ParseError as error:
            return f"the step of agent {self.agent}: {error}"
        run.write_plan(world, row, (step,))
        return None


class Kill(Input):
    """One entity leaves the world."""

    agent: AgentKey

    def apply(self, world: World, run: Run) -> str | None:
        """Queue the death."""
        del run
        if world.row_of(self.agent) < 0:
            return f"agent {self.agent} is not in the world"
        world.kill_keys([self.agent])
        return None


class Spawn(Input):
    """Entities are born: `values` by component and column, one value for all, or one per entity."""

    values: dict[str, dict[str, JsonValue]] = Field(
        description="Values by component and column: one for all entities, or one for each."
    )
    count: int = Field(1, strict=True, ge=1, le=SPAWN_MAX, description="Entities to be born.")

    def apply(self, world: World, run: Run) -> str | None:
        """Queue the births."""
        known = {component.__name__: component for component in world.components}
        values: dict[Any, Any] = {}
        for name, columns in self.values.items():
            if name not in known:
                return f"there is no component {name!r}; {suggestion(name, sorted(known), 'components')}"
            values[known[name]] = columns
        if world.n + self.count > run.agents_max:
            return f"a world holds at most {run.agents_max} entities"
        try:
            world.spawn(values, count=self.count)
        except WorldError as error:
            return one_line(str(error))
        return None


class TimedInput(BaseModel):
    """An input and the tick at whose start it is applied."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    tick: Annotated[int, Field(strict=True, ge=0)]
    input: Input

    @model_serializer(mode="plain")
    def _data(self) -> dict[str, Any]:
        return {"tick": self.tick, "input": self.input.model_dump(mode="json")}


class InputSet:
    """The inputs that one domain takes, by kind: reads them from data."""

    def __init__(self, inputs: Iterable[type[Input]]) -> None:
        self.by_kind: Mapping[str, type[Input]] = {each.kind: each for each in inputs}

    def read(self, data: object) -> Input:
        """Return the input that plain data stands for.

        Raises:
            ScenarioError: the kind is unknown or a value does not fit; the message begins with the dotted key.
        """
        if not isinstance(data, Mapping):
            raise ScenarioError("input: should be a table with a 'kind'")
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in self.by_kind:
            hint = suggestion(str(kind), sorted(self.by_kind), "kinds")
            reason = "is missing" if kind is None else f"no input is of kind {kind!r}"
            raise ScenarioError(one_line(f"input.kind: {reason}; {hint}"))
        fields = {name: value for name, value in data.items() if name != "kind"}
        return validated(self.by_kind[kind], fields, key="input")

    def read_timed(self, data: object) -> TimedInput:
        """Return a timed input, `{"tick": 5, "input": {...}}`.

        Raises:
            ScenarioError: as `read`.
        """
        if not isinstance(data, Mapping):
            raise ScenarioError("should be a table with 'tick' and 'input'")
        for name in sorted(map(str, data)):
            if name not in ("tick", "input"):
                hint = suggestion(name, ["input", "tick"], "known keys")
                raise ScenarioError(f"{shown(name)}: is not a known key; {hint}")
        tick = data.get("tick")
        if isinstance(tick, bool) or not isinstance(tick, int) or not 0 <= tick < 2**63:
            reason = "is missing; add it" if tick is None else f"should be a whole number from 0, not {tick!r}"
            raise ScenarioError(one_line(f"tick: {reason}"))
        if "input" not in data:
            raise ScenarioError("input: is missing; add it")
        return TimedInput(tick=tick, input=self.read(data["input"]))
