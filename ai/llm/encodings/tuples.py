"""Tuple JSON: `{"a1":[["MoveTo",3,4],["TakeCover"]]}`, under a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ai.actions import Action, ToolRegistry
from ai.llm.encodings.base import PLAN_STEPS_MAX, forms, written
from ai.llm.encodings.keyed import KeyedJson
from ai.llm.encodings.offers import Alike, Offer
from ai.llm.parse import argument_names


class TupleJson(KeyedJson):
    """JSON lists, a verb and its arguments in order: shorter, for servers that enforce `prefixItems`."""

    name = "tuple"
    plan_tokens = 80
    """Four steps (measured: 27 for three, without white space)."""

    def instructions(self) -> str:
        """Return the sentence of the system message about the form of the reply."""
        return (
            "Reply with one minified JSON object, one plan for each slot, no other text; a plan is a list of steps, a "
            'step a list of the verb and its arguments in order: {"a1":[["Verb",1,2],...],...}.'
        )

    def plan_schema(self, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the schema of a plan: the list of its steps."""
        return {"type": "array", "items": {"anyOf": list(steps)}, "minItems": 1, "maxItems": PLAN_STEPS_MAX}

    def step_schemas(self, alike: Alike, offer: Offer, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one list for each form in which the arguments may be given.

        There is no `items`: one server refuses `"items": false`, and another reads `{}` as "anything". The bounds
            suffice.
        """
        verbs = {"type": "string", "enum": list(alike.names)}
        values = [_value(properties, name) for name in argument_names(alike.spec)]
        schemas = []
        for form in forms(alike.spec, offer):
            items = [value if given else {"type": "null"} for value, given in zip(values, form, strict=False)]
            length = 1 + len(items)
            schemas.append({"type": "array", "prefixItems": [verbs, *items], "minItems": length, "maxItems": length})
        return schemas

    def write(self, steps: Sequence[Action], registry: ToolRegistry) -> str:
        """Return the raw text of one plan, minified."""
        return json.dumps([written(step, registry) for step in steps], separators=(",", ":"), ensure_ascii=False)


def _value(properties: Mapping[str, Any], name: str) -> Any:
    """Return the schema of one argument, without the null for "not given"."""
    owner, _, inner = name.partition(".")
    schema = properties[owner]
    schema = schema["anyOf"][0] if "anyOf" in schema else schema
    return schema["properties"][inner] if inner else schema
