"""Hypothesis strategies for planning: what agents know, and steps and plans from any registry.

Values shrink to small ids, the first cell and short texts, so that a failure reads like an example.
"""

from __future__ import annotations

from typing import Any, Final

from ai.roles import ROLE_NAMES
from ai.snapshot import AgentId, WorldSnapshot
from hypothesis import reject
from hypothesis import strategies as st

from ai.actions import (
    TARGET_ROLES,
    Action,
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
from ai.errors import ContractError
from ai.llm.encodings.base import PLAN_STEPS_MAX
from ai.plans import PlanIntent

MAP_WIDTH: Final = 16
MAP_HEIGHT: Final = 12
"""Cells of the map that snapshots are drawn on."""
ITEMS: Final = ("rope", "ore")
GROUPS: Final = ("attack", "throw")
"""What agents hold and wait for, whatever the registry says."""
KEYS: Final = st.integers(0, 40)


def places() -> st.SearchStrategy[dict[str, int]]:
    """Draw a cell of the small map."""
    return st.fixed_dictionaries({"x": st.integers(0, MAP_WIDTH - 1), "y": st.integers(0, MAP_HEIGHT - 1)})


def _others(upto: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    other = st.fixed_dictionaries({"id": KEYS, "pos": places(), "hp": st.integers(0, 100)})
    return st.lists(other, max_size=upto, unique_by=lambda o: o["id"])


def snapshots(registry: ToolRegistry | None = None) -> st.SearchStrategy[WorldSnapshot]:
    """Draw what one agent knows: few others, small numbers; the simplest is an agent alone at cell 0,0.

    With a registry, agents also hold the things that its kinds name and wait for the cooldowns that they share.
    """
    specs = () if registry is None else registry.specs
    named = {name for spec in specs for arg in spec.args if arg.role is Role.ITEM for name in arg.choices}
    groups = {group for spec in specs if (group := getattr(spec.kind, "group", ""))}
    items, waits = sorted({*ITEMS, *named}), sorted({*GROUPS, *groups})
    me: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"pos": places()},
        optional={
            "hp": st.integers(0, 100),
            "ammo": st.integers(0, 3),
            "reserve": st.integers(0, 3),
            "morale": st.integers(0, 100),
            "medkits": st.integers(0, 1),
            "smokes": st.integers(0, 1),
            "explosives": st.integers(0, 1),
            "squad": st.integers(0, 2),
            "role": st.sampled_from(ROLE_NAMES),
            "holdings": st.dictionaries(st.sampled_from(items), st.integers(1, 3)),
            "cooldowns": st.dictionaries(st.sampled_from(waits), st.sampled_from([0, 0.5, 3])),
        },
    )  # fmt: skip
    poi = st.fixed_dictionaries({"k": st.just("gate"), "pos": places()})
    thing = st.fixed_dictionaries({"id": KEYS, "kind": st.sampled_from(["door", "crate"]), "pos": places()})
    leader = st.fixed_dictionaries({"id": KEYS, "pos": places()})
    fields: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"me": me, "bounds": st.just({"width": MAP_WIDTH, "height": MAP_HEIGHT})},
        optional={
            "enemies": _others(3),
            "allies": _others(2),
            "pois": st.lists(poi, max_size=1),
            "objects": st.lists(thing, max_size=2, unique_by=lambda o: o["id"]),
            "player": leader,
            "objective": st.sampled_from(["", "hold", "Extract the crate", "reach the gate"]),
            "orders": st.lists(st.sampled_from(["hold", "follow"]), max_size=1),
        },
    )
    return fields.map(WorldSnapshot.model_validate)


def batches(
    registry: ToolRegistry | None = None, *, upto: int = 5
) -> st.SearchStrategy[list[tuple[AgentId, WorldSnapshot]]]:
    """Draw some different agents with what they know, in any order, as `plan_batch_with_fallback` takes them."""
    pair = st.tuples(KEYS.map(AgentId), snapshots(registry))
    return st.lists(pair, max_size=upto, unique_by=lambda p: p[0])


def steps(registry: ToolRegistry) -> st.SearchStrategy[Action]:
    """Draw a step of an offered kind with arguments in their ranges; targets and cells need not exist."""
    return st.sampled_from(list(registry)).flatmap(lambda spec: _step(spec, registry))


def plans(registry: ToolRegistry) -> st.SearchStrategy[PlanIntent]:
    """Draw a plan of one to as many steps as a model may give; the simplest is one step."""
    drawn = st.lists(steps(registry), min_size=1, max_size=PLAN_STEPS_MAX)
    return drawn.map(lambda listed: PlanIntent(plan_id="drawn", steps=tuple(listed)))


def _step(spec: ToolSpec, registry: ToolRegistry) -> st.SearchStrategy[Action]:
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


def _made(spec: ToolSpec, registry: ToolRegistry, fields: dict[str, Any]) -> Action:
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
