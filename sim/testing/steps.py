"""Hypothesis strategies for steps and plans from any registry.

Values shrink to small ids, the first cell and short texts, so that a failure reads like an example.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import reject
from hypothesis import strategies as st

from ai.actions import (
    TARGET_ROLES,
    ActionStep,
    ArgSpec,
    ListShape,
    PayloadField,
    RecordShape,
    Role,
    Shape,
    TextShape,
    ToolRegistry,
    ToolSpec,
)
from ai.encodings.base import PLAN_STEPS_MAX
from ai.errors import ContractError
from ai.plan import PlanIntent

KEYS: Final = st.integers(0, 40)
"""Keys of agents that steps aim at."""


def steps(registry: ToolRegistry) -> st.SearchStrategy[ActionStep]:
    """Draw a step of an offered kind with arguments in their ranges; targets and cells need not exist."""
    return st.sampled_from(list(registry)).flatmap(lambda spec: _step(spec, registry))


def plans(registry: ToolRegistry) -> st.SearchStrategy[PlanIntent]:
    """Draw a plan of one to as many steps as a model may give; the simplest is one step."""
    drawn = st.lists(steps(registry), min_size=1, max_size=PLAN_STEPS_MAX)
    return drawn.map(lambda listed: PlanIntent(plan_id="drawn", steps=tuple(listed)))


def _step(spec: ToolSpec, registry: ToolRegistry) -> st.SearchStrategy[ActionStep]:
    required = {arg.name: _value(arg) for arg in spec.args if arg.required}
    required |= {field.name: inside(field) for field in spec.payload}
    optional = {arg.name: _value(arg) for arg in spec.args if not arg.required and "." not in arg.name}
    drawn = st.fixed_dictionaries(required, optional=optional)
    return drawn.map(lambda fields: _made(spec, registry, nested(fields)))


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with dotted names as fields of objects."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        owner, dot, inner = name.partition(".")
        if dot:
            made.setdefault(owner, {})[inner] = value
        else:
            made[name] = value
    return made


def _made(spec: ToolSpec, registry: ToolRegistry, fields: dict[str, Any]) -> ActionStep:
    try:
        return registry.make(spec.name, **fields)
    except ContractError:
        if not spec.payload:
            raise
        return reject()  # a record with a rule of its own


def inside(field: PayloadField, width: int = 20, height: int = 20) -> st.SearchStrategy[Any]:
    """Draw a list or record of a step, with whole numbers, and cells on a map of a size."""
    drawn = _shaped(field.shape, width, height)
    return drawn if field.required else st.none() | drawn


def _shaped(shape: Shape, width: int, height: int) -> st.SearchStrategy[Any]:
    match shape:
        case TextShape():
            plain = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"\\')
            return st.text(plain, max_size=min(shape.chars_max, 8))
        case ListShape():
            return st.lists(_shaped(shape.item, width, height), min_size=shape.low, max_size=shape.high)
        case RecordShape():
            return st.fixed_dictionaries({field.name: inside(field, width, height) for field in shape.fields})
        case ArgSpec():
            if shape.role in (Role.CELL_X, Role.CELL_Y):
                return st.integers(0, (width if shape.role is Role.CELL_X else height) - 1)
            return _value(shape)


def _value(arg: ArgSpec) -> st.SearchStrategy[Any]:
    if arg.choices:
        return st.sampled_from(arg.choices)
    if arg.role in TARGET_ROLES:
        return KEYS
    if arg.role in (Role.CELL_X, Role.CELL_Y):
        return st.integers(0, 20)
    whole = st.integers(arg.low, min(arg.high, arg.low + 40 * arg.scale))
    return whole if arg.scale == 1 else whole.map(lambda stored: stored / arg.scale)
