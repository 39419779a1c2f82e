"""Named JSON: `{"a1":{"steps":[{"act":"MoveTo","x":3,"y":4}]}}`, under a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ai.actions import ActionStep, ToolRegistry
from ai.encodings.base import PLAN_STEPS_MAX, Offer, has_target, offers
from ai.parse import ParsedReply, SlotScanner, parse_plan, parse_reply
from ai.snapshot import SnapshotBatch


class NamedJson:
    """JSON objects with named arguments: the longest encoding, and the one that every server and model knows."""

    name = "named"
    plan_tokens = 160
    """Four named steps, indented as models like to (measured: 101 on average)."""

    def instructions(self, registry: ToolRegistry) -> str:  # noqa: ARG002
        """Return the sentence of the system message that says how to reply."""
        return 'Reply with one minified JSON object, one plan for each slot, no other text: {"a1":{"steps":[...]},...}.'

    def closing(self, count: int) -> str:
        """Return the last line of the user message: which slots to answer."""
        asked = "key a1" if count == 1 else f"{count} keys a1 to a{count}"
        return f"Reply with one minified JSON object with exactly the {asked}."

    def schema(self, batch: SnapshotBatch, registry: ToolRegistry) -> Mapping[str, Any]:
        """Return the JSON schema of the reply: every slot exactly once, in order, each with its agent's legal steps.

        Verbs without targets are defined once; agents that know the same targets share one plan definition. Verbs that
        need a target appear only where the agent knows one, and take no other.
        """
        width, height = batch.map.width, batch.map.height
        definitions: dict[str, Any] = {}
        shared: list[dict[str, Any]] = []
        targeted = [spec for spec in registry if has_target(spec)]
        for spec in registry:
            if not has_target(spec):
                definitions[spec.name] = registry.step_schema(spec.name, width=width, height=height)
                shared.append({"$ref": f"#/$defs/{spec.name}"})
        plans: dict[Offer, str] = {}
        properties: dict[str, Any] = {}
        for number, offer in enumerate(offers(batch), 1):
            name = plans.setdefault(offer, f"plan{len(plans) + 1}")
            if name not in definitions:
                own = [
                    registry.step_schema(
                        spec.name, width=width, height=height, enemies=offer.enemies, allies=offer.allies
                    )
                    for spec in targeted
                    if offer.allows(spec)
                ]
                definitions[name] = _plan_schema(shared + own)
            properties[f"a{number}"] = {"$ref": f"#/$defs/{name}"}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
            "$defs": definitions,
        }

    def grammar(self, batch: SnapshotBatch, registry: ToolRegistry) -> str | None:  # noqa: ARG002
        """Return None: a schema says it."""
        return None

    def scanner(self, slots: Mapping[str, int]) -> SlotScanner:
        """Return a scanner for one reply to these slots."""
        return SlotScanner(slots)

    def parse(self, text: str, registry: ToolRegistry) -> tuple[ActionStep, ...]:
        """Read one plan's raw text.

        Raises:
            ParseError: it is no plan, or holds a step that the registry refuses.
        """
        return parse_plan(text, registry)

    def read(self, text: str, slots: Mapping[str, int], registry: ToolRegistry) -> ParsedReply:
        """Read a whole reply in which the scanner found nothing.

        Raises:
            ParseError: nothing in the text could be read as a reply.
        """
        return parse_reply(text, slots, registry)

    def write(self, steps: Sequence[ActionStep], registry: ToolRegistry) -> str:  # noqa: ARG002
        """Return the raw text of one plan, minified."""
        plan = {"steps": [step.model_dump(mode="json", exclude_none=True) for step in steps]}
        return json.dumps(plan, separators=(",", ":"), ensure_ascii=False)

    def frame(self, texts: Mapping[str, str]) -> str:
        """Return a whole reply for raw plan texts by slot."""
        return "{" + ",".join(f'"{slot}":{text}' for slot, text in texts.items()) + "}"


def _plan_schema(kinds: list[dict[str, Any]]) -> dict[str, Any]:
    steps = {"type": "array", "items": {"anyOf": kinds}, "minItems": 1, "maxItems": PLAN_STEPS_MAX}
    return {"type": "object", "properties": {"steps": steps}, "required": ["steps"], "additionalProperties": False}
