"""Properties of replays: what is recorded matches, and what was altered never does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.scripted import ScriptedClient
from sim.errors import ScenarioError
from sim.replay import read, rerecord, scan, verify
from sim.replay.format import canonical
from tests.sim.replay.recordings import framed, model, record, rules, scenario
from tests.support.recording import rechain

Path = tuple[str | int, ...]

WITHOUT_MEANING = ("env", "llm", "prompt_version", "parent")
"""Keys of the header that running again does not depend on: altered together with the chain, they change no verdict."""

LEFT_OUT_ALIKE = (("width", 1), ("height", 1), ("x", None), ("y", None), ("on", True))
"""Keys of inputs whose value is the default: without them an input means the same."""

FEW = settings(max_examples=max(12, settings().max_examples // 4))
"""For properties that run a whole simulation several times an example."""

STEPS = st.one_of(
    st.builds(lambda seconds: {"act": "Wait", "duration": seconds}, st.integers(1, 5)),
    st.builds(lambda x, y: {"act": "MoveTo", "x": x, "y": y}, st.integers(0, 14), st.integers(0, 7)),
    st.builds(lambda key: {"act": "Attack", "target_id": key}, st.integers(0, 7)),
    st.just({"act": "Dance"}),
)
LINES = st.one_of(
    st.builds(lambda agent, steps: {"agent": agent, "steps": steps}, st.integers(0, 5), st.lists(STEPS, max_size=3)),
    st.builds(lambda agent, text: {"agent": agent, "text": text}, st.integers(0, 5), st.text(max_size=12)),
    st.builds(
        lambda agent, error: {"agent": agent, "error": error}, st.integers(0, 5), st.sampled_from(["timeout", "cut"])
    ),
)
INPUTS = st.one_of(
    st.builds(lambda a, x, y: {"kind": "move", "agent": a, "x": x, "y": y}, *[st.integers(0, 12)] * 3),
    st.builds(lambda text: {"kind": "order", "squad": "two", "text": text}, st.text(min_size=1, max_size=5)),
    st.builds(lambda n: {"kind": "spawn", "squad": "one", "count": n, "x": 3, "y": 2}, st.integers(1, 3)),
    st.builds(lambda a: {"kind": "remove", "agent": a}, st.integers(0, 9)),
    st.builds(lambda a, on: {"kind": "control", "agent": a, "on": on}, st.integers(0, 7), st.booleans()),
    st.builds(lambda a, step: {"kind": "act", "agent": a, "step": step}, st.integers(0, 7), STEPS),
    st.builds(lambda x: {"kind": "fortify", "rect": {"x": x, "y": 1, "width": 2, "height": 2}}, st.integers(0, 12)),
    st.builds(
        lambda n, kind: {"kind": "spawn_wave", "archetype": kind, "count": n, "origin": {"x": 1, "y": 4}},
        st.integers(1, 2), st.sampled_from(["rifle", "ghost"]),
    ),
    st.builds(
        lambda name, value: {"kind": "set", "name": name, "value": value},
        st.sampled_from(["planning.ttl_s", "morale.break_below", "combat.hit_bonus"]), st.integers(-1, 100),
    ),
    st.builds(lambda y: {"kind": "collapse", "a": {"x": 9, "y": y}, "b": {"x": 11, "y": 4}}, st.integers(0, 6)),
    st.builds(
        lambda cell, x, y: {"kind": "set_cells", "cell": cell, "x": x, "y": y},
        st.sampled_from(["floor", "cover", "wall"]), st.integers(0, 12), st.integers(0, 5),
    ),
)  # fmt: skip
TIMED = st.builds(lambda tick, item: {"tick": tick, "input": item}, st.integers(0, 6), INPUTS)


@cache
def decoded(replay: bytes) -> list[Any]:
    return [json.loads(line) for line in replay.splitlines()]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value that is not a container, and of every container that is empty."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for name, item in inside:
        empty = False
        yield from leaves(item, (*path, name))
    if empty:
        yield path


@cache
def places(replay: bytes) -> list[list[Path]]:
    """Return the paths of every line's values, by line."""
    return [sorted(leaves(line["v"]), key=repr) for line in decoded(replay)]


@st.composite
def other(draw: st.DrawFn, value: Any) -> Any:
    """Draw a value of the same type that is another one."""
    match value:
        case bool():
            return not value
        case int():
            return draw(st.sampled_from([value + 1, abs(value - 1), value + 10]).filter(lambda new: new != value))
        case None:
            return draw(st.sampled_from([0, "x"]))
        case str():
            if not value:
                return "0"
            at = draw(st.integers(0, len(value) - 1))
            letter = draw(st.sampled_from("0123456789abcdef,-x ").filter(lambda new: new != value[at]))
            return draw(
                st.sampled_from([value[:at] + letter + value[at + 1 :], value[:at] + value[at + 1 :], value + letter])
            )
        case _:
            return draw(st.sampled_from([None, 1]))


@dataclass(frozen=True)
class Altered:
    """A replay, the lines of it with one value altered, and which."""

    line: int
    path: Path
    replay: bytes = field(repr=False)
    lines: list[bytes] = field(repr=False)


