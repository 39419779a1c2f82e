"""A whole reply, and the plan of one agent in it: found in five stages, then checked plan by plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ai.actions import ActionStep, ToolRegistry
from ai.errors import ParseError
from ai.parse.limits import ELEMENT_CHARS_MAX, REPLY_CHARS_MAX
from ai.parse.scanner import SlotScanner, SlotText
from ai.parse.strict import decode
from ai.steps import parse_steps


@dataclass(frozen=True, slots=True)
class FoundPlans:
    """The raw plans of a whole reply, and the stage that found them.

    `method` is `direct`, `code_fence`, `envelope`, `object_extraction` or `tolerant`.
    """

    method: str
    found: list[SlotText]
    duplicates: dict[int, int]
    unknown: int


@dataclass(slots=True)
class ParsedReply:
    """What a whole reply gave: plans and raw texts by agent, and a reason for each plan that was refused.

    `method` names the stage that read it (`FoundPlans`).
    """

    method: str
    plans: dict[int, tuple[ActionStep, ...]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    duplicates: dict[int, int] = field(default_factory=dict)
    unknown: int = 0


def raw_steps(text: str) -> list[Any]:
    """Return the decoded steps of one plan's JSON: an object with `steps`, the same under `plan`, or the list itself.

    Keys of the plan object other than these are ignored; what a step may hold is its kind's business (`ai.steps`).

    Raises:
        ParseError: not strict JSON, over a limit, or no list of steps.
    """
    data = decode(text, ELEMENT_CHARS_MAX)
    if isinstance(data, dict) and "steps" not in data and isinstance(data.get("plan"), dict | list):
        data = data["plan"]
    steps = data.get("steps") if isinstance(data, dict) else data
    if not isinstance(steps, list):
        raise ParseError('a plan must be an object with a list "steps"')
    return steps


def parse_plan(text: str, registry: ToolRegistry) -> tuple[ActionStep, ...]:
    """Turn one plan's JSON text into steps.

    Raises:
        ParseError: no plan (`raw_steps`), no steps, too many, or one that the registry refuses.
    """
    return parse_steps(raw_steps(text), registry)


def find_plans(text: str, slots: Mapping[str, int]) -> FoundPlans:
    """Find the raw text of each agent's plan in a whole reply.

    The five stages in order: the text is JSON; JSON in a code fence; JSON inside a server's envelope (`message.content`
    or `response`); objects anywhere in the text; and, when one agent was asked, a single plan without slot or id.

    Raises:
        ParseError: nothing in the text could be read as a reply.
    """
    scanner, found = _scan(text, slots)
    method = _method(text, found) if found or scanner.unknown else ""
    if not method:
        inner = _envelope(text)
        if inner is not None:
            scanner, found = _scan(inner, slots)
            method = "envelope" if found or scanner.unknown else ""
    if not method and len(slots) == 1 and len(scanner.loose) == 1:
        found, method = [SlotText(next(iter(slots.values())), scanner.loose[0])], "tolerant"
    if not method:
        raise ParseError(scanner.cut or "the reply holds no plan under a slot's name or an agent's id")
    return FoundPlans(method, found, scanner.duplicates, scanner.unknown)


def parse_reply(text: str, slots: Mapping[str, int], registry: ToolRegistry) -> ParsedReply:
    """Read a whole reply (`find_plans`) and refuse plans one by one.

    Raises:
        ParseError: nothing in the text could be read as a reply.
    """
    plans = find_plans(text, slots)
    reply = ParsedReply(plans.method, duplicates=plans.duplicates, unknown=plans.unknown)
    for slot in plans.found:
        reply.texts[slot.agent] = slot.text
        try:
            reply.plans[slot.agent] = parse_plan(slot.text, registry)
        except ParseError as error:
            reply.errors[slot.agent] = str(error)
    return reply


def _scan(text: str, slots: Mapping[str, int]) -> tuple[SlotScanner, list[SlotText]]:
    scanner = SlotScanner(slots)
    return scanner, scanner.feed(text) + scanner.close()


def _method(text: str, found: list[SlotText]) -> str:
    """Name the first of the stages that finds plans under slots or ids in this text."""
    try:
        decode(text, REPLY_CHARS_MAX)
    except ParseError:
        fence = text.find("```")
        return "code_fence" if found and 0 <= fence < text.find(found[0].text) else "object_extraction"
    return "direct"


def _envelope(text: str) -> str | None:
    """Return the reply inside a server's whole answer, or None when the text is not one."""
    try:
        data = decode(text, REPLY_CHARS_MAX)
    except ParseError:
        return None
    if not isinstance(data, dict):
        return None
    message = data.get("message")
    inner = message.get("content") if isinstance(message, dict) else data.get("response")
    return inner if isinstance(inner, str) else None
