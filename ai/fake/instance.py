"""An instance of a JSON schema, as a server that enforces the schema could have written it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from ai.fake.draws import Draws

DEPTH_MAX: Final = 32
"""Levels of a schema that are followed; below, null."""
NEAR: Final = 8
"""Numbers are drawn at most this far above their minimum: a plan that waits for ten minutes is of no use."""
TEXT_MAX: Final = 4096
"""Characters of a text, at most."""
ITEMS_MAX: Final = 4
"""Items of an array that has no longer minimum, at most."""


def instance(schema: Mapping[str, Any], draws: Draws) -> Any:
    """Return a drawn value that the schema allows.

    Knows the keywords that model servers enforce: `$ref` into `$defs`, `const`, `enum`, `anyOf`, `oneOf`, `type`,
    `properties`, `prefixItems`, `items`, their numbers and bounds. All properties are written, in their order. A schema
    it does not understand gives null.
    """
    definitions = schema.get("$defs")
    return _value(schema, definitions if isinstance(definitions, Mapping) else {}, draws, 0)


def _value(schema: Any, definitions: Mapping[str, Any], draws: Draws, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        return None
    if "$ref" in schema:
        return _value(definitions.get(str(schema["$ref"]).rpartition("/")[2]), definitions, draws, depth + 1)
    if "const" in schema:
        return schema["const"]
    for name in ("enum", "anyOf", "oneOf"):
        options = schema.get(name)
        if isinstance(options, list) and options:
            chosen = options[draws.below(len(options))]
            return chosen if name == "enum" else _value(chosen, definitions, draws, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _value(each, definitions, draws, depth + 1) for name, each in properties.items()}
    if kind == "array":
        first = schema.get("prefixItems", [])
        low, high = int(schema.get("minItems", 0)), int(schema.get("maxItems", len(first) + ITEMS_MAX))
        least = max(low, len(first))
        count = least + (draws.below(max(min(high, ITEMS_MAX) - least, 0) + 1) if schema.get("items") else 0)
        kinds = [*first, *([schema.get("items")] * (count - len(first)))]
        return [_value(each, definitions, draws, depth + 1) for each in kinds]
    if kind in ("integer", "number"):
        return _number(schema, draws)
    if kind == "string":
        return "x" * min(max(int(schema.get("minLength", 1)), 1), int(schema.get("maxLength", TEXT_MAX)), TEXT_MAX)
    return False if kind == "boolean" else None


def _number(schema: Mapping[str, Any], draws: Draws) -> int | float:
    """Return a number inside the bounds, near the lower one; a whole one where there is one."""
    low: float = schema.get("minimum", 0)
    first = math.ceil(low)
    high = math.floor(schema.get("maximum", first + NEAR))
    if high < first:
        return low
    return first + draws.below(max(min(high - first, NEAR), 0) + 1)
