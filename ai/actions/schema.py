"""JSON schemas of steps, in the portable subset that servers enforce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ai.actions.fields import TARGET_ROLES, Role
from ai.actions.spec import ArgSpec, ListShape, PayloadField, RecordShape, Shape, TextShape, ToolSpec


def step_schema(spec: ToolSpec, *, width: int, height: int, targets: Mapping[Role, Sequence[int]]) -> dict[str, Any]:
    """Return the schema of one kind; `ToolRegistry.step_schema` says what it promises."""
    properties: dict[str, Any] = {"act": {"type": "string", "enum": [spec.name]}}
    for arg in spec.args:
        target = properties
        *path, last = arg.name.split(".")
        for part in path:
            nested = target.setdefault(part, {"type": "object", "properties": {}, "required": []})
            nested["additionalProperties"] = False
            nested["required"].append(last)
            target = nested["properties"]
        target[last] = _arg_schema(arg, width=width, height=height, targets=targets)
    for owner in {arg.name.split(".")[0]: None for arg in spec.args if "." in arg.name and not arg.required}:
        properties[owner] = {"anyOf": [properties[owner], {"type": "null"}]}
    for field in spec.payload:
        properties[field.name] = _field_schema(field, width=width, height=height)
    return _object_schema(properties)


def _object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _field_schema(field: PayloadField, *, width: int, height: int) -> dict[str, Any]:
    schema = _shape_schema(field.shape, width=width, height=height)
    return schema if field.required else {"anyOf": [schema, {"type": "null"}]}


def _shape_schema(shape: Shape, *, width: int, height: int) -> dict[str, Any]:
    match shape:
        case TextShape():
            return {"type": "string", "maxLength": shape.chars_max}
        case ListShape():
            item = _shape_schema(shape.item, width=width, height=height)
            return {"type": "array", "items": item, "minItems": shape.low, "maxItems": shape.high}
        case RecordShape():
            return _object_schema({f.name: _field_schema(f, width=width, height=height) for f in shape.fields})
        case ArgSpec():
            return _arg_schema(shape, width=width, height=height, targets={})


def _arg_schema(arg: ArgSpec, *, width: int, height: int, targets: Mapping[Role, Sequence[int]]) -> dict[str, Any]:
    schema: dict[str, Any]
    if arg.choices:
        schema = {"type": "string", "enum": list(arg.choices)}
    elif arg.role is Role.CELL_X or arg.role is Role.CELL_Y:
        schema = {"type": "integer", "minimum": 0, "maximum": (width if arg.role is Role.CELL_X else height) - 1}
    elif arg.role in TARGET_ROLES:
        known = targets.get(arg.role, ())
        schema = (
            {"type": "integer", "enum": [int(key) for key in known]} if known else {"type": "integer", "minimum": 0}
        )
    elif arg.scale == 1:
        schema = {"type": "integer", "minimum": arg.low, "maximum": arg.high}
    else:
        schema = {"type": "number", "minimum": arg.low / arg.scale, "maximum": arg.high / arg.scale}
    return schema if arg.required or "." in arg.name else {"anyOf": [schema, {"type": "null"}]}
