"""Reads a whole reply in named JSON, for tests that compare its plans and errors agent by agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ai.actions import Action, ToolRegistry
from ai.errors import ParseError
from ai.llm.encodings import NAMED
from ai.llm.parse import find_plans


@dataclass(slots=True)
class ParsedReply:
    """Plans and raw texts by agent, and a reason for each refused plan."""

    plans: dict[int, tuple[Action, ...]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)


def parse_reply(text: str, slots: Mapping[str, int], registry: ToolRegistry) -> ParsedReply:
    """Read a whole reply; raises `ParseError` if nothing in it can be read as a reply."""
    reply = ParsedReply()
    for agent, plan in find_plans(text, slots):
        reply.texts[agent] = plan
        try:
            reply.plans[agent] = NAMED.parse(plan, registry)
        except ParseError as error:
            reply.errors[agent] = str(error)
    return reply
