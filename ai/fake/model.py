"""The answers of the fake server: a legal plan for every slot that was asked, cut into tokens.

Under a schema the reply is a drawn instance of it, so that only legal verbs and known targets come out; under a grammar
it is a drawn sentence of it. Of several that are drawn each slot gets the plan that comes nearest to the length asked
for. Without either each slot gets one of the plans in the prompt's own example; a prompt without slots gets a sentence.

Drawn plans are legal, but a world soon refuses most of them. A call may bring the plans of the caller's own rules
(`Question.reply`); a server that is set to `Plans.RULES` answers with those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final, TypeVar

from ai.fake.draws import Draws
from ai.fake.gbnf import Grammar
from ai.fake.instance import instance

TOKEN_CHARS: Final = 4
"""Characters of a prompt, and of a plan, that count as one token."""
DRAWN: Final = 4
"""Plans that are drawn for each slot, of which one is taken."""
TALK: Final = "This is a stand-in for a language model; it writes plans for the agents that a prompt lists."
"""The answer to a prompt that asks for no plan."""

_SLOT: Final = re.compile(r"^(a\d{1,6})\b", re.MULTILINE)
T = TypeVar("T")
_LINE: Final = re.compile(r"^a\d{1,6}: (.+)$", re.MULTILINE)

Plans = StrEnum("Plans", {"DRAWN": "drawn", "RULES": "rules"})
"""Where plans come from: drawn, or made by the caller's own rules."""


@dataclass(frozen=True, slots=True)
class Question:
    """The question of one call, the same for every interface.

    `messages` are role and content. `tokens_max` is None for no limit, `stops` are texts before which the reply ends,
    `as_json` asks for any JSON object, `reply` holds the plans of the caller's rules.
    """

    messages: tuple[tuple[str, str], ...]
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    tokens_max: int | None = None
    as_json: bool = False
    stops: tuple[str, ...] = ()
    reply: str | None = None

    @property
    def prompt(self) -> str:
        """The prompt as one text."""
        return "\n".join(f"{role}\n{content}" for role, content in self.messages)

    @property
    def prompt_tokens(self) -> int:
        """The tokens that the prompt counts as."""
        return -(-len(self.prompt) // TOKEN_CHARS)


def answer(question: Question, *, seed: int, plan_tokens: int, plans: Plans = Plans.DRAWN) -> list[str]:
    """Return the reply as its tokens: `plan_tokens` for every slot, the marks around the plans included.

    A plan of fewer characters than that has one token a character.

    Raises:
        ParseError: the grammar cannot be read.
    """
    slots = _slots(question)
    if plans is Plans.RULES and question.reply is not None:
        return _stopped(_cut(question.reply, plan_tokens * max(len(slots), 1)), question.stops)
    return _stopped(_drawn(question, slots, seed, plan_tokens), question.stops)


def _drawn(question: Question, slots: list[str], seed: int, plan_tokens: int) -> list[str]:
    count, aim = max(len(slots), 1), plan_tokens * TOKEN_CHARS
    if question.grammar is not None:
        grammar = Grammar(question.grammar)
        texts = [grammar.sentence(draws) for draws in _several(question, seed)]
        lines = [text.splitlines(keepends=True) for text in texts]
        chosen = "".join(_nearest(lines, aim, len)) if len({len(each) for each in lines}) == 1 else texts[0]
        return _cut(chosen, plan_tokens * count)
    if question.schema is not None:
        values = [instance(question.schema, draws) for draws in _several(question, seed)]
        value = values[0]
        if isinstance(value, dict):
            value = dict(_nearest([list(each.items()) for each in values], aim, lambda pair: len(_minified(pair[1]))))
    elif not slots:
        return _cut("{}" if question.as_json else TALK, plan_tokens)
    else:
        draws, examples = next(_several(question, seed)), _examples(question) or [{"steps": []}]
        value = {slot: examples[draws.below(len(examples))] for slot in slots}
        if isinstance(examples[0], str):
            return _cut("".join(f"{slot}: {plan}\n" for slot, plan in value.items()), plan_tokens * count)
    if not isinstance(value, dict) or not value:
        return _cut(_minified(value), plan_tokens)
    plans = [f"{_minified(slot)}:{_minified(plan)}" for slot, plan in value.items()]
    parts = [f"{'{' if place == 0 else ','}{plan}" for place, plan in enumerate(plans)]
    parts[-1] += "}"
    return [token for part in parts for token in _cut(part, plan_tokens)]


def _several(question: Question, seed: int) -> Iterator[Draws]:
    """Yield the choices of each of the plans that are drawn."""
    prompt = question.prompt
    return (Draws(seed, prompt, number) for number in range(DRAWN))


def _nearest(drawn: Sequence[Sequence[T]], aim: int, size: Callable[[T], int]) -> list[T]:
    """Return for each slot the plan that comes nearest to a length, the first of those that do."""
    return [min(plans, key=lambda plan: abs(size(plan) - aim)) for plans in zip(*drawn, strict=True)]


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


def _stopped(tokens: list[str], stops: Sequence[str]) -> list[str]:
    """Return the tokens up to the first text at which the reply has to end."""
    text = "".join(tokens)
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    if not places:
        return tokens
    kept, left = [], min(places)
    for token in tokens:
        if left > 0:
            kept.append(token[:left])
        left -= len(token)
    return kept


def _cut(text: str, pieces: int) -> list[str]:
    """Cut a text into `pieces` pieces of nearly one length; a short text gives fewer."""
    pieces = max(min(pieces, len(text)), 1)
    edges = [len(text) * place // pieces for place in range(pieces + 1)]
    return [text[a:b] for a, b in pairwise(edges)]


def _minified(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
