"""The JSON schema of scenario files, for editors: the engine's keys, and the settings and inputs of one domain."""

from __future__ import annotations

from typing import Any, Final

from sim.run.domain import Domain, inputs_of
from sim.run.scenario_file import Head

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The version of JSON Schema."""

Json = dict[str, Any]


def scenario_schema(domain: type[Domain]) -> Json:
    """Return the JSON schema of the scenario files of a domain, for editors and validators."""
    head = Head.model_json_schema(ref_template="#/$defs/{model}")
    settings = domain.settings.model_json_schema(ref_template="#/$defs/{model}")
    definitions: Json = {**head.pop("$defs", {}), **settings.pop("$defs", {})}
    kinds: list[Json] = []
    for each in inputs_of(domain):
        own = each.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= own.pop("$defs", {})
        own["properties"] = {"kind": {"const": each.kind}, **own.get("properties", {})}
        own["required"] = ["kind", *own.get("required", ())]
        definitions[f"input_{each.kind}"] = own
        kinds.append({"$ref": f"#/$defs/input_{each.kind}"})
    head["properties"]["settings"] = settings
    if settings.get("required"):
        head["required"].append("settings")
    head["properties"]["inputs"]["items"] = {
        "type": "object",
        "properties": {
            "tick": {
                "type": "integer",
                "minimum": 0,
                "description": "The tick at whose start it is applied, counted from 0.",
            },
            "input": {"oneOf": kinds, "description": "The input; `kind` says which."},
        },
        "required": ["tick", "input"],
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        **_toml(head),
        "title": f"Tickweave scenario of {domain.name}",
        "$defs": _toml(definitions),
    }


def _toml(value: Any) -> Any:
    """Return a schema in the form for editors of TOML.

    It has no null, which TOML cannot express, and no titles, which repeat the keys. A key with one possible value
    distinguishes the members of a family, so it is required. A table with a pattern for its keys accepts no other keys.
    """
    if isinstance(value, list):
        return [_toml(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {
        name: _toml(part)
        for name, part in value.items()
        if not (name == "title" and isinstance(part, str)) and (name, part) != ("default", None)
    }
    if "anyOf" in found:
        branches = [branch for branch in found["anyOf"] if branch != {"type": "null"}]
        if len(branches) == 1:
            del found["anyOf"]
            found = {**branches[0], **found}
        else:
            found["anyOf"] = branches
    if "patternProperties" in found:
        found["additionalProperties"] = False
    telling = [name for name, part in found.get("properties", {}).items() if isinstance(part, dict) and "const" in part]
    if telling:
        found["required"] = sorted({*telling, *found.get("required", ())})
    return found
