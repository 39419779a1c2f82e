"""Hypothesis strategies for planning: observations, steps and plans, from any declaration and registry.

Values shrink to small ids, the first cell and short texts, so that a failure reads like an example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import reject
from hypothesis import strategies as st
from pydantic import ValidationError

from ai.actions import (
    Action,
    ArgSpec,
    Kind,
    ListShape,
    PayloadField,
    RecordShape,
    Shape,
    TextShape,
    ToolRegistry,
    ToolSpec,
    nested,
)
from ai.errors import ContractError
from ai.observation import (
    REQUIRED,
    Cell,
    Choice,
    Counts,
    Flags,
    Group,
    Key,
    Leaf,
    Name,
    Number,
    Observation,
    Place,
    Shared,
)
from ai.plans import PlanIntent
from ai.samples import shared_sample

KEYS: Final = st.integers(0, 40)
"""The ids: there are few, so that agents often know each other."""
SIDE: Final = 20
"""The length of a side of the area in which cells are drawn, cells."""
STEPS_MAX: Final = 4
"""The most steps of a drawn plan."""
ENTRIES_MAX: Final = 3
"""The most entries of a drawn list; a list may have one entry beyond its declared limit."""
TEXTS: Final = st.sampled_from(["", "hold", "reach the gate", '☃ {"a1": []}'])

Tables = Mapping[str, Sequence[str]]


def observations(
    of: type[Observation], tables: Tables | None = None, shared: Mapping[str, Any] | None = None
) -> st.SearchStrategy[Any]:
    """Draw the observation of one agent.

    Args:
        of: the declaration.
        tables: the names of each table; a table that is not given has the names `one` and `two`.
        shared: the value of each shared fact by path; a fact that is not given has its default, or small numbers.
    """
    fields = {one.name: _field(one, tables or {}, shared or {}) for one in of.layout.fields}
    return st.fixed_dictionaries(fields).map(lambda values: _object(of, values))


def batches(
    of: type[Observation],
    tables: Tables | None = None,
    shared: Mapping[str, Any] | None = None,
    *,
    upto: int = 5,
) -> st.SearchStrategy[list[tuple[int, Any]]]:
    """Draw some different agents with their observations, in any order, in the form for `plan_batch_with_fallback`."""
    pair = st.tuples(KEYS, observations(of, tables, shared))
    return st.lists(pair, max_size=upto, unique_by=lambda each: each[0])


def _object(kind: type[Any], values: dict[str, Any]) -> Any:
    try:
        return kind(**values)
    except ValidationError:
        return reject()  # the declaration has its own rule


def _field(one: Leaf | Group, tables: Tables, shared: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(one, Group):
        return _group(one, tables, shared)
    drawn = _leaf(one, tables, shared)
    return st.none() | drawn if one.optional else drawn


def _group(group: Group, tables: Tables, shared: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if group.plain:
        leaf = group.fields[0]
        assert isinstance(leaf, Leaf)
        entry = _leaf(leaf, tables, shared)
        return st.lists(entry, max_size=min(group.limit + 1, ENTRIES_MAX)).map(tuple)
    fields = {one.name: _field(one, tables, shared) for one in group.fields}
    entry = st.fixed_dictionaries(fields).map(lambda values: _object(group.kind, values))
    if not group.limit:
        return st.none() | entry if group.optional else entry
    unique = (lambda each: each.id) if group.key is not None else None
    most = group.limit + 1 if group.limit < ENTRIES_MAX else ENTRIES_MAX
    return st.lists(entry, max_size=most, unique_by=unique).map(tuple)


def _leaf(leaf: Leaf, tables: Tables, shared: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    match leaf:
        case Shared():
            return st.just(shared[leaf.path] if leaf.path in shared else shared_sample(leaf))
        case Counts():
            names = tables.get(leaf.fact.table, ("one", "two"))
            few = st.integers(1, 3) if leaf.kind is int else st.sampled_from([0.5, 1.0, 3.0])
            return st.dictionaries(st.sampled_from(list(names)), few) if names else st.just({})
        case Number():
            return _number(leaf)
        case Key():
            return KEYS
        case Flags():
            return st.lists(st.sampled_from(list(leaf.kind)), unique=True, max_size=2).map(tuple)
        case Choice():
            return st.sampled_from(list(leaf.kind))
        case Place():
            return st.builds(Cell, st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))
        case Name():
            names = tables.get(leaf.fact.table, ("one", "two"))
            return st.sampled_from(list(names)) if names else st.nothing()
    return TEXTS


def _number(leaf: Number) -> st.SearchStrategy[Any]:
    if leaf.kind is bool:
        return st.booleans()
    usual = leaf.fact.default if leaf.fact.default not in (REQUIRED, None) else 0
    low = leaf.fact.low if leaf.fact.low is not None else min(0, usual)
    high = leaf.fact.high if leaf.fact.high is not None else max(100, usual)
    if leaf.kind is int:
        return st.integers(int(low), int(high))
    steps = 10 if leaf.fact.ticks else leaf.fact.scale or 1
    return st.integers(round(low * steps), round(high * steps)).map(lambda stored: stored / steps)


# -- steps and plans --------------------------------------------------------------------------------------------------


def steps(registry: ToolRegistry) -> st.SearchStrategy[Action]:
    """Draw a step of an offered verb with arguments in their ranges; targets and cells need not exist."""
    return st.sampled_from(list(registry)).flatmap(lambda spec: step_of(spec, registry))


def plans(registry: ToolRegistry) -> st.SearchStrategy[PlanIntent]:
    """Draw a plan of a few steps; the simplest is one step."""
    drawn = st.lists(steps(registry), min_size=1, max_size=STEPS_MAX)
    return drawn.map(lambda listed: PlanIntent(plan_id="drawn", steps=tuple(listed)))


def step_of(spec: ToolSpec, registry: ToolRegistry) -> st.SearchStrategy[Action]:
    """Draw a step of one verb."""
    required = {arg.name: value_of(arg) for arg in spec.args if arg.required}
    required |= {field.name: inside(field) for field in spec.payload}
    optional = {arg.name: value_of(arg) for arg in spec.args if not arg.required and "." not in arg.name}
    drawn = st.fixed_dictionaries(required, optional=optional)
    return drawn.map(lambda fields: _made(spec, registry, nested(fields)))


def _made(spec: ToolSpec, registry: ToolRegistry, fields: dict[str, Any]) -> Action:
    try:
        return registry.make(spec.name, **fields)
    except ContractError:
        if not spec.payload:
            raise
        return reject()  # the record has its own rule


def inside(field: PayloadField, width: int = SIDE, height: int = SIDE) -> st.SearchStrategy[Any]:
    """Draw a text, list or record of a step, with whole numbers, and cells in an area of the given size."""
    drawn = _shaped(field.shape, width, height)
    return drawn if field.required else st.none() | drawn


def _shaped(shape: Shape, width: int, height: int) -> st.SearchStrategy[Any]:
    match shape:
        case TextShape():
            plain = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"\\')
            most = max(shape.chars_min, min(shape.chars_max, 8))
            return st.text(plain, min_size=shape.chars_min, max_size=most)
        case ListShape():
            return st.lists(_shaped(shape.item, width, height), min_size=shape.low, max_size=shape.high)
        case RecordShape():
            return st.fixed_dictionaries({field.name: inside(field, width, height) for field in shape.fields})
        case ArgSpec():
            return value_of(shape, width, height)


def value_of(arg: ArgSpec, width: int = SIDE, height: int = SIDE) -> st.SearchStrategy[Any]:
    """Draw a written value of an argument."""
    if arg.choices:
        return st.sampled_from(arg.choices)
    match arg.kind:
        case Kind.TARGET:
            return KEYS
        case Kind.CELL_X:
            return st.integers(0, width - 1)
        case Kind.CELL_Y:
            return st.integers(0, height - 1)
        case Kind.CELL:
            cell = {"x": st.integers(0, width - 1), "y": st.integers(0, height - 1)}
            return st.fixed_dictionaries(cell)
    whole = st.integers(arg.low, min(arg.high, arg.low + 40 * arg.scale))
    return whole if arg.scale == 1 else whole.map(lambda stored: stored / arg.scale)
