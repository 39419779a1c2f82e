"""Recordings that were spoilt: a match means that recording again gives the same, and all else is a sentence."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import cache

from scenarios.ecology.domain import Ecology
from scenarios.foraging.domain import Foraging
from scenarios.market.domain import Market
from scenarios.segregation.domain import Segregation
from sim.errors import ReplayError
from sim.replay import read, rerecord, verify
from sim.replay.format import canonical
from sim.replay.zst import pack
from tests.fuzz.harness import Draw, fuzz, spoilt_bytes, spoilt_json, spoilt_lines
from tests.sim.replay.recordings import model
from tests.support.bodies import put_together, taken_apart
from tests.support.recording import recorded


@cache
def bases() -> tuple[bytes, ...]:
    """Return recordings of several domains, with and without plans, keyframes and a model's replies."""
    return (
        recorded(Market(), seed=3, ticks=5),
        recorded(Foraging(), seed=1, ticks=4, keyframes=2),
        recorded(Segregation(width=12, height=10), seed=2, ticks=4),
        recorded(Ecology(width=12, height=12, sheep=20, wolves=5), seed=2, ticks=4),
        model(),
    )


def make(draw: Draw) -> bytes:
    base = draw.one(bases())
    match draw.below(4):
        case 0:
            return spoilt_bytes(draw, base)
        case 1:
            return spoilt_lines(draw, base)
        case _:
            records = taken_apart(base)
            for _ in range(draw.one((1, 1, 2))):
                place = draw.below(len(records))
                kind, body = records[place]
                spoilt = spoilt_json(draw, body)
                records[place] = (draw.one((kind,) * 9 + ("X",)), spoilt if isinstance(spoilt, dict) else {"x": spoilt})
            try:
                return put_together(records)
            except (ValueError, RecursionError):
                return base


def check(data: bytes) -> None:
    verdict = verify(data)
    if verdict.verdict == "match":
        # The environment may differ, and keys that are not known here are not proven.
        then, now = read(data), read(rerecord(read(data)))
        assert canonical([each.data() for each in then.ticks]) == canonical([each.data() for each in now.ticks])
        assert then.end == now.end
    else:
        assert verdict.reason.isprintable(), verdict.reason
        assert verdict.reason


def test_spoilt_recordings_never_match_falsely() -> None:
    """Whatever was done to a recording, with its chain whole again or not, `verify` says the truth in a sentence."""
    assert fuzz("recordings", make, check)


def make_packed(draw: Draw) -> bytes:
    sink = io.BytesIO()
    pack(io.BytesIO(make(draw) if draw.chance(30) else draw.one(bases())), sink)
    return spoilt_bytes(draw, sink.getvalue()) if draw.chance(90) else sink.getvalue()


def check_packed(data: bytes) -> None:
    with suppress(ReplayError):
        check(data)


def test_spoilt_packed_recordings_never_match_falsely() -> None:
    """The same of packed ones, whose table and frames are spoilt too."""
    assert fuzz("packed", make_packed, check_packed)
