"""How many agents a call has room for: a prompt and its reply share the model's context.

Everything here is counted with an estimate (`ai.tokens`) that may be too low by a fifth; so much is kept free.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from ai.prompt import REGISTRIES_MAX, REPLY_TOKENS, Asking, reply_tokens
from ai.tokens import estimate_tokens

TOKENS_MAX: Final = 4096
"""Reply tokens that one call may ask for."""
ESTIMATE_LOW: Final = 1.25
"""How many times more tokens than estimated a text may take: the estimate is within a fifth of the count."""
CHAT_TOKENS: Final = 24
"""Tokens that a model's chat template puts around two messages."""
SAMPLED: Final = 8
"""Agents whose rows tell what a row costs."""


def prompt_tokens(asking: Asking) -> int:
    """Return how many tokens the prompt may take, estimated on the safe side."""
    return _with_margin(_tokens_of(asking.system) + estimate_tokens(asking.user))


def _with_margin(tokens: int) -> int:
    return math.ceil(tokens * ESTIMATE_LOW) + CHAT_TOKENS


# The same few messages, tick after tick.
_tokens_of = lru_cache(maxsize=REGISTRIES_MAX)(estimate_tokens)


def fits(asking: Asking, context: int) -> bool:
    """Say whether prompt and reply fit into so many tokens."""
    free = context - reply_tokens(asking.encoding, len(asking.keys))
    # No token is shorter than a character, so most prompts need not be looked at.
    return _with_margin(len(asking.system) + len(asking.user)) <= free or prompt_tokens(asking) <= free


def room(asking: Asking, context: int | None) -> int:
    """Return about how many agents of the batch one call has room for, at least one.

    The longest reply bounds it, and so does the context, tokens, where it is known. `calls` looks at each call again.
    """
    plan_tokens = asking.encoding.plan_tokens
    most = max((TOKENS_MAX - REPLY_TOKENS) // plan_tokens, 1)
    batch = asking.batch
    if context is None or len(batch) < 2:
        return most
    # Some of those who know most stand for all: what they add to the first of them is what agents cost.
    known = (batch.enemy >= 0).sum(1) + (batch.ally >= 0).sum(1)
    rows = np.sort(np.argsort(known, kind="stable")[-SAMPLED:])
    some, one = (prompt_tokens(asking.take(part)) for part in (rows, rows[-1:]))
    row = max((some - one) // (len(rows) - 1), 1)
    return max(1, min(most, (context - REPLY_TOKENS - (one - row)) // (row + plan_tokens)))


def calls(asking: Asking, context: int) -> list[Asking]:
    """Return calls for all agents of `asking`, in their order, each of which fits or is for one agent.

    Where all agents together do not fit, halves of them are asked. One alone that does not `fit` is not asked.
    """
    n = len(asking.keys)
    if n == 1 or fits(asking, context):
        return [asking]
    halves = slice(0, n // 2), slice(n // 2, n)
    return [call for half in halves for call in calls(asking.take(half), context)]
