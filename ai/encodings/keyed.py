"""What the JSON encodings share: one object with a plan under each slot's name, held by a JSON schema.

Verbs with the same arguments share one definition. Those without targets are defined once a reply; agents that know
the same targets share one plan definition. Verbs that need a target appear only where the agent knows one, and take no
other. The schema keeps to the portable subset: keywords that every server enforces, closed objects, required keys.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ai.actions import ToolRegistry
from ai.encodings.base import CACHED, Encoding, Group, Offer, groups, offers
from ai.parse import SlotScanner, raw_steps
from ai.snapshot import SnapshotBatch


class KeyedJson(Encoding):
    """One JSON object with a plan for each slot."""

    def closing(self, count: int) -> str:
        """Return the last line of the user message: which slots to answer."""
        asked = "key a1" if count == 1 else f"{count} keys a1 to a{count}"
        return f"Reply with one minified JSON object with exactly the {asked}."

    def schema(self, batch: SnapshotBatch, registry: ToolRegistry) -> Mapping[str, Any]:
        """Return the JSON schema of the reply: every slot exactly once, in order, each with its agent's legal steps."""
        size = batch.map.width, batch.map.height
        definitions = dict(_shared(self, registry, *size))
        references = [{"$ref": f"#/$defs/{name}"} for name in definitions]
        plans: dict[Offer, dict[str, str]] = {}
        for offer in offers(batch):
            if offer not in plans:
                name = f"plan{len(plans) + 1}"
                plans[offer] = {"$ref": f"#/$defs/{name}"}
                definitions[name] = self.plan_schema([*references, *_targeted(self, registry, offer, *size)])
        properties = {f"a{number}": plans[offer] for number, offer in enumerate(offers(batch), 1)}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
            "$defs": definitions,
        }

    @abstractmethod
    def plan_schema(self, steps: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the schema of a plan from those of its possible steps."""

    @abstractmethod
    def step_schemas(self, group: Group, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the schemas of the steps of verbs alike; `properties` are their arguments in named JSON."""

    def scanner(self, slots: Mapping[str, int]) -> SlotScanner:
        """Return a scanner for one reply to these slots."""
        return SlotScanner(slots)

    def raw_steps(self, text: str) -> list[Any]:
        """Decode one plan's JSON; its steps may be objects and lists.

        Raises:
            ParseError: it is no plan.
        """
        return raw_steps(text)

    def frame(self, texts: Mapping[str, str]) -> str:
        """Return a whole reply for raw plan texts by slot."""
        return "{" + ",".join(f'"{slot}":{text}' for slot, text in texts.items()) + "}"


@lru_cache(maxsize=CACHED)
def _shared(encoding: KeyedJson, registry: ToolRegistry, width: int, height: int) -> dict[str, Any]:
    """Return the definitions of verbs without targets, by the first verb's name and a number."""
    anyone = Offer((), (), ())
    return {
        f"{group.names[0]}{number or ''}": schema
        for group in groups(registry)
        if not group.targeted
        for number, schema in enumerate(_schemas(encoding, registry, group, anyone, width, height))
    }


@lru_cache(maxsize=CACHED)
def _targeted(
    encoding: KeyedJson, registry: ToolRegistry, offer: Offer, width: int, height: int
) -> list[dict[str, Any]]:
    """Return the schemas of steps that name an agent, for whoever can name these."""
    return [
        schema
        for group in groups(registry)
        if group.targeted and offer.allows(group.spec)
        for schema in _schemas(encoding, registry, group, offer, width, height)
    ]


def _schemas(
    encoding: KeyedJson, registry: ToolRegistry, group: Group, offer: Offer, width: int, height: int
) -> list[dict[str, Any]]:
    whole = registry.step_schema(group.spec.name, width=width, height=height, targets=offer.targets)
    return encoding.step_schemas(group, whole["properties"])
