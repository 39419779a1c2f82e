"""What the fake server answers: a legal plan for every slot that was asked, cut into tokens.

Under a schema the reply is a drawn instance of it, so that only legal verbs and known targets come out; under a grammar
it is a drawn sentence of it; without either each slot gets one of the plans in the prompt's own example.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ai.fake.draws import Draws
from ai.fake.gbnf import sentence
from ai.fake.instance import instance

TOKEN_CHARS: Final = 4
"""Characters of a prompt that count as one token."""

_SLOT: Final = re.compile(r"^(a\d{1,6})\b", re.MULTILINE)
_LINE: Final = re.compile(r"^a\d{1,6}: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Question:
    """What one call asks, whichever interface it came by. `messages` are role and content."""

    messages: tuple[tuple[str, str], ...]
    schema: Mapping[str, Any] | None
    grammar: str | None
    tokens_max: int

    @property
    def prompt(self) -> str:
        """The prompt as one text."""
        return "\n".join(f"{role}\n{content}" for role, content in self.messages)

    @property
    def prompt_tokens(self) -> int:
        """The tokens that the prompt counts as."""
        return -(-len(self.prompt) // TOKEN_CHARS)


def answer(question: Question, *, seed: int, plan_tokens: int) -> list[str]:
    """Return the reply as its tokens: `plan_tokens` for every slot, the marks around the plans included."""
    draws = Draws(seed, question.prompt)
    slots = _slots(question)
    if question.grammar is not None:
        return _cut(sentence(question.grammar, draws), plan_tokens * max(len(slots), 1))
    if question.schema is not None:
        value = instance(question.schema, draws)
    else:
        examples = _examples(question) or [{"steps": []}]
        value = {slot: examples[draws.below(len(examples))] for slot in slots}
        if value and isinstance(examples[0], str):
            return _cut("".join(f"{slot}: {plan}\n" for slot, plan in value.items()), plan_tokens * max(len(slots), 1))
    if not isinstance(value, dict) or not value:
        return _cut(_minified(value), plan_tokens)
    plans = [f"{_minified(slot)}:{_minified(plan)}" for slot, plan in value.items()]
    parts = [f"{'{' if place == 0 else ','}{plan}" for place, plan in enumerate(plans)]
    parts[-1] += "}"
    return [token for part in parts for token in _cut(part, plan_tokens)]


def _slots(question: Question) -> list[str]:
    """Return the slots that the prompt's last message lists."""
    return _SLOT.findall(question.messages[-1][1]) if question.messages else []


def _examples(question: Question) -> list[Any]:
    """Return the plans of the example in the prompt: decoded JSON, or the texts of lines."""
    text = question.prompt.partition("\nExample:\n")[2]
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return _LINE.findall(text)
    return list(found.values()) if isinstance(found, dict) else []


def _cut(text: str, pieces: int) -> list[str]:
    """Cut a text into so many pieces of nearly one length; a short text gives fewer."""
    pieces = max(min(pieces, len(text)), 1)
    edges = [len(text) * place // pieces for place in range(pieces + 1)]
    return [text[a:b] for a, b in pairwise(edges)]


def _minified(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
