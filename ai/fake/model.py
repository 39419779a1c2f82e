"""What the fake server answers: a legal plan for every slot that was asked, cut into tokens.

Under a schema the reply is a drawn instance of it, so that only legal verbs and visible targets come out; under a
grammar it is a drawn sentence of it; without either it is what `MockBatchLlm` answers for the agents of the prompt.
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
from ai.testing import MockBatchLlm

TOKEN_CHARS: Final = 4
"""Characters of a prompt that count as one token."""

_ROW: Final = re.compile(r"^(a\d{1,6})\b(?:\D{0,8}?id (\d{1,10}))?", re.MULTILINE)


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
    if question.grammar is not None:
        text = sentence(question.grammar, draws)
        return _cut(text, plan_tokens * max(len(_rows(question)), 1))
    if question.schema is not None:
        value = instance(question.schema, draws)
    else:
        value = {slot: {"steps": MockBatchLlm.steps_for(agent)} for slot, agent in _rows(question).items()}
    if not isinstance(value, dict) or not value:
        return _cut(_minified(value), plan_tokens)
    plans = [f"{_minified(slot)}:{_minified(plan)}" for slot, plan in value.items()]
    parts = [f"{'{' if place == 0 else ','}{plan}" for place, plan in enumerate(plans)]
    parts[-1] += "}"
    return [token for part in parts for token in _cut(part, plan_tokens)]


def _rows(question: Question) -> dict[str, int]:
    """Return the slots that the prompt's last message lists, each with its agent, or its number where none is told."""
    found = _ROW.findall(question.messages[-1][1]) if question.messages else ()
    return {slot: int(agent or slot[1:]) for slot, agent in found}


def _cut(text: str, pieces: int) -> list[str]:
    """Cut a text into so many pieces of nearly one length; a short text gives fewer."""
    pieces = max(min(pieces, len(text)), 1)
    edges = [len(text) * place // pieces for place in range(pieces + 1)]
    return [text[a:b] for a, b in pairwise(edges)]


def _minified(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
