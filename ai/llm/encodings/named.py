"""Named JSON: `{"a1":{"steps":[{"act":"MoveTo","x":3,"y":4}]}}`, under a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ai.actions import Action, Kind, ToolRegistry
from ai.llm.encodings.base import PLAN_STEPS_MAX
from ai.llm.encodings.keyed import KeyedJson
from ai.llm.encodings.offers import Alike, Offer


class NamedJson(KeyedJson):
    """JSON objects with named arguments: the longest encoding, which every server and model supports."""

    name = "named"
    plan_tokens = 160
    """Four named steps, indented as models often do (measured: 101 on average)."""

    def instructions(self) -> str:
        """Return the sentence of the system message about the form of the reply."""
        return 'Reply with one minified JSON object, one plan for each slot, no other text: {"a1":{"steps":[...]},...}.'

    def plan_schema(self, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the schema of a plan: an object with the list of its steps."""
        listed = {"type": "array", "items": {"anyOf": list(steps)}, "minItems": 1, "maxItems": PLAN_STEPS_MAX}
        return {"type": "object", "properties": {"steps": listed}, "required": ["steps"], "additionalProperties": False}

    def step_schemas(self, alike: Alike, offer: Offer, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one object with the verbs' names and every argument; optional arguments may be null."""
        verbs = {"type": "string", "enum": list(alike.names)}
        properties = dict(properties)
        for arg in alike.spec.args:
            if arg.kind is Kind.TARGET and not offer.targets[arg.sources]:
                properties[arg.name] = {"type": "null"}  # it is optional, and the agent knows no target
        return [
            {
                "type": "object",
                "properties": {**properties, "act": verbs},
                "required": list(properties),
                "additionalProperties": False,
            }
        ]

    def write(self, steps: Sequence[Action], registry: ToolRegistry) -> str:  # noqa: ARG002
        """Return the raw text of one plan, minified; the schema requires every argument, so a missing one is null."""
        plan = {"steps": [step.model_dump(mode="json") for step in steps]}
        return json.dumps(plan, separators=(",", ":"), ensure_ascii=False)
