"""A whole reply, and the plan of one agent in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai.errors import ParseError
from ai.llm.parse.intake import ELEMENT_CHARS_MAX, REPLY_CHARS_MAX, SlotText
from ai.llm.parse.scanner import SlotScanner
from ai.llm.parse.strict import decode


def raw_steps(text: str) -> list[Any]:
    """Return the decoded steps of one plan's JSON: an object with `steps`, the same under `plan`, or the list itself.

    Other keys of the plan object are ignored; `ai.llm.parse.steps` defines the form of a step.

    Raises:
        ParseError: the text is not strict JSON, exceeds a limit, or has no list of steps.
    """
    data = decode(text, ELEMENT_CHARS_MAX)
    if isinstance(data, dict) and "steps" not in data and isinstance(data.get("plan"), dict | list):
        data = data["plan"]
    steps = data.get("steps") if isinstance(data, dict) else data
    if not isinstance(steps, list):
        raise ParseError('a plan must be an object with a list "steps"')
    return steps


def find_plans(text: str, slots: Mapping[str, int]) -> list[SlotText]:
    """Find the raw text of each agent's plan in a whole reply.

    Plans under slots or ids are found in any place: in JSON, in a code fence, after prose, or inside a server's
    envelope (`message.content` or `response`). If only one agent was asked, a single plan without slot or id is its
    plan.

    Raises:
        ParseError: nothing in the text could be read as a reply.
    """
    scanner, found = _scan(text, slots)
    if not found and not scanner.unknown and (inner := _envelope(text)) is not None:
        scanner, found = _scan(inner, slots)
    if not found and len(slots) == 1 and len(scanner.loose) == 1:
        found = [SlotText(next(iter(slots.values())), scanner.loose[0])]
    if not found and not scanner.unknown:
        raise ParseError(scanner.cut or "the reply holds no plan under a slot's name or an agent's id")
    return found


def _scan(text: str, slots: Mapping[str, int]) -> tuple[SlotScanner, list[SlotText]]:
    scanner = SlotScanner(slots)
    return scanner, scanner.feed(text) + scanner.close()


def _envelope(text: str) -> str | None:
    """Return the reply inside a server's whole answer, or None if the text is not such an answer."""
    try:
        data = decode(text, REPLY_CHARS_MAX)
    except ParseError:
        return None
    if not isinstance(data, dict):
        return None
    message = data.get("message")
    inner = message.get("content") if isinstance(message, dict) else data.get("response")
    return inner if isinstance(inner, str) else None