@st.composite
def alterations(draw: st.DrawFn) -> Altered:
    """Draw a replay with one value of one record altered, added or taken away, and where; its chain is untouched."""
    replay = draw(st.sampled_from([rules("hash"), rules("full"), model("hash"), model("full")]))
    line = draw(st.integers(0, len(decoded(replay)) - 1))
    # First the key, then a place below it: else the thousand hashes would leave little room for all else.
    tops = sorted({path[0] for path in places(replay)[line]}, key=str)
    top = draw(st.sampled_from(tops))
    path = draw(st.sampled_from([path for path in places(replay)[line] if path[0] == top]))
    whole = json.loads(json.dumps(decoded(replay)[line]))
    owner = whole["v"]
    for part in path[:-1]:
        owner = owner[part]
    if draw(st.integers(0, 5)) == 0 and (path[-1], owner[path[-1]]) not in LEFT_OUT_ALIKE:
        del owner[path[-1]]
    else:
        owner[path[-1]] = draw(other(owner[path[-1]]))
    lines = replay.splitlines(keepends=True)
    head = lines[line][: lines[line].index(b'"v":') + 4]
    lines[line] = head + canonical(whole["v"]) + b"}\n"
    return Altered(line, path, replay, lines)


@given(alterations())
def test_one_altered_value_is_never_a_match(altered: Altered) -> None:
    """One altered value is noticed by the chain; with the chain computed again it is noticed by running again."""
    replay, line, path, lines = altered.replay, altered.line, altered.path, altered.lines
    untouched = scan(b"".join(lines))
    assert (untouched.status, untouched.place.lines) == ("corrupt", line)
    again = b"".join(rechain(lines))
    verdict = verify(again)
    if line == 0 and path[0] in WITHOUT_MEANING:
        assert verdict.verdict == "match" or scan(again).status == "corrupt"
        return
    assert verdict.verdict != "match"
    if 0 < line <= len(read(replay).ticks):
        assert verdict.ticks == line - 1
        if verdict.first is not None:
            assert verdict.first.tick == line - 1


@FEW
@given(st.none() | st.lists(LINES, max_size=6), st.lists(TIMED, max_size=5), st.sampled_from(["hash", "full"]))
def test_every_recording_matches(
    script: list[dict[str, Any]] | None, inputs: list[dict[str, Any]], detail: Any
) -> None:
    """Whatever a model says and whatever comes from outside, the recording matches and re-records to the byte."""
    client = None if script is None else ScriptedClient(script)
    plan = scenario(inputs=[timed for timed in inputs if _fits(timed)])
    replay = record(plan, client=client, detail=detail, ticks=8)
    assert verify(replay).verdict == "match"
    assert rerecord(read(replay)) == replay


def _fits(timed: dict[str, Any]) -> bool:
    try:
        scenario(inputs=[timed])
    except ScenarioError:
        return False
    return True


@given(st.data())
def test_killed_writer_leaves_what_it_wrote(data: st.DataObject) -> None:
    """A file cut at any byte keeps its whole lines, is incomplete, and is never taken for a match."""
    replay = data.draw(st.sampled_from([rules(), model()]))
    cut = data.draw(st.integers(0, len(replay) - 2))
    found = scan(replay[:cut])
    assert found.status == "incomplete"
    assert found.place.lines == replay[:cut].count(b"\n")
    assert found.ticks == read(replay).ticks[: max(0, found.place.lines - 1)]
    if cut % 4 == 0:
        verdict = verify(replay[:cut])
        assert (verdict.verdict, verdict.ticks) == ("inconclusive", len(found.ticks))


@given(st.data())
def test_flipped_bits_are_never_a_match(data: st.DataObject) -> None:
    """One bit anywhere in a replay is noticed."""
    replay = bytearray(data.draw(st.sampled_from([rules(), model()])))
    replay[data.draw(st.integers(0, len(replay) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert verify(bytes(replay)).verdict != "match"


FLIPS, PARTS = 10_000, 8
"""Bits that are flipped, and into how many tests they are dealt, so that several processes share them."""


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(PARTS))
def test_ten_thousand_flipped_bits_are_never_a_match(part: int) -> None:
    """Ten thousand random bits of a replay with keyframes: each flip is noticed, and the lines before it are kept."""
    whole = framed()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    bits = np.random.default_rng(part).integers(0, len(whole) * 8, FLIPS // PARTS)
    for bit in bits.tolist():
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        found = scan(bytes(changed))
        assert found.status != "complete"
        assert found.place.offset == max((end for end in ends if end <= bit // 8), default=0)
        assert verify(bytes(changed)).verdict == "inconclusive"


@FEW
@given(st.data())
def test_moved_lines_are_never_a_match(data: st.DataObject) -> None:
    """Lines taken away, doubled or swapped are noticed, also with the chain computed again."""
    lines = data.draw(st.sampled_from([rules(), model()])).splitlines(keepends=True)
    one, two = sorted(data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True)))
    swapped = [*lines[:one], lines[two], *lines[one + 1 : two], lines[one], *lines[two + 1 :]]
    for changed in (lines[:one] + lines[one + 1 :], lines[:two] + lines[one:], swapped):
        assert scan(b"".join(changed)).status != "complete"
        again = b"".join(rechain(changed))
        assert scan(again).status != "complete" or verify(again).verdict != "match"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_judged_without_a_traceback(data: bytes) -> None:
    """Any bytes are incomplete, corrupt or unsupported, and say so in a sentence."""
    verdict = verify(data)
    assert verdict.verdict == "inconclusive"
    assert verdict.reason
