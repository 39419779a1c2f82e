"""What a call has room for: how many agents, and what of a single agent's prompt is left out where it does not fit.

A prompt and its reply share the context. Where the context is known, a call gets as many agents as fit. One agent whose
prompt alone is too long is asked with less, and what is left out goes in a fixed order, the least valuable first: the
farthest allies, things and places, enemies beyond the nearest, examples (with them costs), rarer verbs. What the agent
knows of itself, its objective and orders, and its nearest enemies always stay. Nothing is left out that has room. Where
even the rest does not fit, there is no call.

Everything here is counted with an estimate (`ai.tokens`) that may be too low by a fifth; so much is kept free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from ai.actions import COMMON_KINDS, ToolRegistry
from ai.knowledge import places_of
from ai.prompt import REPLY_TOKENS, Asking, Detail, reply_tokens
from ai.snapshot import Poi, SnapshotBatch
from ai.steps import READERS_MAX
from ai.tokens import estimate_tokens

TOKENS_MAX: Final = 4096
"""Reply tokens that one call may ask for."""
ESTIMATE_LOW: Final = 1.25
"""How many times more tokens than estimated a text may take: the estimate is within a fifth of the count."""
CHAT_TOKENS: Final = 24
"""Tokens that a model's chat template puts around two messages."""
SAMPLED: Final = 8
"""Agents whose rows tell what a row costs."""
ENEMIES_KEPT: Final = 3
"""Nearest enemies that are never left out."""
ESSENTIAL_KINDS: Final = ("Approach", "Attack", "Heal", "MoveTo", "Reload", "Retreat", "TakeCover", "Wait")
"""Verbs that stay when the other common ones are left out as well."""


def prompt_tokens(asking: Asking) -> int:
    """Return how many tokens the prompt may take, estimated on the safe side."""
    return _with_margin(_tokens_of(asking.system) + estimate_tokens(asking.user))


def _with_margin(tokens: int) -> int:
    return math.ceil(tokens * ESTIMATE_LOW) + CHAT_TOKENS


# The same few messages, tick after tick.
_tokens_of = lru_cache(maxsize=READERS_MAX)(estimate_tokens)


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
    """Return the calls that ask all agents of `asking`, in their order, each of which fits.

    Where all agents together do not fit, halves of them are asked. One alone that does not fit is asked with less: with
    the first of `leaner` that fits, or with the last of them, which then does not `fit`.
    """
    if fits(asking, context):
        return [asking]
    n = len(asking.keys)
    if n == 1:
        lean = asking
        for lean in leaner(asking):
            if fits(lean, context):
                break
        return [lean]
    halves = slice(0, n // 2), slice(n // 2, n)
    return [call for half in halves for call in calls(asking.take(half), context)]


def leaner(asking: Asking) -> Iterator[Asking]:
    """Yield what one agent can be asked with, from everything to the least, a little less each time."""
    yield asking
    asking = replace(asking, whole=asking.batch, rows=None)
    for place in range(int((asking.whole.ally >= 0).sum()) - 1, -1, -1):
        asking = _less(asking, "allies", whole=_without(asking.whole, "ally", place))
        yield asking
    for place in range(int((asking.whole.object >= 0).sum()) - 1, -1, -1):
        asking = _less(asking, "objects", whole=_without(asking.whole, "object", place))
        yield asking
    known = _by_distance(asking.whole)
    for count in range(len(known) - 1, -1, -1):
        asking = _less(asking, "places", whole=_with_places(asking.whole, known[:count]))
        yield asking
    for place in range(int((asking.whole.enemy >= 0).sum()) - 1, ENEMIES_KEPT - 1, -1):
        asking = _less(asking, "enemies", whole=_without(asking.whole, "enemy", place))
        yield asking
    for detail in range(asking.detail - 1, -1, -1):
        asking = _less(asking, "detail", detail=Detail(detail))
        yield asking
    for kinds in (COMMON_KINDS, ESSENTIAL_KINDS):
        fewer = _offering(asking.registry, kinds)
        if 0 < len(fewer) < len(asking.registry):
            asking = _less(asking, "verbs", len(asking.registry) - len(fewer), registry=fewer)
            yield asking


def _less(asking: Asking, what: str, count: int = 1, **changed: Any) -> Asking:
    return replace(asking, left_out={**asking.left_out, what: asking.left_out.get(what, 0) + count}, **changed)


def _without(batch: SnapshotBatch, what: str, place: int) -> SnapshotBatch:
    """Return the batch without those at a place, who are the farthest that are left."""
    keys = getattr(batch, what).copy()
    keys[:, place] = -1
    return replace(batch, **{what: keys})


def _by_distance(batch: SnapshotBatch) -> list[Poi]:
    """Return the places that the agent is told, nearest first."""
    x, y = int(batch.x[0]), int(batch.y[0])
    return sorted(
        places_of(batch.map, batch.originals),
        key=lambda poi: ((poi.pos.x - x) ** 2 + (poi.pos.y - y) ** 2, poi.k, poi.pos.x, poi.pos.y),
    )


def _with_places(batch: SnapshotBatch, places: list[Poi]) -> SnapshotBatch:
    return replace(batch, map=replace(batch.map, pois=tuple(places)), originals=None)


@lru_cache(maxsize=READERS_MAX)
def _offering(registry: ToolRegistry, kinds: tuple[str, ...]) -> ToolRegistry:
    """Return the registry with some verbs; made once, as schemas and tables are kept by registry."""
    return registry.offering(kinds)
