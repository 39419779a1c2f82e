"""How many agents a call has room for: a prompt and its reply share the model's context.

A batch is cut so that every call fits. An agent whose prompt does not fit alone is asked with fewer verbs, those with
the lowest `keep` dropped first; its knowledge is never cut. If even that does not fit, the agent is not asked.

Everything here is counted with an estimate (`ai.llm.tokens`) that may be too low by a fifth; so much is kept free.
"""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from typing import Final

import numpy as np

from ai.llm.prompt import REGISTRIES_MAX, REPLY_TOKENS, PromptRequest, reply_tokens
from ai.llm.tokens import estimate_tokens

TOKENS_MAX: Final = 4096
"""Reply tokens that one call may ask for."""
ESTIMATE_LOW: Final = 1.25
"""How many times more tokens than estimated a text may take: the estimate is within a fifth of the count."""
CHAT_TOKENS: Final = 24
"""Tokens that a model's chat template puts around two messages."""
SAMPLED: Final = 8
"""Agents whose rows show the cost of a row."""


def prompt_tokens(request: PromptRequest) -> int:
    """Return how many tokens the prompt may take, estimated on the safe side."""
    return _with_margin(_tokens_of(request.system) + estimate_tokens(request.user))


def _with_margin(tokens: int) -> int:
    return math.ceil(tokens * ESTIMATE_LOW) + CHAT_TOKENS


# The same few messages, tick after tick.
logger = logging.getLogger(f"tickweave.{__name__}")
_tokens_of = lru_cache(maxsize=REGISTRIES_MAX)(estimate_tokens)


def fits(request: PromptRequest, context: int) -> bool:
    """Return whether prompt and reply fit into a number of tokens."""
    free = context - reply_tokens(request.encoding, len(request.keys))
    # No token is shorter than a character, so most prompts need not be looked at.
    return _with_margin(len(request.system) + len(request.user)) <= free or prompt_tokens(request) <= free


def max_agents(request: PromptRequest, context: int | None) -> int:
    """Return about how many agents of the request one call has room for, at least one.

    The longest reply bounds it, and so does the context, in tokens, where it is known. `calls` checks each call again.
    """
    plan_tokens = request.encoding.plan_tokens
    most = max((TOKENS_MAX - REPLY_TOKENS) // plan_tokens, 1)
    n = len(request.keys)
    if context is None or n < 2:
        return most
    # A few agents from all over the batch stand for all: the cost of an agent is what they add to the first of them.
    some = np.arange(0, n, max(n // SAMPLED, 1))[:SAMPLED]
    together, alone = (prompt_tokens(request.take(rows)) for rows in (some, some[:1]))
    row = max((together - alone) // max(len(some) - 1, 1), 1)
    return max(1, min(most, (context - REPLY_TOKENS - (alone - row)) // (row + plan_tokens)))


def calls(request: PromptRequest, context: int) -> list[PromptRequest]:
    """Return calls for all agents of a request, in their order.

    Where all agents together do not fit, halves of them are asked. One agent that does not fit alone is asked with
    fewer verbs: the first of `with_fewer_verbs` that fits, or the last, which then does not `fit`.
    """
    if fits(request, context):
        return [request]
    n = len(request.keys)
    if n > 1:
        return [call for half in (slice(0, n // 2), slice(n // 2, n)) for call in calls(request.take(half), context)]
    logger.info("agent %d has too long a prompt for %d tokens: it is asked with fewer verbs", request.keys[0], context)
    smaller = [one for one in with_fewer_verbs(request) if one.offers.each[0]]
    return [next((one for one in smaller if fits(one, context)), smaller[-1] if smaller else request)]


def with_fewer_verbs(request: PromptRequest) -> list[PromptRequest]:
    """Return the request with ever fewer verbs: those with the lowest `keep` go first, those with the highest stay."""
    keeps = {spec.name: spec.action.keep for spec in request.registry}
    return [
        request.offering(name for name, keep in keeps.items() if keep > level)
        for level in sorted(set(keeps.values()))[:-1]
    ]
