"""JSON schemas of steps, in the portable subset that servers enforce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai.actions.arguments import CELLS_MAX, Kind
from ai.actions.spec import ArgSpec, ListShape, PayloadField, RecordShape, Shape, TextShape, ToolSpec


@dataclass(frozen=True, slots=True)
class _Known:
    """The knowledge of an agent: ids by source, width and height by space, names by table."""

    targets: Mapping[tuple[str, ...], Sequence[int]]
    sizes: Mapping[str, tuple[int, int]]
    tables: Mapping[str, Sequence[str]]


def step_schema(
    spec: ToolSpec,
    *,
    targets: Mapping[tuple[str, ...], Sequence[int]],
    sizes: Mapping[str, tuple[int, int]],
    tables: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return the schema of one action; see `ToolRegistry.step_schema`."""
    agent = _Known(targets, sizes, tables)
    properties: dict[str, Any] = {"act": {"type": "string", "enum": [spec.name]}}
    for arg in spec.args:
        owner = properties
        *path, last = arg.name.split(".")
        for part in path:
            nested = owner.setdefault(part, {"type": "object", "properties": {}, "required": []})
            nested["additionalProperties"] = False
            nested["required"].append(last)
            owner = nested["properties"]
        owner[last] = _arg_schema(arg, agent)
    for outer in {arg.name.split(".")[0]: None for arg in spec.args if "." in arg.name and not arg.required}:
        properties[outer] = {"anyOf": [properties[outer], {"type": "null"}]}
    for field in spec.payload:
        properties[field.name] = _field_schema(field, agent)
    return _object_schema(properties)


def _object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _field_schema(field: PayloadField, agent: _Known) -> dict[str, Any]:
    schema = _shape_schema(field.shape, agent)
    return schema if field.required else {"anyOf": [schema, {"type": "null"}]}


def _shape_schema(shape: Shape, agent: _Known) -> dict[str, Any]:
    match shape:
        case TextShape():
            least = {"minLength": shape.chars_min} if shape.chars_min else {}
            return {"type": "string", **least, "maxLength": shape.chars_max}
        case ListShape():
            item = _shape_schema(shape.item, agent)
            return {"type": "array", "items": item, "minItems": shape.low, "maxItems": shape.high}
        case RecordShape():
            return _object_schema({field.name: _field_schema(field, agent) for field in shape.fields})
        case ArgSpec():
            return _value_schema(shape, agent)


def _arg_schema(arg: ArgSpec, agent: _Known) -> dict[str, Any]:
    schema = _value_schema(arg, agent)
    return schema if arg.required or "." in arg.name else {"anyOf": [schema, {"type": "null"}]}


def _value_schema(arg: ArgSpec, agent: _Known) -> dict[str, Any]:
    choices = arg.choices or (agent.tables.get(arg.sources[0], ()) if arg.kind is Kind.NAME else ())
    if choices:
        return {"type": "string", "enum": list(choices)}
    if arg.kind is Kind.TARGET:
        ids = agent.targets.get(arg.sources, ())
        return {"type": "integer", "enum": [int(key) for key in ids]} if ids else {"type": "integer", "minimum": 0}
    if arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
        width, height = agent.sizes.get(arg.sources[0], (CELLS_MAX, CELLS_MAX))
        x, y = ({"type": "integer", "minimum": 0, "maximum": size - 1} for size in (width, height))
        if arg.kind is Kind.CELL:
            return _object_schema({"x": x, "y": y})
        return x if arg.kind is Kind.CELL_X else y
    if arg.scale == 1:
        return {"type": "integer", "minimum": arg.low, "maximum": arg.high}
    return {"type": "number", "minimum": arg.low / arg.scale, "maximum": arg.high / arg.scale}
