"""Replays taken apart into kinds and bodies, and put together again with a whole chain."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sim.replay.format import canonical, encode_line, split_line

Records = list[tuple[str, dict[str, Any]]]


def taken_apart(replay: bytes) -> Records:
    """Return the kind and the body of each line."""
    lines = (split_line(line) for line in replay.splitlines(keepends=True))
    return [(line.kind, json.loads(line.body)) for line in lines]


def put_together(records: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    """Return the replay of kinds and bodies."""
    chain, lines = "", []
    for kind, body in records:
        line, chain = encode_line(chain, kind, canonical(body))
        lines.append(line)
    return b"".join(lines)
