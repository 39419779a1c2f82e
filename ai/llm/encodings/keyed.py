"""The shared part of the JSON encodings: one object with a plan under each slot's name, under a JSON schema.

Verbs with the same arguments share one schema. Schemas of verbs that refer to nothing are defined once per reply, the
others once for all agents with the same knowledge: a verb that needs a target appears only if the agent knows one, and
accepts only known targets. The schema uses the portable subset: keywords that every server enforces, closed objects,
required keys.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ai.actions import ToolRegistry
from ai.llm.encodings.base import Encoding
from ai.llm.encodings.offers import CACHED, Alike, Offer, Offers, offered
from ai.llm.parse import SlotScanner, raw_steps


class KeyedJson(Encoding):
    """One JSON object with a plan for each slot."""

    def closing(self, count: int) -> str:
        """Return the last line of the user message, which names the slots to answer."""
        asked = "key a1" if count == 1 else f"{count} keys a1 to a{count}"
        return f"Reply with one minified JSON object with exactly the {asked}."

    def schema(self, offers: Offers) -> Mapping[str, Any]:
        """Return the JSON schema of the reply: every slot exactly once, in order, each with its agent's legal steps."""
        definitions: dict[str, Any] = {}
        steps: dict[Offer, str] = {}
        plans: dict[tuple[Offer, ...], str] = {}
        properties: dict[str, Any] = {}
        for slot, own in enumerate(offers.each, 1):
            if own not in plans:
                for offer in own:
                    if offer not in steps:
                        steps[offer] = name = f"s{len(steps) + 1}"
                        definitions[name] = _steps(self, offers.registry, offer)
                plans[own] = name = f"plan{len(plans) + 1}"
                definitions[name] = self.plan_schema([{"$ref": f"#/$defs/{steps[offer]}"} for offer in own])
            properties[f"a{slot}"] = {"$ref": f"#/$defs/{plans[own]}"}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
            "$defs": definitions,
        }

    @abstractmethod
    def plan_schema(self, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the schema of a plan from those of its possible steps."""

    @abstractmethod
    def step_schemas(self, alike: Alike, offer: Offer, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the schemas of the steps of similar verbs; `properties` are their arguments in named JSON."""

    def scanner(self, slots: Mapping[str, int]) -> SlotScanner:
        """Return a scanner for one reply to these slots."""
        return SlotScanner(slots)

    def raw_steps(self, text: str) -> list[Any]:
        """Decode one plan's JSON; its steps may be objects and lists.

        Raises:
            ParseError: the text is not a plan.
        """
        return raw_steps(text)

    def frame(self, texts: Mapping[str, str]) -> str:
        """Return a whole reply for raw plan texts by slot."""
        return "{" + ",".join(f'"{slot}":{text}' for slot, text in texts.items()) + "}"


@lru_cache(maxsize=CACHED)
def _steps(encoding: KeyedJson, registry: ToolRegistry, offer: Offer) -> dict[str, Any]:
    """Return the schema of the steps of an offer; it is shared between calls."""
    schemas: list[dict[str, Any]] = []
    for alike in offered(registry, offer):
        whole = registry.step_schema(alike.spec.name, targets=offer.targets, sizes=offer.spaces)
        schemas += encoding.step_schemas(alike, offer, whole["properties"])
    return {"anyOf": schemas}
